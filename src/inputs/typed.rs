//! What was said, as typed values. A value that exists is valid.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::entrance::Reach;
use delivery::gate::Mode;
use delivery::name::{EnvironmentName, ProjectId, Region, ServiceName};
use delivery::policy::{self, Policies};
use delivery::spec::ServiceSpec;
use delivery::strategy::Strategy;
use delivery::target::{Environment, Target};

use super::catalogue;
use crate::gcp::kms::KeyVersion;
use crate::secret::Secret;

/// What the input `command` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// What follows from the event.
    Auto,
    /// The same, until the candidate has passed.
    Deploy,
    /// The rest of that.
    Promote,
    /// Show what `Auto` would do.
    Plan,
    /// Show what serves.
    Status,
}

/// The environment that this job names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// Nobody names one.
    Unsaid,
    /// One of the list.
    Known(EnvironmentName),
    /// What is named is none of the list; a problem says so.
    Unknown,
}

impl Chosen {
    /// The environment, where one of the list is named.
    pub fn name(&self) -> Option<&EnvironmentName> {
        match self {
            Self::Known(name) => Some(name),
            Self::Unsaid | Self::Unknown => None,
        }
    }
}

/// Everything that was said.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// What to do.
    pub command: Wish,
    /// Every environment, in the order of promotion; at least one.
    pub environments: Vec<EnvironmentInputs>,
    /// The one that this job names.
    pub chosen: Chosen,
    /// Branches whose pushes are deployed.
    pub branches: Vec<String>,
    /// The text of `rollback_to`.
    pub rollback_to: Option<String>,
    /// How the image is built.
    pub build: BuildInputs,
    /// Where the results go as JUnit XML.
    pub junit: Option<String>,
    /// Where the results go as JSON.
    pub results: Option<String>,
    /// What must hold before an image is pushed.
    pub policies: Policies,
    /// Promote a digest again that was rolled back.
    pub retry_rejected: bool,
    /// Longest duration of the run.
    pub deadline: Duration,
    /// To read GitHub's rules and approvals.
    pub github_token: Option<Secret>,
    /// A service account key.
    pub credentials_json: Option<Secret>,
    /// A local cloud.
    pub cloud_url: Option<String>,
    /// What was said and can be used, but is to be looked at twice.
    pub warnings: Vec<Diagnostic>,
}

/// How the image is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInputs {
    /// Directory, relative to the workspace.
    pub context: String,
    /// Dockerfile, relative to the workspace.
    pub file: Option<String>,
    /// Stage.
    pub target: Option<String>,
    /// Arguments.
    pub build_args: BTreeMap<String, String>,
    /// `os/arch`.
    pub platform: String,
    /// Images whose layers may be used again.
    pub cache_from: Vec<String>,
    /// Build every layer anew.
    pub no_cache: bool,
    /// Build when a version tag's commit has no image.
    pub build_on_tag: bool,
    /// How long a version tag waits for the image of its commit.
    pub wait_for_build: Duration,
}

/// What a candidate must keep to when it is measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LimitInputs {
    /// Under load; `None` where no promise is made.
    pub load: Option<LoadInputs>,
    /// Against what serves; `None` where nothing is replayed.
    pub replay: Option<ReplayInputs>,
    /// Longest time to the first right answer.
    pub max_cold_start: Option<Duration>,
}

/// How traffic moves to what has passed its tests, and how a candidate with a share of it is held
/// against what serves beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficInputs {
    /// At once, or in steps.
    pub strategy: Strategy,
    /// Most that its p50, p95 and p99 may be over those of what serves.
    pub latency_ratio: f64,
    /// Most that its error rate may be above that of what serves, from 0 to 1.
    pub error_delta: f64,
    /// Requests a second to each of both.
    pub rate: u64,
    /// Names of the cases that are sent; all when it is empty.
    pub requests: Vec<String>,
}

/// What is demanded before a run may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SafetyInputs {
    /// Who starts a run must not be able to approve it.
    pub prevent_self_review: bool,
    /// Whether the runner can call the service.
    pub reach: Reach,
    /// What a configuration that lacks what the environment before has does to the run.
    pub drift: policy::Mode,
}

/// What is promised under load, and the load.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadInputs {
    /// 95 of 100 answers come within this time.
    pub p95: Option<Duration>,
    /// 99 of 100 answers come within this time.
    pub p99: Option<Duration>,
    /// Part of the requests that may have no right answer, from 0 to 1.
    pub max_error_rate: f64,
    /// Requests a second.
    pub rate: u64,
    /// How long it is measured.
    pub duration: Duration,
    /// Names of the cases that are sent; all when it is empty.
    pub requests: Vec<String>,
}

/// How far predictions may move from what serves.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayInputs {
    /// Part of the labels that may flip, from 0 to 1.
    pub flip_rate: f64,
    /// Largest difference of a number.
    pub delta: Option<f64>,
    /// Population stability index.
    pub psi: Option<f64>,
    /// Ratio of latencies.
    pub latency_ratio: Option<f64>,
    /// Outputs that are not compared, as JSON pointers.
    pub ignore: Vec<String>,
}

/// One environment and all that is said for it.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentInputs {
    /// Name, GitHub environment, tier, approval.
    pub environment: Environment,
    /// The service.
    pub service: Option<ServiceName>,
    /// The project.
    pub project: Option<ProjectId>,
    /// The regions, each once; none only after an error about them.
    pub regions: Vec<Region>,
    /// How the service is configured.
    pub spec: ServiceSpec,
    /// The API test files, or patterns of them; none for the standard tests.
    pub tests: Vec<String>,
    /// Answers 200.
    pub health_path: String,
    /// Answers version and commit; `None` where the API tells neither.
    pub version_path: Option<String>,
    /// Answers the OpenAPI document; `None` where the API has none.
    pub openapi_path: Option<String>,
    /// What an API change means that the version does not allow.
    pub semver_gate: Mode,
    /// What it means that the API does not keep to its document.
    pub conformance: Mode,
    /// What the version path must answer as `model_version`.
    pub model_version: Option<String>,
    /// What a candidate must keep to under load, against what serves, and at its first answer.
    pub limits: LimitInputs,
    /// How traffic moves to what has passed its tests.
    pub traffic: TrafficInputs,
    /// `REGION-docker.pkg.dev/P/R/I`, where this environment's images and evidence lie.
    pub image: Option<String>,
    /// What it means that nothing proves the pass of the environment before.
    pub evidence: Mode,
    /// Signs the evidence of this environment.
    pub evidence_kms_key: Option<KeyVersion>,
    /// What is demanded before a run may write.
    pub safety: SafetyInputs,
    /// The provider that trusts this repository.
    pub workload_identity_provider: Option<String>,
    /// Whom to act as.
    pub service_account: Option<String>,
    /// Inputs that are said for it and cannot be used; a problem tells each.
    pub refused: Vec<&'static str>,
}

impl EnvironmentInputs {
    /// The repository of its images.
    ///
    /// # Errors
    /// When it is not said.
    pub fn repository(&self) -> Result<&str, Diagnostic> {
        self.image.as_deref().ok_or_else(|| missing("image"))
    }

    /// The service in the first region.
    ///
    /// # Errors
    /// As [`EnvironmentInputs::targets`].
    pub fn target(&self) -> Result<Target, Vec<Diagnostic>> {
        let first = self.targets()?.into_iter().next();
        first.ok_or_else(|| vec![missing("region")])
    }

    /// What a run writes to: one service in each region.
    ///
    /// # Errors
    /// One diagnostic for each part that is not said.
    pub fn targets(&self) -> Result<Vec<Target>, Vec<Diagnostic>> {
        match (&self.project, &self.service) {
            (Some(project), Some(service)) if !self.regions.is_empty() => Ok(self
                .regions
                .iter()
                .map(|region| Target {
                    environment: self.environment.clone(),
                    project: project.clone(),
                    region: region.clone(),
                    service: service.clone(),
                })
                .collect()),
            (project, service) => {
                let absent = [
                    ("project_id", project.is_none()),
                    ("region", self.regions.is_empty()),
                    ("service", service.is_none()),
                ];
                Err(absent
                    .into_iter()
                    .filter(|(_, is_absent)| *is_absent)
                    .map(|(name, _)| missing(name))
                    .collect())
            }
        }
    }

    /// Tells what is missing for it, once. What was said for it, and wrong, is told as that: it is not
    /// missing as well.
    pub fn tell_missing(&self, missing: Vec<Diagnostic>, problems: &mut Vec<Diagnostic>) {
        for one in missing {
            let is_told = self.refused.iter().any(|name| self::missing(name) == one);
            if !is_told && !problems.contains(&one) {
                problems.push(one);
            }
        }
    }
}

impl Inputs {
    /// The environment of this name.
    pub fn environment(&self, name: &EnvironmentName) -> Option<&EnvironmentInputs> {
        self.environments
            .iter()
            .find(|inputs| inputs.environment.name == *name)
    }

    /// Names in the order of promotion.
    pub fn names(&self) -> Vec<&str> {
        self.environments
            .iter()
            .map(|inputs| inputs.environment.name.as_str())
            .collect()
    }

    /// The environment before this one in the order of promotion.
    pub fn before(&self, name: &EnvironmentName) -> Option<&EnvironmentInputs> {
        let is_it = |inputs: &EnvironmentInputs| inputs.environment.name == *name;
        let index = self.environments.iter().position(is_it)?;
        self.environments.get(index.checked_sub(1)?)
    }
}

/// A required input that nobody said, and every place where it can be said.
pub fn missing(name: &str) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::InputMissing, format!("`{name}` is missing"));
    let Some(spec) = catalogue::find(name) else {
        return diagnostic;
    };
    let flag = spec.flag();
    let example = spec.example;
    let mut diagnostic = diagnostic
        .at(format!("input `{name}`"))
        .help(format!("in a workflow: `with: {{ {name}: {example} }}`"))
        .help(format!("on a terminal: `--{flag} {example}`"));
    if spec.file != super::table::InFile::No {
        diagnostic = diagnostic.help(format!(
            "in {}: `{name}: {example}`",
            catalogue::DEFAULT_CONFIG
        ));
    }
    diagnostic
}
