//! Holds a JSON value against a schema of a discovery document.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::any::schema_of;
use super::discovery::Document;
use super::scalar::{complaint, name_of};

/// Which way the value went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the cloud. `root_may_be_partial`: a mask says which fields count.
    Request { root_may_be_partial: bool },
    /// From the cloud.
    Answer,
}

/// Values of output-only fields that were answered: only these may be sent back.
pub(super) type Answered = HashSet<String>;

/// One walk through one body.
pub(super) struct Walk<'a> {
    /// All documents, for what `Any` holds.
    pub(super) documents: &'a [Document],
    pub(super) direction: Direction,
    /// Whether enumerations may be numbers (`enum-encoding=int`).
    pub(super) has_enum_numbers: bool,
    pub(super) answered: &'a mut Answered,
    /// Pointer and text of what is wrong.
    pub(super) findings: Vec<(String, String)>,
}

impl Walk<'_> {
    /// Walks from the schema called `name`.
    pub(super) fn root(&mut self, document: &Document, name: &str, value: &Value) {
        match document.schema(name) {
            Some(schema) => self.value(document, schema, value, ""),
            None => self.wrong("", format!("the document has no schema {name}")),
        }
    }

    fn wrong(&mut self, pointer: &str, text: impl Into<String>) {
        self.findings.push((pointer.to_owned(), text.into()));
    }

    fn value(&mut self, document: &Document, schema: &Value, value: &Value, pointer: &str) {
        if let Some(name) = schema["$ref"].as_str() {
            let Some(target) = document.schema(name) else {
                return self.wrong(pointer, format!("the document has no schema {name}"));
            };
            return self.value(document, target, value, pointer);
        }
        match (schema["type"].as_str().unwrap_or_default(), value) {
            ("any", _) => {}
            ("object", Value::Object(fields)) => self.object(document, schema, fields, pointer),
            ("array", Value::Array(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    let pointer = format!("{pointer}/{index}");
                    self.value(document, &schema["items"], element, &pointer);
                }
            }
            ("string", Value::Number(_)) if self.has_enum_numbers && schema["enum"].is_array() => {}
            (kind @ ("object" | "array"), other) => {
                self.wrong(
                    pointer,
                    format!("is {}, not of type {kind}", name_of(other)),
                );
            }
            _ => {
                if let Some(complaint) = complaint(schema, value) {
                    self.wrong(pointer, complaint);
                }
            }
        }
    }

    fn object(
        &mut self,
        document: &Document,
        schema: &Value,
        fields: &Map<String, Value>,
        pointer: &str,
    ) {
        if let Some(element) = schema.get("additionalProperties") {
            if is_typed(element) {
                return self.any(fields, pointer);
            }
            for (key, value) in fields {
                self.value(document, element, value, &below(pointer, key));
            }
            return;
        }
        let id = schema["id"].as_str().unwrap_or("this object");
        for (name, value) in fields {
            let pointer = below(pointer, name);
            match schema["properties"].get(name) {
                Some(property) => {
                    self.output_only(property, &format!("{id}.{name}"), value, &pointer);
                    self.value(document, property, value, &pointer);
                }
                None => self.wrong(&pointer, format!("{id} has no field {name:?}")),
            }
        }
        // In v1 "Required" is said of metadata of every kind: gcloud leaves out a template's namespace.
        if document.name != "run.v1" {
            self.required(schema, fields, pointer);
        }
    }

    /// A field that only the cloud writes is sent at most as the cloud wrote it.
    fn output_only(&mut self, property: &Value, field: &str, value: &Value, pointer: &str) {
        if property["readOnly"] != true {
            return;
        }
        let written = format!("{field}={value}");
        match self.direction {
            Direction::Answer => {
                self.answered.insert(written);
            }
            Direction::Request { .. } => {
                // Who writes enumerations as numbers spells an echo otherwise than the answer.
                if !self.has_enum_numbers && !self.answered.contains(&written) {
                    self.wrong(
                        pointer,
                        format!("{field} is output only, and this value was never answered"),
                    );
                }
            }
        }
    }

    fn required(&mut self, schema: &Value, fields: &Map<String, Value>, pointer: &str) {
        let Direction::Request {
            root_may_be_partial,
        } = self.direction
        else {
            return;
        };
        if pointer.is_empty() && root_may_be_partial {
            return;
        }
        let properties = schema["properties"].as_object();
        for (name, property) in properties.into_iter().flatten() {
            let description = property["description"].as_str().unwrap_or_default();
            if description.starts_with("Required.") && !fields.contains_key(name) {
                self.wrong(&below(pointer, name), "is required, and missing");
            }
        }
    }

    /// `Any` names its type, and holds that type's fields beside the name.
    fn any(&mut self, fields: &Map<String, Value>, pointer: &str) {
        let Some(url) = fields.get("@type").and_then(Value::as_str) else {
            return self.wrong(
                &below(pointer, "@type"),
                "is missing: a typed value names its type",
            );
        };
        let mut rest = fields.clone();
        rest.remove("@type");
        if let Some(detail) = super::error::detail(url) {
            // Details of errors are in no discovery document; their schema is self-contained.
            let none = Document::new("google.rpc", Value::Null);
            return self.value(&none, &detail, &Value::Object(rest), pointer);
        }
        match schema_of(self.documents, url) {
            Some((document, schema)) => {
                self.value(document, schema, &Value::Object(rest), pointer);
            }
            None => self.wrong(
                &below(pointer, "@type"),
                format!("no document knows {url:?}"),
            ),
        }
    }
}

fn is_typed(element: &Value) -> bool {
    let description = element["description"].as_str().unwrap_or_default();
    element["type"] == "any" && description.contains("Contains field @type")
}

/// A JSON pointer (RFC 6901) one step further.
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
