//! Operations as v1 shows them: the resource in them is a Knative service.

use serde_json::{Value, json};

use super::service;
use crate::run::reserved::Reserved;
use crate::run::state::{OperationRecord, State, Subject};
use crate::run::view;

/// An operation.
pub(super) fn to_v1(state: &State, operation: &OperationRecord) -> Value {
    let none = Reserved::default();
    let reserved = match &operation.subject {
        Subject::Service(key) => state.services.get(key).map(|service| &service.reserved),
        Subject::Deleted { .. } => None,
    };
    let reserved = reserved.unwrap_or(&none);
    let mut answer = view::operation(state, operation);
    for field in ["metadata", "response"] {
        let Some(resource) = answer.get_mut(field) else {
            continue;
        };
        if resource["@type"] == "type.googleapis.com/google.cloud.run.v2.Service" {
            let mut v1 = service::to_v1(resource, reserved, id(&operation.name));
            v1["@type"] = json!("type.googleapis.com/google.cloud.run.v1.Service");
            *resource = v1;
        }
    }
    answer
}

/// The last part of an operation's name.
pub(super) fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
