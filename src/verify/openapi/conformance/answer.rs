//! Whether an answer keeps to the document.

use serde_json::Value;

use super::super::document::{Document, Node};
use super::checker::Checker;
use super::probe::{Kind, Probe};

/// What came back.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// HTTP status.
    pub status: u16,
    /// The media type, as it was sent.
    pub content_type: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// Statuses with which a server may answer anything, whether the document says so or not: it needs
/// credentials, or is asked too often.
const ALWAYS_ALLOWED: [u16; 3] = [401, 403, 429];

/// What is wrong with the answer; each line is one thing, and names what was owed.
pub fn judge(
    document: &Document,
    checker: &Checker,
    probe: &Probe,
    heard: Heard<'_>,
) -> Vec<String> {
    let Heard { status, .. } = heard;
    if status >= 500 {
        return vec![format!("{status}: no request may be answered with 5xx")];
    }
    if ALWAYS_ALLOWED.contains(&status) {
        return Vec::new();
    }
    match probe.kind {
        Kind::Forbidden if !(400..500).contains(&status) => {
            return vec![format!(
                "{status}: the document forbids this request, so 4xx is owed"
            )];
        }
        // The document says that this one is right.
        Kind::Allowed if [400, 422].contains(&status) => {
            return vec![format!(
                "{status}: the document allows this request, and the API refuses it"
            )];
        }
        _ => {}
    }
    let Some(response) = documented(document, probe, status) else {
        return vec![format!("{status}: not in the document")];
    };
    content(checker, probe, &response, heard)
}

/// The response of this status: by its number, its class, or `default`.
fn documented<'a>(document: &'a Document, probe: &Probe, status: u16) -> Option<Node<'a>> {
    let value = document.root().pointer(&probe.operation)?;
    let operation = Node {
        at: probe.operation.clone(),
        value,
    };
    let responses = operation.child("responses")?;
    let class = status / 100;
    let keys = [
        status.to_string(),
        format!("{class}XX"),
        format!("{class}xx"),
        "default".to_owned(),
    ];
    let response = keys.iter().find_map(|key| responses.child(key))?;
    Some(document.resolve(response))
}

fn content(checker: &Checker, probe: &Probe, response: &Node<'_>, heard: Heard<'_>) -> Vec<String> {
    let Heard {
        status,
        content_type,
        body,
    } = heard;
    let Some(content) = response.child("content") else {
        return Vec::new();
    };
    if probe.method == "HEAD" || content.entries().next().is_none() {
        return Vec::new();
    }
    let sent = bare(content_type.unwrap_or_default());
    let Some((_, media)) = content.entries().find(|(name, _)| fits(&bare(name), &sent)) else {
        let owed: Vec<&str> = content.entries().map(|(name, _)| name).collect();
        let sent = if sent.is_empty() { "no type" } else { &sent };
        return vec![format!(
            "{status}: the content type is {sent}; the document has {}",
            owed.join(", ")
        )];
    };
    let Some(schema) = media.child("schema").filter(|_| is_json(&sent)) else {
        return Vec::new();
    };
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return vec![format!("{status}: the body is not JSON: {error}")],
    };
    match checker.errors(&schema.at, &value) {
        Ok(found) => found
            .into_iter()
            .map(|error| format!("{status}: the body does not fit #{}: {error}", schema.at))
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

fn bare(media_type: &str) -> String {
    let bare = media_type.split(';').next().unwrap_or(media_type);
    bare.trim().to_lowercase()
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// A documented type may be a range, such as `image/*`.
fn fits(documented: &str, sent: &str) -> bool {
    match documented.strip_suffix("/*") {
        Some("*") => true,
        Some(kind) => sent.split('/').next() == Some(kind),
        None => documented == sent,
    }
}
