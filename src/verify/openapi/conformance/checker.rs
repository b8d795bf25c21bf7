//! JSON Schema validation inside an OpenAPI document.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::super::document::Document;

/// Most differences that are told of one value.
const MOST_ERRORS: usize = 5;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema at #{pointer} cannot be used: {reason}")]
pub struct SchemaError {
    /// Where it stands in the document.
    pub pointer: String,
    /// What the validator says.
    pub reason: String,
}

/// Validates values against the schemas of one document. Each schema is compiled once.
pub struct Checker {
    /// The document as JSON Schema 2020-12, which OpenAPI 3.1 uses as it is.
    root: Map<String, Value>,
    compiled: Mutex<BTreeMap<String, Arc<Validator>>>,
}

impl Checker {
    /// A checker for this document.
    pub fn new(document: &Document) -> Self {
        let mut root = document.root().clone();
        let version = root.get("openapi").and_then(Value::as_str);
        if version.is_some_and(|version| version.starts_with("3.0")) {
            modernise(&mut root);
        }
        let root = match root {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self {
            root,
            compiled: Mutex::default(),
        }
    }

    /// What is wrong with the value, each as `where: what`; empty when it fits. Each may repeat the
    /// whole value, so the caller cuts it once secrets are hidden.
    ///
    /// # Errors
    /// When the schema itself cannot be used.
    pub fn errors(&self, pointer: &str, value: &Value) -> Result<Vec<String>, SchemaError> {
        let validator = self.validator(pointer)?;
        let errors = validator.iter_errors(value).take(MOST_ERRORS);
        Ok(errors
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() {
                    "/"
                } else {
                    place.as_str()
                };
                format!("{place}: {error}")
            })
            .collect())
    }

    fn validator(&self, pointer: &str) -> Result<Arc<Validator>, SchemaError> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.get(pointer) {
            return Ok(Arc::clone(known));
        }
        let mut schema = self.root.clone();
        schema.insert("$ref".to_owned(), json!(format!("#{}", fragment(pointer))));
        let built = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .build(&Value::Object(schema));
        let validator = Arc::new(built.map_err(|error| SchemaError {
            pointer: pointer.to_owned(),
            reason: error.to_string(),
        })?);
        compiled.insert(pointer.to_owned(), Arc::clone(&validator));
        Ok(validator)
    }
}

/// A pointer as a URI fragment (RFC 6901, section 6; allowed characters: RFC 3986, section 3.5).
fn fragment(pointer: &str) -> String {
    let mut text = String::with_capacity(pointer.len());
    for byte in pointer.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => text.push(char::from(byte)),
            b'/' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// OpenAPI 3.0 says two things in its own way: `nullable`, and exclusive bounds as flags.
fn modernise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(modernise);
            for (flag, bound) in [
                ("exclusiveMinimum", "minimum"),
                ("exclusiveMaximum", "maximum"),
            ] {
                match fields.get(flag) {
                    Some(Value::Bool(true)) => {
                        if let Some(number) = fields.remove(bound) {
                            fields.insert(flag.to_owned(), number);
                        }
                    }
                    Some(Value::Bool(false)) => {
                        fields.remove(flag);
                    }
                    _ => {}
                }
            }
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
                let schema = Value::Object(std::mem::take(fields));
                fields.insert("anyOf".to_owned(), json!([schema, {"type": "null"}]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(modernise),
        _ => {}
    }
}
