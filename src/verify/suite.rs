//! The API test suite file: YAML or JSON, typed, every error at once.

use std::collections::{BTreeMap, BTreeSet};

use delivery::diagnostic::{Code, Diagnostic};
use delivery::release::Commit;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::compare::Tolerance;
use super::document::{Content, Node, Place};
use super::schema_check::{self, Finding};

/// Longest time for an answer where a suite says nothing, in milliseconds.
pub const DEFAULT_MAX_LATENCY_MS: u64 = 5000;

/// API tests: requests to a candidate and what it must answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// What holds for every case that says nothing else.
    #[serde(default)]
    pub defaults: Defaults,
    /// The cases; they may run at the same time and in any order.
    #[schemars(length(min = 1))]
    pub cases: Vec<Case>,
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

/// One request and its expected answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name, unique in the suite.
    pub name: String,
    /// What is sent.
    pub request: Request,
    /// What must come back.
    #[serde(default)]
    pub expect: Expect,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method; GET if not given.
    #[serde(default)]
    pub method: Method,
    /// The path, from `/`, with its query.
    pub path: String,
    /// Headers to send.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A JSON body; sets `content-type: application/json` unless `headers` says otherwise.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub json: Option<Value>,
    /// A text body; not together with `json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// HTTP methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// As the HTTP client has it.
    pub(crate) fn wire(self) -> reqwest::Method {
        match self {
            Self::Get => reqwest::Method::GET,
            Self::Head => reqwest::Method::HEAD,
            Self::Post => reqwest::Method::POST,
            Self::Put => reqwest::Method::PUT,
            Self::Patch => reqwest::Method::PATCH,
            Self::Delete => reqwest::Method::DELETE,
            Self::Options => reqwest::Method::OPTIONS,
        }
    }
}

/// What must come back. What is not named is not looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The status; 200 if not given.
    #[serde(default = "ok")]
    #[schemars(range(min = 100, max = 599))]
    pub status: u16,
    /// Headers and their whole values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The JSON body, as a subset: the keys named here must be there, lists have the same length
    /// and order, numbers are within the tolerance.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub json: Option<Value>,
    /// For this case only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<ToleranceSpec>,
    /// For this case only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub max_latency_ms: Option<u64>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            status: ok(),
            headers: BTreeMap::new(),
            json: None,
            tolerance: None,
            max_latency_ms: None,
        }
    }
}

fn ok() -> u16 {
    200
}

/// `json: null` means null, not "not given".
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
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
        findings.extend(check_meaning(&node));
        if !findings.is_empty() {
            findings.sort_by_key(|finding| (finding.place.line, finding.place.column));
            return Err(findings
                .into_iter()
                .map(|finding| diagnostic(file_name, finding))
                .collect());
        }
        serde_json::from_value(node.to_json()).map_err(|error| {
            let error = Diagnostic::error(
                Code::TestsUnreadable,
                format!("`{file_name}` cannot be used"),
            )
            .at(file_name)
            .cause(error.to_string());
            vec![error]
        })
    }

    /// The suite where a project has none: the health path answers 200, and the version path
    /// answers the release's commit. `version_path` is `None` where the API tells no version.
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
            defaults: Defaults::default(),
            cases,
        }
    }

    /// The tolerance of a case: its own, then the suite's, then 1e-6 absolute.
    pub(crate) fn tolerance_of(&self, case: &Case) -> Tolerance {
        let own = case.expect.tolerance.unwrap_or_default();
        let suite = self.defaults.tolerance.unwrap_or_default();
        let standard = Tolerance::default();
        Tolerance {
            absolute: own.absolute.or(suite.absolute).unwrap_or(standard.absolute),
            relative: own.relative.or(suite.relative).unwrap_or(standard.relative),
        }
    }

    /// The longest time for the answer to a case, in milliseconds.
    pub(crate) fn max_latency_of(&self, case: &Case) -> u64 {
        let own = case.expect.max_latency_ms;
        own.or(self.defaults.max_latency_ms)
            .unwrap_or(DEFAULT_MAX_LATENCY_MS)
    }
}

impl Case {
    fn get(name: &str, path: &str, json: Option<Value>) -> Self {
        Self {
            name: name.to_owned(),
            request: Request {
                method: Method::Get,
                path: path.to_owned(),
                headers: BTreeMap::new(),
                json: None,
                body: None,
            },
            expect: Expect {
                json,
                ..Expect::default()
            },
        }
    }
}

fn spot(file_name: &str, place: Place) -> String {
    format!("{file_name}:{}:{}", place.line, place.column)
}

fn diagnostic(file_name: &str, finding: Finding) -> Diagnostic {
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

/// What a schema cannot say.
fn check_meaning(root: &Node) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(Content::Sequence(cases)) = root.get("cases").map(|node| &node.content) else {
        return findings;
    };
    let mut names = BTreeSet::new();
    for (index, case) in cases.iter().enumerate() {
        if let Some((node, name)) = text_of(case, "name") {
            let path = format!("cases[{index}].name");
            if name.trim().is_empty() {
                findings.push(finding(node, path, "a name is wanted".to_owned()));
            } else if !names.insert(name.to_owned()) {
                findings.push(finding(
                    node,
                    path,
                    format!("another case is called `{name}` as well"),
                ));
            }
        }
        let Some(request) = case.get("request") else {
            continue;
        };
        check_request(request, index, &mut findings);
        if let Some(headers) = case.get("expect").and_then(|expect| expect.get("headers")) {
            check_headers(
                headers,
                &format!("cases[{index}].expect.headers"),
                &mut findings,
            );
        }
    }
    findings
}

fn check_request(request: &Node, index: usize, findings: &mut Vec<Finding>) {
    if let Some((node, path)) = text_of(request, "path")
        && (!path.starts_with('/') || path.contains(char::is_whitespace))
    {
        let message = format!("`{path}` is no path: it begins with `/` and has no spaces");
        findings.push(finding(
            node,
            format!("cases[{index}].request.path"),
            message,
        ));
    }
    if let (Some(_), Some(body)) = (request.get("json"), request.get("body")) {
        let message = "`json` and `body` cannot be given together".to_owned();
        findings.push(finding(
            body,
            format!("cases[{index}].request.body"),
            message,
        ));
    }
    if let Some(headers) = request.get("headers") {
        check_headers(
            headers,
            &format!("cases[{index}].request.headers"),
            findings,
        );
    }
}

fn check_headers(headers: &Node, path: &str, findings: &mut Vec<Finding>) {
    let Content::Mapping(entries) = &headers.content else {
        return;
    };
    for (key, value) in entries {
        let name = http::HeaderName::from_bytes(key.text.as_bytes());
        let fits = match &value.content {
            Content::Text(text) => http::HeaderValue::from_str(text).is_ok(),
            _ => true,
        };
        if name.is_err() || !fits {
            let message = format!("`{}` is no header that HTTP can carry", key.text);
            findings.push(Finding {
                place: key.place,
                path: path.to_owned(),
                message,
                help: None,
            });
        }
    }
}

fn text_of<'a>(node: &'a Node, key: &str) -> Option<(&'a Node, &'a str)> {
    let node = node.get(key)?;
    match &node.content {
        Content::Text(text) => Some((node, text)),
        _ => None,
    }
}

fn finding(node: &Node, path: String, message: String) -> Finding {
    Finding {
        place: node.place,
        path,
        message,
        help: None,
    }
}
