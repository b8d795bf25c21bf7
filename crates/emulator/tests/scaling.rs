//! Instances come with requests and go without them.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod cloud;
mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloud::{Cloud, assert_succeeded, eventually, template, uri};
use emulator::runtime::{Answer, App, Behaviour};
use futures_util::future::join_all;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

/// A public service with this scaling and number of requests in an instance.
async fn service(cloud: &Cloud, name: &str, app: App, scaling: Value, concurrency: u32) -> String {
    let image = cloud.image(name, Behaviour::Serve(app)).await;
    let mut body = template(&image);
    body["invokerIamDisabled"] = json!(true);
    body["template"]["scaling"] = scaling;
    body["template"]["maxInstanceRequestConcurrency"] = json!(concurrency);
    assert_succeeded(&cloud.create(name, body).await);
    uri(&cloud.service(name).await)
}

/// An app whose answers take this long; the times at which it was called.
fn slow(delay: Duration) -> (App, Arc<Mutex<Vec<Instant>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let app = App::new().otherwise(move |_| {
        seen.lock().expect("no panic").push(Instant::now());
        Answer::json(&json!({})).after(delay)
    });
    (app, calls)
}

async fn running(cloud: &Cloud, count: usize) {
    eventually("the number of instances", async || {
        (cloud.runtime.running() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_idle_instance_ends_unless_it_is_one_of_the_minimum() {
    let cloud = Cloud::start().await;
    let app = || App::new().get("/", &json!({}));
    let main = service(&cloud, "free", app(), json!({}), 80).await;
    service(&cloud, "kept", app(), json!({"minInstanceCount": 1}), 80).await;
    let clock = cloud.local.emulator.world().clock.clone();
    clock.advance(14 * MINUTE);
    // A request: the time starts again.
    assert_eq!(cloud.fetch(&main).await.0, 200);
    clock.advance(14 * MINUTE);
    assert_eq!(cloud.fetch(&main).await.0, 200);
    assert_eq!(cloud.runtime.started().len(), 2);
    clock.advance(16 * MINUTE);
    running(&cloud, 1).await;
    // It is the other one that is left, however long it takes.
    clock.advance(60 * MINUTE);
    assert_eq!(cloud.fetch(&main).await.0, 200);
    let started = cloud.runtime.started();
    assert_eq!(started.len(), 3);
    assert!(started[2].name.starts_with("free-"), "{}", started[2].name);
    running(&cloud, 2).await;
    cloud.stop().await;
}

#[tokio::test]
async fn requests_wait_for_one_cold_start_and_none_is_dropped() {
    let cloud = Cloud::start().await;
    let app = App::new()
        .get("/", &json!({}))
        .slow_start(Duration::from_millis(300));
    let main = service(&cloud, "hello", app, json!({}), 80).await;
    cloud.local.emulator.world().clock.advance(16 * MINUTE);
    running(&cloud, 0).await;
    let answers = join_all((0..20).map(|_| cloud.fetch(&main))).await;
    assert!(
        answers.iter().all(|(status, _)| *status == 200),
        "{answers:?}"
    );
    assert_eq!(cloud.runtime.started().len(), 2);
    cloud.stop().await;
}

#[tokio::test]
async fn an_instance_takes_as_many_requests_as_it_may() {
    let cloud = Cloud::start().await;
    let delay = Duration::from_millis(150);
    let (app, calls) = slow(delay);
    let one = service(&cloud, "one", app, json!({"maxInstanceCount": 1}), 1).await;
    let answers = join_all((0..4).map(|_| cloud.fetch(&one))).await;
    assert!(
        answers.iter().all(|(status, _)| *status == 200),
        "{answers:?}"
    );
    let calls = calls.lock().expect("no panic").clone();
    for pair in calls.windows(2) {
        assert!(pair[1] - pair[0] >= delay, "two requests at once");
    }
    assert_eq!(cloud.runtime.started().len(), 1);
    let (app, _) = slow(delay);
    let more = service(&cloud, "more", app, json!({"maxInstanceCount": 3}), 1).await;
    let answers = join_all((0..6).map(|_| cloud.fetch(&more))).await;
    assert!(
        answers.iter().all(|(status, _)| *status == 200),
        "{answers:?}"
    );
    let started = cloud.runtime.started();
    let instances = started.iter().filter(|it| it.name.starts_with("more-"));
    assert_eq!(instances.count(), 3);
    cloud.stop().await;
}

#[tokio::test]
async fn a_request_without_room_is_refused_after_ten_seconds() {
    let cloud = Cloud::start().await;
    let (app, calls) = slow(Duration::from_secs(3));
    let main = service(&cloud, "full", app, json!({"maxInstanceCount": 1}), 1).await;
    let clock = cloud.local.emulator.world().clock.clone();
    let first = cloud.fetch(&main);
    let second = async {
        eventually("the first request is in", async || {
            (!calls.lock().expect("no panic").is_empty()).then_some(())
        })
        .await;
        let refused = cloud.fetch(&main);
        tokio::pin!(refused);
        loop {
            tokio::select! {
                refused = &mut refused => return refused,
                () = tokio::time::sleep(Duration::from_millis(20)) => clock.advance(Duration::from_secs(11)),
            }
        }
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.0, 200);
    assert_eq!(second, (429, "Rate exceeded.".to_owned()));
    let query = json!({"resourceNames": ["projects/demo"], "filter": "severity=ERROR"});
    let logs = cloud.call("POST", "/v2/entries:list", Some(query)).await.1;
    let text = "The request was aborted because there was no available instance.";
    assert!(logs.to_string().contains(text), "{logs}");
    cloud.stop().await;
}

#[tokio::test]
async fn a_world_that_stops_waits_for_no_start() {
    let cloud = Cloud::start().await;
    let image = cloud
        .image("deaf", Behaviour::NeverListens { lines: Vec::new() })
        .await;
    let path = format!("{}/services?serviceId=deaf", cloud::PARENT);
    assert_eq!(
        cloud.call("POST", &path, Some(template(&image))).await.0,
        200
    );
    running(&cloud, 1).await;
    let stopped = tokio::time::timeout(Duration::from_secs(5), cloud.stop()).await;
    assert!(stopped.is_ok());
}
