use cloud_api::run::TRAFFIC_REVISION;
use delivery::name::RevisionName;
use delivery::state::StateRecord;
use delivery::traffic::{Destination, TrafficSplit};

use super::*;

fn service() -> Service {
    serde_json::from_value(json!({
        "name": "projects/p/locations/l/services/api", "etag": "\"1\"",
        "annotations": {"other": "kept", "ml-deploy/state": "old"},
        "labels": {"team": "ml"},
        "template": {"revision": "api-00001-abc", "containers": [{"image": "x"}]},
        "customAudiences": ["a"],
    }))
    .unwrap()
}

fn change(state: &StateRecord) -> Change<'_> {
    Change {
        create: false,
        revision: None,
        expects: None,
        traffic: None,
        state,
        access: None,
    }
}

#[test]
fn a_record_alone_touches_annotations_only() {
    let state = StateRecord::default();
    let Patch { body, mask } = patch(&service(), &change(&state), "new").unwrap();
    assert_eq!(mask, "annotations");
    assert_eq!(
        body,
        json!({
            "name": "projects/p/locations/l/services/api", "etag": "\"1\"",
            "annotations": {"other": "kept", "ml-deploy/state": "new"},
        })
    );
}

#[test]
fn access_is_said_only_where_it_changes() {
    let state = StateRecord::default();
    let split = TrafficSplit::all_to(
        Destination::Revision(RevisionName::parse("api-2").unwrap()),
        Vec::new(),
    );
    let mut wanted = change(&state);
    wanted.traffic = Some(&split);
    wanted.access = Some(Access::Private);
    let closed = patch(&service(), &wanted, "new").unwrap();
    assert_eq!(closed.mask, "annotations,traffic");
    assert_eq!(
        closed.body["traffic"],
        json!([{"type": TRAFFIC_REVISION, "revision": "api-2", "percent": 100}])
    );
    let mut open = service();
    open.invoker_iam_disabled = true;
    let closing = patch(&open, &wanted, "new").unwrap();
    assert_eq!(closing.mask, "annotations,traffic,invokerIamDisabled");
    // Said although it is false: a field that is masked and absent would mean the same, but hidden.
    assert_eq!(closing.body["invokerIamDisabled"], json!(false));
}

#[test]
fn a_service_is_created_closed_with_everything_to_latest() {
    let state = StateRecord::default();
    let mut wanted = change(&state);
    wanted.create = true;
    wanted.access = Some(Access::Private);
    assert_eq!(
        create(&wanted, "record").unwrap(),
        json!({
            "annotations": {"ml-deploy/state": "record"},
            "traffic": [{"type": TRAFFIC_LATEST, "percent": 100}],
        })
    );
}
