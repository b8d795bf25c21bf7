//! What schemas allow.

use serde_json::Value;
use serde_json::json;

use super::super::change::Level::{Addition, Breaking, Doubtful, Note};
use super::{changes, document, object, predict, schema_pair, told};
use crate::verify::openapi::Document;

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

/// `allOf` asks for all of its parts: `null` must fit each.
#[test]
fn null_is_allowed_only_where_each_part_allows_it() {
    let all = |parts: Value| json!({ "allOf": parts });
    let nullable = json!({"type": "string", "nullable": true});
    let text = json!({"type": "string"});
    // The same as before, written in another way.
    for (old, new) in [
        (all(json!([nullable, text])), text.clone()),
        (
            all(json!([nullable, {"maxLength": 4}])),
            json!({"type": ["string", "null"], "maxLength": 4}),
        ),
        (all(json!([nullable, nullable])), nullable.clone()),
        (
            all(json!([{"type": ["string", "null"]}, {"anyOf": [text, {"type": "null"}]}])),
            nullable.clone(),
        ),
        (json!({"nullable": true, "allOf": [text]}), nullable.clone()),
        (
            json!({"type": ["string", "null"], "enum": ["a"]}),
            json!({"enum": ["a"]}),
        ),
    ] {
        let any = json!({});
        let found = changes(&predict(&old, &any), &predict(&new, &any));
        assert_eq!(told(&found), [], "{old} → {new}");
    }
    let found = told(&changes(
        &predict(&all(json!([nullable, nullable])), &json!({})),
        &predict(&all(json!([nullable, text])), &json!({})),
    ));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, super::super::Level::Breaking);
}

/// What is not read may hold the change: it is not passed over.
#[test]
fn a_schema_of_too_many_parts_is_not_compared_by_half() {
    let parts: Vec<Value> = (0..300)
        .map(|number| json!({"properties": {format!("p{number}"): {"type": "string"}}}))
        .collect();
    let large = json!({ "allOf": parts });
    let any = json!({});
    let error = super::super::compare(&predict(&any, &large), &predict(&any, &large)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("too many parts") && text.contains("#/paths/~1predict/post"),
        "{text}"
    );
}
