//! The verdict, in the words of in-toto's `test-result`.
//!
//! Source: <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>.

use serde::{Deserialize, Serialize};

use crate::attestation::statement::ResourceDescriptor;
use crate::name::EnvironmentName;
use crate::spec::ConfigHash;
use crate::verdict::{CaseEnd, Evidence};

/// URI of the predicate.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// Annotation of the configuration's descriptor that names the environment: the predicate has no
/// field for it, and it must be under the signature.
pub const ENVIRONMENT_ANNOTATION: &str = "ml-deploy/environment";
/// Name of the configuration's descriptor.
const CONFIGURATION: &str = "service-configuration";
/// How the end of a case begins that would have failed, in a gate that only warns.
pub const WARNS_ONLY: &str = "warns only: ";

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestOutcome {
    /// Everything as expected.
    Passed,
    /// Good enough to go on; something was not as expected.
    Warned,
    /// Not good enough.
    Failed,
}

/// The predicate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// How it ended.
    pub result: TestOutcome,
    /// What was tested with what: the configuration of the service.
    pub configuration: Vec<ResourceDescriptor>,
    /// The page of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `gate/case` of what passed; with the region before it where there are several.
    #[serde(default)]
    pub passed_tests: Vec<String>,
    /// `gate/case` of what only warned, and of what could not be decided.
    #[serde(default)]
    pub warned_tests: Vec<String>,
    /// `gate/case` of what failed.
    #[serde(default)]
    pub failed_tests: Vec<String>,
}

impl TestResult {
    /// What the evidence of all gates comes to, in an environment.
    pub fn of(
        environment: &EnvironmentName,
        configuration: &ConfigHash,
        url: Option<String>,
        evidence: &[Evidence],
    ) -> Self {
        let mut result = Self {
            result: TestOutcome::Passed,
            configuration: vec![
                ResourceDescriptor::hashed(CONFIGURATION, configuration.0.clone())
                    .annotated(ENVIRONMENT_ANNOTATION, environment.as_str()),
            ],
            url,
            passed_tests: Vec::new(),
            warned_tests: Vec::new(),
            failed_tests: Vec::new(),
        };
        for gate in evidence {
            for case in &gate.cases {
                let name = gate.name_of(case);
                match &case.end {
                    CaseEnd::Passed => result.passed_tests.push(name),
                    CaseEnd::Failed(_) => result.failed_tests.push(name),
                    // Not passed, and the release went on: the record says so, and why.
                    CaseEnd::Undecided(_) => result.warned_tests.push(name),
                    CaseEnd::Skipped(why) if why.starts_with(WARNS_ONLY) => {
                        result.warned_tests.push(name);
                    }
                    // The predicate has no list for it; the record has.
                    CaseEnd::Skipped(_) => {}
                }
            }
        }
        result.result = match (
            result.failed_tests.is_empty(),
            result.warned_tests.is_empty(),
        ) {
            (false, _) => TestOutcome::Failed,
            (true, false) => TestOutcome::Warned,
            (true, true) => TestOutcome::Passed,
        };
        result
    }

    /// The environment that it is said of.
    pub fn environment(&self) -> Option<&str> {
        self.configuration
            .iter()
            .find_map(|one| one.annotations.get(ENVIRONMENT_ANNOTATION)?.as_str())
    }
}
