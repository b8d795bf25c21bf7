//! From event and ref to what this run is about.

use semver::Version;

use crate::name::EnvironmentName;

/// What this run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// A pull request: build, start the container beside the action, test it; push nothing.
    PullRequest,
    /// A push to a configured branch: build, push, deploy to the first environment.
    Branch {
        /// The branch.
        branch: String,
    },
    /// A version tag: the digest of that commit goes to the environment of this job.
    Release {
        /// The tag as it is written, such as `v1.2.3`.
        tag: String,
        /// The version.
        version: Version,
    },
    /// A manual run that moves traffic back.
    Rollback {
        /// To what.
        to: RollbackTo,
    },
}

/// Where a rollback goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackTo {
    /// The last revision recorded healthy before the one that serves.
    Previous,
    /// The newest healthy revision of this version.
    Version(Version),
    /// This revision.
    Revision(crate::name::RevisionName),
}

/// What is known about the trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// `push`, `pull_request`, `workflow_dispatch`, `release`, …; empty on a terminal.
    pub event: String,
    /// The full ref, such as `refs/heads/main`; empty on a terminal.
    pub git_ref: String,
    /// Branches whose pushes are deployed.
    pub branches: Vec<String>,
    /// The input `rollback_to`, if given.
    pub rollback_to: Option<String>,
    /// The environment that the job names, if any.
    pub environment: Option<EnvironmentName>,
}
