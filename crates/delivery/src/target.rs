//! Environments in their order, and where each one lives.

use serde::{Deserialize, Serialize};

use crate::name::{EnvironmentName, ProjectId, Region, ServiceName};

/// Whether the environment is the one that users reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Before production: no approval, no version order.
    Preproduction,
    /// Users reach it: approval, version order, no prerelease.
    Production,
}

/// Who answers for the approval before production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// A GitHub environment with required reviewers. It is checked.
    Required,
    /// Something outside GitHub. It is printed, not checked.
    External,
    /// Nobody. It is printed.
    None,
}

/// One environment of the ordered list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Our name for it.
    pub name: EnvironmentName,
    /// The GitHub environment that the job must run in.
    pub github_environment: String,
    /// Whether users reach it.
    pub tier: Tier,
    /// Who approves.
    pub approval: Approval,
}

/// One service of one environment: what a run writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The environment.
    pub environment: Environment,
    /// The project.
    pub project: ProjectId,
    /// The region.
    pub region: Region,
    /// The service.
    pub service: ServiceName,
}

impl Target {
    /// `projects/P/locations/L/services/S`.
    pub fn resource_name(&self) -> String {
        let Self {
            environment: _,
            project,
            region,
            service,
        } = self;
        format!("projects/{project}/locations/{region}/services/{service}")
    }
}
