//! `google.rpc.Status` as the HTTP APIs answer it, and long-running operations.
//!
//! Source: <https://cloud.google.com/apis/design/errors>,
//! <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.operations>.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Rest;

/// The body of an HTTP error answer: `{"error": {…}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error itself.
    pub error: ErrorStatus,
}

/// The error of an HTTP answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorStatus {
    /// HTTP status code.
    pub code: u16,
    /// Text for the developer, in English.
    pub message: String,
    /// Canonical code name, such as `ABORTED`; empty in some older answers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// Typed details (`BadRequest`, `ErrorInfo`, `Help`, …), each with its `@type`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Value>,
}

/// A long-running operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// `projects/P/locations/L/operations/ID`.
    pub name: String,
    /// The resource as it was when the operation was last looked at, with `@type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Absent means not done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    /// Set when the operation failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<OperationError>,
    /// Set when the operation succeeded, with `@type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// `google.rpc.Status` inside an operation: here `code` is a gRPC code, not an HTTP status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OperationError {
    /// gRPC code: 5 not found, 7 permission denied, 9 failed precondition, 10 aborted, 13 internal.
    pub code: i32,
    /// Text for the developer.
    pub message: String,
    /// Typed details.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Value>,
}

/// The body of `operations/ID:wait`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WaitOperationRequest {
    /// Longest time the server holds the request, such as `30s`; it may answer earlier, not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}
