//! What each API has of its own: operations and errors, Knative's form, GitHub.

use serde_json::{Value, json};
use testkit::judge::Part;

use super::{SERVICE, exchange, only, set};
use crate::{Told, judge};

#[test]
fn operations_and_errors_are_looked_into() -> Told {
    let Some(judge) = judge() else { return Ok(()) };
    let url = "type.googleapis.com/google.cloud.run.v2";
    let operations = [
        (
            json!({"name": "o", "metadata": {"name": "s"}}),
            "/metadata/@type",
            "missing",
        ),
        (
            json!({"name": "o", "metadata": {"@type": format!("{url}.Novelty")}}),
            "/metadata/@type",
            "no document knows",
        ),
        (
            json!({"name": "o", "metadata": {"@type": format!("{url}.Service"), "novel": 1}}),
            "/metadata/novel",
            "no field",
        ),
        (json!({"name": "o", "done": true}), "/done", "has 0 of"),
        (
            json!({"name": "o", "response": {"@type": format!("{url}.Service")}}),
            "/done",
            "not 0",
        ),
        (
            json!({"name": "o", "done": true, "error": {"code": 5, "message": "m", "status": "NOT_FOUND"}}),
            "/error/status",
            "no field",
        ),
    ];
    for (answer, pointer, text) in operations {
        let path = "/v2/projects/p/locations/l/operations/o";
        let found = judge
            .judge(&[exchange("GET", path, Value::Null, answer)])
            .violations;
        assert!(
            found
                .iter()
                .any(|it| it.pointer == pointer && it.text.contains(text)),
            "{pointer}: {found:#?}"
        );
    }
    // A revision's deletion holds a revision.
    let deletion = json!({"name": "o", "metadata": {"@type": format!("{url}.Service")}});
    let path = format!("{SERVICE}/revisions/r");
    let found = only(judge, exchange("DELETE", &path, Value::Null, deletion));
    assert_eq!(found.pointer, "/metadata/@type", "{found}");

    let violation = "type.googleapis.com/google.rpc.BadRequest";
    let errors = [
        (
            json!({"error": {"code": 404, "message": "m", "status": "NOT_FOUND"}}),
            "/error/code",
            "the HTTP status is 400",
        ),
        (
            json!({"error": {"code": 400, "message": "m", "status": "BAD"}}),
            "/error/status",
            "does not belong",
        ),
        (
            json!({"error": {"code": 400, "status": "INVALID_ARGUMENT"}}),
            "/error/message",
            "missing",
        ),
        (
            json!({"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT", "novel": 1}}),
            "/error/novel",
            "no field of an error",
        ),
        (
            json!({"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT", "details": [
                {"@type": violation, "fieldViolations": [{"field": "f", "why": "w"}]},
            ]}}),
            "/error/details/0/fieldViolations/0/why",
            "no field",
        ),
    ];
    for (answer, pointer, text) in errors {
        let mut refusal = exchange("GET", SERVICE, Value::Null, answer);
        refusal.status = 400;
        let found = judge.judge(&[refusal]).violations;
        assert!(
            found
                .iter()
                .any(|it| it.pointer == pointer && it.text.contains(text)),
            "{pointer}: {found:#?}"
        );
    }
    Ok(())
}

#[test]
fn the_knative_form_has_a_document_of_its_own() -> Told {
    let Some(judge) = judge() else { return Ok(()) };
    let path = "/apis/serving.knative.dev/v1/namespaces/p/services/s";
    let right = json!({
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": {"name": "s", "generation": 3},
        "spec": {"traffic": [{"latestRevision": true, "percent": 100}]},
    });
    let verdict = judge.judge(&[exchange("GET", path, Value::Null, right.clone())]);
    assert!(verdict.violations.is_empty(), "{verdict}");
    for (place, value) in [
        ("/reconciling", json!(true)),
        ("/metadata/generation", json!("3")),
        (
            "/spec/traffic/0/type",
            json!("TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"),
        ),
    ] {
        let mut answer = right.clone();
        set(&mut answer, place, value);
        assert_eq!(
            only(judge, exchange("GET", path, Value::Null, answer)).pointer,
            place
        );
    }
    // The host decides between two APIs that have the same path.
    let mut elsewhere = exchange("GET", path, Value::Null, right);
    elsewhere.host = "logging.googleapis.com".to_owned();
    assert_eq!(only(judge, elsewhere).part, Part::Route);
    Ok(())
}

#[test]
fn github_is_held_to_its_own_description() -> Told {
    let Some(judge) = judge() else { return Ok(()) };
    let path = "/repos/o/r/environments/production";
    let right = json!({
        "id": 1, "node_id": "n", "name": "production",
        "url": "https://api.github.com/repos/o/r/environments/production",
        "html_url": "https://github.com/o/r/deployments",
        "created_at": "2026-11-24T07:02:30Z", "updated_at": "2026-11-24T07:02:30Z",
        "protection_rules": [{"id": 2, "node_id": "m", "type": "wait_timer", "wait_timer": 30}],
        "deployment_branch_policy": null,
    });
    let verdict = judge.judge(&[exchange("GET", path, Value::Null, right.clone())]);
    assert!(verdict.violations.is_empty(), "{verdict}");
    for (place, value, text) in [
        ("/novel", json!(1), "novel"),
        ("/id", json!("1"), "integer"),
        ("/created_at", json!("yesterday"), "date-time"),
        (
            "/deployment_branch_policy",
            json!({"protected_branches": true}),
            "",
        ),
    ] {
        let mut answer = right.clone();
        set(&mut answer, place, value);
        let found = judge
            .judge(&[exchange("GET", path, Value::Null, answer)])
            .violations;
        assert!(
            found
                .iter()
                .any(|it| it.part == Part::Answer && it.text.contains(text)),
            "{place}: {found:#?}"
        );
    }
    let mut asked = exchange("GET", path, Value::Null, right);
    asked.query = Some("novel=1".to_owned());
    assert_eq!(only(judge, asked).part, Part::Query);
    Ok(())
}
