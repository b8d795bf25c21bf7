//! Services in both forms.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud_api::run::{TRAFFIC_LATEST, TRAFFIC_REVISION};
use serde_json::{Map, Value, json};

use super::container::{elements, text};
use super::metadata::{self, LOCATION_LABEL, put, words};
use super::{annotations, condition, schema, template};
use crate::error::ApiError;
use crate::run::check::refuse;
use crate::run::etag;
use crate::run::project_number;
use crate::run::reserved::Reserved;

/// `apiVersion` of everything here.
pub(super) const API_VERSION: &str = "serving.knative.dev/v1";
const BINARY_AUTHORIZATION: &str = "run.googleapis.com/binary-authorization";
/// Path of a service's annotations.
const ANNOTATIONS: &str = "metadata.annotations";

/// A written service, read.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) namespace: String,
    /// Empty: the write is not guarded.
    pub(super) resource_version: String,
    /// The fields that a caller can write, in v2's form.
    pub(super) v2: Map<String, Value>,
    pub(super) reserved: Reserved,
}

/// Reads a service of v1.
///
/// # Errors
/// `INVALID_ARGUMENT` for what cannot be read, `UNIMPLEMENTED` for what is not modelled.
pub(super) fn to_v2(v1: &Value) -> Result<Written, ApiError> {
    schema::check(v1)?;
    for (field, wanted) in [("apiVersion", API_VERSION), ("kind", "Service")] {
        if v1[field] != wanted {
            return Err(refuse(field, &format!("Expected value {wanted}.")));
        }
    }
    let metadata = &v1["metadata"];
    let (mut v2, mut reserved) = (Map::new(), Reserved::default());
    let mut labels = words("metadata.labels", metadata.get("labels"))?;
    labels.remove(LOCATION_LABEL);
    let (labels, kept) = metadata::part(labels);
    reserved.service.labels = kept;
    put(&mut v2, "labels", json!(labels));
    let all = words(ANNOTATIONS, metadata.get("annotations"))?;
    let (shared, mut rest) = metadata::part(all);
    put(&mut v2, "annotations", json!(shared));
    if let Some(policy) = rest.remove(BINARY_AUTHORIZATION) {
        let (field, value) = match policy.as_str() {
            "default" => ("useDefault", json!(true)),
            _ => ("policy", json!(policy)),
        };
        annotations::set(&mut v2, &["binaryAuthorization", field], value);
    }
    annotations::read_all(
        annotations::SERVICE,
        ANNOTATIONS,
        &mut rest,
        &mut v2,
        &mut reserved.service.spelled,
    )?;
    reserved.service.annotations = rest;
    let (template, kept) = template::to_v2(&v1["spec"]["template"])?;
    reserved.template = kept;
    put(&mut v2, "template", Value::Object(template));
    let traffic = elements(&v1["spec"]["traffic"]).map(target_to_v2);
    put(&mut v2, "traffic", traffic.collect());
    Ok(Written {
        name: text(&metadata["name"]).to_owned(),
        namespace: text(&metadata["namespace"]).to_owned(),
        resource_version: text(&metadata["resourceVersion"]).to_owned(),
        v2,
        reserved,
    })
}

fn target_to_v2(v1: &Value) -> Value {
    let mut v2 = Map::new();
    let latest = v1["latestRevision"] == true || text(&v1["revisionName"]).is_empty();
    let kind = if latest {
        TRAFFIC_LATEST
    } else {
        TRAFFIC_REVISION
    };
    put(&mut v2, "type", json!(kind));
    put(&mut v2, "revision", v1["revisionName"].clone());
    put(&mut v2, "percent", v1["percent"].clone());
    put(&mut v2, "tag", v1["tag"].clone());
    Value::Object(v2)
}

/// A service of v2, as its view shows it, in v1's form. `operation` is the identifier of the last
/// write's operation.
pub(super) fn to_v1(v2: &Value, reserved: &Reserved, operation: &str) -> Value {
    let mut name = text(&v2["name"]).split('/');
    let (project, location) = (name.nth(1).unwrap_or_default(), name.nth(1));
    let (namespace, service) = (project_number(project), name.nth(1).unwrap_or_default());

    let mut metadata = Map::new();
    put(&mut metadata, "name", json!(service));
    put(&mut metadata, "namespace", json!(namespace));
    let link = format!("/apis/{API_VERSION}/namespaces/{namespace}/services/{service}");
    put(&mut metadata, "selfLink", json!(link));
    put(&mut metadata, "uid", v2["uid"].clone());
    put(
        &mut metadata,
        "resourceVersion",
        json!(resource_version(v2)),
    );
    put(&mut metadata, "generation", number(&v2["generation"]));
    put(&mut metadata, "creationTimestamp", v2["createTime"].clone());
    put(&mut metadata, "deletionTimestamp", v2["deleteTime"].clone());
    let mut labels = metadata::labels(v2, &reserved.service);
    put(&mut labels, LOCATION_LABEL, json!(location));
    put(&mut metadata, "labels", Value::Object(labels));
    let annotations = annotations_of(v2, reserved, operation);
    put(&mut metadata, "annotations", Value::Object(annotations));

    let parts = template::to_v1(&v2["template"], &reserved.template);
    let mut about = Map::new();
    put(&mut about, "name", v2["template"]["revision"].clone());
    put(&mut about, "labels", Value::Object(parts.labels));
    put(&mut about, "annotations", Value::Object(parts.annotations));
    let traffic: Vec<Value> = elements(&v2["traffic"]).map(target_to_v1).collect();
    json!({
        "apiVersion": API_VERSION,
        "kind": "Service",
        "metadata": metadata,
        "spec": {"template": {"metadata": about, "spec": parts.spec}, "traffic": traffic},
        "status": status(v2),
    })
}

fn annotations_of(v2: &Value, reserved: &Reserved, operation: &str) -> Map<String, Value> {
    let mut annotations = metadata::shared(v2, "annotations");
    metadata::add(&mut annotations, &reserved.service.annotations);
    let spelled = &reserved.service.spelled;
    annotations::write_all(annotations::SERVICE, v2, spelled, &mut annotations);
    let mut say = |name: &str, value: Value| put(&mut annotations, name, value);
    let policy = &v2["binaryAuthorization"];
    if policy["useDefault"] == true {
        say(BINARY_AUTHORIZATION, json!("default"));
    }
    say(BINARY_AUTHORIZATION, policy["policy"].clone());
    say("serving.knative.dev/creator", v2["creator"].clone());
    say(
        "serving.knative.dev/lastModifier",
        v2["lastModifier"].clone(),
    );
    say("run.googleapis.com/operation-id", json!(operation));
    if let Some(urls) = v2.get("urls") {
        say("run.googleapis.com/urls", json!(urls.to_string()));
    }
    if let Some(ingress) = annotations.get("run.googleapis.com/ingress").cloned() {
        put(
            &mut annotations,
            "run.googleapis.com/ingress-status",
            ingress,
        );
    }
    annotations
}

fn target_to_v1(v2: &Value) -> Value {
    let mut v1 = Map::new();
    if v2["type"] == TRAFFIC_LATEST {
        v1.insert("latestRevision".to_owned(), json!(true));
    }
    put(&mut v1, "revisionName", v2["revision"].clone());
    put(&mut v1, "percent", v2["percent"].clone());
    put(&mut v1, "tag", v2["tag"].clone());
    Value::Object(v1)
}

fn status(v2: &Value) -> Value {
    let short = |field: &str| text(&v2[field]).rsplit('/').next().unwrap_or_default();
    let latest_ready = short("latestReadyRevision");
    let traffic = elements(&v2["trafficStatuses"]).map(|target| {
        let mut v1 = target_to_v1(target);
        if target["type"] == TRAFFIC_LATEST {
            v1["revisionName"] = json!(latest_ready);
        }
        if let Some(url) = target.get("uri") {
            v1["url"] = url.clone();
        }
        v1
    });
    // A write that failed was observed too.
    let observed = if v2["reconciling"] == true {
        &v2["observedGeneration"]
    } else {
        &v2["generation"]
    };
    let terminal = std::iter::once(&v2["terminalCondition"]);
    let rest = ["ConfigurationsReady", "RoutesReady"].into_iter();
    let rest = rest
        .filter_map(|kind| elements(&v2["conditions"]).find(|condition| condition["type"] == kind));
    let conditions = terminal
        .chain(rest)
        .filter(|condition| condition.is_object());
    let mut status = Map::new();
    put(&mut status, "observedGeneration", number(observed));
    let conditions: Value = conditions.map(condition::to_v1).collect();
    put(&mut status, "conditions", conditions);
    put(
        &mut status,
        "latestCreatedRevisionName",
        json!(short("latestCreatedRevision")),
    );
    put(&mut status, "latestReadyRevisionName", json!(latest_ready));
    put(&mut status, "traffic", traffic.collect());
    put(&mut status, "url", v2["uri"].clone());
    if let Some(url) = v2.get("uri") {
        status.insert("address".to_owned(), json!({ "url": url }));
    }
    Value::Object(status)
}

/// A 64-bit integer, in v2 a text.
fn number(value: &Value) -> Value {
    json!(text(value).parse::<u64>().ok())
}

/// The version of a resource as v1 writes it: eight bytes of microseconds since 1970.
pub(super) fn resource_version(v2: &Value) -> String {
    let version = etag::decode(text(&v2["etag"])).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(version.to_be_bytes())
}

/// The etag for a version of v1; `None`: it is no version of this server.
pub(super) fn etag_of(resource_version: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(resource_version).ok()?;
    Some(etag::encode(i64::from_be_bytes(bytes.try_into().ok()?)))
}
