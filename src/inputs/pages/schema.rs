//! JSON Schema of the configuration file, for editors.

use serde_json::{Map, Value, json};

use crate::inputs::catalogue::{ENVIRONMENT_KEYS, INPUTS};
use crate::inputs::table::{InFile, InputSpec, Kind};

/// The whole schema (draft 2020-12).
pub fn schema() -> Value {
    let mut environment = properties(|file| file == InFile::Environment);
    for (key, doc) in ENVIRONMENT_KEYS {
        environment.insert(
            (*key).to_owned(),
            json!({"type": "string", "description": doc}),
        );
    }
    environment.insert(
        "tier".to_owned(),
        json!({"enum": ["production", "preproduction"], "description": doc_of("tier")}),
    );
    let mut top = properties(|file| file != InFile::No);
    top.insert(
        "environments".to_owned(),
        json!({
            "description": "Environments in the order of promotion.",
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [
                {"type": "string"},
                {"type": "object", "required": ["name"], "additionalProperties": false, "properties": environment},
            ]},
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ml-deploy configuration",
        "type": "object",
        "additionalProperties": false,
        "properties": top,
    })
}

fn doc_of(key: &str) -> &'static str {
    ENVIRONMENT_KEYS
        .iter()
        .find(|(known, _)| *known == key)
        .map_or("", |(_, doc)| doc)
}

fn properties(allowed: impl Fn(InFile) -> bool) -> Map<String, Value> {
    INPUTS
        .iter()
        .filter(|spec| allowed(spec.file))
        .map(|spec| (spec.name.to_owned(), property(spec)))
        .collect()
}

fn property(spec: &InputSpec) -> Value {
    let mut property = match spec.kind {
        Kind::Text | Kind::Sensitive | Kind::Probe | Kind::Memory => json!({"type": "string"}),
        Kind::Choice(choices) => json!({"enum": choices}),
        Kind::Switch => json!({"type": "boolean"}),
        Kind::Number { least, most, .. } => {
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
        Kind::Duration => json!({"type": "string", "pattern": r"^\s*[0-9.]+\s*(ms|s|m)\s*$"}),
        Kind::Share => json!({"type": ["number", "string"]}),
        Kind::Decimal => json!({"type": "number", "exclusiveMinimum": 0}),
        Kind::Cpu => json!({"type": ["number", "string"]}),
        Kind::Pairs => json!({"anyOf": [
            {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
            {"type": "string"},
        ]}),
        Kind::Secrets => json!({"anyOf": [
            {"type": "object", "additionalProperties": {"type": "string"}},
            {"type": "string"},
        ]}),
        Kind::List => {
            json!({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]})
        }
    };
    property["description"] = spec.doc.into();
    if let Some(default) = spec.default {
        property["default"] = match spec.kind {
            Kind::Switch => Value::Bool(default == "true"),
            Kind::Number { .. } => default.parse::<u64>().map_or(Value::Null, Value::from),
            _ => default.into(),
        };
    }
    property
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_takes_its_own_keys_and_not_those_of_the_top_level() {
        let schema = schema();
        let environment = &schema["properties"]["environments"]["items"]["anyOf"][1]["properties"];
        assert!(environment.get("tier").is_some());
        assert!(environment.get("cpu").is_some());
        assert!(environment.get("branches").is_none());
        assert!(schema["properties"].get("branches").is_some());
        assert!(schema["properties"].get("rollback_to").is_none());
        assert_eq!(schema["properties"]["no_cache"]["default"], false);
    }
}
