use serde_json::{Value, json};

use super::*;
use crate::run::defaults;

const IMAGE: &str = "us-central1-docker.pkg.dev/p/r/i:latest";

/// The answer to a service: the template and traffic, or the message of the refusal.
fn check(spec: Value) -> Result<(), String> {
    let key = ServiceKey::new("p", "us-central1", "hello");
    let Value::Object(mut spec) = spec else {
        panic!("no object");
    };
    defaults::fill(&key, &mut spec);
    check_spec(Request::Update, &key, &spec, &Quota::default())
        .map(|_| ())
        .map_err(|error| {
            assert!((400..=501).contains(&error.0.code));
            error.0.message
        })
}

fn with(path: &str, value: Value) -> Value {
    let mut spec = json!({"template": {"containers": [{"image": IMAGE}]}});
    if let Some(slot) = spec.pointer_mut(path) {
        *slot = value;
        return spec;
    }
    let (parent, key) = path.rsplit_once('/').expect("a path");
    spec.pointer_mut(parent).expect("the parent")[key] = value;
    spec
}

#[test]
fn what_is_right_passes() {
    for (path, value) in [
        ("/template/revision", json!("hello-v1-4-0-3f9c2a")),
        ("/template/timeout", json!("3600s")),
        ("/labels", json!({"team": "ml", "example.com/x": "y"})),
        (
            "/template/containers/0/image",
            json!("127.0.0.1:5000/p/r/i@sha256:00"),
        ),
        ("/template/containers/0/image", json!("nginx")),
        (
            "/template/containers/0/resources",
            json!({"limits": {"cpu": "4", "memory": "16Gi"}}),
        ),
        (
            "/template/containers/0/resources",
            json!({"limits": {"cpu": "0.5"}, "cpuIdle": true}),
        ),
        (
            "/template/containers/0/startupProbe",
            json!({"httpGet": {"path": "/health"}, "periodSeconds": 1}),
        ),
        (
            "/traffic",
            json!([{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "hello-1", "percent": 100}, {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "hello-2", "tag": "c-3f9c2a"}]),
        ),
    ] {
        assert_eq!(check(with(path, value.clone())), Ok(()), "{path} {value}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_the_text() {
    let reserved = "template.containers[0].env: The following reserved env names were provided: PORT. These values are automatically set by the system.";
    let tag = "traffic[0].tag: traffic tag 'a-tag-of-more-than-forty-one-characters-xxx' and service name 'hello' together are too long. Combined traffic tag and service name cannot exceed 46 characters.";
    for (path, value, text) in [
        (
            "/template/containers",
            json!([]),
            "must contain at least one container.",
        ),
        (
            "/template/containers/0/image",
            json!("quay.io/a/b"),
            "where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained quay.io/a/b.",
        ),
        (
            "/template/containers/0/env",
            json!([{"name": "PORT", "value": "1"}]),
            reserved,
        ),
        (
            "/template/containers/0/ports",
            json!([{"containerPort": 1}, {"containerPort": 2}]),
            "Violation in UpdateServiceRequest.service.template.containers[0].ports: ports should contain 0 or 1 port.",
        ),
        (
            "/template/containers/0/resources",
            json!({"limits": {"memory": "5Gi"}}),
            "For 1.0 CPU, memory must be between 128Mi and 4Gi inclusive.",
        ),
        (
            "/template/containers/0/resources",
            json!({"limits": {"cpu": "3"}}),
            "Invalid value specified for cpu: '3'.",
        ),
        (
            "/template/containers/0/resources",
            json!({"limits": {"cpu": "8"}}),
            "For 8.0 CPU, memory must be between 4Gi and 32Gi inclusive.",
        ),
        (
            "/template/containers/0/startupProbe",
            json!({"httpGet": {}, "timeoutSeconds": 20}),
            "timeout_seconds must be at least 1",
        ),
        (
            "/template/maxInstanceRequestConcurrency",
            json!(1001),
            "must be between 1 and 1000.",
        ),
        ("/template/timeout", json!("3601s"), "between 1s and 3600s"),
        (
            "/template/revision",
            json!("Hello"),
            "must be less than 64 characters.",
        ),
        (
            "/template/revision",
            json!("other-1"),
            "must be prefixed with the name of the service, 'hello-'.",
        ),
        (
            "/labels",
            json!({"run.googleapis.com/x": "y"}),
            "is reserved and not supported in v2.",
        ),
        (
            "/traffic",
            json!([{"percent": 90}]),
            "must sum to 100, but sum to 90.",
        ),
        (
            "/traffic",
            json!([{"percent": 100, "tag": "a-tag-of-more-than-forty-one-characters-xxx"}]),
            tag,
        ),
        (
            "/traffic",
            json!([{"percent": 100, "tag": "t"}, {"tag": "t"}]),
            "traffic tag 't' is used more than once.",
        ),
        (
            "/traffic",
            json!([{"percent": 100, "type": 9}]),
            "Invalid JSON payload received.",
        ),
    ] {
        let message = check(with(path, value.clone())).expect_err(path);
        assert!(message.contains(text), "{path} {value}: {message}");
    }
    let gen2 = json!({"template": {"executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
        "containers": [{"image": IMAGE, "resources": {"limits": {"memory": "256Mi"}}}]}});
    assert!(
        check(gen2).expect_err("refused").ends_with(
            "Invalid value specified for memory with gen2 execution environment. For 1.0 CPU, memory must be between 512Mi and 4Gi inclusive."
        )
    );
}

#[test]
fn what_the_local_cloud_cannot_do_is_said() {
    for (path, value, what) in [
        (
            "/template/containers",
            json!([{"image": IMAGE}, {"image": IMAGE}]),
            "more than one container",
        ),
        (
            "/template/containers/0/ports",
            json!([{"name": "h2c", "containerPort": 80}]),
            "HTTP/2",
        ),
        (
            "/template/containers/0/resources",
            json!({"limits": {"nvidia.com/gpu": "0"}}),
            "GPUs",
        ),
        (
            "/template/containers/0/startupProbe",
            json!({"grpc": {}}),
            "gRPC",
        ),
        (
            "/template/volumes",
            json!([{"name": "v", "gcs": {}}]),
            "volumes other than",
        ),
    ] {
        let message = check(with(path, value)).expect_err(path);
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn service_names() {
    assert!(check_service_id("ml-api-dev").is_ok());
    for bad in ["", "Hello", "1a", "a-", "a_b", &"a".repeat(50)] {
        let error = check_service_id(bad).expect_err(bad);
        assert_eq!(
            error.0.message,
            "Violation in CreateServiceRequest.service_id: only lowercase, digits, and hyphens; must begin with letter, and cannot end with hyphen; must be less than 50 characters."
        );
        assert_eq!(
            error.0.details[0]["fieldViolations"][0]["field"],
            "Violation in CreateServiceRequest.service_id"
        );
    }
}
