//! Resources as JSON.

use cloud_api::run::{CONDITION_FAILED, CONDITION_RECONCILING, Condition};
use serde_json::{Map, Value, json};

use super::failure::logs_url;
use super::state::{
    OperationRecord, Phase, RevisionRecord, ServiceRecord, State, Subject, condition, failed,
    reconciling, succeeded, timestamp,
};
use super::{etag, schema};

/// Puts a field in unless it is empty, null or false, as protocol buffers' JSON form does.
fn put(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let absent = match &value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    };
    if !absent {
        fields.insert(name.to_owned(), value);
    }
}

/// A service.
pub(crate) fn service(service: &ServiceRecord) -> Value {
    let mut fields = service.spec.clone();
    let key = &service.key;
    let mut set = |name: &str, value: Value| put(&mut fields, name, value);
    set("name", json!(key.name()));
    set("uid", json!(service.uid));
    set("generation", json!(service.generation.to_string()));
    if service.observed_generation > 0 {
        let observed = service.observed_generation.to_string();
        set("observedGeneration", json!(observed));
    }
    set("createTime", json!(timestamp(service.create_time)));
    set("updateTime", json!(timestamp(service.update_time)));
    set("creator", json!(service.creator));
    set("lastModifier", json!(service.last_modifier));
    set("uri", json!(service.uri));
    if !service.uri.is_empty() {
        set("urls", json!([service.uri]));
    }
    set(
        "latestCreatedRevision",
        json!(key.revision_name(&service.latest_created)),
    );
    set(
        "latestReadyRevision",
        json!(key.revision_name(&service.latest_ready)),
    );
    set("trafficStatuses", json!(service.statuses));
    set("terminalCondition", json!(service.ready));
    set(
        "conditions",
        json!([service.routes_ready, service.configurations_ready]),
    );
    set("reconciling", json!(service.reconciling));
    set("etag", json!(etag::encode(service.version)));
    Value::Object(fields)
}

/// A revision.
pub(crate) fn revision(service: &ServiceRecord, revision: &RevisionRecord) -> Value {
    let key = &service.key;
    let mut fields = revision.template.clone();
    if let Some(image) = fields
        .get_mut("containers")
        .and_then(|containers| containers.pointer_mut("/0/image"))
        && let (Some(tagged), Some(resolved)) = (image.as_str(), &revision.image)
    {
        *image = json!(pinned(tagged, &resolved.digest));
    }
    let update_time = revision.settle_time.max(revision.active_time);
    let mut set = |name: &str, value: Value| put(&mut fields, name, value);
    set("name", json!(key.revision_name(&revision.name)));
    set("uid", json!(revision.uid));
    set("generation", json!("1"));
    set("createTime", json!(timestamp(revision.create_time)));
    set("updateTime", json!(timestamp(update_time)));
    set("launchStage", revision.launch_stage.clone());
    set("service", json!(key.service));
    set("creator", json!(revision.creator));
    set("conditions", json!(conditions(revision)));
    set("reconciling", json!(revision.phase == Phase::Pending));
    if revision.phase != Phase::Pending {
        set("observedGeneration", json!("1"));
    }
    set("logUri", json!(logs_url(key, &revision.name)));
    set("etag", json!(etag::encode(update_time.timestamp_micros())));
    Value::Object(fields)
}

/// `host/path@sha256:…` for `host/path:tag`.
pub(crate) fn pinned(image: &str, digest: &str) -> String {
    let image = image.split('@').next().unwrap_or(image);
    let slash = image.rfind('/').unwrap_or(0);
    let end = image[slash..]
        .find(':')
        .map_or(image.len(), |colon| slash + colon);
    format!("{}@{digest}", &image[..end])
}

/// The conditions that real revisions show.
fn conditions(revision: &RevisionRecord) -> Vec<Condition> {
    let (start, end) = (revision.create_time, revision.settle_time);
    let seconds = (end - start).num_milliseconds() as f64 / 1000.0;
    match &revision.phase {
        Phase::Pending => [
            "Ready",
            "ContainerReady",
            "ResourcesAvailable",
            "ContainerHealthy",
        ]
        .iter()
        .map(|kind| reconciling(kind, "", start))
        .collect(),
        Phase::Failed(failure) => {
            let mut all = vec![failed("Ready", failure, end)];
            for kind in ["ContainerReady", "ResourcesAvailable", "ContainerHealthy"] {
                if kind == failure.condition {
                    all.push(failed(kind, failure, end));
                    break;
                }
                all.push(succeeded(kind, "", start));
            }
            let mut retry = succeeded(
                "Retry",
                "System will retry after 00:00 from lastTransitionTime for attempt 0.",
                end,
            );
            retry.severity = "INFO".to_owned();
            retry.reason = Some("IMMEDIATE_RETRY".to_owned());
            all.push(retry);
            all
        }
        Phase::Ready => {
            let message = format!("Deploying revision succeeded in {seconds:.2}s.");
            let mut all = vec![succeeded("Ready", &message, end)];
            let time = revision.active_time;
            if revision.active {
                all.push(informal(succeeded("Active", "", time)));
                all.push(succeeded("ResourcesAvailable", "", end));
                all.push(informal(succeeded("MinInstancesProvisioned", "", time)));
            } else {
                all[0].revision_reason = Some("RETIRED".to_owned());
                let mut active = informal(condition(
                    "Active",
                    CONDITION_FAILED,
                    "Revision retired.",
                    time,
                ));
                active.revision_reason = Some("RETIRED".to_owned());
                all.push(active);
                all.push(condition(
                    "ResourcesAvailable",
                    CONDITION_RECONCILING,
                    "",
                    time,
                ));
                all.push(informal(condition(
                    "MinInstancesProvisioned",
                    CONDITION_FAILED,
                    "",
                    time,
                )));
            }
            all.push(succeeded("ContainerReady", "", start));
            all.push(succeeded("ContainerHealthy", "", end));
            all
        }
    }
}

fn informal(condition: Condition) -> Condition {
    Condition {
        severity: "INFO".to_owned(),
        ..condition
    }
}

/// An operation.
pub(crate) fn operation(state: &State, operation: &OperationRecord) -> Value {
    let Some(end) = &operation.end else {
        let metadata = match &operation.subject {
            Subject::Service(key) => state
                .services
                .get(key)
                .map(|record| schema::any("service", &service(record))),
            Subject::Deleted { kind, last } => Some(schema::any(kind, last)),
        };
        let mut fields = Map::new();
        put(&mut fields, "name", json!(operation.name));
        put(&mut fields, "metadata", json!(metadata));
        return Value::Object(fields);
    };
    let mut answer = json!({"name": operation.name, "metadata": end.resource, "done": true});
    match &end.error {
        Some(error) => answer["error"] = json!(error),
        None => answer["response"] = end.resource.clone(),
    }
    answer
}
