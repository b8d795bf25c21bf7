//! Errors of the two OAuth endpoints (RFC 6749 section 5.2).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cloud_api::token::OAuthError;

use super::keys::KeyError;

/// An OAuth error answer.
#[derive(Debug)]
pub(super) struct OAuthProblem {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl OAuthProblem {
    /// An error with status 400, as both endpoints answer nearly all of them.
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description: description.into(),
        }
    }
}

impl From<KeyError> for OAuthProblem {
    fn from(error: KeyError) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "internal_failure",
            description: error.to_string(),
        }
    }
}

impl IntoResponse for OAuthProblem {
    fn into_response(self) -> Response {
        let body = OAuthError {
            error: self.error.to_owned(),
            error_description: self.description,
        };
        (self.status, Json(body)).into_response()
    }
}
