//! Error answers. Discovery documents do not describe them; <https://google.aip.dev/193> and
//! `google/rpc/{status,code,error_details}.proto` do.

use serde_json::{Value, json};

/// Canonical codes and the HTTP status of each, as `google/rpc/code.proto` maps them.
const CODES: [(&str, u16); 16] = [
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("UNAUTHENTICATED", 401),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
];

/// What is wrong with the head of `{"error": {…}}`: pointer and text. The details are left to the
/// schema of `google.rpc.Status`.
pub(super) fn head(status: u16, body: &Value) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    let mut say = |pointer: &str, text: String| wrong.push((pointer.to_owned(), text));
    for (name, _) in body.as_object().into_iter().flatten() {
        if name != "error" {
            say(
                &format!("/{name}"),
                "an error answer holds \"error\" only".to_owned(),
            );
        }
    }
    let Some(error) = body["error"].as_object() else {
        say("/error", "is no object".to_owned());
        return wrong;
    };
    for (name, value) in error {
        let pointer = format!("/error/{name}");
        match name.as_str() {
            "code" if value.as_u64() == Some(u64::from(status)) => {}
            "code" => say(&pointer, format!("is {value}, the HTTP status is {status}")),
            "status" => {
                let known = CODES.iter().find(|(code, _)| value == code);
                if known.is_none_or(|(_, http)| *http != status) {
                    say(
                        &pointer,
                        format!("{value} does not belong to HTTP {status}"),
                    );
                }
            }
            "message" if value.is_string() => {}
            // The older form of errors, beside the newer one.
            "errors" if value.is_array() => {}
            "details" => {}
            _ => say(
                &pointer,
                "is no field of an error, or of another type".to_owned(),
            ),
        }
    }
    for name in ["code", "message", "status"] {
        if !error.contains_key(name) {
            say(&format!("/error/{name}"), "is missing".to_owned());
        }
    }
    wrong
}

/// What is wrong with an OAuth error (RFC 6749, section 5.2), which the token service answers.
pub(super) fn oauth(body: &Value) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    if !body["error"].is_string() {
        wrong.push(("/error".to_owned(), "is no string".to_owned()));
    }
    for (name, value) in body.as_object().into_iter().flatten() {
        let is_known = matches!(name.as_str(), "error" | "error_description" | "error_uri");
        if !is_known || !value.is_string() {
            wrong.push((
                format!("/{name}"),
                "is no field of an OAuth error".to_owned(),
            ));
        }
    }
    wrong
}

/// The schema of an error detail, in the form of discovery documents.
pub(super) fn detail(url: &str) -> Option<Value> {
    let string = json!({"type": "string"});
    let message = |fields: Value| json!({"type": "object", "properties": fields});
    let list = |fields: Value| json!({"type": "array", "items": message(fields)});
    let strings = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let fields = match url.strip_prefix("type.googleapis.com/google.rpc.")? {
        "ErrorInfo" => json!({"reason": string, "domain": string, "metadata": strings}),
        "BadRequest" => json!({"fieldViolations": list(json!({
            "field": string, "description": string, "reason": string,
            "localizedMessage": message(json!({"locale": string, "message": string})),
        }))}),
        "PreconditionFailure" => json!({"violations": list(json!({
            "type": string, "subject": string, "description": string,
        }))}),
        "QuotaFailure" => json!({"violations": list(json!({
            "subject": string, "description": string, "apiService": string, "quotaMetric": string,
            "quotaId": string, "quotaDimensions": strings,
            "quotaValue": {"type": "string", "format": "int64"},
            "futureQuotaValue": {"type": "string", "format": "int64"},
        }))}),
        "ResourceInfo" => json!({
            "resourceType": string, "resourceName": string, "owner": string, "description": string,
        }),
        "Help" => json!({"links": list(json!({"description": string, "url": string}))}),
        "LocalizedMessage" => json!({"locale": string, "message": string}),
        "DebugInfo" => json!({
            "stackEntries": {"type": "array", "items": string}, "detail": string,
        }),
        "RetryInfo" => json!({"retryDelay": {"type": "string", "format": "google-duration"}}),
        "RequestInfo" => json!({"requestId": string, "servingData": string}),
        _ => return None,
    };
    Some(message(fields))
}
