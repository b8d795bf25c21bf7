//! Conditions in v1's form.

use cloud_api::run::{CONDITION_FAILED, CONDITION_SUCCEEDED};
use serde_json::{Map, Value, json};

use super::container::text;
use super::metadata::put;

/// A condition of v2 in v1's form.
pub(super) fn to_v1(v2: &Value) -> Value {
    let mut v1 = Map::new();
    let status = match text(&v2["state"]) {
        CONDITION_SUCCEEDED => "True",
        CONDITION_FAILED => "False",
        _ => "Unknown",
    };
    put(&mut v1, "type", v2["type"].clone());
    put(&mut v1, "status", json!(status));
    let reasons = ["reason", "revisionReason", "executionReason"];
    let reason = reasons.iter().find_map(|field| v2[field].as_str());
    put(&mut v1, "reason", json!(reason.map(camel_case)));
    put(&mut v1, "message", v2["message"].clone());
    let severity = match text(&v2["severity"]) {
        "INFO" => "Info",
        "WARNING" => "Warning",
        // `Error` goes without saying.
        _ => "",
    };
    put(&mut v1, "severity", json!(severity));
    let time = v2["lastTransitionTime"].clone();
    put(&mut v1, "lastTransitionTime", time);
    Value::Object(v1)
}

/// `HealthCheckContainerError` for `HEALTH_CHECK_CONTAINER_ERROR`.
fn camel_case(reason: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{first}{}", rest.to_lowercase())
    };
    reason.split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_reasons_and_severities_are_spelled_as_in_knative() {
        let condition = json!({"type": "Ready", "state": "CONDITION_FAILED", "severity": "INFO",
            "message": "m", "lastTransitionTime": "t", "revisionReason": "HEALTH_CHECK_CONTAINER_ERROR"});
        assert_eq!(
            to_v1(&condition),
            json!({"type": "Ready", "status": "False", "severity": "Info", "message": "m",
                "lastTransitionTime": "t", "reason": "HealthCheckContainerError"})
        );
        let bare = json!({"type": "Ready", "state": "CONDITION_RECONCILING", "severity": "ERROR"});
        assert_eq!(to_v1(&bare), json!({"type": "Ready", "status": "Unknown"}));
    }
}
