//! Evidence and what it means.

use serde::{Deserialize, Serialize};

/// What was measured by one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which gate, such as `api-tests`.
    pub gate: String,
    /// Each measurement.
    pub cases: Vec<CaseResult>,
}

/// One test case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Its name, unique in its gate.
    pub name: String,
    /// How it ended.
    pub end: CaseEnd,
    /// How long the request took, in milliseconds.
    pub millis: u64,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseEnd {
    /// As expected.
    Passed,
    /// Not as expected; each line tells one difference: where, expected, got.
    Failed(Vec<String>),
    /// It could not be decided, with the reason.
    Undecided(String),
}

/// What the evidence means. The order is the order of severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything as expected.
    Pass,
    /// It cannot be decided; each line tells what is missing.
    Inconclusive(Vec<String>),
    /// Something is wrong; each line tells what.
    Fail(Vec<String>),
}
