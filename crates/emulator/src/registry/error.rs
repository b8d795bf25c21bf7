//! Errors of the distribution specification, with the texts of Artifact Registry.

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::name::{Reference, repository_of};

/// An error answer: `{"errors": [{"code", "message"}]}`.
#[derive(Debug)]
pub(super) struct RegistryError {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl RegistryError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    /// Adds a header, unless its value is not fit for one.
    pub(super) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// No credential, or one that is not valid: says where to get a token.
    pub(super) fn unauthorized(challenge: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
            .with_header(WWW_AUTHENTICATE, challenge)
    }

    /// The registry's own failure to read or write a file.
    pub(super) fn storage(error: &std::io::Error) -> Self {
        tracing::error!(%error, "the registry cannot use its directory");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "UNKNOWN",
            format!("the local registry cannot use its directory: {error}"),
        )
    }

    pub(super) fn name_unknown(name: &str) -> Self {
        let repository = repository_of(name).map_or_else(|| name.to_owned(), |(_, it)| it);
        Self::new(
            StatusCode::NOT_FOUND,
            "NAME_UNKNOWN",
            format!("Repository \"{repository}\" not found"),
        )
    }

    pub(super) fn manifest_unknown(reference: &Reference) -> Self {
        let (Reference::Tag(text) | Reference::Digest(text)) = reference;
        Self::new(
            StatusCode::NOT_FOUND,
            "MANIFEST_UNKNOWN",
            format!("Failed to fetch \"{text}\""),
        )
    }

    pub(super) fn manifest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", message)
    }

    pub(super) fn blob_unknown(digest: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "BLOB_UNKNOWN",
            format!("blob {digest} unknown to registry"),
        )
    }

    pub(super) fn digest_invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
    }

    pub(super) fn upload_unknown() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "BLOB_UPLOAD_UNKNOWN",
            "blob upload unknown to registry",
        )
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    }
}

impl From<std::io::Error> for RegistryError {
    fn from(error: std::io::Error) -> Self {
        Self::storage(&error)
    }
}

impl IntoResponse for RegistryError {
    fn into_response(self) -> Response {
        let body = json!({"errors": [{"code": self.code, "message": self.message}]});
        let mut response = (self.status, Json(body)).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
