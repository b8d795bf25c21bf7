//! Who approved, as summary and evidence tell it.
//!
//! GitHub's API gives neither the time nor the attempt of an approval: a run that is started again
//! keeps those of its earlier attempts. So a re-run never claims that this attempt was approved.

use serde::{Deserialize, Serialize};

use crate::target::Approval;

/// For which attempt of a run an approval was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovedAttempt {
    /// The first: there was no other.
    First,
    /// Not known: this is a re-run.
    Unknown,
}

/// Why no approval of a run is known, where there is a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoApproval {
    /// A rollback does not wait for GitHub's answer.
    Rollback,
    /// The GitHub environment asks nobody.
    NoReviewers,
}

/// What is known of the approval of one run for one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// Who answers for the approval.
    pub policy: Approval,
    /// The GitHub environment whose reviewers were asked; absent where none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github_environment: Option<String>,
    /// Who approved: logins of GitHub, in the order of its answer, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// For which attempt; absent where nobody approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<ApprovedAttempt>,
    /// Why none is known. For who reads the summary; a release with such a reason leaves no evidence.
    #[serde(skip)]
    pub none_because: Option<NoApproval>,
}

impl ApprovalRecord {
    /// Where nobody is asked, or something outside GitHub.
    pub fn unasked(policy: Approval) -> Self {
        Self {
            policy,
            github_environment: None,
            approvers: Vec::new(),
            attempt: None,
            none_because: None,
        }
    }

    /// What GitHub said of this run; `attempt` counts from 1.
    pub fn of_run(github_environment: &str, approvers: &[String], attempt: u32) -> Self {
        let mut unique: Vec<String> = Vec::new();
        for one in approvers {
            if !unique.contains(one) {
                unique.push(one.clone());
            }
        }
        let known = if attempt <= 1 {
            ApprovedAttempt::First
        } else {
            ApprovedAttempt::Unknown
        };
        Self {
            policy: Approval::Required,
            github_environment: Some(github_environment.to_owned()),
            attempt: (!unique.is_empty()).then_some(known),
            approvers: unique,
            none_because: None,
        }
    }

    /// The same, with the reason why no approval is known.
    #[must_use]
    pub fn none_because(mut self, reason: NoApproval) -> Self {
        self.none_because = Some(reason);
        self
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        let Self {
            policy,
            github_environment,
            approvers,
            attempt,
            none_because,
        } = self;
        match policy {
            Approval::None => "none: nobody approves this environment".to_owned(),
            Approval::External => {
                "external: something outside GitHub approves; it is not checked here".to_owned()
            }
            Approval::Required => {
                let place = github_environment.as_deref().unwrap_or("?");
                if approvers.is_empty() {
                    return match none_because {
                        Some(NoApproval::Rollback) => {
                            "not asked: a rollback does not wait for an approval".to_owned()
                        }
                        Some(NoApproval::NoReviewers) => {
                            format!("GitHub environment {place} has no required reviewers")
                        }
                        None => {
                            format!("required by GitHub environment {place}: no approval is known")
                        }
                    };
                }
                let names = approvers.join(", ");
                let which = match attempt {
                    Some(ApprovedAttempt::First) => "this run",
                    Some(ApprovedAttempt::Unknown) | None => "this run, attempt unknown",
                };
                format!("required by GitHub environment {place}: {names} approved {which}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rerun_never_claims_that_its_attempt_was_approved() {
        let names = ["ada".to_owned(), "bob".to_owned(), "ada".to_owned()];
        let first = ApprovalRecord::of_run("production", &names, 1);
        assert_eq!(first.approvers, ["ada", "bob"]);
        assert_eq!(
            first.describe(),
            "required by GitHub environment production: ada, bob approved this run"
        );
        let again = ApprovalRecord::of_run("production", &names, 2);
        assert!(again.describe().ends_with("attempt unknown"), "{again:?}");
        assert_eq!(
            serde_json::to_value(&again).unwrap(),
            serde_json::json!({
                "policy": "required", "github_environment": "production",
                "approvers": ["ada", "bob"], "attempt": "unknown"
            })
        );
        let nobody = ApprovalRecord::of_run("production", &[], 1);
        assert_eq!(nobody.attempt, None);
        assert!(nobody.describe().contains("no approval is known"));
    }

    #[test]
    fn what_is_not_asked_for_is_said_to_be_so() {
        for (policy, word) in [(Approval::None, "none"), (Approval::External, "external")] {
            let record = ApprovalRecord::unasked(policy);
            assert!(record.describe().starts_with(word));
            let json = serde_json::to_value(&record).unwrap();
            assert_eq!(json, serde_json::json!({ "policy": word }));
        }
    }
}
