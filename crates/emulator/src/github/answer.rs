//! What all answers of GitHub have in common: who asks, errors, headers, pages.

use std::collections::HashMap;

use axum::Json;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LINK};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::identifiers::hex_digest;

/// An error answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    errors: Vec<Value>,
}

impl Refusal {
    pub(super) fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message: "Not Found".to_owned(),
            errors: Vec::new(),
        }
    }

    /// 422 with GitHub's list of what is wrong.
    pub(super) fn validation(resource: &str, field: &str, code: &str) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            message: "Validation Failed".to_owned(),
            errors: vec![json!({"resource": resource, "field": field, "code": code})],
        }
    }

    /// 422 with a text of its own.
    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            message: message.into(),
            errors: Vec::new(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
        });
        // As the schemas `validation-error` and `basic-error` have it.
        if self.status == StatusCode::UNPROCESSABLE_ENTITY {
            body["errors"] = self.errors.into();
        } else {
            body["status"] = self.status.as_u16().to_string().into();
        }
        (self.status, Json(body)).into_response()
    }
}

/// Who asks. Any token is good: `user:NAME` asks as the user NAME, every other as the workflow.
///
/// # Errors
/// 401 `Bad credentials` when there is no token.
pub(super) fn asker(headers: &HeaderMap) -> Result<String, Refusal> {
    let value = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        let is_known = ["bearer", "token"]
            .iter()
            .any(|it| scheme.eq_ignore_ascii_case(it));
        (is_known && !token.trim().is_empty()).then(|| token.trim())
    });
    match token {
        Some(token) => Ok(match token.strip_prefix("user:") {
            Some(user) => user.to_owned(),
            None => "github-actions[bot]".to_owned(),
        }),
        None => Err(Refusal {
            status: StatusCode::UNAUTHORIZED,
            message: "Bad credentials".to_owned(),
            errors: Vec::new(),
        }),
    }
}

/// Puts GitHub's headers on an answer.
pub(super) async fn with_headers(mut response: Response) -> Response {
    let seed = chrono::Utc::now().timestamp_nanos_opt().unwrap_or_default();
    let digest = hex_digest(&seed.to_string(), 24).to_uppercase();
    let id = format!("{}:{}", &digest[..4], &digest[4..]);
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-github-request-id", id.as_str()),
        ("x-github-media-type", "github.v3; format=json"),
        ("x-github-api-version-selected", "2022-11-28"),
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "4999"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if headers
        .get(CONTENT_TYPE)
        .is_some_and(|it| it == "application/json")
    {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(CONTENT_TYPE, json);
    }
    response
}

/// Which part of a list is asked for: `per_page` (at most 100, by default 30) and `page`.
pub(super) struct Page {
    size: usize,
    number: usize,
}

impl Page {
    pub(super) fn read(query: &HashMap<String, String>) -> Self {
        let read = |name: &str| query.get(name).and_then(|it| it.parse::<usize>().ok());
        Self {
            size: read("per_page").unwrap_or(30).clamp(1, 100),
            number: read("page").unwrap_or(1).max(1),
        }
    }

    /// This page of the list, with a link to the next one when there is one.
    pub(super) fn answer(&self, all: &[Value], address: &str) -> Response {
        let start = (self.number - 1).saturating_mul(self.size).min(all.len());
        let end = start.saturating_add(self.size).min(all.len());
        let mut response = Json(&all[start..end]).into_response();
        if end < all.len() {
            let (size, next) = (self.size, self.number + 1);
            let link = format!("<{address}?per_page={size}&page={next}>; rel=\"next\"");
            if let Ok(link) = HeaderValue::from_str(&link) {
                response.headers_mut().insert(LINK, link);
            }
        }
        response
    }

    /// This page of a list that stands in an object beside its total.
    pub(super) fn part<'v>(&self, all: &'v [Value]) -> &'v [Value] {
        let start = (self.number - 1).saturating_mul(self.size).min(all.len());
        let end = start.saturating_add(self.size).min(all.len());
        &all[start..end]
    }
}
