//! Schemas of an OpenAPI 3.0 description as JSON Schema, closed: a property that a schema does not
//! name is refused, which the description itself leaves open.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A schema of its own, with all that it refers to.
///
/// `nullable` becomes the type `null`; where a value stands (root, property, element), properties
/// that nothing evaluates are refused. Parts of `allOf`, `oneOf` and `anyOf` stay open: their sum is
/// closed.
pub(super) fn standalone(description: &Value, schema: &Value) -> Value {
    let mut bundle = Bundle {
        description,
        definitions: BTreeMap::new(),
    };
    let root = bundle.closed(schema);
    let definitions: Map<String, Value> = bundle.definitions.into_iter().collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": definitions,
        "allOf": [root],
    })
}

/// What a reference names, or the value itself.
pub(super) fn resolve<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    value["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'))
        .and_then(|pointer| description.pointer(pointer))
        .unwrap_or(value)
}

struct Bundle<'a> {
    description: &'a Value,
    definitions: BTreeMap<String, Value>,
}

impl Bundle<'_> {
    /// A schema where a value stands.
    fn closed(&mut self, schema: &Value) -> Value {
        let mut converted = self.open(schema);
        let names_properties = ["$ref", "properties", "allOf", "oneOf", "anyOf"]
            .iter()
            .any(|keyword| converted.get(keyword).is_some());
        if names_properties && let Value::Object(keywords) = &mut converted {
            keywords.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
        }
        converted
    }

    fn open(&mut self, schema: &Value) -> Value {
        let Value::Object(keywords) = schema else {
            return schema.clone();
        };
        let mut converted = Map::new();
        for (keyword, value) in keywords {
            let value = match keyword.as_str() {
                "$ref" => self.reference(value),
                "properties" => self.properties(value),
                "items" => self.closed(value),
                "additionalProperties" if value.is_object() => self.closed(value),
                "allOf" | "oneOf" | "anyOf" => {
                    let parts = value.as_array().into_iter().flatten();
                    parts.map(|part| self.open(part)).collect()
                }
                // An address that is not set is the empty text, where that is the default.
                "format" if keywords.get("default") != Some(&json!("")) => value.clone(),
                "type"
                | "enum"
                | "required"
                | "additionalProperties"
                | "pattern"
                | "minimum"
                | "maximum"
                | "minLength"
                | "maxLength"
                | "minItems"
                | "maxItems"
                | "uniqueItems"
                | "maxProperties" => value.clone(),
                // Said of the schema, not of the value; `nullable` comes below.
                _ => continue,
            };
            converted.insert(keyword.clone(), value);
        }
        let is_free = converted.get("type") == Some(&json!("object"))
            && [
                "properties",
                "additionalProperties",
                "allOf",
                "oneOf",
                "anyOf",
            ]
            .iter()
            .all(|keyword| !converted.contains_key(*keyword));
        if is_free {
            converted.insert("additionalProperties".to_owned(), Value::Bool(true));
        }
        if keywords.get("nullable") == Some(&Value::Bool(true)) {
            json!({"anyOf": [{"type": "null"}, converted]})
        } else {
            Value::Object(converted)
        }
    }

    fn properties(&mut self, properties: &Value) -> Value {
        let properties = properties.as_object().into_iter().flatten();
        properties
            .map(|(name, schema)| (name.clone(), self.closed(schema)))
            .collect()
    }

    fn reference(&mut self, reference: &Value) -> Value {
        let reference = reference.as_str().unwrap_or_default();
        let name = reference.rsplit('/').next().unwrap_or_default();
        if !self.definitions.contains_key(name) {
            // First a placeholder: schemas refer to themselves.
            self.definitions.insert(name.to_owned(), Value::Bool(true));
            let target = json!({"$ref": reference});
            let schema = resolve(self.description, &target).clone();
            let converted = self.open(&schema);
            self.definitions.insert(name.to_owned(), converted);
        }
        Value::from(format!("#/$defs/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_valid(schema: &Value, value: &Value) -> bool {
        let description = json!({"components": {"schemas": {
            "user": {"type": "object", "required": ["login"], "properties": {
                "login": {"type": "string"},
                "boss": {"$ref": "#/components/schemas/user"},
                "name": {"type": "string", "nullable": true},
                "anything": {"type": "object"},
            }},
        }}});
        jsonschema::validator_for(&standalone(&description, schema))
            .is_ok_and(|validator| validator.is_valid(value))
    }

    #[test]
    fn unknown_properties_are_refused_at_every_depth() {
        let user = json!({"$ref": "#/components/schemas/user"});
        let right =
            json!({"login": "a", "name": null, "boss": {"login": "b"}, "anything": {"x": 1}});
        assert!(is_valid(&user, &right));
        assert!(!is_valid(&user, &json!({"login": "a", "novel": 1})));
        assert!(!is_valid(
            &user,
            &json!({"login": "a", "boss": {"login": "b", "novel": 1}})
        ));
        assert!(!is_valid(&user, &json!({"login": null})));
        assert!(!is_valid(&user, &json!({})));
    }

    #[test]
    fn parts_of_a_sum_are_closed_together() {
        let sum = json!({"allOf": [
            {"$ref": "#/components/schemas/user"},
            {"type": "object", "properties": {"age": {"type": "integer"}}},
        ]});
        assert!(is_valid(&sum, &json!({"login": "a", "age": 3})));
        assert!(!is_valid(
            &sum,
            &json!({"login": "a", "age": 3, "novel": 1})
        ));
    }
}
