use delivery::spec::ServiceSpec;
use serde_json::json;

use super::*;

fn service(value: serde_json::Value) -> Service {
    let mut whole = json!({
        "name": "projects/p/locations/l/services/api",
        "generation": "3", "observedGeneration": "3", "etag": "\"x\"", "uri": "https://api",
        "latestReadyRevision": "projects/p/locations/l/services/api/revisions/api-1",
        "latestCreatedRevision": "projects/p/locations/l/services/api/revisions/api-2",
        "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
        "trafficStatuses": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
        "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"}
    });
    let fields = whole.as_object_mut().unwrap();
    for (key, field) in value.as_object().unwrap() {
        fields.insert(key.clone(), field.clone());
    }
    serde_json::from_value(whole).unwrap()
}

#[test]
fn full_names_become_short_and_latest_is_resolved() {
    let live = live(&service(json!({}))).unwrap();
    assert_eq!(live.latest_created.unwrap().as_str(), "api-2");
    assert_eq!(live.serving[0].revision.as_str(), "api-1");
    assert_eq!(live.condition, ServiceCondition::Ready);
    assert_eq!(live.state, StateSeen::Absent);
}

#[test]
fn a_success_must_be_observed_and_a_failure_must_be_severe() {
    let failed = |severity: &str| {
        json!({"terminalCondition": {"type": "Ready", "state": "CONDITION_FAILED",
            "message": "broken", "severity": severity}})
    };
    let condition = |value| live(&service(value)).unwrap().condition;
    assert_eq!(
        condition(failed("")),
        ServiceCondition::Failed("broken".to_owned())
    );
    assert_eq!(condition(failed("INFO")), ServiceCondition::Reconciling);
    let mut behind = failed("ERROR");
    behind["observedGeneration"] = json!("2");
    assert_eq!(
        condition(behind.clone()),
        ServiceCondition::Failed("broken".to_owned())
    );
    behind["reconciling"] = json!(true);
    assert_eq!(condition(behind), ServiceCondition::Reconciling);
    assert_eq!(
        condition(json!({"observedGeneration": "2"})),
        ServiceCondition::Reconciling
    );
    assert_eq!(
        condition(json!({"reconciling": true})),
        ServiceCondition::Reconciling
    );
}

#[test]
fn traffic_that_is_not_understood_is_an_error() {
    let broken = service(json!({"traffic": [
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "api-1", "percent": 40}]}));
    assert_eq!(live(&broken).unwrap_err().code, Code::CloudFailed);
}

fn seen(value: serde_json::Value) -> RevisionSeen {
    revision_seen(&serde_json::from_value(value).unwrap()).unwrap()
}

#[test]
fn a_retired_revision_is_ready() {
    let revision = seen(json!({
        "name": "projects/p/locations/l/services/api/revisions/api-1",
        "createTime": "2026-11-24T07:10:00.000000Z",
        "conditions": [
            {"type": "Active", "state": "CONDITION_FAILED", "severity": "INFO", "revisionReason": "RETIRED"},
            {"type": "MinInstancesProvisioned", "state": "CONDITION_FAILED", "severity": "INFO"},
            {"type": "Ready", "state": "CONDITION_SUCCEEDED", "revisionReason": "RETIRED"}
        ]
    }));
    assert_eq!(revision.readiness, Readiness::Ready);
    assert_eq!(revision.created_at, Timestamp(1_795_504_200));
}

#[test]
fn readiness_follows_ready_and_without_it_any_severe_failure() {
    let with = |conditions: serde_json::Value| {
        seen(json!({"name": "a/b/api-1", "conditions": conditions})).readiness
    };
    assert_eq!(with(json!([])), Readiness::Pending);
    assert_eq!(
        with(json!([{"type": "Ready", "state": "CONDITION_FAILED", "message": "m"}])),
        Readiness::Failed("m".to_owned())
    );
    assert_eq!(
        with(json!([{"type": "ContainerHealthy", "state": "CONDITION_FAILED", "message": "m"}])),
        Readiness::Failed("m".to_owned())
    );
    assert_eq!(
        with(json!([{"type": "Active", "state": "CONDITION_FAILED", "severity": "INFO"}])),
        Readiness::Pending
    );
}

#[test]
fn a_copied_record_does_not_count() {
    let record = json!({"revision": "api-1", "digest": format!("sha256:{}", "a".repeat(64)),
        "config": ServiceSpec::default().hash().0, "attempt": 1, "commit": "c".repeat(40)});
    let named = |name: &str| {
        seen(json!({"name": name, "annotations": {"ml-deploy/release": record.to_string()}})).record
    };
    assert!(named("x/api-1").is_some());
    assert!(named("x/api-2").is_none());
}
