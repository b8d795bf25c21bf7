//! The record of a delivery: what the verdict has no field for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attestation::test_result::WARNS_ONLY;
use crate::verdict::{CaseEnd, Evidence, Measurement};

/// URI of the predicate. A new version of it is a new URI.
pub const DELIVERY_RECORD: &str =
    "https://github.com/org/ml-deploy-action/attestation/delivery-record/v1";

/// The predicate: one delivery of one image to one environment that passed there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRecord {
    /// The environment.
    pub environment: String,
    /// Where it serves there.
    pub services: Vec<ServiceRecord>,
    /// The image by digest, `REPOSITORY@sha256:…`, as it was deployed.
    pub image: String,
    /// The full commit that it was built from.
    pub commit: String,
    /// The semantic version, without `v`; absent for a build of a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SHA-256 of the service's configuration, hexadecimal.
    pub configuration: String,
    /// The run.
    pub run: RunRecord,
    /// Who approved.
    pub approval: ApprovalRecord,
    /// What the pass rests on; of several services, the least: each has its own.
    pub basis: Basis,
    /// The step before, where the tests ran there: `command: deploy` of the same run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests_of: Option<TestsOf>,
    /// When the run began, RFC 3339 in UTC.
    pub started_at: String,
    /// When it had passed, RFC 3339 in UTC.
    pub passed_at: String,
    /// The gates that ran, in their order.
    pub gates: Vec<GateRecord>,
    /// What could not be decided: it has not passed, and the release went on all the same, as
    /// `on_inconclusive: proceed` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inconclusive: Vec<OpenRecord>,
    /// What was not tried, and why.
    pub skipped: Vec<OpenRecord>,
    /// Version of the program that wrote it.
    pub tool_version: String,
}

/// One service in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRecord {
    /// The project.
    pub project: String,
    /// The region.
    pub region: String,
    /// The service.
    pub service: String,
    /// The revision that serves.
    pub revision: String,
    /// The service's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How it is known that this revision passed.
    pub basis: Basis,
    /// The run that brought it to serve.
    pub run: String,
    /// When it was confirmed there, RFC 3339 in UTC.
    pub passed_at: String,
}

/// Where the tests ran, if not in the step that gave the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestsOf {
    /// The run, and its attempt.
    pub run: String,
    /// When they had passed, RFC 3339 in UTC.
    pub passed_at: String,
}

/// Which run it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// `ID/ATTEMPT` on GitHub, `cli/USER@HOST/PROCESS` on a terminal.
    pub run: String,
    /// 1, or more for a re-run.
    pub attempt: u32,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `OWNER/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The full ref, such as `refs/tags/v1.2.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    /// Whom it acted as in the cloud, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// Who approved. GitHub's API tells who approved a run, neither when nor which attempt of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRecord {
    /// `required`, `external` or `none`, as configured.
    pub policy: String,
    /// Names on GitHub.
    pub approvers: Vec<String>,
    /// Which attempt was approved: `first`, or `unknown` wherever it cannot be told.
    pub attempt: String,
}

impl ApprovalRecord {
    /// What is known of the approval of another run: nothing but what is configured.
    #[must_use]
    pub fn of_another(&self) -> Self {
        Self {
            policy: self.policy.clone(),
            approvers: Vec::new(),
            attempt: "unknown".to_owned(),
        }
    }
}

/// What the verdict rests on. The order is from the most that is known to the least.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// This run tested it, and brought it to serve.
    Tested,
    /// The service's own record says that the tests had passed in an earlier step or run, whose results
    /// are not kept; this run brought it to serve.
    Continued,
    /// The service's own record says that an earlier run, which `run` and `passedAt` name, had tested
    /// it and brought it to serve; its evidence was missing and was attached later.
    Recorded,
}

/// One gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateRecord {
    /// Its name.
    pub gate: String,
    /// Where it ran, where the run went to several regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that were tried.
    pub tried: usize,
    /// The sum of its cases' times, in milliseconds.
    pub millis: u64,
    /// What it measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<MeasurementRecord>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementRecord {
    /// What, such as `p95`.
    pub name: String,
    /// How much.
    pub value: f64,
    /// In what; empty for a plain number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Lower end of its 95 % confidence interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of its 95 % confidence interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// What was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

/// Something that has neither passed nor failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenRecord {
    /// `gate/case`; with the region before it where there are several.
    pub case: String,
    /// Why.
    pub reason: String,
}

/// What was measured, as it stands in a record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// The gates that ran.
    pub gates: Vec<GateRecord>,
    /// What could not be decided.
    pub inconclusive: Vec<OpenRecord>,
    /// What was not tried.
    pub skipped: Vec<OpenRecord>,
}

impl Measured {
    /// What the evidence of a run says.
    pub fn of(evidence: &[Evidence]) -> Self {
        let mut all = Self::default();
        for one in evidence {
            let Evidence {
                gate,
                place,
                cases,
                measurements,
                plots: _,
            } = one;
            for case in cases {
                let open = |reason: &String| OpenRecord {
                    case: one.name_of(case),
                    reason: reason.clone(),
                };
                match &case.end {
                    CaseEnd::Undecided(reason) => all.inconclusive.push(open(reason)),
                    CaseEnd::Skipped(reason) if !reason.starts_with(WARNS_ONLY) => {
                        all.skipped.push(open(reason));
                    }
                    CaseEnd::Passed | CaseEnd::Failed(_) | CaseEnd::Skipped(_) => {}
                }
            }
            let (passed, tried) = one.passed_of();
            all.gates.push(GateRecord {
                gate: gate.clone(),
                region: place.clone(),
                passed,
                tried,
                millis: cases.iter().map(|case| case.millis).sum(),
                measurements: measurements.iter().map(MeasurementRecord::from).collect(),
            });
        }
        all
    }
}

impl From<&Measurement> for MeasurementRecord {
    fn from(measurement: &Measurement) -> Self {
        let Measurement {
            name,
            value,
            unit,
            low,
            high,
            limit,
        } = measurement.clone();
        Self {
            name,
            value,
            unit,
            low,
            high,
            limit,
        }
    }
}
