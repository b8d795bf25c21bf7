//! The judge bites: what was said, changed in one place, is refused at that place.

mod apis;
mod recorded;

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
    only_one(judge.judge(&[exchange]).violations)
}

fn only_one(mut violations: Vec<Violation>) -> Violation {
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

/// Sets the value at a pointer whose parent is there.
fn set(root: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    if let Some(parent) = root.pointer_mut(parent) {
        parent[name] = value;
    }
}
