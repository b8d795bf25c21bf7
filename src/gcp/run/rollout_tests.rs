use serde_json::{Value, json};

use super::*;

const RECORD: &str = "{\"version\":1}";

/// Generation 3 is ours: revision `api-2` at 0 % under tag `c-1`, all traffic on `api-1`.
fn service(changes: &Value) -> Service {
    let mut whole = json!({
        "name": "projects/p/locations/l/services/api",
        "generation": "3", "observedGeneration": "3",
        "annotations": {"ml-deploy/state": RECORD},
        "latestReadyRevision": "projects/p/locations/l/services/api/revisions/api-2",
        "latestCreatedRevision": "projects/p/locations/l/services/api/revisions/api-2",
        "trafficStatuses": [
            {"revision": "api-1", "percent": 100},
            {"revision": "api-2", "tag": "c-1", "uri": "https://c-1---api"}
        ],
        "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"}
    });
    for (key, field) in changes.as_object().unwrap() {
        whole[key] = field.clone();
    }
    serde_json::from_value(whole).unwrap()
}

fn pending(revision: Option<&str>) -> Pending {
    let traffic: Vec<cloud_api::run::TrafficTarget> = serde_json::from_value(json!([
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "api-1", "percent": 100},
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "api-2", "tag": "c-1"}
    ]))
    .unwrap();
    Pending {
        generation: Some(3),
        record: RECORD.to_owned(),
        revision: revision.map(|name| traffic::short(name).unwrap()),
        traffic: Some(traffic::from_wire(&traffic).unwrap()),
        ..Pending::default()
    }
}

#[test]
fn a_rollout_is_judged_by_the_service() {
    let failed = json!({"type": "Ready", "state": "CONDITION_FAILED", "message": "port"});
    let old_ready = "projects/p/locations/l/services/api/revisions/api-1";
    let text = || Standing::Failed("port".to_owned());
    for (changes, error, expected) in [
        (json!({}), None, Standing::InEffect),
        (json!({"reconciling": true}), None, Standing::Waiting),
        (json!({"observedGeneration": "2"}), None, Standing::Waiting),
        (
            json!({"generation": "2", "observedGeneration": "2"}),
            None,
            Standing::Waiting,
        ),
        (json!({"generation": "4"}), None, Standing::Foreign),
        (json!({"annotations": {}}), None, Standing::Foreign),
        (
            json!({"latestReadyRevision": old_ready, "terminalCondition": failed,
                "observedGeneration": "2"}),
            None,
            text(),
        ),
        (
            json!({"latestReadyRevision": old_ready}),
            None,
            Standing::Waiting,
        ),
        // The condition is behind; the operation knows already.
        (
            json!({"latestReadyRevision": old_ready}),
            Some("port"),
            text(),
        ),
        (json!({"trafficStatuses": []}), None, Standing::Waiting),
    ] {
        let standing = judge(&service(&changes), &pending(Some("api-2")), error);
        assert_eq!(standing, expected, "{changes} {error:?}");
    }
}

#[test]
fn an_older_revision_that_failed_does_not_spoil_a_change_of_traffic() {
    let changes = json!({"observedGeneration": "1", "terminalCondition":
        {"type": "Ready", "state": "CONDITION_FAILED", "message": "api-9 is not ready"}});
    assert_eq!(
        judge(
            &service(&changes),
            &pending(None),
            Some("api-9 is not ready")
        ),
        Standing::InEffect
    );
    let mut other = changes;
    other["trafficStatuses"] = json!([{"revision": "api-9", "percent": 100}]);
    assert_eq!(
        judge(&service(&other), &pending(None), None),
        Standing::Failed("api-9 is not ready".to_owned())
    );
}

#[test]
fn a_lost_answer_is_judged_by_the_record_alone() {
    let unknown = Pending {
        generation: None,
        ..pending(Some("api-2"))
    };
    assert_eq!(
        judge(
            &service(&json!({"generation": "9", "observedGeneration": "9"})),
            &unknown,
            None
        ),
        Standing::InEffect
    );
}
