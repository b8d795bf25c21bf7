//! Pairs of documents and what each difference means. The verdicts follow the published rules of
//! oasdiff and of OpenAPITools/openapi-diff; rows on which these disagree say so.

mod operations;
mod values;

use serde_json::{Value, json};

use super::change::Level;
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
