//! Revisions in v1's form.

use serde_json::{Map, Value, json};

use super::container::{elements, text};
use super::metadata::{LOCATION_LABEL, put};
use super::service::{API_VERSION, resource_version};
use super::{condition, template};
use crate::run::project_number;
use crate::run::state::{RevisionRecord, ServiceRecord};
use crate::run::view;

/// A revision.
pub(super) fn to_v1(service: &ServiceRecord, revision: &RevisionRecord) -> Value {
    let v2 = view::revision(service, revision);
    let key = &service.key;
    let namespace = project_number(&key.project);
    let parts = template::to_v1(&v2, &revision.reserved);
    let mut labels = parts.labels;
    let mut say = |label: &str, value: String| put(&mut labels, label, json!(value));
    say(LOCATION_LABEL, key.location.clone());
    say("serving.knative.dev/configuration", key.service.clone());
    let generation = revision.configuration_generation.to_string();
    say("serving.knative.dev/configurationGeneration", generation);
    say("serving.knative.dev/route", key.service.clone());
    say("serving.knative.dev/service", key.service.clone());
    say("serving.knative.dev/serviceUid", service.uid.clone());
    let mut annotations = parts.annotations;
    put(
        &mut annotations,
        "serving.knative.dev/creator",
        json!(revision.creator),
    );

    let mut metadata = Map::new();
    let name = &revision.name;
    put(&mut metadata, "name", json!(name));
    put(&mut metadata, "namespace", json!(namespace));
    let link = format!("/apis/{API_VERSION}/namespaces/{namespace}/revisions/{name}");
    put(&mut metadata, "selfLink", json!(link));
    put(&mut metadata, "uid", json!(revision.uid));
    put(
        &mut metadata,
        "resourceVersion",
        json!(resource_version(&v2)),
    );
    put(&mut metadata, "generation", json!(1));
    put(&mut metadata, "creationTimestamp", v2["createTime"].clone());
    put(&mut metadata, "labels", Value::Object(labels));
    put(&mut metadata, "annotations", Value::Object(annotations));
    let owner = json!([{"apiVersion": API_VERSION, "kind": "Configuration", "name": key.service,
        "uid": service.uid, "controller": true, "blockOwnerDeletion": true}]);
    put(&mut metadata, "ownerReferences", owner);
    let mut spec = parts.spec;
    // The image stays as it was asked for; what it stood for is told in the status.
    let asked = revision.template.get("containers");
    if let Some(asked) = asked.and_then(|containers| containers.pointer("/0/image")) {
        spec["containers"][0]["image"] = asked.clone();
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": "Revision",
        "metadata": metadata,
        "spec": spec,
        "status": status(&v2),
    })
}

fn status(v2: &Value) -> Value {
    let conditions: Value = elements(&v2["conditions"]).map(condition::to_v1).collect();
    let observed = text(&v2["observedGeneration"]).parse::<u64>().ok();
    let mut status = Map::new();
    put(&mut status, "observedGeneration", json!(observed));
    put(&mut status, "conditions", conditions);
    put(&mut status, "logUrl", v2["logUri"].clone());
    let container = &v2["containers"][0];
    if text(&container["image"]).contains('@') {
        put(&mut status, "imageDigest", container["image"].clone());
        let statuses = json!([{"name": container["name"], "imageDigest": container["image"]}]);
        put(&mut status, "containerStatuses", statuses);
    }
    Value::Object(status)
}
