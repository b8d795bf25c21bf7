//! What is accepted and fails later: the operation's error, the conditions, and what serves.

use std::time::Duration;

use emulator::runtime::{Answer, App, Behaviour};
use serde_json::{Value, json};

use super::admin;
use super::cloud::{Cloud, PARENT, assert_succeeded, eventually, named, to};

/// How a rollout must fail.
struct Fails<'a> {
    /// gRPC code of the operation's error.
    code: i64,
    /// The text without the prefix that services and operations carry.
    text: &'a str,
    /// Field and value of the condition's reason.
    reason: (&'a str, &'a str),
    /// The condition of the revision that failed beside `Ready`.
    condition: &'a str,
}

fn condition<'r>(resource: &'r Value, kind: &str) -> &'r Value {
    let conditions = resource["conditions"].as_array();
    let found = conditions.into_iter().flatten();
    let mut found = found.filter(|condition| condition["type"] == kind);
    found.next().unwrap_or(&Value::Null)
}

/// Looks at every level of a rollout of `hello-b` beside `hello-a`, which must have failed.
async fn assert_failed(cloud: &Cloud, operation: &Value, expected: &Fails<'_>) {
    let Fails {
        code,
        text,
        reason,
        condition: kind,
    } = expected;
    let whole = format!("Revision 'hello-b' is not ready and cannot serve traffic. {text}");
    assert_eq!(operation["done"], true);
    assert_eq!(operation["error"]["code"], *code, "{operation}");
    let message = operation["error"]["message"].as_str().expect("a text");
    assert!(message.starts_with(&whole), "{message}");
    let service = cloud.service("hello").await;
    let ready = &service["terminalCondition"];
    assert_eq!(ready["state"], "CONDITION_FAILED");
    assert_eq!(ready["message"], message);
    assert_eq!(ready[reason.0], reason.1, "{ready}");
    assert!(
        service["latestReadyRevision"]
            .as_str()
            .is_some_and(|name| name.ends_with("/hello-a"))
    );
    assert!(
        service["latestCreatedRevision"]
            .as_str()
            .is_some_and(|name| name.ends_with("/hello-b"))
    );
    let revision = cloud
        .get(&format!("{PARENT}/services/hello/revisions/hello-b"))
        .await;
    for kind in ["Ready", kind] {
        let found = condition(&revision, kind);
        assert_eq!(found["state"], "CONDITION_FAILED", "{kind}: {revision}");
        assert!(
            found["message"]
                .as_str()
                .is_some_and(|own| own.starts_with(text))
        );
        assert_eq!(found[reason.0], reason.1);
    }
    let uri = service["uri"].as_str().expect("an address");
    assert_eq!(cloud.version_at(uri).await, "good");
}

/// A service whose revision `hello-a` serves everyone.
async fn serving() -> Cloud {
    let cloud = Cloud::start().await;
    let image = cloud.version("good").await;
    let mut body = named(&image, "hello-a");
    body["invokerIamDisabled"] = json!(true);
    assert_succeeded(&cloud.create("hello", body).await);
    cloud
}

async fn roll_out(cloud: &Cloud, body: Value) -> Value {
    cloud.patch("hello", "template", body).await
}

const NOT_LISTENING: &str = "The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout. This can happen when the container port is misconfigured or if the timeout is too short. The health check timeout can be extended. Logs for this revision might contain more information.\n\nLogs URL: https://console.cloud.google.com/logs/viewer?project=demo&resource=cloud_run_revision/service_name/hello/revision_name/hello-b&advancedFilter=";

#[tokio::test]
async fn a_container_that_exits_and_one_that_lacks_memory_have_the_text_of_the_port() {
    let cloud = serving().await;
    let crash = Behaviour::crash(&["ModuleNotFoundError: No module named 'uvicorn'"]);
    let greedy = Behaviour::Serve(App::new().taking_memory(600 << 20));
    for (tag, behaviour, line) in [
        ("crash", crash, "Container called exit(1)."),
        (
            "greedy",
            greedy,
            "Memory limit of 512 MiB exceeded with 600 MiB used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits",
        ),
    ] {
        let image = cloud.image(tag, behaviour).await;
        let operation = roll_out(&cloud, named(&image, "hello-b")).await;
        let expected = Fails {
            code: 9,
            text: NOT_LISTENING,
            reason: ("revisionReason", "HEALTH_CHECK_CONTAINER_ERROR"),
            condition: "ContainerHealthy",
        };
        assert_failed(&cloud, &operation, &expected).await;
        let lines = log(&cloud, "hello-b").await;
        assert!(lines.iter().any(|entry| entry == line), "{lines:?}");
        let good = cloud.version("good").await;
        assert_succeeded(&roll_out(&cloud, named(&good, "hello-a")).await);
        let path = format!("{PARENT}/services/hello/revisions/hello-b");
        assert_eq!(cloud.call("DELETE", &path, None).await.0, 200);
    }
    cloud.stop().await;
}

/// The texts of a revision's log, oldest first.
async fn log(cloud: &Cloud, revision: &str) -> Vec<String> {
    let filter = format!("resource.labels.revision_name = \"{revision}\"");
    let request = json!({"resourceNames": ["projects/demo"], "filter": filter});
    let (status, answer) = cloud.call("POST", "/v2/entries:list", Some(request)).await;
    assert_eq!(status, 200, "{answer}");
    let entries = answer["entries"].as_array().cloned().unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| entry["textPayload"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_request_that_takes_too_much_memory_ends_the_instance() {
    let cloud = serving().await;
    let app = App::new()
        .get("/version", &json!({"version": "good"}))
        .answer(
            "GET",
            "/predict",
            Answer::json(&json!({})).taking_memory(516 << 20),
        );
    let image = cloud.image("leak", Behaviour::Serve(app)).await;
    assert_succeeded(&roll_out(&cloud, named(&image, "hello-b")).await);
    let uri = cloud.service("hello").await["uri"]
        .as_str()
        .expect("an address")
        .to_owned();
    let (status, _) = cloud.fetch(&format!("{uri}/predict")).await;
    assert!(matches!(status, 500 | 503), "{status}");
    let wanted = "Memory limit of 512 MiB exceeded with 516 MiB used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits";
    eventually("the line about memory", async || {
        let lines = log(&cloud, "hello-b").await;
        lines.iter().any(|line| line == wanted).then_some(())
    })
    .await;
    // The next request gets a new instance.
    assert_eq!(cloud.version_at(&uri).await, "good");
    cloud.stop().await;
}

#[tokio::test]
async fn a_startup_probe_that_never_passes() {
    let cloud = serving().await;
    let image = cloud.image("unwell", Behaviour::Serve(App::new())).await;
    let mut body = named(&image, "hello-b");
    body["template"]["containers"][0]["startupProbe"] =
        json!({"httpGet": {"path": "/ready"}, "periodSeconds": 1, "failureThreshold": 2});
    let operation = roll_out(&cloud, body).await;
    let expected = Fails {
        code: 9,
        text: "The user-provided container failed the configured startup probe checks. Logs for this revision might contain more information.\n\nLogs URL: https://console.cloud.google.com/logs/viewer?",
        reason: ("revisionReason", "HEALTH_CHECK_CONTAINER_ERROR"),
        condition: "ContainerHealthy",
    };
    assert_failed(&cloud, &operation, &expected).await;
    let lines = log(&cloud, "hello-b").await;
    let wanted = "STARTUP HTTP probe failed 2 times consecutively for container \"api-1\" on port 8080 path \"/ready\".";
    assert!(lines.iter().any(|line| line == wanted), "{lines:?}");
    cloud.stop().await;
}

#[tokio::test]
async fn the_default_probe_gives_up_after_four_minutes() {
    let cloud = serving().await;
    let app = App::new().listening_on(9000);
    let image = cloud.image("deaf", Behaviour::Serve(app)).await;
    let path = format!("{PARENT}/services/hello?updateMask=template");
    let (_, operation) = cloud
        .call("PATCH", &path, Some(named(&image, "hello-b")))
        .await;
    eventually("the container is started", async || {
        (cloud.runtime.started().len() == 2).then_some(())
    })
    .await;
    admin(&cloud, "POST", "clock/advance", json!({"seconds": 241})).await;
    let operation = cloud.wait(&operation).await;
    let expected = Fails {
        code: 9,
        text: NOT_LISTENING,
        reason: ("revisionReason", "HEALTH_CHECK_CONTAINER_ERROR"),
        condition: "ContainerHealthy",
    };
    assert_failed(&cloud, &operation, &expected).await;
    let lines = log(&cloud, "hello-b").await;
    let wanted = "Default STARTUP TCP probe failed 1 time consecutively for container \"api-1\" on port 8080.";
    assert!(lines.iter().any(|line| line == wanted), "{lines:?}");
    // On the port that it listens on, the same image starts.
    let mut body = named(&image, "hello-c");
    body["template"]["containers"][0]["ports"] = json!([{"containerPort": 9000}]);
    assert_succeeded(&roll_out(&cloud, body).await);
    cloud.stop().await;
}

#[tokio::test]
async fn images_secrets_and_names_that_are_not_right() {
    let cloud = serving().await;
    let missing = "us-central1-docker.pkg.dev/demo/ml/api:nowhere";
    let good = cloud.version("good").await;
    let mut secret = named(&good, "hello-b");
    secret["template"]["containers"][0]["env"] = json!([{"name": "KEY", "valueSource":
        {"secretKeyRef": {"secret": "api-key", "version": "7"}}}]);
    let number = emulator::run::project_number("demo");
    let no_version = format!(
        "spec.template.spec.containers[0].env[0].value_from.secret_key_ref.name: Secret projects/{number}/secrets/api-key/versions/7 was not found"
    );
    for (body, expected) in [
        (
            named(missing, "hello-b"),
            Fails {
                code: 5,
                text: &format!("Image '{missing}' not found."),
                reason: ("reason", "CONTAINER_MISSING"),
                condition: "ContainerReady",
            },
        ),
        (
            secret,
            Fails {
                code: 9,
                text: &no_version,
                reason: ("reason", "SECRETS_ACCESS_CHECK_FAILED"),
                condition: "ResourcesAvailable",
            },
        ),
    ] {
        let operation = roll_out(&cloud, body).await;
        assert_failed(&cloud, &operation, &expected).await;
        assert_succeeded(&roll_out(&cloud, named(&good, "hello-a")).await);
        let path = format!("{PARENT}/services/hello/revisions/hello-b");
        assert_eq!(cloud.call("DELETE", &path, None).await.0, 200);
    }
    // Services share the namespace of their revisions' names.
    assert_succeeded(&cloud.create("hello-b", named(&good, "hello-b-1")).await);
    let operation = cloud
        .patch("hello", "template", {
            let mut body = named(&good, "hello-b-1");
            body["template"]["timeout"] = json!("60s");
            body
        })
        .await;
    assert_eq!(operation["error"]["code"], 9, "{operation}");
    assert_eq!(
        operation["error"]["message"],
        "Revision 'hello-b-1' is not ready and cannot serve traffic. Found a conflicting revision name hello-b-1. Revision names must be unique within the namespace."
    );
    cloud.stop().await;
}

#[tokio::test]
async fn traffic_to_a_revision_that_is_gone() {
    let cloud = serving().await;
    let operation = cloud
        .patch("hello", "traffic", json!({"traffic": [to("hello-z", 100)]}))
        .await;
    assert_eq!(operation["error"]["code"], 9, "{operation}");
    let text = "Revision 'hello-z' does not exist or is deleted. Update all traffic to route to currently available revisions.";
    assert_eq!(operation["error"]["message"], text);
    let service = cloud.service("hello").await;
    assert_eq!(
        condition(&service, "RoutesReady")["state"],
        "CONDITION_FAILED"
    );
    assert_eq!(service["terminalCondition"]["message"], text);
    let uri = service["uri"].as_str().expect("an address");
    assert_eq!(cloud.version_at(uri).await, "good");
    cloud.stop().await;
}

#[tokio::test]
async fn until_2024_every_rollout_failed_with_internal() {
    let cloud = serving().await;
    let codes = json!({"error_codes": "older"});
    admin(&cloud, "PUT", "run/error-codes", codes).await;
    let crash = cloud.image("crash", Behaviour::crash(&["no"])).await;
    let operation = roll_out(&cloud, named(&crash, "hello-b")).await;
    let expected = Fails {
        code: 13,
        text: "Cloud Run error: Container failed to start. Failed to start and then listen on the port defined by the PORT environment variable. Logs for this revision might contain more information.",
        reason: ("revisionReason", "HEALTH_CHECK_CONTAINER_ERROR"),
        condition: "ContainerHealthy",
    };
    assert_failed(&cloud, &operation, &expected).await;
    let operation = roll_out(
        &cloud,
        named("us-central1-docker.pkg.dev/demo/ml/api:nowhere", "hello-c"),
    )
    .await;
    assert_eq!(operation["error"]["code"], 13, "{operation}");
    cloud.stop().await;
}

#[tokio::test]
async fn the_platform_is_too_slow_or_never_comes_to_an_end() {
    let cloud = serving().await;
    let good = cloud.version("good").await;
    admin(
        &cloud,
        "POST",
        "run/troubles",
        json!({"trouble": "import-deadline", "service": "hello"}),
    )
    .await;
    let operation = roll_out(&cloud, named(&good, "hello-b")).await;
    let expected = Fails {
        code: 13,
        text: "The service has encountered an error during container import. Please try again later. Resource readiness deadline exceeded.",
        reason: ("reason", "PROGRESS_DEADLINE_EXCEEDED"),
        condition: "ContainerReady",
    };
    assert_failed(&cloud, &operation, &expected).await;
    for (trouble, revision, reconciling) in [
        ("endless-operation", "hello-c", false),
        ("endless-rollout", "hello-d", true),
    ] {
        admin(&cloud, "POST", "run/troubles", json!({"trouble": trouble})).await;
        let path = format!("{PARENT}/services/hello?updateMask=template");
        let mut body = named(&good, revision);
        body["template"]["labels"] = json!({"trouble": trouble});
        let (_, operation) = cloud.call("PATCH", &path, Some(body)).await;
        if !reconciling {
            eventually("the service has come to its end", async || {
                let service = cloud.service("hello").await;
                (service["reconciling"] != true).then_some(())
            })
            .await;
        }
        let name = operation["name"].as_str().expect("a name");
        let wait = json!({"timeout": "1s"});
        let (_, answer) = cloud
            .call("POST", &format!("/v2/{name}:wait"), Some(wait))
            .await;
        assert_ne!(answer["done"], true, "{trouble}: {answer}");
        let service = cloud.service("hello").await;
        assert_eq!(service["reconciling"] == true, reconciling, "{trouble}");
    }
    // A later write takes over.
    let mut body = named(&good, "hello-e");
    body["template"]["timeout"] = json!("61s");
    let later = tokio::time::timeout(Duration::from_secs(10), roll_out(&cloud, body));
    assert_succeeded(&later.await.expect("the later write ends"));
    cloud.stop().await;
}
