//! The model as JSON, as the v2 API answers it.

use serde_json::{Map, Value, json};

use super::{
    Cloud, Condition, Entry, HOST, Operation, Readiness, Revision, SERVICE, Service, Target, To,
};

const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

/// A moment of the model as RFC 3339.
fn time(at: std::time::Duration) -> String {
    let begin = 1_795_000_000_i64;
    let seconds = begin + i64::try_from(at.as_secs()).unwrap();
    let time = chrono::DateTime::from_timestamp(seconds, at.subsec_nanos()).unwrap();
    time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

fn condition(condition: &Condition) -> Value {
    match condition {
        Condition::Reconciling => {
            json!({"type": "Ready", "state": "CONDITION_RECONCILING", "message": "Deploying Revision.", "severity": "INFO"})
        }
        Condition::Succeeded => json!({"type": "Ready", "state": "CONDITION_SUCCEEDED"}),
        Condition::Failed(text) => {
            json!({"type": "Ready", "state": "CONDITION_FAILED", "message": text})
        }
    }
}

fn target(target: &Target) -> Value {
    let mut value = Map::new();
    match &target.to {
        To::Latest => value.insert("type".to_owned(), json!(LATEST)),
        To::Revision(name) => {
            value.insert("revision".to_owned(), json!(name));
            value.insert("type".to_owned(), json!(REVISION))
        }
    };
    if target.percent > 0 {
        value.insert("percent".to_owned(), json!(target.percent));
    }
    if let Some(tag) = &target.tag {
        value.insert("tag".to_owned(), json!(tag));
    }
    Value::Object(value)
}

fn status(entry: &Entry) -> Value {
    let mut value = json!({"type": REVISION, "revision": entry.revision});
    if entry.percent > 0 {
        value["percent"] = json!(entry.percent);
    }
    if let Some(tag) = &entry.tag {
        value["tag"] = json!(tag);
        value["uri"] = json!(format!("https://{tag}---{HOST}"));
    }
    value
}

fn full(name: &str) -> String {
    format!("{SERVICE}/revisions/{name}")
}

impl Cloud {
    pub(super) fn service_json(service: &Service) -> Value {
        let mut value = Value::Object(service.others.clone());
        value["name"] = json!(SERVICE);
        value["uid"] = json!("5b1c0c1e");
        value["generation"] = json!(service.generation.to_string());
        value["observedGeneration"] = json!(service.observed.to_string());
        value["labels"] = json!(service.labels);
        value["annotations"] = json!(service.annotations);
        value["template"] = service.template.clone();
        value["traffic"] = service.traffic.iter().map(target).collect();
        value["trafficStatuses"] = service.shown.iter().map(status).collect();
        value["updateTime"] = json!(time(service.updated));
        value["terminalCondition"] = condition(&service.condition);
        value["terminalCondition"]["lastTransitionTime"] = json!(time(service.ended));
        value["uri"] = json!(format!("https://{HOST}"));
        value["etag"] = json!(format!("\"{}\"", service.etag));
        if service.invoker_iam_disabled {
            value["invokerIamDisabled"] = json!(true);
        }
        if service.condition == Condition::Reconciling {
            value["reconciling"] = json!(true);
        }
        if let Some(name) = &service.latest_ready {
            value["latestReadyRevision"] = json!(full(name));
        }
        if let Some(name) = &service.latest_created {
            value["latestCreatedRevision"] = json!(full(name));
        }
        value
    }

    pub(super) fn revision_json(revision: &Revision) -> Value {
        let mut value = revision.template.clone();
        value["name"] = json!(full(&revision.name));
        value["service"] = json!("api");
        value["createTime"] = json!(time(revision.created));
        // A revision without traffic has a failed condition of no weight.
        let ready = match &revision.readiness {
            Readiness::Pending => Condition::Reconciling,
            Readiness::Ready => Condition::Succeeded,
            Readiness::Failed(text) => Condition::Failed(text.clone()),
        };
        value["conditions"] = json!([
            condition(&ready),
            {"type": "Active", "state": "CONDITION_FAILED", "severity": "INFO", "revisionReason": "RETIRED"}
        ]);
        value
    }

    pub(super) fn operation_json(&self, name: &str, operation: &Operation) -> Value {
        let mut value = json!({"name": name});
        let service = self.service.as_ref().map(Self::service_json);
        if let Some(mut service) = service {
            service["@type"] = json!("type.googleapis.com/google.cloud.run.v2.Service");
            // As the service was when this change was made.
            service["generation"] = json!(operation.generation.to_string());
            match &operation.ended {
                None => value["metadata"] = service,
                Some(Ok(())) => value["response"] = service,
                Some(Err(_)) => {}
            }
        }
        if let Some(end) = &operation.ended {
            value["done"] = json!(true);
            if let Err(text) = end {
                value["error"] = json!({"code": 9, "message": text});
            }
        }
        value
    }
}
