//! Both ways between the forms of v1 and v2.

use serde_json::{Map, Value, json};

use super::carry::carry;
use super::service::{etag_of, resource_version, to_v1, to_v2};
use crate::run::ServiceKey;
use crate::run::defaults::fill;
use crate::run::reserved::Reserved;

/// All that v2 can say of a service and that v1 has a word for.
fn full() -> Value {
    let text = r#"{
        "labels": {"team": "ml", "client.knative.dev/nonce": "abc"},
        "annotations": {"ml-deploy.dev/state": "{\"version\":1}", "example.com/note": "x"},
        "description": "the API", "client": "ml-deploy", "clientVersion": "1.0",
        "ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY", "launchStage": "BETA",
        "binaryAuthorization": {"policy": "projects/p/platforms/cloudRun/x", "breakglassJustification": "now"},
        "customAudiences": ["https://a.example"], "invokerIamDisabled": true, "defaultUriDisabled": true,
        "iapEnabled": true,
        "scaling": {"minInstanceCount": 1, "maxInstanceCount": 9, "scalingMode": "AUTOMATIC"},
        "buildConfig": {"name": "b", "environmentVariables": {"A": "1"}, "enableAutomaticUpdates": true},
        "template": {
            "revision": "hello-v1", "labels": {"commit": "abc"}, "annotations": {"example.com/digest": "sha256:1"},
            "client": "ml-deploy", "clientVersion": "1.0",
            "scaling": {"minInstanceCount": 0, "maxInstanceCount": 5},
            "vpcAccess": {"egress": "PRIVATE_RANGES_ONLY", "networkInterfaces": [{"network": "default", "tags": ["t"]}]},
            "timeout": "60s", "serviceAccount": "runner@demo.iam.gserviceaccount.com",
            "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2", "encryptionKey": "k",
            "encryptionKeyRevocationAction": "SHUTDOWN", "encryptionKeyShutdownDuration": "7200s",
            "maxInstanceRequestConcurrency": 7, "sessionAffinity": true, "healthCheckDisabled": true,
            "nodeSelector": {"accelerator": "nvidia-l4"}, "serviceMesh": {"mesh": "m"},
            "containers": [{
                "name": "api", "image": "us-docker.pkg.dev/p/r/api@sha256:1", "command": ["/bin/api"], "args": ["-v"],
                "workingDir": "/srv",
                "env": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""},
                    {"name": "S", "valueSource": {"secretKeyRef": {"secret": "key", "version": "latest"}}},
                    {"name": "T", "valueSource": {"secretKeyRef": {"secret": "projects/q/secrets/key", "version": "3"}}}],
                "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "cpuIdle": false, "startupCpuBoost": true},
                "ports": [{"name": "http1", "containerPort": 9000}],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                "startupProbe": {"timeoutSeconds": 1, "periodSeconds": 3, "failureThreshold": 5, "httpGet": {"path": "/health", "port": 9000}},
                "livenessProbe": {"httpGet": {"path": "/live"}}
            }],
            "volumes": [{"name": "v", "secret": {"secret": "projects/q/secrets/file", "defaultMode": 292, "items": [{"path": "f", "version": "1"}]}},
                {"name": "e", "emptyDir": {"medium": "MEMORY", "sizeLimit": "10Mi"}}]
        },
        "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "hello-v0", "percent": 90},
            {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 10, "tag": "next"}]
    }"#;
    serde_json::from_str(text).expect("JSON")
}

/// What gcloud reads, changes and writes, with all that v1 can say.
fn knative() -> Value {
    let text = r#"{
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": {
            "name": "hello", "namespace": "demo",
            "labels": {"team": "ml", "run.googleapis.com/kept": "label"},
            "annotations": {"run.googleapis.com/client-name": "gcloud", "run.googleapis.com/client-version": "528.0.0",
                "run.googleapis.com/ingress": "internal-and-cloud-load-balancing", "run.googleapis.com/description": "d",
                "run.googleapis.com/binary-authorization": "default", "run.googleapis.com/minScale": "1",
                "run.googleapis.com/launch-stage": "GA", "run.googleapis.com/invoker-iam-disabled": "False",
                "run.googleapis.com/gc-traffic-tags": "x", "example.com/note": "n"}
        },
        "spec": {
            "template": {
                "metadata": {
                    "name": "hello-00001-abc",
                    "labels": {"client.knative.dev/nonce": "n", "cloud.googleapis.com/location": "us-central1"},
                    "annotations": {"autoscaling.knative.dev/maxScale": "5", "run.googleapis.com/startup-cpu-boost": "True",
                        "run.googleapis.com/cpu-throttling": "True", "run.googleapis.com/execution-environment": "gen1",
                        "run.googleapis.com/base-images": "{\"api\":\"x\"}", "run.googleapis.com/network-interfaces": "[ {\"network\":\"n\"} ]",
                        "run.googleapis.com/secrets": "alias:projects/q/secrets/key"}
                },
                "spec": {
                    "containerConcurrency": 10, "timeoutSeconds": 120, "serviceAccountName": "runner@demo.iam.gserviceaccount.com",
                    "nodeSelector": {"run.googleapis.com/accelerator": "nvidia-l4"},
                    "containers": [{"name": "api", "image": "us-docker.pkg.dev/p/r/api:v1",
                        "env": [{"name": "A", "value": "1"}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "alias", "key": "latest"}}}],
                        "resources": {"limits": {"cpu": "1", "memory": "512Mi"}},
                        "ports": [{"name": "http1", "containerPort": 8080}],
                        "startupProbe": {"tcpSocket": {"port": 8080}, "timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1},
                        "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
                    "volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "latest", "path": "f"}]}}]
                }
            },
            "traffic": [{"revisionName": "hello-00000-xyz", "percent": 100}, {"latestRevision": true, "tag": "next"}]
        }
    }"#;
    serde_json::from_str(text).expect("JSON")
}

/// A service as the server would show it: named, with what it has been given.
fn shown(v2: &Map<String, Value>) -> Value {
    let mut v2 = Value::Object(v2.clone());
    v2["name"] = json!("projects/demo/locations/us-central1/services/hello");
    v2
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

#[test]
fn what_v2_says_comes_back_through_v1() {
    let v2 = object(full());
    let v1 = to_v1(&shown(&v2), &Reserved::default(), "op");
    let back = to_v2(&v1).expect("v1 that we wrote ourselves");
    assert_eq!(Value::Object(back.v2), Value::Object(v2));
    assert_eq!(back.reserved.service.annotations.len(), 0);
    assert_eq!(back.reserved.template.annotations.len(), 0);
}

#[test]
fn what_v1_says_comes_back_through_v2() {
    let v1 = knative();
    let read = to_v2(&v1).expect("a service");
    let mut back = to_v1(&shown(&read.v2), &read.reserved, "");
    // What only the server writes.
    let labels = back["metadata"]["labels"].as_object_mut().expect("labels");
    assert_eq!(
        labels.remove("cloud.googleapis.com/location"),
        Some(json!("us-central1"))
    );
    let annotations = back["metadata"]["annotations"]
        .as_object_mut()
        .expect("annotations");
    let status = annotations.remove("run.googleapis.com/ingress-status");
    assert_eq!(status, Some(json!("internal-and-cloud-load-balancing")));
    let labels = back.pointer_mut("/spec/template/metadata/labels");
    let labels = labels.and_then(Value::as_object_mut).expect("labels");
    assert_eq!(
        labels.remove("run.googleapis.com/startupProbeType"),
        Some(json!("Default"))
    );
    assert_eq!(back["metadata"]["labels"], v1["metadata"]["labels"]);
    assert_eq!(
        back["metadata"]["annotations"],
        v1["metadata"]["annotations"]
    );
    assert_eq!(back["spec"], v1["spec"]);
}

#[test]
fn defaults_go_both_ways() {
    let mut v2 =
        object(json!({"template": {"containers": [{"image": "us-docker.pkg.dev/p/r/api:v1"}]}}));
    let key = ServiceKey::new("demo", "us-central1", "hello");
    fill(&key, &mut v2);
    let v1 = to_v1(&shown(&v2), &Reserved::default(), "");
    let mut back = to_v2(&v1).expect("v1").v2;
    fill(&key, &mut back);
    assert_eq!(Value::Object(back), Value::Object(v2));
    let spec = &v1["spec"]["template"]["spec"];
    assert_eq!(spec["timeoutSeconds"], 300);
    assert_eq!(spec["containerConcurrency"], 80);
    assert_eq!(
        v1["spec"]["traffic"],
        json!([{"latestRevision": true, "percent": 100}])
    );
    let labels = &v1["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["run.googleapis.com/startupProbeType"], "Default");
}

#[test]
fn what_only_v2_says_survives_a_write_through_v1() {
    let mut v2 = object(full());
    v2.insert(
        "multiRegionSettings".to_owned(),
        json!({"multiRegionId": "x"}),
    );
    v2["template"]["workloadIdentityConfig"] = json!({"x": 1});
    v2["template"]["containers"][0]["dependsOn"] = json!(["other"]);
    let v1 = to_v1(&shown(&v2), &Reserved::default(), "op");
    let shown = to_v2(&v1).expect("v1").v2;
    let mut written = v1;
    written["spec"]["template"]["spec"]["timeoutSeconds"] = json!(30);
    let mut new = to_v2(&written).expect("v1").v2;
    carry(&v2, &shown, &mut new);
    v2["template"]["timeout"] = json!("30s");
    assert_eq!(Value::Object(new), Value::Object(v2));
}

#[test]
fn a_word_of_v1_without_a_field_is_kept_and_a_field_wins_over_a_word() {
    let read = to_v2(&knative()).expect("a service");
    let mut v2 = read.v2;
    // Another tool writes through v2.
    v2["template"]["scaling"]["maxInstanceCount"] = json!(50);
    v2["template"]["containers"][0]["resources"]["cpuIdle"] = json!(false);
    let v1 = to_v1(&shown(&v2), &read.reserved, "");
    let annotations = &v1["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["autoscaling.knative.dev/maxScale"], "50");
    assert_eq!(annotations["run.googleapis.com/cpu-throttling"], "false");
    assert_eq!(annotations["run.googleapis.com/startup-cpu-boost"], "True");
    assert_eq!(
        annotations["run.googleapis.com/base-images"],
        "{\"api\":\"x\"}"
    );
    let metadata = &v1["metadata"];
    assert_eq!(
        metadata["annotations"]["run.googleapis.com/gc-traffic-tags"],
        "x"
    );
    assert_eq!(metadata["labels"]["run.googleapis.com/kept"], "label");
}

#[test]
fn a_version_is_the_same_in_both_forms() {
    // 2024-11-23T07:41:36Z, as a real answer of v1 writes such times.
    let etag = crate::run::etag::encode(1_732_347_696_186_310);
    let version = resource_version(&json!({ "etag": etag }));
    assert_eq!(version.len(), 11, "{version}");
    assert!(version.starts_with("AAY"), "{version}");
    assert_eq!(etag_of(&version), Some(etag));
    assert_eq!(etag_of("strange"), None);
}

#[test]
fn a_value_that_is_none_is_refused_with_its_place() {
    for (path, value, message) in [
        (
            "/apiVersion",
            json!("v2"),
            "apiVersion: Expected value serving.knative.dev/v1.",
        ),
        (
            "/metadata/annotations/run.googleapis.com~1minScale",
            json!("many"),
            "metadata.annotations[run.googleapis.com/minScale]: 'many' is not a valid value.",
        ),
        (
            "/spec/template/metadata/annotations/run.googleapis.com~1cpu-throttling",
            json!("maybe"),
            "spec.template.metadata.annotations[run.googleapis.com/cpu-throttling]: 'maybe' is not a valid value.",
        ),
    ] {
        let mut v1 = knative();
        *v1.pointer_mut(path).expect(path) = value;
        assert_eq!(to_v2(&v1).expect_err(path).0.message, message);
    }
}
