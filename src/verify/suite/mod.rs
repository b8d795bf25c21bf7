//! The API test suite file: YAML or JSON, typed, every error at once.
//!
//! | module | holds |
//! |---|---|
//! | `request` | what is sent |
//! | `expect` | what must come back |
//! | `meaning` | what a schema cannot say |
//! | `load` | patterns → files → suites, with bodies, schemas and secrets |
//! | `template` | `${name}` in texts |

mod expect;
pub(crate) mod load;
mod meaning;
mod request;
pub(crate) mod template;

use std::collections::BTreeMap;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::release::Commit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use expect::{Expect, HeaderChecks, HeaderSpec, JsonKind, PathCheck, StatusItem, StatusSpec};
pub use load::{LoadedSuite, load_suites};
pub use request::{Method, Request};

use super::compare::Tolerance;
use super::document::{Node, Place};
use super::golden::GoldenSpec;
use super::schema_check::{self, Finding};

/// Longest time for an answer where a suite says nothing, in milliseconds.
pub const DEFAULT_MAX_LATENCY_MS: u64 = 5000;
/// Cases at the same time where a suite says nothing: enough to be quick, few enough for one small
/// instance, so that latency measures the API and not a queue.
pub const DEFAULT_CONCURRENCY: u16 = 8;

/// API tests: requests to a candidate and what it must answer. At least one case, or one file of
/// golden predictions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// What holds for every case that says nothing else.
    #[serde(default)]
    pub defaults: Defaults,
    /// Values that texts refer to as `${name}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Value>,
    /// Values from the environment that are never shown: name → environment variable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Cases at the same time; 8 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<u16>,
    /// The cases; they may run at the same time and in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cases: Vec<Case>,
    /// Files of recorded predictions, each row a request and what it must bring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub golden: Vec<GoldenSpec>,
}

/// What holds for every case that says nothing else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// How far a number may be from the expected one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<ToleranceSpec>,
    /// Longest time from sending the request to the last byte of the answer, in milliseconds; 5000
    /// if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub max_latency_ms: Option<u64>,
    /// Headers to send with every request; a case's own win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// How far a number may be from the expected one: by the larger of both limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToleranceSpec {
    /// By this much; 1e-6 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub absolute: Option<f64>,
    /// By this part of the expected number; 0 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub relative: Option<f64>,
}

/// One request and its expected answer, or several that follow each other: `request` or `steps`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["request"]}, {"required": ["steps"]}]))]
pub struct Case {
    /// Its name, unique in the suite.
    pub name: String,
    /// What is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// What must come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// Tries again when the answer is not as expected. For what becomes right later, such as a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Requests in this order; the first that fails ends the case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub steps: Vec<Step>,
}

/// One request of a case with several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its name; its number if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is sent.
    pub request: Request,
    /// What must come back.
    #[serde(default)]
    pub expect: Expect,
    /// What later steps refer to as `${name}`: a JSONPath that selects one value of the answer, or
    /// `{header: NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capture: BTreeMap<String, Capture>,
    /// Tries again when the answer is not as expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// Where a captured value stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Capture {
    /// A JSONPath (RFC 9535) that selects one value of the answer.
    Path(String),
    /// A header of the answer.
    Header(HeaderCapture),
}

/// A header whose value is captured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderCapture {
    /// Its name.
    pub header: String,
}

/// How often and how soon a request is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Further tries after the first.
    #[schemars(range(min = 1, max = 1000))]
    pub times: u32,
    /// Milliseconds between two tries; 500 if not given.
    #[serde(default = "pause")]
    #[schemars(range(min = 1, max = 600_000))]
    pub pause_ms: u64,
}

fn pause() -> u64 {
    500
}

/// The JSON Schema of a suite file, for editors and for `docs/schema/tests.schema.json`.
pub fn schema() -> Value {
    schemars::schema_for!(Suite).to_value()
}

impl Suite {
    /// Reads a suite from YAML or JSON.
    ///
    /// # Errors
    /// Everything that is wrong, each with `file:line:column` ([`Code::TestsUnreadable`]).
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_with_places(text, file_name).map(|(suite, _)| suite)
    }

    /// The same, with the document, for errors that come later.
    pub(crate) fn parse_with_places(
        text: &str,
        file_name: &str,
    ) -> Result<(Self, Node), Vec<Diagnostic>> {
        let node = Node::parse(text).map_err(|error| {
            let at = error
                .place
                .map_or_else(|| file_name.to_owned(), |place| spot(file_name, place));
            let error = Diagnostic::error(
                Code::TestsUnreadable,
                format!("`{file_name}` is neither YAML nor JSON"),
            )
            .at(at)
            .cause(error.message);
            vec![error]
        })?;
        let mut findings = schema_check::check(&node, &schema());
        findings.extend(meaning::check(&node));
        if !findings.is_empty() {
            findings.sort_by_key(|finding| (finding.place.line, finding.place.column));
            return Err(findings
                .into_iter()
                .map(|finding| diagnostic(file_name, finding))
                .collect());
        }
        let suite = serde_json::from_value(node.to_json()).map_err(|error| {
            let error = Diagnostic::error(
                Code::TestsUnreadable,
                format!("`{file_name}` cannot be used"),
            )
            .at(file_name)
            .cause(error.to_string());
            vec![error]
        })?;
        Ok((suite, node))
    }

    /// What is tested where no suite file is given: the health path answers 200 and, where the API
    /// has a version path, it tells the commit.
    pub fn standard(
        health_path: &str,
        version_path: Option<&str>,
        commit: Option<&Commit>,
    ) -> Self {
        let mut cases = vec![Case::get("health answers", health_path, None)];
        if let (Some(path), Some(commit)) = (version_path, commit) {
            let json = serde_json::json!({ "commit": commit.as_str() });
            cases.push(Case::get(
                "version tells the commit of the release",
                path,
                Some(json),
            ));
        }
        Self {
            cases,
            ..Self::default()
        }
    }

    /// The tolerance of an expectation: its own, then the suite's, then 1e-6 absolute.
    pub(crate) fn tolerance(&self, own: Option<ToleranceSpec>) -> Tolerance {
        let own = own.unwrap_or_default();
        let suite = self.defaults.tolerance.unwrap_or_default();
        let standard = Tolerance::default();
        Tolerance {
            absolute: own.absolute.or(suite.absolute).unwrap_or(standard.absolute),
            relative: own.relative.or(suite.relative).unwrap_or(standard.relative),
        }
    }

    /// The longest time for an answer, in milliseconds.
    pub(crate) fn max_latency(&self, own: Option<u64>) -> u64 {
        own.or(self.defaults.max_latency_ms)
            .unwrap_or(DEFAULT_MAX_LATENCY_MS)
    }
}

impl Case {
    fn get(name: &str, path: &str, json: Option<Value>) -> Self {
        Self {
            name: name.to_owned(),
            request: Some(Request {
                path: path.to_owned(),
                ..Request::default()
            }),
            expect: Some(Expect {
                json,
                ..Expect::default()
            }),
            ..Self::default()
        }
    }

    /// What is sent one after the other; one request is one step.
    pub(crate) fn exchanges(&self) -> Vec<Step> {
        match &self.request {
            Some(request) => vec![Step {
                name: None,
                request: request.clone(),
                expect: self.expect.clone().unwrap_or_default(),
                capture: BTreeMap::new(),
                retry: self.retry,
            }],
            None => self.steps.clone(),
        }
    }
}

pub(crate) fn spot(file_name: &str, place: Place) -> String {
    format!("{file_name}:{}:{}", place.line, place.column)
}

pub(crate) fn diagnostic(file_name: &str, finding: Finding) -> Diagnostic {
    let title = if finding.path.is_empty() {
        finding.message
    } else {
        format!("`{}`: {}", finding.path, finding.message)
    };
    let diagnostic =
        Diagnostic::error(Code::TestsUnreadable, title).at(spot(file_name, finding.place));
    match finding.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// `null` means null, not "not given".
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
