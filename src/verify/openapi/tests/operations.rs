//! Operations, parameters, bodies, responses and security.

use serde_json::{Value, json};

use super::super::change::Level::{Addition, Breaking, Doubtful, Note};
use super::{changes, document, told};
use crate::verify::openapi::Document;

fn operation(operation: Value) -> Document {
    document(json!({"/models/{id}": {"get": operation}}))
}

#[test]
fn operations() {
    let ok = json!({"responses": {"200": {"description": ""}}});
    let one = document(json!({"/a": {"get": ok}}));
    let two = document(json!({"/a": {"get": ok, "post": ok}, "/b": {"get": ok}}));
    assert_eq!(
        told(&changes(&one, &two)),
        [("operation-added", Addition); 2]
    );
    let gone = changes(&two, &one);
    assert_eq!(
        told(&gone),
        [("method-removed", Breaking), ("path-removed", Breaking)]
    );
    assert_eq!(gone[1].operation, "GET /b");
    assert_eq!(gone[1].pointer, "/paths/~1b/get");
    let renamed = document(json!({"/models/{model_id}": {"get": ok}}));
    assert_eq!(changes(&operation(ok.clone()), &renamed), []);
    let deprecated = json!({"deprecated": true, "responses": {"200": {"description": ""}}});
    assert_eq!(
        told(&changes(&operation(ok), &operation(deprecated))),
        [("operation-deprecated", Note)]
    );
}

#[test]
fn parameters() {
    let with = |parameters: Value| operation(json!({"parameters": parameters, "responses": {}}));
    let query = |required: bool, extra: Value| {
        let mut it = json!({"name": "top", "in": "query", "required": required, "schema": {"type": "integer"}});
        for (key, value) in extra.as_object().into_iter().flatten() {
            it[key.as_str()] = value.clone();
        }
        it
    };
    let none = || json!([]);
    let optional = || json!([query(false, json!({}))]);
    let required = || json!([query(true, json!({}))]);
    let exploding = |explode: bool| json!([query(false, json!({"explode": explode}))]);
    let defaulting = |to: u64| {
        json!([query(
            false,
            json!({"schema": {"type": "integer", "default": to}})
        )])
    };
    let moved =
        json!([{"name": "top", "in": "header", "required": true, "schema": {"type": "integer"}}]);
    for (old, new, expected) in [
        (
            none(),
            required(),
            vec![("required-parameter-added", Breaking)],
        ),
        (
            none(),
            optional(),
            vec![("optional-parameter-added", Addition)],
        ),
        (optional(), none(), vec![("parameter-removed", Doubtful)]),
        (
            optional(),
            required(),
            vec![("parameter-became-required", Breaking)],
        ),
        (
            required(),
            optional(),
            vec![("parameter-became-optional", Addition)],
        ),
        (
            required(),
            moved,
            vec![
                ("parameter-removed", Doubtful),
                ("required-parameter-added", Breaking),
            ],
        ),
        (
            exploding(true),
            exploding(false),
            vec![("parameter-style-changed", Breaking)],
        ),
        // oasdiff had an error here and takes it back; openapi-diff calls it compatible.
        (
            defaulting(1),
            defaulting(2),
            vec![
                ("parameter-default-changed", Doubtful),
                ("property-default-changed", Note),
            ],
        ),
    ] {
        let found = changes(&with(old.clone()), &with(new.clone()));
        assert_eq!(told(&found), expected, "{old} → {new}");
    }
}

#[test]
fn bodies_and_media_types() {
    let with = |body: Value| operation(json!({"requestBody": body, "responses": {}}));
    let without = || operation(json!({"responses": {}}));
    let json_body =
        |required: bool| json!({"required": required, "content": {"application/json": {}}});
    let both = json!({"required": true, "content": {"application/json": {}, "text/csv": {}}});
    for (old, new, expected) in [
        (
            without(),
            with(json_body(true)),
            ("request-body-added-required", Breaking),
        ),
        (
            without(),
            with(json_body(false)),
            ("request-body-added-optional", Addition),
        ),
        (
            with(json_body(true)),
            without(),
            ("request-body-removed", Breaking),
        ),
        (
            with(json_body(false)),
            with(json_body(true)),
            ("request-body-became-required", Breaking),
        ),
        (
            with(json_body(true)),
            with(json_body(false)),
            ("request-body-became-optional", Addition),
        ),
        (
            with(json_body(true)),
            with(both.clone()),
            ("media-type-added", Addition),
        ),
        (
            with(both),
            with(json_body(true)),
            ("media-type-removed", Breaking),
        ),
    ] {
        assert_eq!(told(&changes(&old, &new)), [expected]);
    }
    let charset = json!({"required": true, "content": {"Application/JSON; charset=utf-8": {}}});
    assert_eq!(changes(&with(json_body(true)), &with(charset)), []);
}

#[test]
fn responses_and_headers() {
    let with = |responses: Value| operation(json!({"responses": responses}));
    let header = |required: bool| json!({"200": {"headers": {"X-Model": {"required": required, "schema": {"type": "string"}}}}});
    let plain = || json!({"200": {}});
    for (old, new, expected) in [
        (
            json!({"200": {}, "202": {}}),
            plain(),
            vec![("response-success-status-removed", Breaking)],
        ),
        (
            plain(),
            json!({"200": {}, "202": {}}),
            vec![("response-success-status-added", Addition)],
        ),
        (
            json!({"200": {}, "404": {}}),
            plain(),
            vec![("response-error-status-removed", Note)],
        ),
        (
            plain(),
            json!({"200": {}, "404": {}}),
            vec![("response-error-status-added", Note)],
        ),
        (
            header(true),
            plain(),
            vec![("response-required-header-removed", Breaking)],
        ),
        (
            header(false),
            plain(),
            vec![("response-optional-header-removed", Doubtful)],
        ),
        (
            header(true),
            header(false),
            vec![("response-header-became-optional", Breaking)],
        ),
        (
            plain(),
            header(true),
            vec![("response-header-added", Addition)],
        ),
    ] {
        let found = changes(&with(old.clone()), &with(new.clone()));
        assert_eq!(told(&found), expected, "{old} → {new}");
    }
}

#[test]
fn the_frameworks_own_validation_error_is_no_change() {
    let with = |text: &str| {
        operation(json!({"responses": {"200": {}, "422": {"description": text,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}}}}}))
    };
    let without = operation(json!({"responses": {"200": {}}}));
    assert_eq!(
        told(&changes(&without, &with("a"))),
        [("response-error-status-added", Note)]
    );
    assert_eq!(changes(&with("a"), &with("b")), []);
}

#[test]
fn security() {
    let with = |security: Value| operation(json!({"security": security, "responses": {}}));
    let open = || operation(json!({"responses": {}}));
    let key = || json!([{"key": []}]);
    let either = || json!([{"key": []}, {"oauth": ["read"]}]);
    for (old, new, expected) in [
        // oasdiff lists the first requirement of an open route as information: its callers fail.
        (open(), with(key()), ("security-added", Breaking)),
        (with(key()), open(), ("security-removed", Addition)),
        (
            with(either()),
            with(key()),
            ("security-tightened", Breaking),
        ),
        (
            with(key()),
            with(either()),
            ("security-alternative-added", Addition),
        ),
        (
            with(json!([{"oauth": ["read"]}])),
            with(json!([{"oauth": ["read", "write"]}])),
            ("security-tightened", Breaking),
        ),
        (
            with(key()),
            with(json!([{"key": [], "oauth": []}])),
            ("security-tightened", Breaking),
        ),
    ] {
        assert_eq!(told(&changes(&old, &new)), [expected]);
    }
}

#[test]
fn a_shared_schema_is_told_once() {
    let with = |kind: &str| {
        Document::new(json!({"openapi": "3.1.0",
            "components": {"schemas": {"Out": {"type": "object", "properties": {"label": {"type": kind}}}}},
            "paths": {
                "/a": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Out"}}}}}}},
                "/b": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Out"}}}}}}}}}))
        .expect("a document")
    };
    let found = changes(&with("string"), &with("integer"));
    assert_eq!(told(&found), [("type-changed", Breaking)]);
    assert_eq!(
        found[0].to_string(),
        "breaking: GET /a: the type of `label` changed from string to integer \
         (type-changed at #/components/schemas/Out/properties/label)"
    );
}

#[test]
fn other_documents_are_refused() {
    for (text, says) in [
        ("{", "not JSON"),
        ("[]", "no `openapi` field"),
        (r#"{"swagger": "2.0"}"#, "Swagger 2.0"),
        (r#"{"openapi": "4.0.0"}"#, "4.0.0"),
        (
            r#"{"openapi": "3.1.0", "paths": []}"#,
            "`paths` is no object",
        ),
    ] {
        let error = Document::parse(text.as_bytes())
            .expect_err(text)
            .to_string();
        assert!(error.contains(says), "{error}");
    }
}
