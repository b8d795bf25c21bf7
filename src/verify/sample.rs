//! A request that is sent again and again, and what a right answer to it has: what load and replay
//! work with.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::caller::{Caller, MOST_ANSWER_BYTES, chain};
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

/// A whole answer.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// From sending to the last byte.
    pub(super) took: Duration,
}

impl Sample {
    /// Sends it once, and reads the whole answer within the time limit.
    ///
    /// # Errors
    /// Why there is none, in one line.
    pub(super) async fn send(&self, caller: &Caller, limit: Duration) -> Result<Answered, String> {
        let start = Instant::now();
        let exchange = async {
            let url = format!("{}{}", caller.base_url.trim_end_matches('/'), self.path);
            let builder = caller.client.request(self.method.clone(), url);
            let builder = builder
                .headers(self.headers_for(caller))
                .body(self.body.clone());
            let mut response = builder.send().await.map_err(|error| chain(&error))?;
            let status = response.status().as_u16();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
                if body.len() + chunk.len() > MOST_ANSWER_BYTES {
                    return Err(format!(
                        "the answer is larger than {MOST_ANSWER_BYTES} bytes"
                    ));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Answered {
                status,
                body: body.into(),
                took: start.elapsed(),
            })
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(answered) => answered,
            Err(_) => Err(format!(
                "no complete answer within {} ms",
                limit.as_millis()
            )),
        }
    }

    /// Whether it asks for something that depends on what it holds: a body or a query. What has
    /// neither, such as a health path, predicts nothing.
    pub(super) fn is_input(&self) -> bool {
        (200..300).contains(&self.status) && (!self.body.is_empty() || self.path.contains('?'))
    }
}

/// Where samples come from, one at a time: a data set need not fit into memory.
pub trait Samples: Send + Sync {
    /// From the first one. An error tells, in one line, why the next cannot be read.
    fn read(&self) -> Box<dyn Iterator<Item = Result<Sample, String>> + Send + '_>;
}

impl Samples for Vec<Sample> {
    fn read(&self) -> Box<dyn Iterator<Item = Result<Sample, String>> + Send + '_> {
        Box::new(self.iter().cloned().map(Ok))
    }
}
