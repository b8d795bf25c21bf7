//! How a file of recorded predictions is sent and compared.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verify::caller::Call;
use crate::verify::run::prepare;
use crate::verify::suite::{LoadedSuite, Method, Request, ToleranceSpec};

/// A file of recorded predictions: each row holds an input and what the API must answer to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoldenSpec {
    /// The file, relative to the suite file: `.jsonl` (each line `{"input": …, "expected": …}`) or
    /// `.csv` (a header; columns named `expected.NAME` are what must come back, the others the input).
    pub file: String,
    /// Its name in reports; the file's if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where rows are sent.
    pub request: GoldenRequest,
    /// Sends several rows in one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// Columns of a CSV file that are expected though they are not named `expected.…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected_columns: Vec<String>,
    /// Columns of a CSV file that stay text though they look like numbers, such as a postal code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub text_columns: Vec<String>,
    /// How far a number may be from the expected one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<ToleranceSpec>,
    /// What holds for one expected column, by its name with dots, such as `probabilities.churn`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnSpec>,
    /// The part of the rows that may differ, from 0 to 1; 0 if not given.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_mismatch_rate: f64,
    /// Requests at the same time; the suite's `concurrency` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<u16>,
    /// Longest time for the answer to a request, in milliseconds; the suite's if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub max_latency_ms: Option<u64>,
    /// How many of the rows that differ most are shown; 5 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub worst: Option<u16>,
}

impl GoldenSpec {
    /// Its name in reports.
    pub(crate) fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.file)
    }

    /// The request that each row goes out in, without its body. `loaded` is the suite that names the
    /// file, with what its variables stand for.
    ///
    /// # Errors
    /// One line, when it cannot be sent.
    pub(super) fn call(&self, loaded: &LoadedSuite, base_url: &str) -> Result<Call, String> {
        let GoldenRequest {
            method,
            path,
            headers,
        } = &self.request;
        let request = Request {
            method: *method,
            path: path.clone(),
            headers: headers.clone(),
            ..Request::default()
        };
        let mut call = prepare(&request, loaded, &loaded.scope, base_url)?;
        let json = HeaderValue::from_static("application/json");
        call.headers.entry(CONTENT_TYPE).or_insert(json);
        Ok(call)
    }
}

/// Where rows are sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoldenRequest {
    /// The method; POST if not given.
    #[serde(default = "post")]
    pub method: Method,
    /// The path, from `/`.
    pub path: String,
    /// Headers to send.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl Default for GoldenRequest {
    fn default() -> Self {
        Self {
            method: post(),
            path: String::new(),
            headers: BTreeMap::new(),
        }
    }
}

fn post() -> Method {
    Method::Post
}

/// How an API takes several rows at once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Rows of one request.
    #[schemars(range(min = 1, max = 10_000))]
    pub size: u16,
    /// The key under which the body has the list of inputs; the body is the list itself if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_key: Option<String>,
    /// The key under which the answer has the list of outputs; the answer is the list itself if not
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_key: Option<String>,
}

/// What holds for one column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// How far a number may be from the expected one, by this much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub absolute: Option<f64>,
    /// How far a number may be, by this part of the expected one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub relative: Option<f64>,
    /// It is a label: compared exactly also if it is a number, and counted as a flip. Texts and
    /// booleans are labels anyway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub label: bool,
    /// It is not compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore: bool,
}
