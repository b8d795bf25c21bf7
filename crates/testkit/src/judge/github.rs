//! Holds one exchange against GitHub's OpenAPI description.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use emulator::admin::Exchange;
use jsonschema::Validator;
use serde_json::Value;

use super::google::pairs;
use super::openapi::{resolve, standalone};
use super::route::fit;
use super::verdict::{Part, Verdict};

/// GitHub's answer types.
const TYPES: [&str; 2] = ["application/json", "application/vnd.github+json"];

/// The description, with the validators that were needed so far.
pub(super) struct GitHub {
    description: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// Whether GitHub's REST API is asked.
pub(super) fn is_asked(exchange: &Exchange) -> bool {
    let mut segments = exchange.path.trim_start_matches('/').split('/');
    matches!(
        segments.next(),
        Some("repos" | "user" | "users" | "orgs" | "app" | "meta" | "rate_limit")
    )
}

impl GitHub {
    /// Unreadable text becomes an empty description, which knows no path.
    pub(super) fn new(text: &str) -> Self {
        Self {
            description: serde_json::from_str(text).unwrap_or_default(),
            validators: Mutex::default(),
        }
    }

    pub(super) fn judge(&self, exchange: &Exchange, verdict: &mut Verdict) {
        let Some((template, operation)) = self.operation(exchange) else {
            return verdict.wrong(Part::Route, "", "GitHub documents no such method and path");
        };
        let id = operation["operationId"].as_str().unwrap_or_default();
        verdict.judged(&format!("github {id}"));
        for (name, text) in self.query(template, operation, exchange) {
            verdict.wrong(Part::Query, name, text);
        }
        for (pointer, text) in self.request(id, operation, exchange) {
            verdict.wrong(Part::Request, pointer, text);
        }
        for (pointer, text) in self.answer(id, operation, exchange) {
            verdict.wrong(Part::Answer, pointer, text);
        }
    }

    /// The path's description and the operation's.
    fn operation(&self, exchange: &Exchange) -> Option<(&Value, &Value)> {
        let path = exchange.path.trim_start_matches('/');
        let paths = self.description["paths"].as_object()?;
        let (template, item) = paths
            .iter()
            .filter_map(|(template, item)| {
                Some((fit(template.trim_start_matches('/'), path)?, item))
            })
            .max_by_key(|(fit, _)| *fit)?;
        let _ = template;
        let operation = item.get(exchange.method.to_ascii_lowercase())?;
        Some((item, operation))
    }

    fn query(&self, item: &Value, operation: &Value, exchange: &Exchange) -> Vec<(String, String)> {
        let parameters: Vec<&Value> = [&item["parameters"], &operation["parameters"]]
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .map(|parameter| resolve(&self.description, parameter))
            .filter(|parameter| parameter["in"] == "query")
            .collect();
        let mut wrong = Vec::new();
        for (name, value) in pairs(exchange.query.as_deref().unwrap_or_default()) {
            let Some(parameter) = parameters.iter().find(|it| it["name"] == *name) else {
                wrong.push((name, "is no documented parameter".to_owned()));
                continue;
            };
            let schema = &parameter["schema"];
            let typed = match schema["type"].as_str() {
                Some("integer" | "boolean" | "number") => {
                    serde_json::from_str(&value).unwrap_or(Value::String(value))
                }
                _ => Value::String(value),
            };
            let key = format!("query {} {name}", operation["operationId"]);
            for (_, text) in self.complaints(&key, schema, &typed) {
                wrong.push((name.clone(), text));
            }
        }
        wrong
    }

    fn request(&self, id: &str, operation: &Value, exchange: &Exchange) -> Vec<(String, String)> {
        let wanted = resolve(&self.description, &operation["requestBody"]);
        let schema = &wanted["content"]["application/json"]["schema"];
        match (&exchange.request, schema) {
            (None, Value::Null) => Vec::new(),
            (None, _) if wanted["required"] != true => Vec::new(),
            (None, _) => vec![(String::new(), "is missing".to_owned())],
            (Some(_), Value::Null) => vec![(String::new(), "this method takes no body".to_owned())],
            (Some(text), schema) => self.text(&format!("request {id}"), schema, text),
        }
    }

    fn answer(&self, id: &str, operation: &Value, exchange: &Exchange) -> Vec<(String, String)> {
        let status = exchange.status;
        if status == 0 {
            return Vec::new();
        }
        let refusal = |name: &str| &self.description["components"]["responses"][name];
        let documented = operation["responses"].get(status.to_string());
        let response = match documented {
            Some(response) => resolve(&self.description, response),
            // Refusals that any method may answer are not listed with each.
            None if status == 422 => refusal("validation_failed"),
            None if status >= 400 => refusal("not_found"),
            None => {
                return vec![(
                    String::new(),
                    format!("the status {status} is not documented"),
                )];
            }
        };
        let schema = &response["content"]["application/json"]["schema"];
        match (&exchange.response, schema) {
            (None, Value::Null) => Vec::new(),
            (None, _) => vec![(String::new(), "is missing".to_owned())],
            (Some(_), Value::Null) => vec![(String::new(), format!("{status} has no body"))],
            (Some(text), schema) => {
                let kind = exchange.response_type.as_deref().unwrap_or_default();
                let kind = kind.split(';').next().unwrap_or_default();
                if !TYPES.contains(&kind) {
                    return vec![(String::new(), format!("has the type {kind:?}"))];
                }
                self.text(&format!("answer {id} {status}"), schema, text)
            }
        }
    }

    fn text(&self, key: &str, schema: &Value, text: &str) -> Vec<(String, String)> {
        match serde_json::from_str(text) {
            Ok(value) => self.complaints(key, schema, &value),
            Err(error) => vec![(String::new(), format!("is no JSON: {error}"))],
        }
    }

    fn complaints(&self, key: &str, schema: &Value, value: &Value) -> Vec<(String, String)> {
        match self.validator(key, schema) {
            Ok(validator) => validator
                .iter_errors(value)
                .map(|error| (error.instance_path().to_string(), error.to_string()))
                .collect(),
            Err(error) => vec![(String::new(), format!("the schema cannot be used: {error}"))],
        }
    }

    fn validator(&self, key: &str, schema: &Value) -> Result<Arc<Validator>, String> {
        let mut validators = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = validators.get(key) {
            return Ok(Arc::clone(validator));
        }
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&standalone(&self.description, schema))
            .map_err(|error| error.to_string())?;
        let validator = Arc::new(validator);
        validators.insert(key.to_owned(), Arc::clone(&validator));
        Ok(validator)
    }
}
