//! A request of a suite → a call that can be sent.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::verify::caller::{Call, MOST_ANSWER_BYTES};
use crate::verify::suite::template::{Scope, encode, plain};
use crate::verify::suite::{LoadedSuite, Request};

/// Fills variables in. `base_url` is where the call goes to: a captured address that begins with it
/// is a path of the same API.
///
/// # Errors
/// One line, when a value makes the request one that cannot be sent.
pub(crate) fn prepare(
    request: &Request,
    loaded: &LoadedSuite,
    scope: &Scope,
    base_url: &str,
) -> Result<Call, String> {
    let mut headers = HeaderMap::new();
    let (body, kind) = body(request, loaded, scope)?;
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    for (name, value) in loaded.suite.defaults.headers.iter().chain(&request.headers) {
        let value = scope.text(value);
        let (Ok(key), Ok(mut value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(&value),
        ) else {
            return Err(format!("the header `{name}` cannot be sent with its value"));
        };
        value.set_sensitive(super::answer::is_secret_header(name));
        headers.insert(key, value);
    }
    Ok(Call {
        method: request.method.wire(),
        path: path(request, scope, base_url)?,
        headers,
        body,
        most_bytes: MOST_ANSWER_BYTES,
    })
}

fn path(request: &Request, scope: &Scope, base_url: &str) -> Result<String, String> {
    let filled = scope.path(&request.path);
    let base = base_url.trim_end_matches('/');
    let mut path = match filled.strip_prefix(base) {
        Some(path) => path.to_owned(),
        None => filled,
    };
    if !path.starts_with('/') {
        return Err(format!("`{path}` is no path of {base}"));
    }
    let mut mark = if path.contains('?') { '&' } else { '?' };
    for (name, value) in fields(&request.query, scope) {
        path.push_str(&format!("{mark}{}={}", encode(&name), encode(&value)));
        mark = '&';
    }
    Ok(path)
}

fn body(
    request: &Request,
    loaded: &LoadedSuite,
    scope: &Scope,
) -> Result<(Bytes, Option<&'static str>), String> {
    const JSON: &str = "application/json";
    if let Some(json) = &request.json {
        return Ok((scope.json(json).to_string().into(), Some(JSON)));
    }
    if let Some(text) = &request.body {
        return Ok((scope.text(text).into(), None));
    }
    if let Some(form) = &request.form {
        let pairs: Vec<String> = fields(form, scope)
            .into_iter()
            .map(|(name, value)| format!("{}={}", encode(&name), encode(&value)))
            .collect();
        let kind = "application/x-www-form-urlencoded";
        return Ok((pairs.join("&").into(), Some(kind)));
    }
    if let Some(file) = &request.body_file {
        let bytes = loaded.bodies.get(file).cloned();
        let bytes = bytes.ok_or_else(|| format!("`{file}` was not read"))?;
        let is_json = file.to_ascii_lowercase().ends_with(".json");
        let kind = if is_json {
            JSON
        } else {
            "application/octet-stream"
        };
        return Ok((bytes, Some(kind)));
    }
    Ok((Bytes::new(), None))
}

/// Names and values; a list gives its name several times.
fn fields(
    from: &std::collections::BTreeMap<String, Value>,
    scope: &Scope,
) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for (name, value) in from {
        match scope.json(value) {
            Value::Array(items) => {
                fields.extend(items.iter().map(|item| (name.clone(), plain(item))));
            }
            one => fields.push((name.clone(), plain(&one))),
        }
    }
    fields
}
