//! A request that is sent again and again, and what a right answer to it has: what load and replay
//! work with.

use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use super::caller::{Answer, Call, Caller, MOST_ANSWER_BYTES, NoAnswer};
use super::golden::golden_samples;
use super::run::prepare;
use super::suite::{Case, LoadedSuite, StatusSpec};

/// One request with its expectation.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its name in reports.
    pub name: String,
    pub(crate) call: Call,
    /// The statuses of a right answer.
    pub(crate) status: StatusSpec,
    /// What the answer must have, as a subset; `None` when any body is right.
    pub(crate) json: Option<Value>,
}

impl Sample {
    /// A request without a body, that any answer with status 200 is right for.
    pub fn get(name: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            call: Call {
                method: Method::GET,
                path: path.into(),
                headers: HeaderMap::new(),
                body: Bytes::new(),
                most_bytes: MOST_ANSWER_BYTES,
            },
            status: StatusSpec::default(),
            json: None,
        }
    }

    /// The same request as a POST of JSON.
    #[must_use]
    pub fn post(mut self, json: &Value) -> Self {
        let kind = HeaderValue::from_static("application/json");
        self.call.method = Method::POST;
        self.call.headers.insert(http::header::CONTENT_TYPE, kind);
        self.call.body = json.to_string().into();
        self
    }

    /// The same request, whose answer must have these keys, each of this kind.
    #[must_use]
    pub fn answered(mut self, shape: Value) -> Self {
        self.json = Some(shape);
        self
    }

    /// From a test case of one request; `None` where it has several steps, which depend on each other.
    ///
    /// # Errors
    /// Why it cannot be sent, in one line.
    pub(crate) fn from_case(loaded: &LoadedSuite, case: &Case) -> Option<Result<Self, String>> {
        let request = case.request.as_ref()?;
        let call = prepare(request, loaded, &loaded.scope, "")
            .map_err(|why| format!("`{}` cannot be sent: {why}", case.name));
        let expect = case.expect.clone().unwrap_or_default();
        Some(call.map(|call| Self {
            name: case.name.clone(),
            call,
            status: expect.status,
            json: expect.json.map(|json| loaded.scope.json(&json)),
        }))
    }

    /// Its headers, with the caller's token where it has none of its own.
    pub(super) fn headers_for(&self, caller: &Caller) -> HeaderMap {
        let mut headers = self.call.headers.clone();
        if let Some(bearer) = &caller.bearer
            && !headers.contains_key(AUTHORIZATION)
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", bearer.expose()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }

    /// Sends it once, and reads the whole answer within the time limit.
    pub(super) async fn send(&self, caller: &Caller, limit: Duration) -> Result<Answer, NoAnswer> {
        caller.call(&self.call, limit).await
    }

    /// Whether it asks for something that depends on what it holds: a body or a query. What has
    /// neither, such as a health path, predicts nothing. Nor does what is expected to be refused.
    pub(super) fn is_input(&self) -> bool {
        self.status.allows(200) && (!self.call.body.is_empty() || self.call.path.contains('?'))
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

/// The cases and the golden rows of test files, or those of them that are named.
pub struct SuiteSamples {
    /// The test files.
    pub suites: Vec<LoadedSuite>,
    /// Names of cases and golden files; all of them when it is empty.
    pub only: Vec<String>,
}

impl SuiteSamples {
    /// The names that nothing is called by.
    pub fn unknown(&self) -> Vec<&str> {
        let known = |name: &str| {
            self.suites.iter().any(|loaded| {
                let suite = &loaded.suite;
                suite
                    .cases
                    .iter()
                    .any(|case| case.name == name && case.request.is_some())
                    || suite.golden.iter().any(|spec| spec.title() == name)
            })
        };
        self.only
            .iter()
            .map(String::as_str)
            .filter(|name| !known(name))
            .collect()
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    fn of<'a>(
        &'a self,
        loaded: &'a LoadedSuite,
    ) -> impl Iterator<Item = Result<Sample, String>> + Send + 'a {
        let cases = loaded
            .suite
            .cases
            .iter()
            .filter(move |case| self.wants(&case.name));
        let golden = loaded
            .suite
            .golden
            .iter()
            .filter(move |spec| self.wants(spec.title()));
        cases
            .filter_map(move |case| Sample::from_case(loaded, case))
            .chain(golden.flat_map(move |spec| golden_samples(loaded, spec)))
    }
}

impl Samples for SuiteSamples {
    fn read(&self) -> Box<dyn Iterator<Item = Result<Sample, String>> + Send + '_> {
        Box::new(self.suites.iter().flat_map(move |loaded| self.of(loaded)))
    }
}
