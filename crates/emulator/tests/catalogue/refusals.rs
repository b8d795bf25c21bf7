//! What is refused at once.

use serde_json::{Value, json};

use super::cloud::{Cloud, PARENT, assert_succeeded, named, template, to};
use super::{Refused, admin, assert_refused, create};

/// A template with one thing changed, by JSON pointer.
fn with(image: &str, path: &str, value: Value) -> Value {
    let mut body = template(image);
    let (parent, key) = path.rsplit_once('/').expect("a path");
    body.pointer_mut(parent).expect("the parent")[key] = value;
    body
}

#[tokio::test]
async fn what_a_template_must_not_say() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let container = "/template/containers/0";
    let limits = |cpu: &str, memory: &str| json!({"limits": {"cpu": cpu, "memory": memory}, "cpuIdle": true});
    for (path, value, field, description) in [
        (
            format!("{container}/image"),
            json!("quay.io/p/api:v1"),
            "Violation in CreateServiceRequest.service.template.containers[0].image",
            "Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained quay.io/p/api:v1.",
        ),
        (
            format!("{container}/resources"),
            limits("1", "8Gi"),
            "template.containers[0].resources.limits.memory",
            "Invalid value specified for memory. For 1.0 CPU, memory must be between 128Mi and 4Gi inclusive.",
        ),
        (
            format!("{container}/env"),
            json!([{"name": "PORT", "value": "1"}, {"name": "K_SERVICE", "value": "x"}]),
            "template.containers[0].env",
            "The following reserved env names were provided: PORT, K_SERVICE. These values are automatically set by the system.",
        ),
        (
            format!("{container}/ports"),
            json!([{"containerPort": 1}, {"containerPort": 2}]),
            "Violation in CreateServiceRequest.service.template.containers[0].ports",
            "ports should contain 0 or 1 port.",
        ),
        (
            "/template/sandboxes".to_owned(),
            json!({"templates": []}),
            "template.sandboxes",
            "The feature is not supported in the declared launch stage.",
        ),
        (
            "/template/revision".to_owned(),
            json!(format!("hello-{}", "x".repeat(58))),
            "Violation in CreateServiceRequest.service.template.revision",
            "only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen; must be less than 64 characters.",
        ),
    ] {
        let answer = create(&cloud, "hello", with(&image, &path, value)).await;
        let expected = Refused {
            http: 400,
            status: "INVALID_ARGUMENT",
            text: &format!("{field}: {description}"),
            violation: Some((field, description)),
        };
        assert_refused(&answer, &expected);
        let debug = answer.1["error"]["details"][1]["detail"].as_str();
        assert_eq!(
            debug.is_some_and(|text| text.contains(description)),
            field.starts_with("Violation"),
            "{}",
            answer.1
        );
    }
    cloud.stop().await;
}

#[tokio::test]
async fn names_and_tags_that_are_too_long() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let field = "Violation in CreateServiceRequest.service_id";
    let rule = "only lowercase, digits, and hyphens; must begin with letter, and cannot end with hyphen; must be less than 50 characters.";
    for name in [&"a".repeat(50), "Hello", "1st", "a-"] {
        let answer = create(&cloud, name, template(&image)).await;
        let expected = Refused {
            http: 400,
            status: "INVALID_ARGUMENT",
            text: &format!("{field}: {rule}"),
            violation: Some((field, rule)),
        };
        assert_refused(&answer, &expected);
    }
    let service = "a".repeat(40);
    assert_succeeded(
        &cloud
            .create(&service, named(&image, &format!("{service}-a")))
            .await,
    );
    let mut target = to(&format!("{service}-a"), 100);
    target["tag"] = json!("canary1");
    let path = format!("{PARENT}/services/{service}?updateMask=traffic");
    let answer = cloud
        .call("PATCH", &path, Some(json!({"traffic": [target]})))
        .await;
    let description = format!(
        "traffic tag 'canary1' and service name '{service}' together are too long. Combined traffic tag and service name cannot exceed 46 characters."
    );
    let expected = Refused {
        http: 400,
        status: "INVALID_ARGUMENT",
        text: &format!("traffic[0].tag: {description}"),
        violation: Some(("traffic[0].tag", &description)),
    };
    assert_refused(&answer, &expected);
    cloud.stop().await;
}

#[tokio::test]
async fn more_than_the_quota() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    let quota = json!({"cpu_millis": 20_000, "memory_bytes": 42_949_672_960_u64});
    admin(&cloud, "PUT", "run/quotas/demo/us-central1", quota).await;
    let field = "scaling.max_instance_count";
    let scaled = |most: u32| {
        with(
            &image,
            "/template/scaling",
            json!({"maxInstanceCount": most}),
        )
    };
    let answer = create(&cloud, "hello", scaled(60)).await;
    let description = "Max instances must be set to 20 or fewer to set the requested total CPU.\nConsider running your workload in a region with greater capacity, or requesting an increase in quota for this region if you are seeing sustained usage near this limit, see https://cloud.google.com/run/quotas. Your project may gain access to further scaling by adding billing information to your account.\n\nQuota violated:\nCpuAllocPerProjectRegion requested: 60000 allowed: 20000";
    let expected = Refused {
        http: 400,
        status: "INVALID_ARGUMENT",
        text: &format!("{field}: {description}"),
        violation: Some((field, description)),
    };
    assert_refused(&answer, &expected);
    assert_succeeded(&cloud.create("hello", scaled(20)).await);
    let mut gpu = scaled(10);
    gpu["template"]["nodeSelector"] = json!({"accelerator": "nvidia-l4"});
    gpu["template"]["gpuZonalRedundancyDisabled"] = json!(true);
    gpu["template"]["containers"][0]["resources"] = json!({"limits": {"nvidia.com/gpu": "1"}});
    let answer = create(&cloud, "gpu", gpu).await;
    let description = "Max instances must be set to 3 or fewer in order to set GPU requirements.\nTo request quota: g.co/cloudrun/gpu-quota\n\nQuota violated:\nNvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion requested: 10 allowed: 3";
    let expected = Refused {
        http: 400,
        status: "INVALID_ARGUMENT",
        text: &format!("{field}: {description}"),
        violation: Some((field, description)),
    };
    assert_refused(&answer, &expected);
    cloud.stop().await;
}

#[tokio::test]
async fn what_is_there_already_and_what_somebody_else_changed() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    assert_succeeded(&cloud.create("hello", named(&image, "hello-a")).await);
    let answer = create(&cloud, "hello", template(&image)).await;
    let expected = Refused {
        http: 409,
        status: "ALREADY_EXISTS",
        text: "Resource 'hello' already exists.",
        violation: None,
    };
    assert_refused(&answer, &expected);
    let mut changed = named(&image, "hello-a");
    changed["template"]["timeout"] = json!("60s");
    let path = format!("{PARENT}/services/hello?updateMask=template");
    let answer = cloud.call("PATCH", &path, Some(changed)).await;
    let expected = Refused {
        http: 409,
        status: "ALREADY_EXISTS",
        text: "Revision named 'hello-a' with different configuration already exists.",
        violation: None,
    };
    assert_refused(&answer, &expected);
    let stale = cloud.service("hello").await["etag"].clone();
    let labels = |etag: Option<&Value>| {
        let mut body = json!({"labels": {"a": "b"}});
        if let Some(etag) = etag {
            body["etag"] = etag.clone();
        }
        body
    };
    assert_succeeded(&cloud.patch("hello", "labels", labels(None)).await);
    let path = format!("{PARENT}/services/hello?updateMask=labels");
    let (http, body) = cloud.call("PATCH", &path, Some(labels(Some(&stale)))).await;
    assert_eq!((http, &body["error"]["status"]), (409, &json!("ABORTED")));
    let text = body["error"]["message"].as_str().unwrap_or_default();
    let numbers: Vec<&str> = text
        .split('\'')
        .filter(|part| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let [specified, current] = numbers.as_slice() else {
        panic!("no two versions in {text}");
    };
    assert_eq!(
        text,
        format!(
            "Conflict for resource 'hello': version '{specified}' was specified but current version is '{current}'."
        )
    );
    assert!(specified < current);
    cloud.stop().await;
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_go() {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    assert_succeeded(&cloud.create("hello", named(&image, "hello-a")).await);
    for (path, name, kind) in [
        ("services/nobody", "nobody", "SERVICE"),
        ("services/hello/revisions/hello-z", "hello-z", "REVISION"),
    ] {
        let answer = cloud.call("GET", &format!("{PARENT}/{path}"), None).await;
        let expected = Refused {
            http: 404,
            status: "NOT_FOUND",
            text: &format!(
                "Resource '{name}' of kind '{kind}' in region 'us-central1' in project 'demo' does not exist."
            ),
            violation: None,
        };
        assert_refused(&answer, &expected);
    }
    let path = format!("{PARENT}/services/hello/revisions/hello-a");
    let answer = cloud.call("DELETE", &path, None).await;
    let expected = Refused {
        http: 400,
        status: "FAILED_PRECONDITION",
        text: "Revision \"hello-a\" cannot be directly deleted because it is actively serving.",
        violation: None,
    };
    assert_refused(&answer, &expected);
    cloud.stop().await;
}

#[tokio::test]
async fn rate_limits_and_outages_come_on_demand_and_say_when_to_come_again() {
    let cloud = Cloud::start().await;
    for (status, http) in [("RESOURCE_EXHAUSTED", 429), ("UNAVAILABLE", 503)] {
        let fault = json!({"point": "GET **/services/hello", "count": 1,
            "fault": {"status": status, "message": "later", "retry_after": 7}});
        admin(&cloud, "POST", "faults", fault).await;
        let url = cloud.local.url(&format!("{PARENT}/services/hello"));
        let request = cloud.local.http.get(url).bearer_auth(&cloud.token);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), http);
        assert_eq!(answer.headers()["retry-after"], "7");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(
            body["error"],
            json!({"code": http, "status": status, "message": "later"})
        );
    }
    cloud.stop().await;
}
