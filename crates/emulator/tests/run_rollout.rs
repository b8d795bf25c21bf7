//! Rollouts over HTTP: what a deploy answers, and how each kind of failure looks.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod cloud;
mod support;

use std::time::{Duration, Instant};

use cloud::{Cloud, PARENT, assert_succeeded, eventually, named, template, to};
use emulator::runtime::{App, Behaviour};
use serde_json::{Value, json};

const TEXT: &str = "Revision 'hello-a' is not ready and cannot serve traffic. ";

fn condition<'r>(resource: &'r Value, kind: &str) -> &'r Value {
    let conditions = resource["conditions"].as_array().expect("conditions");
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

/// Creates `hello` with revision `hello-a`, which must fail, and looks at every level.
async fn failing(cloud: &Cloud, body: Value, code: i64, reason: (&str, &str)) -> (String, Value) {
    let operation = cloud.create("hello", body).await;
    assert_eq!(operation["error"]["code"], code, "{operation}");
    let message = operation["error"]["message"]
        .as_str()
        .expect("a text")
        .to_owned();
    let service = cloud.service("hello").await;
    assert_eq!(service["terminalCondition"]["state"], "CONDITION_FAILED");
    assert_eq!(service["terminalCondition"]["message"], message);
    assert_eq!(service["terminalCondition"][reason.0], reason.1);
    assert!(service.get("latestReadyRevision").is_none());
    assert!(service.get("trafficStatuses").is_none());
    let revision = cloud
        .get(&format!("{PARENT}/services/hello/revisions/hello-a"))
        .await;
    let ready = condition(&revision, "Ready");
    assert_eq!(ready["state"], "CONDITION_FAILED");
    assert_eq!(ready[reason.0], reason.1);
    assert_eq!(
        format!("{TEXT}{}", ready["message"].as_str().expect("a text")),
        message
    );
    (message, revision)
}

#[tokio::test]
async fn a_deploy_starts_the_image_with_what_the_template_says() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let mut body = named(&image, "hello-a");
    body["template"]["containers"][0]["env"] = json!([{"name": "MODE", "value": "fast"}]);
    body["template"]["containers"][0]["ports"] = json!([{"containerPort": 9000}]);
    body["template"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": "2", "memory": "1Gi"}});
    assert_succeeded(&cloud.create("hello", body).await);
    let started = cloud.runtime.started();
    assert_eq!(started.len(), 1);
    let value = |name: &str| {
        let pair = started[0].env.iter().rev().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    };
    assert_eq!(value("MODE"), Some("fast"));
    assert_eq!(value("PORT"), Some("9000"));
    assert_eq!(value("K_SERVICE"), Some("hello"));
    assert_eq!(value("K_REVISION"), Some("hello-a"));
    assert_eq!(value("K_CONFIGURATION"), Some("hello"));
    assert_eq!(
        (started[0].cpu_millis, started[0].memory_bytes),
        (2000, 1 << 30)
    );
    let revision = cloud
        .get(&format!("{PARENT}/services/hello/revisions/hello-a"))
        .await;
    assert_eq!(
        revision["containers"][0]["image"],
        format!(
            "us-central1-docker.pkg.dev/demo/ml/api@{}",
            started[0].image.digest
        )
    );
    cloud.stop().await;
}

#[tokio::test]
async fn a_crash_is_recognised_at_once() {
    let cloud = Cloud::start().await;
    let image = cloud
        .image("bad", Behaviour::crash(&["ImportError: no module"]))
        .await;
    let begun = Instant::now();
    let reason = ("revisionReason", "HEALTH_CHECK_CONTAINER_ERROR");
    let (message, revision) = failing(&cloud, named(&image, "hello-a"), 9, reason).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(message.contains("failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout."));
    assert_eq!(
        condition(&revision, "ContainerHealthy")["state"],
        "CONDITION_FAILED"
    );
    assert_eq!(
        condition(&revision, "ContainerReady")["state"],
        "CONDITION_SUCCEEDED"
    );
    assert_eq!(condition(&revision, "Retry")["severity"], "INFO");
    // A retry with a good image is an update.
    let good = cloud.version("v2").await;
    assert_succeeded(
        &cloud
            .patch("hello", "template", named(&good, "hello-b"))
            .await,
    );
    cloud.stop().await;
}

#[tokio::test]
async fn an_image_that_is_not_there() {
    let cloud = Cloud::start().await;
    let image = "us-central1-docker.pkg.dev/demo/ml/api:nowhere";
    let reason = ("reason", "CONTAINER_MISSING");
    let (message, revision) = failing(&cloud, named(image, "hello-a"), 5, reason).await;
    assert_eq!(message, format!("{TEXT}Image '{image}' not found."));
    assert_eq!(
        condition(&revision, "ContainerReady")["state"],
        "CONDITION_FAILED"
    );
    cloud.stop().await;
}

#[tokio::test]
async fn the_default_probe_waits_four_minutes_for_the_port() {
    let cloud = Cloud::start().await;
    let image = cloud
        .image(
            "deaf",
            Behaviour::NeverListens {
                lines: vec!["on 8000".into()],
            },
        )
        .await;
    let path = format!("{PARENT}/services?serviceId=hello");
    let (_, operation) = cloud
        .call("POST", &path, Some(named(&image, "hello-a")))
        .await;
    eventually("the container is started", async || {
        (!cloud.runtime.started().is_empty()).then_some(())
    })
    .await;
    let service = cloud.service("hello").await;
    assert_eq!(service["reconciling"], true);
    // A wait may come back not done.
    let path = format!("/v2/{}:wait", operation["name"].as_str().expect("a name"));
    let (_, waited) = cloud
        .call("POST", &path, Some(json!({"timeout": "0.05s"})))
        .await;
    assert!(waited.get("done").is_none(), "{waited}");
    assert_eq!(waited["metadata"]["reconciling"], true);
    cloud
        .local
        .emulator
        .world()
        .clock
        .advance(Duration::from_secs(241));
    let operation = cloud.wait(&operation).await;
    assert_eq!(operation["error"]["code"], 9);
    assert!(
        operation["error"]["message"]
            .as_str()
            .expect("a text")
            .contains("PORT=8080")
    );
    cloud.stop().await;
}

#[tokio::test]
async fn a_configured_probe_has_its_own_text() {
    let cloud = Cloud::start().await;
    let app = App::new().get("/", &json!({}));
    let image = cloud.image("unhealthy", Behaviour::Serve(app)).await;
    let mut body = named(&image, "hello-a");
    body["template"]["containers"][0]["startupProbe"] = json!({"httpGet": {"path": "/health"}, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 2});
    let reason = ("revisionReason", "HEALTH_CHECK_CONTAINER_ERROR");
    let (message, _) = failing(&cloud, body.clone(), 9, reason).await;
    assert!(message.starts_with(&format!(
        "{TEXT}The user-provided container failed the configured startup probe checks."
    )));
    // The same probe passes where the path answers, also after a slow start.
    let app = App::new()
        .get("/health", &json!({}))
        .slow_start(Duration::from_millis(300));
    let image = cloud.image("slow", Behaviour::Serve(app)).await;
    body["template"]["revision"] = json!("hello-b");
    body["template"]["containers"][0]["image"] = json!(image);
    assert_succeeded(&cloud.patch("hello", "template", body).await);
    cloud.stop().await;
}

#[tokio::test]
async fn secrets_are_resolved_or_missing() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let mut body = named(&image, "hello-a");
    let reference = |secret: &str, version: &str| json!({"secretKeyRef": {"secret": secret, "version": version}});
    body["template"]["containers"][0]["env"] = json!([
        {"name": "PLAIN", "value": "x"},
        {"name": "KEY", "valueSource": reference("api-key", "latest")},
    ]);
    body["template"]["serviceAccount"] = json!("run@demo.iam.gserviceaccount.com");
    let reason = ("reason", "SECRETS_ACCESS_CHECK_FAILED");
    let (message, _) = failing(&cloud, body.clone(), 9, reason).await;
    assert!(message.starts_with(&format!("{TEXT}spec.template.spec.containers[0].env[1].value_from.secret_key_ref.name: Secret projects/")), "{message}");
    assert!(
        message.ends_with("/secrets/api-key/versions/latest was not found"),
        "{message}"
    );
    let secret = json!({"project": "demo", "name": "api-key", "value": "s3cret"});
    let (status, answer) = cloud.call("POST", "/_emulator/secrets", Some(secret)).await;
    assert_eq!((status, answer), (200, json!({"version": 1})));
    body["template"]["revision"] = json!("hello-b");
    assert_succeeded(&cloud.patch("hello", "template", body).await);
    let env = &cloud.runtime.started()[0].env;
    assert!(env.contains(&("KEY".to_owned(), "s3cret".to_owned())));
    cloud.stop().await;
}

#[tokio::test]
async fn writes_are_guarded_and_policies_too() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    cloud.create("hello", template(&image)).await;
    let service = cloud.service("hello").await;
    let etag = &service["etag"];
    let operation = cloud
        .patch(
            "hello",
            "labels",
            json!({"labels": {"a": "b"}, "etag": etag}),
        )
        .await;
    assert_succeeded(&operation);
    let path = format!("{PARENT}/services/hello");
    let (status, body) = cloud
        .call(
            "PATCH",
            &format!("{path}?updateMask=labels"),
            Some(json!({"etag": etag})),
        )
        .await;
    assert_eq!((status, &body["error"]["status"]), (409, &json!("ABORTED")));
    assert!(
        body["error"]["message"]
            .as_str()
            .expect("a text")
            .starts_with("Conflict for resource 'hello': version '")
    );

    let empty = cloud.get(&format!("{path}:getIamPolicy")).await;
    assert_eq!(empty["etag"], "ACAB");
    let policy = json!({"policy": {"etag": "ACAB", "bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]}});
    let (status, set) = cloud
        .call(
            "POST",
            &format!("{path}:setIamPolicy"),
            Some(policy.clone()),
        )
        .await;
    assert_eq!(status, 200, "{set}");
    assert_ne!(set["etag"], "ACAB");
    let (status, body) = cloud
        .call("POST", &format!("{path}:setIamPolicy"), Some(policy))
        .await;
    assert_eq!((status, &body["error"]["status"]), (409, &json!("ABORTED")));
    let asked = json!({"permissions": ["run.services.setIamPolicy"]});
    let (_, allowed) = cloud
        .call(
            "POST",
            &format!("{path}:testIamPermissions"),
            Some(asked.clone()),
        )
        .await;
    assert_eq!(allowed, asked);
    cloud.stop().await;
}

#[tokio::test]
async fn operations_and_lists() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let operation = cloud.create("hello", named(&image, "hello-a")).await;
    cloud.create("other", template(&image)).await;
    for index in 0..3 {
        let mut body = named(&image, &format!("hello-b{index}"));
        body["template"]["timeout"] = json!(format!("{}s", 10 + index));
        assert_succeeded(&cloud.patch("hello", "template", body).await);
    }
    let services = cloud.get(&format!("{PARENT}/services")).await;
    let names: Vec<_> = services["services"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| s["name"].clone())
        .collect();
    assert_eq!(
        names,
        [
            "projects/demo/locations/us-central1/services/other",
            "projects/demo/locations/us-central1/services/hello"
        ]
    );
    let revisions = format!("{PARENT}/services/hello/revisions");
    let first = cloud.get(&format!("{revisions}?pageSize=3")).await;
    assert_eq!(first["revisions"].as_array().map(Vec::len), Some(3));
    let token = first["nextPageToken"].as_str().expect("a token");
    let second = cloud
        .get(&format!("{revisions}?pageSize=3&pageToken={token}"))
        .await;
    assert_eq!(
        second["revisions"][0]["name"],
        "projects/demo/locations/us-central1/services/hello/revisions/hello-a"
    );
    assert!(second.get("nextPageToken").is_none());

    let path = format!("/v2/{}", operation["name"].as_str().expect("a name"));
    assert_eq!(cloud.get(&path).await, operation);
    let done = cloud
        .get(&format!("{PARENT}/operations?filter=done:true"))
        .await;
    assert_eq!(done["operations"].as_array().map(Vec::len), Some(5));
    assert_eq!(cloud.call("DELETE", &path, None).await, (200, json!({})));
    assert_eq!(cloud.call("GET", &path, None).await.0, 404);

    let (status, _) = cloud
        .call("DELETE", &format!("{revisions}/hello-b0"), None)
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        cloud
            .call("GET", &format!("{revisions}/hello-b0"), None)
            .await
            .0,
        404
    );
    let (status, body) = cloud
        .call("DELETE", &format!("{revisions}/hello-b2"), None)
        .await;
    assert_eq!(
        (status, &body["error"]["status"]),
        (400, &json!("FAILED_PRECONDITION"))
    );
    cloud.stop().await;
}

#[tokio::test]
async fn without_a_token_of_this_world_nothing_is_told() {
    let cloud = Cloud::start().await;
    for (method, path) in [
        ("GET", format!("{PARENT}/services")),
        ("POST", format!("{PARENT}/services?serviceId=x")),
        ("POST", "/v2/entries:list".to_owned()),
    ] {
        for token in [None, Some("stranger")] {
            let (status, body) = cloud
                .local
                .json(method, &path, token, Some(json!({})))
                .await;
            assert_eq!(
                (status, &body["error"]["status"]),
                (401, &json!("UNAUTHENTICATED")),
                "{method} {path}"
            );
        }
    }
    let (status, body) = cloud
        .call("GET", &format!("{PARENT}/services/none"), None)
        .await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (
            404,
            &json!(
                "Resource 'none' of kind 'SERVICE' in region 'us-central1' in project 'demo' does not exist."
            )
        )
    );
    let (status, _) = cloud
        .call(
            "PATCH",
            &format!("{PARENT}/services/none"),
            Some(template("a/b")),
        )
        .await;
    assert_eq!(status, 404);
    cloud.stop().await;
}

#[tokio::test]
async fn patch_with_allow_missing_creates() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let path = format!("{PARENT}/services/hello?allowMissing=true");
    let (status, operation) = cloud
        .call("PATCH", &path, Some(named(&image, "hello-a")))
        .await;
    assert_eq!(status, 200);
    assert_succeeded(&cloud.wait(&operation).await);
    // Without mask everything is replaced.
    let mut body = named(&image, "hello-a");
    body["labels"] = json!({"team": "ml"});
    body["traffic"] = json!([to("hello-a", 100)]);
    let (_, operation) = cloud
        .call(
            "PATCH",
            &format!("{PARENT}/services/hello?$alt=json;enum-encoding=int"),
            Some(body),
        )
        .await;
    assert_succeeded(&cloud.wait(&operation).await);
    let service = cloud.service("hello").await;
    assert_eq!(service["labels"], json!({"team": "ml"}));
    assert_eq!(service["traffic"], json!([to("hello-a", 100)]));
    assert_eq!(cloud.runtime.started().len(), 1);
    let (_, operation) = cloud
        .call(
            "PATCH",
            &format!("{PARENT}/services/hello?validateOnly=true&updateMask=labels"),
            Some(json!({})),
        )
        .await;
    let path = format!("/v2/{}", operation["name"].as_str().expect("a name"));
    assert_eq!(cloud.call("GET", &path, None).await.0, 404);
    assert_eq!(
        cloud.service("hello").await["labels"],
        json!({"team": "ml"})
    );
    cloud.stop().await;
}

#[tokio::test]
async fn a_reset_leaves_nothing() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let main = cloud.public("hello", &image).await;
    let (status, _) = cloud.call("POST", "/_emulator/reset", None).await;
    assert_eq!(status, 204);
    assert_eq!(cloud.fetch(&main).await.0, 404);
    let token = cloud.local.token(cloud::DEPLOYER);
    let path = format!("{PARENT}/services");
    let (status, services) = cloud.local.json("GET", &path, Some(&token), None).await;
    assert_eq!((status, services), (200, json!({})));
    cloud.stop().await;
}
