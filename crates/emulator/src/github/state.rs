//! Repositories with their environments, runs and deployments.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::identifiers::number;

/// The environments that a repository has when it is first spoken of.
const ENVIRONMENTS: [&str; 4] = ["dev", "test", "staging", "production"];
/// The reviewer of `production` until it is set up otherwise.
const REVIEWER: &str = "release-manager";

/// Who may approve a job of an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviewer {
    /// `User` or `Team`.
    #[serde(rename = "type", default = "user")]
    pub kind: String,
    /// Login of the user, slug of the team.
    pub name: String,
}

fn user() -> String {
    "User".to_owned()
}

/// Which branches and tags may use an environment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchPolicy {
    /// Those with branch protection.
    pub protected_branches: bool,
    /// Those that match patterns.
    pub custom_branch_policies: bool,
}

/// How an environment is protected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvironmentSettings {
    /// At least one of them must approve; empty: no approval is needed.
    pub reviewers: Vec<Reviewer>,
    /// Who started the run cannot approve it.
    pub prevent_self_review: bool,
    /// Minutes that a job waits; 0: none.
    pub wait_timer: u32,
    /// Absent: every branch and tag may use it.
    pub deployment_branch_policy: Option<BranchPolicy>,
}

/// A run of a workflow as it is set up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSettings {
    /// Commit that it runs for; absent: made up from the branch.
    pub head_sha: Option<String>,
    /// Branch or tag; absent: `main`.
    pub head_branch: Option<String>,
    /// Event; absent: `push`.
    pub event: Option<String>,
    /// Who started it; absent: the repository's owner.
    pub actor: Option<String>,
    /// Which attempt it is, from 1; 0 means 1.
    pub run_attempt: u32,
    /// `completed`, …; absent: `waiting` or `in_progress`.
    pub status: Option<String>,
    /// `success`, …; absent while it runs.
    pub conclusion: Option<String>,
    /// Environments whose protection holds a job of it back.
    pub waiting_for: Vec<String>,
}

/// What somebody said about waiting jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Approval {
    pub(super) environments: Vec<String>,
    /// `approved` or `rejected`.
    pub(super) state: String,
    pub(super) user: String,
    pub(super) comment: String,
}

/// A run of a workflow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WorkflowRun {
    pub(super) id: u64,
    pub(super) settings: RunSettings,
    pub(super) created: DateTime<Utc>,
    pub(super) approvals: Vec<Approval>,
}

/// An environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Environment {
    pub(super) name: String,
    pub(super) settings: EnvironmentSettings,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
}

/// One status of a deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeploymentStatus {
    pub(super) id: u64,
    pub(super) state: String,
    pub(super) creator: String,
    pub(super) description: String,
    pub(super) environment: String,
    pub(super) environment_url: String,
    pub(super) log_url: String,
    pub(super) created: DateTime<Utc>,
}

/// A deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Deployment {
    pub(super) id: u64,
    pub(super) sha: String,
    pub(super) git_ref: String,
    pub(super) task: String,
    pub(super) payload: Value,
    pub(super) environment: String,
    pub(super) description: Option<String>,
    pub(super) is_transient: bool,
    pub(super) is_production: bool,
    pub(super) creator: String,
    pub(super) created: DateTime<Utc>,
    /// Oldest first.
    pub(super) statuses: Vec<DeploymentStatus>,
}

/// A repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Repository {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) environments: BTreeMap<String, Environment>,
    pub(super) runs: BTreeMap<u64, WorkflowRun>,
    /// Oldest first.
    pub(super) deployments: Vec<Deployment>,
    /// Commits by full ref, such as `refs/tags/v1.0.0`.
    pub(super) refs: BTreeMap<String, String>,
    issued: u64,
}

impl Repository {
    /// As documented in [`super`]: four environments, `production` with one required reviewer.
    pub(super) fn new(owner: &str, name: &str, now: DateTime<Utc>) -> Self {
        let mut repository = Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            environments: BTreeMap::new(),
            runs: BTreeMap::new(),
            deployments: Vec::new(),
            refs: BTreeMap::new(),
            issued: 0,
        };
        for environment in ENVIRONMENTS {
            let mut settings = EnvironmentSettings::default();
            if environment == "production" {
                settings.reviewers.push(Reviewer {
                    kind: user(),
                    name: REVIEWER.to_owned(),
                });
            }
            repository.set_environment(environment, settings, now);
        }
        repository
    }

    /// `OWNER/NAME`.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// A number that no other thing of this repository has.
    pub(super) fn next_id(&mut self) -> u64 {
        self.issued += 1;
        number(&self.full_name()) * 1000 + self.issued
    }

    pub(super) fn set_environment(
        &mut self,
        name: &str,
        settings: EnvironmentSettings,
        now: DateTime<Utc>,
    ) {
        let created = self.environments.get(name).map_or(now, |it| it.created);
        let environment = Environment {
            name: name.to_owned(),
            settings,
            created,
            updated: now,
        };
        self.environments.insert(name.to_owned(), environment);
    }

    /// The environment; GitHub finds it whatever the case of its letters.
    pub(super) fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.get(name).or_else(|| {
            let mut all = self.environments.values();
            all.find(|it| it.name.eq_ignore_ascii_case(name))
        })
    }
}
