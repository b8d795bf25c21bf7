//! Pairs of documents and what each difference means. The verdicts follow the published rules of
//! oasdiff and of OpenAPITools/openapi-diff; rows on which these disagree say so.

use serde_json::{Value, json};

use super::change::Level::{self, Addition, Breaking, Doubtful, Note};
use super::{Change, Document, compare};

fn document(paths: Value) -> Document {
    let root = json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths});
    Document::new(root).expect("a document")
}

/// A `POST /predict` that takes and gives these schemas.
fn predict(request: &Value, response: &Value) -> Document {
    document(json!({"/predict": {"post": {
        "requestBody": {"required": true, "content": {"application/json": {"schema": request}}},
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": response}}}},
    }}}))
}

fn changes(old: &Document, new: &Document) -> Vec<Change> {
    compare(old, new).expect("comparable")
}

fn told(found: &[Change]) -> Vec<(&'static str, Level)> {
    found.iter().map(|it| (it.rule, it.level)).collect()
}

/// What a changed schema means in a request and in a response.
#[track_caller]
fn schema_pair(old: Value, new: Value, request: (&str, Level), response: (&str, Level)) {
    let any = json!({});
    let found = told(&changes(&predict(&old, &any), &predict(&new, &any)));
    assert_eq!(found, [request], "request: {old} → {new}");
    let found = told(&changes(&predict(&any, &old), &predict(&any, &new)));
    assert_eq!(found, [response], "response: {old} → {new}");
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

#[test]
fn properties_that_come_and_go() {
    let one = object(json!({"a": {"type": "string"}}), &["a"]);
    let optional = object(
        json!({"a": {"type": "string"}, "b": {"type": "string"}}),
        &["a"],
    );
    let required = object(
        json!({"a": {"type": "string"}, "b": {"type": "string"}}),
        &["a", "b"],
    );
    for (old, new, request, response) in [
        (
            &one,
            &required,
            ("request-required-property-added", Breaking),
            ("response-property-added", Addition),
        ),
        (
            &one,
            &optional,
            ("request-optional-property-added", Addition),
            ("response-property-added", Addition),
        ),
        (
            &required,
            &one,
            ("request-property-removed", Doubtful),
            ("response-required-property-removed", Breaking),
        ),
        (
            &optional,
            &one,
            ("request-property-removed", Doubtful),
            ("response-optional-property-removed", Doubtful),
        ),
        (
            &optional,
            &required,
            ("request-property-became-required", Breaking),
            ("response-property-became-required", Note),
        ),
        (
            &required,
            &optional,
            ("request-property-became-optional", Addition),
            ("response-property-became-optional", Breaking),
        ),
    ] {
        schema_pair(old.clone(), new.clone(), request, response);
    }
}

#[test]
fn a_default_does_not_excuse_a_new_required_property() {
    let old = object(json!({}), &[]);
    let new = object(json!({"b": {"type": "string", "default": "x"}}), &["b"]);
    let found = changes(&predict(&old, &json!({})), &predict(&new, &json!({})));
    assert_eq!(
        told(&found),
        [("request-required-property-added", Breaking)]
    );
}

#[test]
fn a_closed_object_refuses_what_it_took() {
    let closed = |properties: Value| {
        let mut schema = object(properties, &[]);
        schema["additionalProperties"] = json!(false);
        schema
    };
    let old = closed(json!({"a": {"type": "string"}, "b": {"type": "string"}}));
    let new = closed(json!({"a": {"type": "string"}}));
    let found = changes(&predict(&old, &json!({})), &predict(&new, &json!({})));
    assert_eq!(told(&found), [("request-property-forbidden", Breaking)]);
}

#[test]
fn values_that_are_allowed() {
    let cases = [
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!({"type": "string", "enum": ["a"]}),
            ("enum-value-removed", Breaking),
            ("enum-value-removed", Note),
        ),
        // openapi-diff calls the new value of a response breaking, oasdiff warns.
        (
            json!({"type": "string", "enum": ["a"]}),
            json!({"type": "string", "enum": ["a", "b"]}),
            ("enum-value-added", Addition),
            ("enum-value-added", Doubtful),
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "enum": ["a"]}),
            ("enum-introduced", Breaking),
            ("enum-introduced", Note),
        ),
        (
            json!({"type": "string", "const": "a"}),
            json!({"type": "string"}),
            ("enum-dropped", Addition),
            ("enum-dropped", Breaking),
        ),
        (
            json!({"type": "integer"}),
            json!({"type": "number"}),
            ("type-widened", Addition),
            ("type-widened", Breaking),
        ),
        (
            json!({"type": "number"}),
            json!({"type": "integer"}),
            ("type-narrowed", Breaking),
            ("type-narrowed", Note),
        ),
        (
            json!({"type": "string"}),
            json!({"type": "integer"}),
            ("type-changed", Breaking),
            ("type-changed", Breaking),
        ),
        (
            json!({"type": ["string", "integer"]}),
            json!({"type": "string"}),
            ("type-narrowed", Breaking),
            ("type-narrowed", Note),
        ),
        (
            json!({"type": "string"}),
            json!({"type": ["string", "null"]}),
            ("null-allowed", Addition),
            ("null-allowed", Breaking),
        ),
        (
            json!({"type": ["string", "null"]}),
            json!({"type": "string"}),
            ("null-forbidden", Breaking),
            ("null-forbidden", Note),
        ),
    ];
    for (old, new, request, response) in cases {
        schema_pair(old, new, request, response);
    }
}

#[test]
fn formats() {
    let of = |format: Option<&str>| match format {
        Some(format) => json!({"type": "integer", "format": format}),
        None => json!({"type": "integer"}),
    };
    for (old, new, request, response) in [
        (
            Some("int32"),
            Some("int64"),
            ("format-widened", Addition),
            ("format-widened", Breaking),
        ),
        (
            Some("int64"),
            Some("int32"),
            ("format-narrowed", Breaking),
            ("format-narrowed", Note),
        ),
        (
            Some("int64"),
            None,
            ("format-dropped", Addition),
            ("format-dropped", Breaking),
        ),
        (
            None,
            Some("int64"),
            ("format-demanded", Breaking),
            ("format-demanded", Note),
        ),
        (
            Some("uuid"),
            Some("email"),
            ("format-changed", Breaking),
            ("format-changed", Breaking),
        ),
    ] {
        schema_pair(of(old), of(new), request, response);
    }
}

#[test]
fn bounds() {
    let with = |key: &str, value: Option<f64>| match value {
        Some(value) => json!({"type": "number", key: value}),
        None => json!({"type": "number"}),
    };
    let tightened = (("bound-tightened", Breaking), ("bound-tightened", Note));
    let loosened = (("bound-loosened", Addition), ("bound-loosened", Breaking));
    // oasdiff's later triage calls a new bound of a request an error; openapi-diff does as well.
    let introduced = (("bound-introduced", Breaking), ("bound-introduced", Note));
    let dropped = (("bound-dropped", Addition), ("bound-dropped", Breaking));
    for (key, old, new, (request, response)) in [
        ("maximum", Some(10.0), Some(5.0), tightened),
        ("maximum", Some(5.0), Some(10.0), loosened),
        ("minimum", Some(0.0), Some(1.0), tightened),
        ("minimum", Some(1.0), Some(0.0), loosened),
        ("exclusiveMaximum", Some(10.0), Some(9.0), tightened),
        ("maxLength", None, Some(8.0), introduced),
        ("minItems", Some(1.0), None, dropped),
    ] {
        schema_pair(with(key, old), with(key, new), request, response);
    }
}

#[test]
fn ten_and_ten_point_zero_are_one_bound() {
    let (old, new) = (
        json!({"type": "number", "maximum": 10}),
        json!({"type": "number", "maximum": 10.0}),
    );
    assert_eq!(changes(&predict(&old, &old), &predict(&new, &new)), []);
}

#[test]
fn patterns_multiples_and_unique_items() {
    let cases = [
        (
            json!({"type": "string"}),
            json!({"type": "string", "pattern": "^a"}),
            ("pattern-introduced", Breaking),
            ("pattern-introduced", Note),
        ),
        (
            json!({"type": "string", "pattern": "^a"}),
            json!({"type": "string", "pattern": "^b"}),
            ("pattern-changed", Doubtful),
            ("pattern-changed", Doubtful),
        ),
        (
            json!({"type": "string", "pattern": "^a"}),
            json!({"type": "string"}),
            ("pattern-dropped", Addition),
            ("pattern-dropped", Breaking),
        ),
        (
            json!({"type": "integer", "multipleOf": 2}),
            json!({"type": "integer", "multipleOf": 4}),
            ("multiple-of-tightened", Breaking),
            ("multiple-of-tightened", Note),
        ),
        (
            json!({"type": "array"}),
            json!({"type": "array", "uniqueItems": true}),
            ("unique-items-demanded", Breaking),
            ("unique-items-demanded", Note),
        ),
    ];
    for (old, new, request, response) in cases {
        schema_pair(old, new, request, response);
    }
}

#[test]
fn properties_that_are_not_named() {
    let with = |additional: Value| json!({"type": "object", "additionalProperties": additional});
    schema_pair(
        with(json!(true)),
        with(json!(false)),
        ("additional-properties-closed", Breaking),
        ("additional-properties-closed", Note),
    );
    schema_pair(
        with(json!(false)),
        with(json!(true)),
        ("additional-properties-opened", Addition),
        ("additional-properties-opened", Note),
    );
    schema_pair(
        with(json!({"type": "integer"})),
        with(json!({"type": "number"})),
        ("type-widened", Addition),
        ("type-widened", Breaking),
    );
}

#[test]
fn alternatives() {
    let text = json!({"type": "string"});
    let number = json!({"type": "number"});
    let flag = json!({"type": "boolean"});
    for key in ["oneOf", "anyOf"] {
        let two = json!({key: [text, number]});
        let three = json!({key: [text, number, flag]});
        schema_pair(
            two.clone(),
            three.clone(),
            ("alternative-added", Addition),
            ("alternative-added", Breaking),
        );
        schema_pair(
            three,
            two.clone(),
            ("alternative-removed", Breaking),
            ("alternative-removed", Note),
        );
        schema_pair(
            text.clone(),
            two,
            ("alternative-added", Addition),
            ("alternative-added", Breaking),
        );
    }
}

/// Documents that say the same in other words.
#[test]
fn spellings_are_no_changes() {
    let text = json!({"type": "string"});
    let pairs = [
        (
            json!({"type": ["string", "null"]}),
            json!({"anyOf": [text, {"type": "null"}]}),
        ),
        (
            json!({"type": "string", "nullable": true}),
            json!({"oneOf": [{"type": "null"}, text]}),
        ),
        (
            json!({"const": "a"}),
            json!({"type": "string", "enum": ["a"]}),
        ),
        (
            json!({"allOf": [{"type": "string"}, {"maxLength": 4}]}),
            json!({"type": "string", "maxLength": 4}),
        ),
        (
            json!({"type": "number", "minimum": 0, "exclusiveMinimum": true}),
            json!({"type": "number", "exclusiveMinimum": 0}),
        ),
        (
            json!({"type": "string", "title": "A"}),
            json!({"type": "string", "description": "b"}),
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "number"}]}),
            json!({"oneOf": [{"type": "number"}, {"type": "string"}]}),
        ),
    ];
    for (old, new) in pairs {
        let found = changes(&predict(&old, &old), &predict(&new, &new));
        assert_eq!(found, [], "{old} → {new}");
    }
}

#[test]
fn a_model_that_becomes_optional_is_one_change() {
    let model = object(json!({"x": {"type": "number"}}), &["x"]);
    let old = object(json!({"m": model}), &["m"]);
    let new = object(json!({"m": {"anyOf": [model, {"type": "null"}]}}), &["m"]);
    schema_pair(
        old,
        new,
        ("null-allowed", Addition),
        ("null-allowed", Breaking),
    );
}

#[test]
fn a_renamed_model_is_no_change() {
    let with = |name: &str| {
        let reference = format!("#/components/schemas/{name}");
        Document::new(json!({"openapi": "3.1.0",
            "components": {"schemas": {name: {"type": "object", "properties": {"x": {"type": "number"}}}}},
            "paths": {"/predict": {"post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": reference}}}},
                "responses": {"200": {"content": {"application/json": {"schema":
                    {"anyOf": [{"$ref": reference}, {"type": "string"}]}}}}}}}}}))
        .expect("a document")
    };
    assert_eq!(changes(&with("W"), &with("W-Output")), []);
}

#[test]
fn a_schema_that_holds_itself_ends() {
    let tree = |kind: &str| {
        Document::new(json!({"openapi": "3.1.0",
            "components": {"schemas": {"Node": {"type": "object", "properties": {
                "value": {"type": kind}, "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}}}}}},
            "paths": {"/predict": {"post": {"responses": {"200": {"content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/Node"}}}}}}}}}))
        .expect("a document")
    };
    let found = changes(&tree("integer"), &tree("string"));
    assert_eq!(told(&found), [("type-changed", Breaking)]);
    assert_eq!(
        found[0].pointer,
        "/components/schemas/Node/properties/value"
    );
    let circle = |to: &str| {
        document(
            json!({"/p": {"get": {"responses": {"200": {"content": {"a/b": {
        "schema": {"$ref": format!("#/paths/~1p/get/responses/{to}/content/a~1b/schema")}}}}}}}}),
        )
    };
    assert_eq!(changes(&circle("200"), &circle("200")), []);
}

#[test]
fn what_goes_only_one_way_breaks_only_that_way() {
    let read_only = object(json!({"id": {"type": "string", "readOnly": true}}), &["id"]);
    let without = object(json!({}), &[]);
    let request = changes(
        &predict(&without, &json!({})),
        &predict(&read_only, &json!({})),
    );
    assert_eq!(request, []);
    let response = changes(
        &predict(&json!({}), &read_only),
        &predict(&json!({}), &without),
    );
    assert_eq!(
        told(&response),
        [("response-required-property-removed", Breaking)]
    );
}

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
