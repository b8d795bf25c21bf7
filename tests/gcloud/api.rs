//! API v1 as a client sees it that asks for what gcloud does not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Behaviour, World, api};

use super::{Failure, IMAGE, PROGRAM, Told, says};

const NAMESPACE: &str =
    "http://us-central1-run.googleapis.com/apis/serving.knative.dev/v1/namespaces/demo-project";

/// A client with the local cloud as its proxy.
struct Client {
    http: reqwest::Client,
    token: String,
}

impl Client {
    fn of(world: &World) -> Result<Self, Failure> {
        let proxy = reqwest::Proxy::http(world.url())?;
        let tokens = &world.emulator.world().tokens;
        Ok(Self {
            http: reqwest::Client::builder().proxy(proxy).build()?,
            token: tokens.issue_local("tester@demo-project.iam.gserviceaccount.com"),
        })
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), Failure> {
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let (status, answer) = self
            .send(Method::GET, &format!("{NAMESPACE}{path}"), &Value::Null)
            .await?;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        Ok(answer)
    }

    async fn create(&self, service: &Value) -> Result<(StatusCode, Value), Failure> {
        self.send(Method::POST, &format!("{NAMESPACE}/services"), service)
            .await
    }

    async fn replace(&self, service: &Value) -> Result<(StatusCode, Value), Failure> {
        let name = service["metadata"]["name"].as_str().unwrap_or_default();
        self.send(
            Method::PUT,
            &format!("{NAMESPACE}/services/{name}"),
            service,
        )
        .await
    }

    /// Waits for the operation of a write; gives it as v1 shows it.
    async fn wait(&self, written: &Value) -> Result<Value, Failure> {
        let id = written["metadata"]["annotations"]["run.googleapis.com/operation-id"].as_str();
        let url = format!(
            "http://us-central1-run.googleapis.com/v1/projects/demo-project/locations/us-central1/operations/{}:wait",
            id.ok_or("no operation")?
        );
        let (status, operation) = self
            .send(Method::POST, &url, &json!({"timeout": "30s"}))
            .await?;
        assert_eq!(status, StatusCode::OK, "{operation}");
        Ok(operation)
    }
}

fn wanted(name: &str, digest: &str) -> Value {
    json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "demo-project"},
        "spec": {"template": {"spec": {"containers": [{"image": format!("{IMAGE}@{digest}")}]}}}})
}

async fn scene() -> Result<(World, Client, String), Failure> {
    let world = World::start(PROGRAM).await?;
    let digest = world.built(&World::commit(1), api("setosa")).await?;
    let client = Client::of(&world)?;
    Ok((world, client, digest))
}

#[tokio::test]
async fn lists_have_pages_and_selectors() -> Told {
    let (world, client, digest) = scene().await?;
    for name in ["one", "two", "three"] {
        let (status, created) = client.create(&wanted(name, &digest)).await?;
        assert_eq!(status, StatusCode::OK, "{created}");
        client.wait(&created).await?;
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().into_iter().flatten();
        items
            .filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned))
            .collect()
    };
    let first = client.get("/services?limit=2").await?;
    assert_eq!(first["kind"], "ServiceList");
    assert_eq!(names(&first), ["three", "two"]);
    let next = first["metadata"]["continue"].as_str().unwrap_or_default();
    let second = client
        .get(&format!("/services?limit=2&continue={next}"))
        .await?;
    assert_eq!(names(&second), ["one"]);
    assert!(second["metadata"].get("continue").is_none());
    let of_two = client
        .get("/revisions?labelSelector=serving.knative.dev%2Fservice+%3D+two")
        .await?;
    assert_eq!(names(&of_two).len(), 1);
    assert!(names(&of_two)[0].starts_with("two-00001-"));

    // The same services by the path that names a region, or every one.
    for location in ["us-central1", "-"] {
        let url = format!(
            "http://run.googleapis.com/v1/projects/demo-project/locations/{location}/services"
        );
        let (_, list) = client.send(Method::GET, &url, &Value::Null).await?;
        assert_eq!(names(&list).len(), 3, "{location}: {list}");
    }
    let (_, locations) = client
        .send(
            Method::GET,
            "http://run.googleapis.com/v1/projects/demo-project/locations?pageSize=100",
            &Value::Null,
        )
        .await?;
    let locations = locations["locations"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert!(
        locations
            .iter()
            .any(|location| location["locationId"] == "us-central1")
    );

    let latest = names(&of_two)[0].clone();
    let url = format!("{NAMESPACE}/revisions/{latest}");
    let (status, refused) = client.send(Method::DELETE, &url, &Value::Null).await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    says(
        &refused["error"]["message"].to_string(),
        &["actively serving"],
    );
    let url = format!("{NAMESPACE}/services/two");
    let (status, gone) = client.send(Method::DELETE, &url, &Value::Null).await?;
    assert_eq!(
        (status, &gone["status"]),
        (StatusCode::OK, &json!("Success"))
    );
    assert_eq!(names(&client.get("/services").await?), ["three", "one"]);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_stale_version_conflicts_and_nothing_is_ready_too_early() -> Told {
    let (world, client, digest) = scene().await?;
    let (_, created) = client.create(&wanted("hello", &digest)).await?;
    let ready = |service: &Value| service["status"]["conditions"][0]["status"].clone();
    assert_eq!(ready(&created), "Unknown", "{created}");
    assert_eq!(
        created["spec"]["traffic"],
        json!([{"latestRevision": true, "percent": 100}])
    );
    let operation = client.wait(&created).await?;
    assert_eq!(operation["done"], true);
    let response = &operation["response"];
    assert_eq!(
        response["@type"],
        "type.googleapis.com/google.cloud.run.v1.Service"
    );
    assert_eq!(ready(response), "True");
    assert_eq!(response["status"]["observedGeneration"], 1);
    // It can be looked at again after its end.
    assert_eq!(client.wait(&created).await?, operation);

    let seen = client.get("/services/hello").await?;
    let mut change = seen.clone();
    change["spec"]["template"]["spec"]["timeoutSeconds"] = json!(30);
    let (status, changed) = client.replace(&change).await?;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(ready(&changed), "Unknown", "{changed}");
    assert_eq!(changed["metadata"]["generation"], 2);
    client.wait(&changed).await?;
    let (status, conflict) = client.replace(&change).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(conflict["error"]["status"], "ABORTED");
    says(
        &conflict["error"]["message"].to_string(),
        &[
            "Conflict for resource 'hello': version '",
            "' was specified but current version is '",
        ],
    );

    // A failed rollout was observed too, and says why.
    let crash = Behaviour::crash(&["no"]);
    let bad = world.built(&World::commit(2), crash).await?;
    let mut change = client.get("/services/hello").await?;
    let container = &mut change["spec"]["template"]["spec"]["containers"][0];
    container["image"] = json!(format!("{IMAGE}@{bad}"));
    let (_, changed) = client.replace(&change).await?;
    let operation = client.wait(&changed).await?;
    assert_eq!(operation["error"]["code"], 9, "{operation}");
    let now = client.get("/services/hello").await?;
    assert_eq!(ready(&now), "False");
    assert_eq!(now["status"]["observedGeneration"], 3);
    assert_eq!(
        now["status"]["conditions"][0]["reason"],
        "HealthCheckContainerError"
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn what_only_one_api_can_say_survives_a_write_through_the_other() -> Told {
    let (world, client, digest) = scene().await?;
    let mut service = wanted("hello", &digest);
    service["metadata"]["annotations"] = json!({"run.googleapis.com/gc-traffic-tags": "kept"});
    service["spec"]["template"]["metadata"] =
        json!({"annotations": {"run.googleapis.com/base-images": "{}"}});
    let (_, created) = client.create(&service).await?;
    client.wait(&created).await?;
    // Written through v2: another timeout, and a field that v1 has no word for.
    let patch = json!({"multiRegionSettings": {"regions": ["us-central1"]}, "template": {"timeout": "20s",
        "containers": [{"image": format!("{IMAGE}@{digest}")}]}});
    world
        .patch_service("hello", "template,multiRegionSettings", &patch)
        .await?;
    let mut seen = client.get("/services/hello").await?;
    assert_eq!(seen["spec"]["template"]["spec"]["timeoutSeconds"], 20);
    let kept = |service: &Value| {
        let of_template = &service["spec"]["template"]["metadata"]["annotations"];
        (
            service["metadata"]["annotations"]["run.googleapis.com/gc-traffic-tags"].clone(),
            of_template["run.googleapis.com/base-images"].clone(),
        )
    };
    assert_eq!(kept(&seen), (json!("kept"), json!("{}")));
    // Written through v1 again.
    seen["metadata"]["labels"]["team"] = json!("ml");
    let (status, changed) = client.replace(&seen).await?;
    assert_eq!(status, StatusCode::OK, "{changed}");
    client.wait(&changed).await?;
    let v2 = world.service("hello").await?.ok_or("no service")?;
    assert_eq!(
        v2["multiRegionSettings"],
        json!({"regions": ["us-central1"]})
    );
    assert_eq!(v2["labels"], json!({"team": "ml"}));
    assert_eq!(v2["template"]["timeout"], "20s");
    assert_eq!(
        kept(&client.get("/services/hello").await?),
        (json!("kept"), json!("{}"))
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn mistakes_are_refused_with_their_place() -> Told {
    let (world, client, digest) = scene().await?;
    let refused = async |path: &str, value: Value| -> Result<String, Failure> {
        let mut service = wanted("hello", &digest);
        *service.pointer_mut(path).ok_or("no such place")? = value;
        let (status, answer) = client.create(&service).await?;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer["error"]["status"], "INVALID_ARGUMENT");
        let violation = &answer["error"]["details"][0]["fieldViolations"][0];
        assert!(violation["field"].is_string(), "{answer}");
        Ok(answer["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    };
    let said = refused(
        "/spec/template/spec/containers/0",
        json!({"image": "i", "novel": 1}),
    )
    .await?;
    assert_eq!(
        said,
        "Invalid JSON payload received. Unknown name \"novel\" at 'service.spec.template.spec.containers[0]': Cannot find field."
    );
    let said = refused("/metadata/name", json!("Hello")).await?;
    says(
        &said,
        &[
            "service.metadata.name: only lowercase, digits, and hyphens",
            "less than 64 characters.",
        ],
    );
    let said = refused("/metadata/namespace", json!("other")).await?;
    says(&said, &["metadata.namespace"]);
    let said = refused(
        "/spec/template",
        json!({"metadata": {"name": "other"}, "spec": {"containers": [{"image": IMAGE}]}}),
    )
    .await?;
    says(&said, &["service.spec.template.metadata.name: "]);

    // Only checked, nothing made.
    let url = format!("{NAMESPACE}/services?dryRun=all");
    let (status, would_be) = client
        .send(Method::POST, &url, &wanted("hello", &digest))
        .await?;
    assert_eq!(status, StatusCode::OK, "{would_be}");
    assert_eq!(would_be["spec"]["template"]["spec"]["timeoutSeconds"], 300);
    assert!(world.service("hello").await?.is_none());
    // What is asked here is wrong on purpose, and nothing for Google's documents to judge.
    world.emulator.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_host_says_the_region_and_no_other_host_is_stood_in_for() -> Told {
    let (world, client, digest) = scene().await?;
    let (_, created) = client.create(&wanted("hello", &digest)).await?;
    client.wait(&created).await?;
    let path = "/apis/serving.knative.dev/v1/namespaces/demo-project/services";
    let elsewhere = format!("http://europe-west1-run.googleapis.com{path}");
    let (_, list) = client.send(Method::GET, &elsewhere, &Value::Null).await?;
    assert_eq!(list["items"], json!([]));
    let nowhere = format!("http://run.googleapis.com{path}");
    let (status, refused) = client.send(Method::GET, &nowhere, &Value::Null).await?;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    says(
        &refused["error"]["message"].to_string(),
        &["REGION-run.googleapis.com"],
    );
    let (status, refused) = client
        .send(Method::GET, "http://example.com/", &Value::Null)
        .await?;
    assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
    says(
        &refused["error"]["message"].to_string(),
        &["does not stand in for example.com"],
    );

    // Without a proxy, by the Host header alone.
    let (status, _) = {
        let answer = reqwest::Client::new()
            .get(format!("{}{path}/hello", world.url()))
            .header("host", "us-central1-run.googleapis.com")
            .bearer_auth(&client.token)
            .send()
            .await?;
        (answer.status(), answer.text().await?)
    };
    assert_eq!(status, StatusCode::OK);
    world.end().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_refused_in_the_status_line() -> Told {
    let world = World::start(PROGRAM).await?;
    let listen = world.emulator.world().config.listen;
    let said = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(listen)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(
            b"CONNECT secretmanager.googleapis.com:443 HTTP/1.1\r\nhost: secretmanager.googleapis.com:443\r\nconnection: close\r\n\r\n",
        )?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    })
    .await??;
    let first = said.lines().next().unwrap_or_default();
    says(
        first,
        &[
            "HTTP/1.1 501 the local cloud speaks plain HTTP only",
            "secretmanager.googleapis.com:443",
        ],
    );
    says(&said, &["UNIMPLEMENTED"]);
    world.end().await;
    Ok(())
}
