//! Request body, responses, media types and response headers.

use std::collections::BTreeMap;

use super::super::change::{Direction, Level};
use super::super::document::{Document, Node};
use super::{Walk, schema};

/// The validation error that FastAPI writes into every operation that takes anything. It appears
/// and changes with the framework, not with the API.
const FRAMEWORK_ERROR: &str = "422";

pub(super) fn request<'a>(walk: &mut Walk<'a>, old: &Node<'a>, new: &Node<'a>) {
    let was = old.child("requestBody").map(|it| walk.old.resolve(it));
    let is = new.child("requestBody").map(|it| walk.new.resolve(it));
    let required = |body: &Node<'_>| body.is("required");
    match (was, is) {
        (None, None) => {}
        (None, Some(is)) if required(&is) => {
            let (rule, text) = (
                "request-body-added-required",
                "a request body is required now",
            );
            walk.find(rule, Level::Breaking, &is.at, text);
        }
        (None, Some(is)) => {
            let (rule, text) = (
                "request-body-added-optional",
                "a request body may be sent now",
            );
            walk.find(rule, Level::Addition, &is.at, text);
        }
        (Some(was), None) => {
            let (rule, text) = ("request-body-removed", "there is no request body any more");
            walk.find(rule, Level::Breaking, &was.at, text);
        }
        (Some(was), Some(is)) => {
            match (required(&was), required(&is)) {
                (false, true) => {
                    let rule = "request-body-became-required";
                    let text = "the request body became required";
                    walk.find(rule, Level::Breaking, &is.at, text);
                }
                (true, false) => {
                    let rule = "request-body-became-optional";
                    let text = "the request body became optional";
                    walk.find(rule, Level::Addition, &is.at, text);
                }
                _ => {}
            }
            contents(walk, Direction::Request, &was, &is, "request");
        }
    }
}

pub(super) fn responses<'a>(walk: &mut Walk<'a>, old: &Node<'a>, new: &Node<'a>) {
    let before = by_status(walk.old, old);
    let after = by_status(walk.new, new);
    for (status, was) in &before {
        match after.get(status) {
            Some(_) if is_frameworks(status, was) => {}
            Some(is) => response(walk, status, was, is),
            None => {
                let (rule, level) = if is_success(status) {
                    ("response-success-status-removed", Level::Breaking)
                } else {
                    ("response-error-status-removed", Level::Note)
                };
                let text = format!("the response {status} is gone");
                walk.find(rule, level, &was.at, text);
            }
        }
    }
    for (status, is) in &after {
        if before.contains_key(status) {
            continue;
        }
        let (rule, level) = if is_success(status) {
            ("response-success-status-added", Level::Addition)
        } else {
            ("response-error-status-added", Level::Note)
        };
        let text = format!("the response {status} is new");
        walk.find(rule, level, &is.at, text);
    }
}

fn by_status<'a>(document: &'a Document, operation: &Node<'a>) -> BTreeMap<&'a str, Node<'a>> {
    let responses = operation.child("responses");
    let entries = responses.iter().flat_map(Node::entries);
    entries
        .map(|(status, node)| (status, document.resolve(node)))
        .collect()
}

fn is_success(status: &str) -> bool {
    status.starts_with('2') || status.starts_with('3')
}

fn is_frameworks(status: &str, response: &Node<'_>) -> bool {
    status == FRAMEWORK_ERROR && response.value.to_string().contains("HTTPValidationError")
}

fn response<'a>(walk: &mut Walk<'a>, status: &str, old: &Node<'a>, new: &Node<'a>) {
    contents(
        walk,
        Direction::Response,
        old,
        new,
        &format!("response {status}"),
    );
    headers(walk, status, old, new);
}

/// Media types and their schemas. `of` says whose.
fn contents<'a>(walk: &mut Walk<'a>, way: Direction, old: &Node<'a>, new: &Node<'a>, of: &str) {
    let before = by_media_type(old);
    let after = by_media_type(new);
    for (name, was) in &before {
        match after.get(name) {
            None => {
                let text = format!("the media type {name} of the {of} is gone");
                walk.find("media-type-removed", Level::Breaking, &was.at, text);
            }
            Some(is) => match (was.child("schema"), is.child("schema")) {
                (Some(was), Some(is)) => schema::compare(walk, way, &was, &is),
                (None, Some(is)) => {
                    let text = format!("the {of} ({name}) has a schema now");
                    walk.find("schema-added", way.narrower(), &is.at, text);
                }
                (Some(was), None) => {
                    let text = format!("the schema of the {of} ({name}) is gone");
                    walk.find("schema-removed", way.wider(), &was.at, text);
                }
                (None, None) => {}
            },
        }
    }
    for (name, is) in &after {
        if !before.contains_key(name) {
            let text = format!("the media type {name} of the {of} is new");
            walk.find("media-type-added", Level::Addition, &is.at, text);
        }
    }
}

/// Media types without their parameters, in lower case (RFC 9110, section 8.3.1).
fn by_media_type<'a>(holder: &Node<'a>) -> BTreeMap<String, Node<'a>> {
    let content = holder.child("content");
    let entries = content.iter().flat_map(Node::entries);
    entries
        .map(|(name, node)| {
            let bare = name.split(';').next().unwrap_or(name);
            (bare.trim().to_lowercase(), node)
        })
        .collect()
}

fn headers<'a>(walk: &mut Walk<'a>, status: &str, old: &Node<'a>, new: &Node<'a>) {
    let before = by_header(walk.old, old);
    let after = by_header(walk.new, new);
    for (name, was) in &before {
        let Some(is) = after.get(name) else {
            let (rule, level) = if was.is("required") {
                ("response-required-header-removed", Level::Breaking)
            } else {
                ("response-optional-header-removed", Level::Doubtful)
            };
            let text = format!("the header `{name}` of the response {status} is gone");
            walk.find(rule, level, &was.at, text);
            continue;
        };
        if was.is("required") && !is.is("required") {
            let text = format!("the header `{name}` of the response {status} became optional");
            let rule = "response-header-became-optional";
            walk.find(rule, Level::Breaking, &is.at, text);
        }
        if let (Some(was), Some(is)) = (was.child("schema"), is.child("schema")) {
            schema::compare(walk, Direction::Response, &was, &is);
        }
    }
    for (name, is) in &after {
        if !before.contains_key(name) {
            let text = format!("the header `{name}` of the response {status} is new");
            walk.find("response-header-added", Level::Addition, &is.at, text);
        }
    }
}

fn by_header<'a>(document: &'a Document, response: &Node<'a>) -> BTreeMap<String, Node<'a>> {
    let headers = response.child("headers");
    let entries = headers.iter().flat_map(Node::entries);
    entries
        .map(|(name, node)| (name.to_lowercase(), document.resolve(node)))
        .collect()
}
