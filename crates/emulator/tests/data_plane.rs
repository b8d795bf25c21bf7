//! The addresses of services and tags: who gets in, which revision answers, and that nothing is
//! cut on the way.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod cloud;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cloud::{Cloud, DEPLOYER, PARENT, assert_succeeded, eventually, named, template, to, uri};
use emulator::runtime::{Answer, App, Behaviour};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A public service `hello` whose revision `hello-a` (v1) takes all traffic by name.
async fn pinned(cloud: &Cloud) -> String {
    let image = cloud.version("v1").await;
    let mut body = named(&image, "hello-a");
    body["invokerIamDisabled"] = json!(true);
    body["traffic"] = json!([to("hello-a", 100)]);
    assert_succeeded(&cloud.create("hello", body).await);
    uri(&cloud.service("hello").await)
}

async fn shift(cloud: &Cloud, traffic: Value) -> Value {
    let operation = cloud
        .patch("hello", "traffic", json!({"traffic": traffic}))
        .await;
    assert_succeeded(&operation);
    operation["response"].clone()
}

#[tokio::test]
async fn a_tag_has_an_address_of_its_own_that_stays() {
    let cloud = Cloud::start().await;
    let main = pinned(&cloud).await;
    let image = cloud.version("v2").await;
    let mut body = named(&image, "hello-b");
    let tagged = json!({"type": cloud::REVISION, "revision": "hello-b", "tag": "c-1"});
    body["traffic"] = json!([to("hello-a", 100), tagged]);
    assert_succeeded(&cloud.patch("hello", "template,traffic", body).await);
    let tag = uri(&cloud.service("hello").await["trafficStatuses"][1]);
    assert_ne!(main, tag);
    assert_eq!(cloud.version_at(&main).await, "v1");
    assert_eq!(cloud.version_at(&tag).await, "v2");
    // Without the tag its address answers 404; with it, it is the same address again.
    shift(&cloud, json!([to("hello-a", 100)])).await;
    let (status, page) = cloud.fetch(&tag).await;
    assert_eq!(status, 404);
    assert!(page.contains("<h1>Error: Page not found</h1>"), "{page}");
    let again = shift(&cloud, json!([to("hello-a", 100), tagged])).await;
    assert_eq!(uri(&again["trafficStatuses"][1]), tag);
    assert_eq!(cloud.version_at(&tag).await, "v2");
    cloud.stop().await;
}

#[tokio::test]
async fn traffic_is_split_by_percent() {
    let cloud = Cloud::start().await;
    let main = pinned(&cloud).await;
    let image = cloud.version("v2").await;
    assert_succeeded(
        &cloud
            .patch("hello", "template", named(&image, "hello-b"))
            .await,
    );
    shift(&cloud, json!([to("hello-a", 70), to("hello-b", 30)])).await;
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..400 {
        *seen.entry(cloud.version_at(&main).await).or_default() += 1;
    }
    assert_eq!(seen.len(), 2);
    assert!((80..=160).contains(&seen["v2"]), "{seen:?}");
    cloud.stop().await;
}

#[tokio::test]
async fn no_request_fails_while_traffic_moves_to_and_fro() {
    let cloud = Cloud::start().await;
    let main = pinned(&cloud).await;
    for (version, revision) in [("v2", "hello-b"), ("v3", "hello-c"), ("v4", "hello-d")] {
        let image = cloud.version(version).await;
        assert_succeeded(
            &cloud
                .patch("hello", "template", named(&image, revision))
                .await,
        );
    }
    let (ended, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let client = {
        let (ended, served) = (Arc::clone(&ended), Arc::clone(&served));
        let (http, url) = (cloud.local.http.clone(), format!("{main}/predict"));
        tokio::spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let answer = http
                    .post(&url)
                    .json(&json!({"x": [1, 2]}))
                    .send()
                    .await
                    .expect("an answer");
                assert_eq!(answer.status(), 200);
                served.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for _ in 0..3 {
        for revision in ["hello-b", "hello-c", "hello-d", "hello-a"] {
            let before = served.load(Ordering::Relaxed);
            shift(&cloud, json!([to(revision, 100)])).await;
            eventually("requests go on", async || {
                (served.load(Ordering::Relaxed) > before + 3).then_some(())
            })
            .await;
        }
    }
    ended.store(true, Ordering::Relaxed);
    client.await.expect("no request failed");
    // Retired revisions were ended and started again on the way.
    assert!(
        cloud.runtime.started().len() > 4,
        "{}",
        cloud.runtime.started().len()
    );
    cloud.stop().await;
}

#[tokio::test]
async fn a_request_in_flight_is_not_cut_when_its_revision_goes() {
    let cloud = Cloud::start().await;
    let arrived = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&arrived);
    let slow = App::new().otherwise(move |_| {
        told.store(true, Ordering::Release);
        Answer::json(&json!({})).after(Duration::from_millis(600))
    });
    let image = cloud.image("slow", Behaviour::Serve(slow)).await;
    let main = cloud.public("hello", &image).await;
    let (http, url) = (cloud.local.http.clone(), format!("{main}/slow"));
    let request = tokio::spawn(async move { http.get(url).send().await });
    eventually("the request is in", async || {
        arrived.load(Ordering::Acquire).then_some(())
    })
    .await;
    let (status, operation) = cloud
        .call("DELETE", &format!("{PARENT}/services/hello"), None)
        .await;
    assert_eq!(status, 200);
    assert_succeeded(&cloud.wait(&operation).await);
    assert_eq!(cloud.fetch(&main).await.0, 404);
    let answer = request.await.expect("no panic").expect("an answer");
    assert_eq!(answer.status(), 200);
    cloud.stop().await;
}

#[tokio::test]
async fn a_private_service_wants_an_id_token_for_its_base_address() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let mut body = named(&image, "hello-a");
    body["traffic"] =
        json!([{"type": cloud::REVISION, "revision": "hello-a", "percent": 100, "tag": "t"}]);
    assert_succeeded(&cloud.create("hello", body).await);
    let service = cloud.service("hello").await;
    let (main, tag) = (uri(&service), uri(&service["trafficStatuses"][0]));
    let account = json!({"email": DEPLOYER});
    let (status, answer) = cloud
        .call("POST", "/_emulator/service-accounts", Some(account))
        .await;
    assert!(status < 300, "{answer}");
    let id_token = async |audience: &str| {
        let path = format!("/v1/projects/-/serviceAccounts/{DEPLOYER}:generateIdToken");
        let body = json!({"audience": audience, "includeEmail": true});
        let (status, answer) = cloud.call("POST", &path, Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        answer["token"].as_str().expect("a token").to_owned()
    };
    let right = id_token(&main).await;
    let wrong = id_token(&tag).await;
    let ask = async |url: &str, header: &str, token: &str| {
        let request = cloud.local.http.get(format!("{url}/version"));
        let answer = request
            .header(header, format!("Bearer {token}"))
            .send()
            .await;
        answer.expect("an answer").status().as_u16()
    };
    for url in [&main, &tag] {
        let (status, page) = cloud.fetch(url).await;
        assert_eq!(status, 403);
        assert!(
            page.contains(
                "Your client does not have permission to get URL <code>/</code> from this server."
            ),
            "{page}"
        );
        assert_eq!(ask(url, "authorization", &right).await, 200);
        assert_eq!(ask(url, "x-serverless-authorization", &right).await, 200);
        assert_eq!(ask(url, "authorization", &wrong).await, 401);
        assert_eq!(ask(url, "authorization", &cloud.token).await, 401);
    }
    let policy =
        json!({"policy": {"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]}});
    let (status, _) = cloud
        .call(
            "POST",
            &format!("{PARENT}/services/hello:setIamPolicy"),
            Some(policy),
        )
        .await;
    assert_eq!(status, 200);
    assert_eq!(cloud.version_at(&main).await, "v1");
    cloud.stop().await;
}

#[tokio::test]
async fn headers_of_one_hop_stay_there_and_bodies_stream() {
    let cloud = Cloud::start().await;
    let echo = App::new().otherwise(|call| {
        let headers: BTreeMap<String, String> = call
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
            .collect();
        Answer::json(&json!({"headers": headers, "length": call.body.len(), "path": call.path, "query": call.query}))
    });
    let image = cloud.image("echo", Behaviour::Serve(echo)).await;
    let main = cloud.public("hello", &image).await;
    let body = vec![7_u8; 3 << 20];
    let answer = cloud
        .local
        .http
        .post(format!("{main}/a/b?c=d"))
        .header("connection", "x-private")
        .header("x-private", "1")
        .header("x-forwarded-for", "203.0.113.9")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .body(reqwest::Body::wrap_stream(futures_util::stream::iter(
            body.chunks(100_000)
                .map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()))
                .collect::<Vec<_>>(),
        )))
        .send()
        .await
        .expect("an answer");
    let seen: Value = answer.json().await.expect("JSON");
    assert_eq!(seen["length"], 3 << 20);
    assert_eq!(
        (&seen["path"], &seen["query"]),
        (&json!("/a/b"), &json!("c=d"))
    );
    let headers = &seen["headers"];
    assert!(headers.get("x-private").is_none(), "{headers}");
    assert_eq!(headers["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(
        headers["traceparent"],
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    );
    assert_eq!(headers["host"], main.trim_start_matches("http://"));
    cloud.stop().await;
}

#[tokio::test]
async fn one_connection_takes_many_requests() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let main = cloud.public("hello", &image).await;
    let host = main.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(host)
        .await
        .expect("a connection");
    for _ in 0..3 {
        let request = format!("GET /version HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"{\"version\":\"v1\"}") {
            let mut buffer = [0; 1024];
            let count = stream.read(&mut buffer).await.expect("read");
            assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..count]);
        }
    }
    cloud.stop().await;
}

#[tokio::test]
async fn with_propagation_new_addresses_and_splits_come_late() {
    let cloud = Cloud::start_with(|config| config.propagation_ms = 600_000).await;
    let image = cloud.version("v1").await;
    let main = cloud.public("hello", &image).await;
    assert_eq!(cloud.fetch(&main).await.0, 404);
    let clock = cloud.local.emulator.world().clock.clone();
    clock.advance(Duration::from_secs(601));
    eventually("the address answers", async || {
        (cloud.fetch(&main).await.0 == 200).then_some(())
    })
    .await;
    let image = cloud.version("v2").await;
    assert_succeeded(&cloud.patch("hello", "template", template(&image)).await);
    assert_eq!(cloud.version_at(&main).await, "v1", "the old split lingers");
    clock.advance(Duration::from_secs(601));
    eventually("the new split is used", async || {
        (cloud.version_at(&main).await == "v2").then_some(())
    })
    .await;
    cloud.stop().await;
}

#[tokio::test]
async fn who_is_outside_meets_what_stands_before_the_service() {
    let cloud = Cloud::start().await;
    let main = pinned(&cloud).await;
    for (field, value, status) in [
        ("ingress", json!("INGRESS_TRAFFIC_INTERNAL_ONLY"), 404),
        ("ingress", json!("INGRESS_TRAFFIC_ALL"), 200),
        ("defaultUriDisabled", json!(true), 404),
        ("defaultUriDisabled", json!(false), 200),
        ("iapEnabled", json!(true), 401),
        ("iapEnabled", json!(false), 200),
    ] {
        let body = json!({ field: value });
        assert_succeeded(&cloud.patch("hello", field, body).await);
        let request = cloud.local.http.get(format!("{main}/version"));
        let answer = request.bearer_auth("no.token.of-theirs").send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{field} {value}");
        let by_proxy = answer.headers().get("x-goog-iap-generated-response");
        assert_eq!(by_proxy.is_some(), status == 401, "{field} {value}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn stop_closes_every_port() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let main = cloud.public("hello", &image).await;
    let control = cloud.local.base.clone();
    let http = cloud.local.http.clone();
    cloud.stop().await;
    for url in [main, control] {
        let answer = http.get(&url).send().await;
        assert!(answer.is_err(), "{url} answers");
    }
}
