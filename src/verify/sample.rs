//! A request that is sent again and again, and what a right answer to it has: what load and replay
//! work with.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::caller::Caller;
use super::suite::Case;

/// One request with its expectation.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name in reports.
    pub name: String,
    /// The method.
    pub method: Method,
    /// From `/`, with its query.
    pub path: String,
    /// Headers, without the token.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// The status of a right answer.
    pub status: u16,
    /// What the answer must have, as a subset; `None` when any body is right.
    pub json: Option<Value>,
}

impl Sample {
    /// From a test case.
    pub fn from_case(case: &Case) -> Self {
        let request = &case.request;
        let mut headers = HeaderMap::new();
        if request.json.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &request.headers {
            // The suite was checked when it was read; what is not valid cannot be here.
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            ) {
                headers.insert(name, value);
            }
        }
        let body = match (&request.json, &request.body) {
            (Some(json), _) => Bytes::from(json.to_string()),
            (None, Some(text)) => Bytes::from(text.clone()),
            (None, None) => Bytes::new(),
        };
        Self {
            name: case.name.clone(),
            method: request.method.wire(),
            path: request.path.clone(),
            headers,
            body,
            status: case.expect.status,
            json: case.expect.json.clone(),
        }
    }

    /// Its headers, with the caller's token where it has none of its own.
    pub(super) fn headers_for(&self, caller: &Caller) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(bearer) = &caller.bearer
            && !headers.contains_key(AUTHORIZATION)
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", bearer.expose()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }
}
