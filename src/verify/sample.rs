//! A request that is sent again and again, and what a right answer to it has: what load and replay
//! work with.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use super::caller::{Call, Caller};
use super::run::prepare;
use super::suite::{Case, Expect, LoadedSuite};

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
    /// From the first request of a test case, as it is written.
    pub fn from_case(case: &Case) -> Self {
        let step = case.exchanges().into_iter().next().unwrap_or_default();
        Self::new(&case.name, &step.expect, Call::plain(&step.request))
    }

    /// From every case of the suites that is one request, with variables filled in and bodies read.
    /// A scenario is no load: its later requests need answers to earlier ones.
    pub fn all(suites: &[LoadedSuite], base_url: &str) -> Vec<Self> {
        let cases = suites
            .iter()
            .flat_map(|loaded| loaded.suite.cases.iter().map(move |case| (loaded, case)));
        cases
            .filter_map(|(loaded, case)| {
                let request = case.request.as_ref()?;
                let call = prepare(request, loaded, &loaded.scope, base_url).ok()?;
                let mut expect = case.expect.clone().unwrap_or_default();
                expect.json = expect.json.map(|json| loaded.scope.json(&json));
                Some(Self::new(&case.name, &expect, call))
            })
            .collect()
    }

    fn new(name: &str, expect: &Expect, call: Call) -> Self {
        let Call {
            method,
            path,
            headers,
            body,
            most_bytes: _,
        } = call;
        Self {
            name: name.to_owned(),
            method,
            path,
            headers,
            body,
            status: expect.status.usual(),
            json: expect.json.clone(),
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
