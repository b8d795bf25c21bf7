use serde_json::{Value, json};

use super::{Body, Checker, Heard, Kind, Probe, Probes, judge, probes};
use crate::verify::openapi::Document;

/// An API as FastAPI describes it.
fn document() -> Document {
    let measure = json!({"type": "number", "exclusiveMinimum": 0, "maximum": 10});
    Document::new(json!({
        "openapi": "3.1.0",
        "components": {"schemas": {
            "Measures": {"type": "object", "required": ["length", "width"], "properties": {
                "length": measure, "width": measure,
                "unit": {"enum": ["cm", "inch"], "type": "string"},
                "note": {"anyOf": [{"type": "string", "maxLength": 8}, {"type": "null"}]}}},
            "Prediction": {"type": "object", "required": ["label"], "properties": {
                "label": {"type": "string", "enum": ["setosa", "virginica"]},
                "probability": {"type": "number", "minimum": 0, "maximum": 1}}},
        }},
        "paths": {
            "/predict": {"post": {
                "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Measures"}}}},
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Prediction"}}}},
                    "422": {"description": "wrong"}}}},
            "/models/{name}": {
                "get": {
                    "parameters": [
                        {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}},
                        {"name": "top", "in": "query", "required": true, "schema": {"type": "integer", "minimum": 1}}],
                    "responses": {"2XX": {}}},
                "delete": {"responses": {"204": {}}}},
        }}))
    .expect("a document")
}

fn made() -> Probes {
    let document = document();
    probes(&document, &Checker::new(&document))
}

fn named(name: &str) -> Probe {
    let probes = made().probes;
    let names: Vec<_> = probes.iter().map(|probe| probe.name.clone()).collect();
    let found = probes.into_iter().find(|probe| probe.name == name);
    found.unwrap_or_else(|| panic!("{name} is not among {names:#?}"))
}

#[test]
fn requests_lie_on_both_sides_of_every_rule() {
    let body = |name: &str| match named(name).body {
        Some(Body::Json(value)) => value,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(named("POST /predict").kind, Kind::Allowed);
    assert!(
        body("POST /predict")["length"]
            .as_f64()
            .is_some_and(|it| it > 0.0 && it <= 10.0)
    );
    assert_eq!(
        body("POST /predict, `length` at its most")["length"],
        json!(10.0)
    );
    assert_eq!(
        body("POST /predict, `unit` \"inch\"")["unit"],
        json!("inch")
    );
    assert_eq!(body("POST /predict, `note` null")["note"], Value::Null);
    assert_eq!(
        body("POST /predict, only what is required")
            .as_object()
            .map(|it| it.len()),
        Some(2)
    );
    for forbidden in [
        "POST /predict, `length` too large",
        "POST /predict, `length` too small",
        "POST /predict, `length` a text",
        "POST /predict, `length` null",
        "POST /predict, without `width`",
        "POST /predict, `unit` a value that is not listed",
        "POST /predict, a text",
        "POST /predict, a body cut off",
        "POST /predict, without a body",
        "GET /models/{name}, without the parameter `top`",
        "GET /models/{name}, the parameter `top` no number",
    ] {
        assert_eq!(named(forbidden).kind, Kind::Forbidden, "{forbidden}");
    }
    assert_eq!(named("GET /models/{name}").path, "/models/aaaaa?top=1");
    let left_out: Vec<_> = made().left_out.iter().map(ToString::to_string).collect();
    assert_eq!(left_out, ["DELETE /models/{name}: not sent: it deletes"]);
}

#[test]
fn each_request_is_on_the_side_that_it_says() {
    let document = document();
    let checker = Checker::new(&document);
    let mut seen = 0;
    for probe in probes(&document, &checker).probes {
        let Some(Body::Json(value)) = &probe.body else {
            continue;
        };
        let errors = checker
            .errors("/components/schemas/Measures", value)
            .expect("a schema");
        assert_eq!(
            errors.is_empty(),
            probe.kind == Kind::Allowed,
            "{}: {value}",
            probe.name
        );
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn answers() {
    let document = document();
    let checker = Checker::new(&document);
    let allowed = named("POST /predict");
    let forbidden = named("POST /predict, without `width`");
    let json = Some("application/json; charset=utf-8");
    let good = r#"{"label": "setosa", "probability": 0.9}"#;
    for (probe, status, content_type, body, says) in [
        (&allowed, 200, json, good, None),
        (
            &allowed,
            200,
            json,
            r#"{"label": "rose"}"#,
            Some("/label: \"rose\" is not one of"),
        ),
        (
            &allowed,
            200,
            json,
            r#"{"probability": 0.9}"#,
            Some("\"label\" is a required property"),
        ),
        (
            &allowed,
            200,
            json,
            r#"{"label": "setosa", "probability": 1.5}"#,
            Some("/probability"),
        ),
        (&allowed, 200, json, "<html>", Some("the body is not JSON")),
        (
            &allowed,
            200,
            Some("text/html"),
            good,
            Some("the content type is text/html; the document has application/json"),
        ),
        (
            &allowed,
            200,
            None,
            good,
            Some("the content type is no type"),
        ),
        (&allowed, 204, None, "", Some("204: not in the document")),
        (&allowed, 422, json, "{}", Some("the API refuses it")),
        (
            &allowed,
            500,
            json,
            "{}",
            Some("no request may be answered with 5xx"),
        ),
        (&allowed, 403, None, "", None),
        (&forbidden, 422, json, r#"{"detail": []}"#, None),
        (&forbidden, 400, None, "", Some("400: not in the document")),
        (&forbidden, 200, json, good, Some("4xx is owed")),
        (&forbidden, 500, None, "", Some("5xx")),
    ] {
        let found = judge(
            &document,
            &checker,
            probe,
            Heard {
                status,
                content_type,
                body: body.as_bytes(),
            },
        );
        match says {
            None => assert_eq!(
                found,
                Vec::<String>::new(),
                "{} {status} {body}",
                probe.name
            ),
            Some(says) => assert!(
                found.iter().any(|it| it.contains(says)),
                "{status} {body}: {found:?}"
            ),
        }
    }
    let model = named("GET /models/{name}");
    let found = judge(
        &document,
        &checker,
        &model,
        Heard {
            status: 204,
            content_type: None,
            body: b"",
        },
    );
    assert_eq!(found, Vec::<String>::new(), "2XX covers 204");
}

#[test]
fn a_document_of_3_0_is_read_as_it_is_meant() {
    let document = Document::new(json!({"openapi": "3.0.3", "paths": {"/p": {"post": {
        "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {
            "x": {"type": "number", "nullable": true, "minimum": 0, "exclusiveMinimum": true}}}}}},
        "responses": {"200": {}}}}}}))
    .expect("a document");
    let checker = Checker::new(&document);
    let at = "/paths/~1p/post/requestBody/content/application~1json/schema";
    let fits = |value: Value| checker.errors(at, &value).expect("a schema").is_empty();
    assert!(fits(json!({"x": null})));
    assert!(fits(json!({"x": 0.5})));
    assert!(!fits(json!({"x": 0})));
}

#[test]
fn what_cannot_be_filled_is_left_out_with_its_reason() {
    let document = Document::new(json!({"openapi": "3.1.0", "paths": {
        "/a": {"post": {"requestBody": {"content": {"application/json": {"schema": {"type": "object", "required": ["id"],
            "properties": {"id": {"type": "string", "pattern": "^[A-Z]{3}$"}}}}}}, "responses": {}}},
        "/b": {"post": {"requestBody": {"content": {"application/json": {"schema": {"type": "object", "required": ["id"],
            "properties": {"id": {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["ABC"]}}}}}}, "responses": {}}},
        "/c": {"post": {"requestBody": {"content": {"multipart/form-data": {}}}, "responses": {}}},
        "/d": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/nowhere"}}}}, "responses": {}}},
    }}))
    .expect("a document");
    let made = probes(&document, &Checker::new(&document));
    assert!(made.probes.iter().any(|probe| probe.name == "POST /b"));
    let left_out: Vec<_> = made
        .left_out
        .iter()
        .map(|it| it.operation.as_str())
        .collect();
    assert_eq!(left_out, ["POST /a", "POST /c", "POST /d"]);
}
