//! The failure catalogue: each failure of the true cloud, brought about by its natural cause where it
//! has one, with its HTTP code, status, text and details.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

#[path = "../cloud/mod.rs"]
mod cloud;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod access_beside;
mod failures;
mod refusals;
mod registry;

use cloud::{Cloud, PARENT};
use serde_json::{Value, json};

/// A refusal as it must be answered.
struct Refused<'a> {
    /// HTTP status.
    http: u16,
    /// Canonical code name.
    status: &'a str,
    /// The whole text.
    text: &'a str,
    /// The field that `BadRequest` names, with the description; empty: no such detail.
    violation: Option<(&'a str, &'a str)>,
}

/// Compares an answer with what it must be, part by part.
fn assert_refused(answer: &(u16, Value), expected: &Refused) {
    let (http, body) = answer;
    let error = &body["error"];
    assert_eq!(*http, expected.http, "{body}");
    assert_eq!(error["code"], expected.http, "{body}");
    assert_eq!(error["status"], expected.status, "{body}");
    assert_eq!(error["message"], expected.text, "{body}");
    let kind = "type.googleapis.com/google.rpc.BadRequest";
    let details = error["details"].as_array().cloned().unwrap_or_default();
    let violations: Vec<&Value> = details
        .iter()
        .filter(|detail| detail["@type"] == kind)
        .map(|detail| &detail["fieldViolations"])
        .collect();
    match expected.violation {
        Some((field, description)) => {
            let wanted = json!([{"field": field, "description": description}]);
            assert_eq!(violations, [&wanted], "{body}");
        }
        None => assert!(violations.is_empty(), "{body}"),
    }
}

/// `POST …/services?serviceId=NAME` without waiting.
async fn create(cloud: &Cloud, name: &str, body: Value) -> (u16, Value) {
    let path = format!("{PARENT}/services?serviceId={name}");
    cloud.call("POST", &path, Some(body)).await
}

/// The admin API, which must accept.
async fn admin(cloud: &Cloud, method: &str, path: &str, body: Value) {
    let path = format!("/_emulator/{path}");
    let (status, answer) = cloud.call(method, &path, Some(body)).await;
    assert!((200..300).contains(&status), "{path}: {status} {answer}");
}
