//! The judge bites: what was said, changed in one place, is refused at that place.

use emulator::admin::Exchange;
use serde_json::{Value, json};
use testkit::judge::{Judge, Part, Violation};

use super::{Told, judge};

const SERVICE: &str = "/v2/projects/p/locations/l/services/s";

/// An exchange as it should be.
fn exchange(method: &str, path: &str, request: Value, response: Value) -> Exchange {
    let text = |value: Value| (!value.is_null()).then(|| value.to_string());
    let json = Some("application/json".to_owned());
    Exchange {
        method: method.to_owned(),
        path: path.to_owned(),
        request_type: json.clone(),
        request: text(request),
        status: 200,
        response_type: json,
        response: text(response),
        ..Exchange::default()
    }
}

fn patch(request: Value) -> Exchange {
    let answer = json!({"name": "projects/p/locations/l/operations/o", "metadata": {
        "@type": "type.googleapis.com/google.cloud.run.v2.Service",
        "name": "projects/p/locations/l/services/s",
    }});
    exchange("PATCH", SERVICE, request, answer)
}

fn service() -> Value {
    json!({
        "name": "projects/p/locations/l/services/s",
        "generation": "3",
        "createTime": "2026-11-24T07:02:30.000000Z",
        "ingress": "INGRESS_TRAFFIC_ALL",
        "template": {"timeout": "300s", "containers": [{"image": "i", "ports": [{"containerPort": 8080}]}]},
        "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
        "reconciling": true,
    })
}

/// The one thing that the judge finds.
fn only(judge: &Judge, exchange: Exchange) -> Violation {
    let mut violations = judge.judge(&[exchange]).violations;
    assert_eq!(violations.len(), 1, "{violations:#?}");
    violations.remove(0)
}

#[test]
fn what_is_right_passes() -> Told {
    let Some(judge) = judge() else { return Ok(()) };
    let mut read = exchange("GET", SERVICE, Value::Null, service());
    read.query = Some("$alt=json;enum-encoding=int&prettyPrint=false&$.xgafv=2".to_owned());
    let mut write = patch(json!({"template": service()["template"], "generation": "3"}));
    write.query =
        Some("updateMask=template.containers,traffic,annotations.a&allowMissing=true".to_owned());
    let verdict = judge.judge(&[read, write]);
    assert!(verdict.violations.is_empty(), "{verdict}");
    assert_eq!(
        verdict.judged.keys().collect::<Vec<_>>(),
        [
            "run.projects.locations.services.get",
            "run.projects.locations.services.patch"
        ]
    );
    Ok(())
}

#[test]
fn a_wrong_answer_is_refused_where_it_is_wrong() -> Told {
    let Some(judge) = judge() else { return Ok(()) };
    let cases: [(&str, Value, &str, &str); 12] = [
        ("/novel", json!(1), "/novel", "no field \"novel\""),
        (
            "/template/containers/0/novel",
            json!(1),
            "/template/containers/0/novel",
            "GoogleCloudRunV2Container has no field",
        ),
        (
            "/generation",
            json!(3),
            "/generation",
            "is a number, not of type string (int64)",
        ),
        ("/generation", json!("three"), "/generation", "is no int64"),
        (
            "/createTime",
            json!("yesterday"),
            "/createTime",
            "is no google-datetime",
        ),
        (
            "/template/timeout",
            json!("5m"),
            "/template/timeout",
            "is no google-duration",
        ),
        (
            "/template/containers/0/ports/0/containerPort",
            json!("8080"),
            "/template/containers/0/ports/0/containerPort",
            "is a string, not of type integer",
        ),
        (
            "/ingress",
            json!("EVERYBODY"),
            "/ingress",
            "no value of this enumeration",
        ),
        (
            "/ingress",
            json!(1),
            "/ingress",
            "is a number, not of type string",
        ),
        (
            "/traffic",
            json!({}),
            "/traffic",
            "is an object, not of type array",
        ),
        (
            "/traffic/0/percent",
            json!(0.5),
            "/traffic/0/percent",
            "is no int32",
        ),
        (
            "/reconciling",
            json!(null),
            "/reconciling",
            "is null, not of type boolean",
        ),
    ];
    for (place, value, pointer, text) in cases {
        let mut answer = service();
        set(&mut answer, place, value);
        let found = only(judge, exchange("GET", SERVICE, Value::Null, answer));
        assert_eq!(
            (found.part, &*found.pointer),
            (Part::Answer, pointer),
            "{found}"
        );
        assert!(found.text.contains(text), "{found}");
        assert_eq!(
            (&*found.method, &*found.path, found.number),
            ("GET", SERVICE, 1)
        );
    }
    Ok(())
}

#[test]
fn a_wrong_request_is_refused_where_it_is_wrong() -> Told {
    let Some(judge) = judge() else { return Ok(()) };
    let cases = [
        (json!({"novel": 1}), "/novel", "no field"),
        (
            json!({"template": {"containers": [{"image": "i", "env": [{"name": "A", "Value": "b"}]}]}}),
            "/template/containers/0/env/0/Value",
            "no field",
        ),
        (
            json!({"template": {"containers": [{"name": "c"}]}}),
            "/template/containers/0/image",
            "required",
        ),
        (json!({"uid": "u"}), "/uid", "output only"),
        (
            json!({"traffic": [{"type": 2}]}),
            "/traffic/0/type",
            "is a number",
        ),
        (json!({"labels": {"a": 1}}), "/labels/a", "is a number"),
        (
            json!({"template": {"maxInstanceRequestConcurrency": 3_000_000_000_u64}}),
            "/template/maxInstanceRequestConcurrency",
            "no int32",
        ),
    ];
    for (body, pointer, text) in cases {
        let found = only(judge, patch(body));
        assert_eq!(
            (found.part, &*found.pointer),
            (Part::Request, pointer),
            "{found}"
        );
        assert!(found.text.contains(text), "{found}");
    }
    Ok(())
}

#[test]
fn wrong_parameters_and_routes_are_refused() -> Told {
    let Some(judge) = judge() else { return Ok(()) };
    let cases = [
        (
            "updateMask=template.novel",
            "updateMask",
            "no field \"template.novel\"",
        ),
        ("update_mask=template", "update_mask", "no such parameter"),
        ("validateOnly=yes", "validateOnly", "not of type boolean"),
        ("alt=yaml", "alt", "no value of this enumeration"),
        (
            "validateOnly=true&validateOnly=true",
            "validateOnly",
            "twice",
        ),
    ];
    for (query, name, text) in cases {
        let mut write = patch(json!({}));
        write.query = Some(query.to_owned());
        let found = only(judge, write);
        assert_eq!(
            (found.part, &*found.pointer),
            (Part::Query, name),
            "{found}"
        );
        assert!(found.text.contains(text), "{found}");
    }
    for (method, path, text) in [
        ("PUT", SERVICE, "GET, PATCH only"),
        (
            "GET",
            "/v2/projects/p/locations/l/novelties",
            "no document has this path",
        ),
        ("GET", "/v3/projects/p", "no document has this path"),
        ("GET", "/repos/o/r/novelties", "no such method and path"),
    ] {
        let found = only(judge, exchange(method, path, Value::Null, json!({})));
        assert_eq!(found.part, Part::Route, "{found}");
        assert!(found.text.contains(text), "{found}");
    }
    Ok(())
}

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

/// Sets the value at a pointer whose parent is there.
fn set(root: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    if let Some(parent) = root.pointer_mut(parent) {
        parent[name] = value;
    }
}
