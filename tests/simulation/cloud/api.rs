//! The v2 Admin API: which path does what.

use serde_json::{Value, json};

use super::{Cloud, Operations, SERVICE};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct HttpRequest {
    /// Who sent it.
    pub(crate) run: String,
    pub(crate) method: String,
    /// Without host.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl HttpRequest {
    fn parameter(&self, name: &str) -> &str {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// One line for the trace.
    pub(crate) fn in_words(&self) -> String {
        let short = self.path.rsplit("/locations/us-central1/").next();
        let short = short.unwrap_or(&self.path);
        let mask = self.parameter("updateMask");
        let mask = if mask.is_empty() {
            String::new()
        } else {
            format!(" [{mask}]")
        };
        format!("{} {short}{mask}", self.method)
    }

    /// True when it may change something.
    pub(crate) fn writes(&self) -> bool {
        let asks = [":wait", ":testIamPermissions", "entries:list"];
        self.method != "GET" && !asks.iter().any(|end| self.path.ends_with(end))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl HttpAnswer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, body }
    }
}

pub(crate) fn error(http: u16, status: &str, message: &str) -> HttpAnswer {
    HttpAnswer::json(
        http,
        json!({"error": {"code": http, "status": status, "message": message}}),
    )
}

pub(super) fn not_found() -> HttpAnswer {
    error(
        404,
        "NOT_FOUND",
        "Resource 'api' of kind 'SERVICE' in region 'us-central1' in project 'demo-project' does not exist.",
    )
}

impl Cloud {
    /// Carries out a request.
    pub(crate) fn handle(&mut self, request: &HttpRequest) -> HttpAnswer {
        let path = request.path.trim_start_matches("/v2/");
        if path == "entries:list" {
            let entries = json!([{"timestamp": "2026-11-24T00:00:00Z", "textPayload": "boom"}]);
            return HttpAnswer::json(200, json!({"entries": entries}));
        }
        let parent = SERVICE
            .rsplit_once('/')
            .map_or(SERVICE, |(parent, _)| parent);
        match (request.method.as_str(), path) {
            ("POST", path) if path == parent => self.create(&request.body),
            ("PATCH", SERVICE) => self.patch(request.parameter("updateMask"), &request.body),
            ("GET", SERVICE) => match &self.service {
                Some(service) => HttpAnswer::json(200, Self::service_json(service)),
                None => not_found(),
            },
            (method, path) => match path.strip_prefix(SERVICE) {
                Some(rest) => self.below_service(method, rest, request),
                None => self.operation(method, path),
            },
        }
    }

    fn below_service(&mut self, method: &str, rest: &str, request: &HttpRequest) -> HttpAnswer {
        let Some(service) = &self.service else {
            return not_found();
        };
        match (method, rest) {
            ("GET", ":getIamPolicy") => HttpAnswer::json(200, Self::policy_json(service)),
            ("POST", ":setIamPolicy") => self.set_policy(&request.body),
            ("GET", "/revisions") => self.revisions(request.parameter("pageToken")),
            ("GET", one) => match one.strip_prefix("/revisions/") {
                Some(name) => match service.revision(name) {
                    Some(revision) => HttpAnswer::json(200, Self::revision_json(revision)),
                    None => not_found(),
                },
                None => unknown(method, rest),
            },
            _ => unknown(method, rest),
        }
    }

    /// Newest first, in pages.
    fn revisions(&self, token: &str) -> HttpAnswer {
        let from: usize = token.parse().unwrap_or(0);
        let all = self.service.iter().flat_map(|one| one.revisions.iter());
        let all: Vec<Value> = all.rev().map(Self::revision_json).collect();
        let to = (from + self.pace.page).min(all.len());
        let mut answer = json!({"revisions": all.get(from..to).unwrap_or_default()});
        if to < all.len() {
            answer["nextPageToken"] = json!(to.to_string());
        }
        HttpAnswer::json(200, answer)
    }

    fn operation(&self, method: &str, path: &str) -> HttpAnswer {
        let name = path.strip_suffix(":wait").unwrap_or(path);
        if self.pace.operations == Operations::Forbidden {
            let text = format!("Permission denied on resource '{name}'");
            return error(403, "PERMISSION_DENIED", &text);
        }
        match self.operations.get(name) {
            Some(operation) => HttpAnswer::json(200, self.operation_json(name, operation)),
            None => unknown(method, path),
        }
    }

    /// True when the server holds this `:wait` for as long as nothing new happens.
    pub(crate) fn holds(&self, request: &HttpRequest) -> bool {
        let name = request.path.trim_start_matches("/v2/");
        let Some(name) = name.strip_suffix(":wait") else {
            return false;
        };
        let holds = matches!(
            self.pace.operations,
            Operations::Honest | Operations::NeverEnd
        );
        let pending = self
            .operations
            .get(name)
            .is_some_and(|one| one.ended.is_none());
        holds && pending
    }
}

fn unknown(method: &str, path: &str) -> HttpAnswer {
    error(404, "NOT_FOUND", &format!("{method} {path}: not found"))
}
