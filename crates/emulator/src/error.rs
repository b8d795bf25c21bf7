//! Errors as Google's HTTP APIs answer them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cloud_api::rpc::{ErrorBody, ErrorStatus};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// An error answer: HTTP status, canonical code name, text, details.
#[derive(Debug, Clone)]
pub struct ApiError(pub ErrorStatus);

impl ApiError {
    /// An error with the HTTP status that belongs to the canonical code.
    pub fn new(status: &str, message: impl Into<String>) -> Self {
        Self(ErrorStatus {
            code: http_code(status),
            message: message.into(),
            status: status.to_owned(),
            details: Vec::new(),
        })
    }

    /// Adds a typed detail.
    #[must_use]
    pub fn with_detail(mut self, detail: Value) -> Self {
        self.0.details.push(detail);
        self
    }
}

/// The mapping of `google/rpc/code.proto`.
fn http_code(status: &str) -> u16 {
    match status {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => 400,
        "UNAUTHENTICATED" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "ABORTED" | "ALREADY_EXISTS" => 409,
        "RESOURCE_EXHAUSTED" => 429,
        "UNIMPLEMENTED" => 501,
        "UNAVAILABLE" => 503,
        "DEADLINE_EXCEEDED" => 504,
        _ => 500,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.0.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (code, Json(ErrorBody { error: self.0 })).into_response()
    }
}

/// Reads a JSON body.
///
/// # Errors
/// `INVALID_ARGUMENT` with the place of the mistake.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("Invalid JSON payload received. {error}");
        ApiError::new("INVALID_ARGUMENT", message)
    })
}
