//! A discovery document: methods by path, schemas by name.
//!
//! Format: <https://developers.google.com/discovery/v1/reference/apis>.

use serde_json::{Map, Value};

use super::route::{Fit, fit};

/// A document.
pub(super) struct Document {
    /// Such as `run.v2`.
    pub(super) name: &'static str,
    /// `https://run.googleapis.com/` → `run.googleapis.com`.
    host: String,
    schemas: Map<String, Value>,
    /// Parameters that every method takes.
    parameters: Map<String, Value>,
    methods: Vec<Method>,
}

/// A method.
pub(super) struct Method {
    /// Such as `run.projects.locations.services.patch`.
    pub(super) id: String,
    /// HTTP method.
    pub(super) verb: String,
    template: String,
    parameters: Map<String, Value>,
    /// Name of the request's schema.
    pub(super) request: Option<String>,
    /// Name of the answer's schema.
    pub(super) response: Option<String>,
}

impl Document {
    pub(super) fn new(name: &'static str, document: Value) -> Self {
        let mut methods = Vec::new();
        collect(&document, &mut methods);
        let root = document["rootUrl"].as_str().unwrap_or_default();
        let host = root.trim_start_matches("https://").trim_end_matches('/');
        Self {
            name,
            host: host.to_owned(),
            schemas: object(&document["schemas"]),
            parameters: object(&document["parameters"]),
            methods,
        }
    }

    /// The method that fits best; `Err` names those that the path has with other HTTP methods.
    pub(super) fn method(&self, verb: &str, path: &str) -> Result<(Fit, &Method), Vec<&str>> {
        let path = path.trim_start_matches('/');
        let fitting: Vec<(Fit, &Method)> = self
            .methods
            .iter()
            .filter_map(|method| Some((fit(&method.template, path)?, method)))
            .collect();
        let best = fitting.iter().map(|(fit, _)| *fit).max();
        let mut others = Vec::new();
        for (fit, method) in fitting {
            if Some(fit) == best && method.verb == verb {
                return Ok((fit, method));
            }
            others.push(method.verb.as_str());
        }
        Err(others)
    }

    /// Whether `host` is this API's: `run.googleapis.com`, or regional, `us-central1-run.googleapis.com`.
    pub(super) fn is_at(&self, host: &str) -> bool {
        let host = host.split(':').next().unwrap_or_default();
        host == self.host || host.ends_with(&format!("-{}", self.host))
    }

    pub(super) fn schema(&self, name: &str) -> Option<&Value> {
        self.schemas.get(name)
    }

    /// A query parameter of the method, or of all.
    pub(super) fn parameter<'a>(&'a self, method: &'a Method, name: &str) -> Option<&'a Value> {
        let own = method
            .parameters
            .get(name)
            .filter(|parameter| parameter["location"] == "query");
        own.or_else(|| self.parameters.get(name))
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn collect(resource: &Value, methods: &mut Vec<Method>) {
    for method in object(&resource["methods"]).values() {
        let text = |name: &str| method[name].as_str().unwrap_or_default().to_owned();
        let reference = |name: &str| method[name]["$ref"].as_str().map(str::to_owned);
        let flat = text("flatPath");
        methods.push(Method {
            id: text("id"),
            verb: text("httpMethod"),
            template: if flat.is_empty() { text("path") } else { flat },
            parameters: object(&method["parameters"]),
            request: reference("request"),
            response: reference("response"),
        });
    }
    for inner in object(&resource["resources"]).values() {
        collect(inner, methods);
    }
}
