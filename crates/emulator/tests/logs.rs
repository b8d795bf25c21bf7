//! What containers write and what happens to requests can be read as from Cloud Logging.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod cloud;
mod support;

use cloud::{Cloud, PARENT, assert_succeeded, eventually, named};
use emulator::runtime::{App, Behaviour};
use serde_json::{Value, json};

async fn entries(cloud: &Cloud, filter: &str, order: &str) -> Vec<Value> {
    let body = json!({"resourceNames": ["projects/demo"], "filter": filter, "orderBy": order, "pageSize": 100});
    let (status, answer) = cloud.call("POST", "/v2/entries:list", Some(body)).await;
    assert_eq!(status, 200, "{answer}");
    answer["entries"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn the_log_of_a_revision_that_crashed_is_there_when_the_operation_ends() {
    let cloud = Cloud::start().await;
    let lines = [
        "Traceback (most recent call last):",
        r#"{"severity":"ERROR","message":"no model","file":"model.joblib"}"#,
    ];
    let image = cloud.image("bad", Behaviour::crash(&lines)).await;
    cloud.create("hello", named(&image, "hello-a")).await;
    let filter = "resource.type = cloud_run_revision \n AND resource.labels.service_name = hello \n AND resource.labels.location = us-central1 \n AND severity >= DEFAULT \n AND timestamp>=\"2020-01-01T00:00:00Z\" AND resource.labels.revision_name=\"hello-a\"";
    let found = entries(&cloud, filter, "timestamp asc").await;
    assert_eq!(found[0]["textPayload"], lines[0]);
    assert_eq!(found[1]["jsonPayload"]["message"], "no model");
    assert_eq!(found[1]["severity"], "ERROR");
    assert_eq!(found[2]["textPayload"], "Container called exit(1).");
    assert_eq!(
        found[2]["logName"],
        "projects/demo/logs/run.googleapis.com%2Fvarlog%2Fsystem"
    );
    let newest = entries(&cloud, filter, "timestamp desc").await;
    assert_eq!(newest[0], found[2]);
    assert_eq!(entries(&cloud, "severity>=ERROR", "").await.len(), 1);
    assert!(
        entries(&cloud, "resource.labels.revision_name=hello-z", "")
            .await
            .is_empty()
    );
    let body = json!({"resourceNames": ["projects/demo"], "filter": "a OR b"});
    assert_eq!(
        cloud.call("POST", "/v2/entries:list", Some(body)).await.0,
        400
    );
    cloud.stop().await;
}

#[tokio::test]
async fn each_request_leaves_an_entry() {
    let cloud = Cloud::start().await;
    let app = App::new().log("ready").get("/version", &json!({}));
    let image = cloud.image("v1", Behaviour::Serve(app)).await;
    let main = cloud.public("hello", &image).await;
    cloud.fetch(&format!("{main}/version")).await;
    cloud.fetch(&format!("{main}/nowhere?x=1")).await;
    let requests = "logName=\"projects/demo/logs/run.googleapis.com%2Frequests\"";
    let found = eventually("two entries", async || {
        let found = entries(&cloud, requests, "").await;
        (found.len() == 2).then_some(found)
    })
    .await;
    assert_eq!(found[0]["httpRequest"]["status"], 200);
    assert_eq!(
        found[1]["httpRequest"]["requestUrl"],
        format!("{main}/nowhere?x=1")
    );
    assert_eq!(found[1]["severity"], "WARNING");
    let probe = "textPayload:\"Default STARTUP TCP probe succeeded after 1 attempt for container \\\"api-1\\\" on port 8080.\"";
    assert_eq!(entries(&cloud, probe, "").await.len(), 1);
    let page = json!({"resourceNames": ["projects/demo"], "pageSize": 1});
    let (_, first) = cloud.call("POST", "/v2/entries:list", Some(page)).await;
    assert!(first["nextPageToken"].is_string(), "{first}");
    let (status, operation) = cloud
        .call("DELETE", &format!("{PARENT}/services/hello"), None)
        .await;
    assert_eq!(status, 200);
    assert_succeeded(&cloud.wait(&operation).await);
    cloud.stop().await;
}
