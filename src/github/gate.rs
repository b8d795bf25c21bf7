//! Whether somebody had to approve, and did: production goes out only from a job that ran in its
//! GitHub environment, only if that environment demands reviewers, and only if one of them approved
//! the run. Pure.
//!
//! This check is no boundary: who edits the workflow can skip it. The cloud holds the boundary, by
//! what production's service account accepts; the check tells early what is missing.

use delivery::approval::{ApprovalRecord, NoApproval};
use delivery::diagnostic::{Code, Diagnostic, Level};
use delivery::target::{Approval, Environment, Tier};

/// In which GitHub environment the job runs, as its OIDC token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimSeen {
    /// It was not asked: a plan is made in whatever environment.
    NotAsked,
    /// Not on GitHub.
    NoJob,
    /// The job may not ask for a token.
    NoPermission,
    /// GitHub did not give one, for this reason.
    Failed(String),
    /// The token's claim; `None` for a job without `environment:`.
    Claim(Option<String>),
}

/// The environment's protection, as GitHub's API says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesSeen {
    /// It was not asked, since nothing depends on it.
    NotAsked,
    /// There is no token to ask with.
    NoToken,
    /// Which repository it is, is not known.
    NoRepository,
    /// GitHub refused: the token may not read it, there is no such environment, or the plan of a
    /// private repository has none.
    Refused {
        /// The answer's status.
        status: u16,
        /// GitHub's own words.
        message: String,
    },
    /// GitHub did not answer, for this reason.
    Failed(String),
    /// The rules.
    Known(Rules),
}

/// What protects an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Who may approve; empty without that rule.
    pub reviewers: Vec<String>,
    /// Who starts a run cannot approve it.
    pub prevents_self_review: bool,
}

/// Who approved jobs of the environment in this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalsSeen {
    /// It was not asked, since nothing depends on it.
    NotAsked,
    /// GitHub refused or did not answer, for this reason.
    Failed(String),
    /// Logins; empty when nobody did.
    Known(Vec<String>),
}

/// What a run wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Bring a release.
    Promote,
    /// Bring back what served. It is not held up for a missing rule: that could cost minutes of an
    /// outage. What is missing is told.
    RollBack,
    /// Show what would be done. What would hold the promotion up is told.
    Show,
}

/// What is known of the job and of the environment's protection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateSeen {
    /// The job's own environment.
    pub claim: ClaimSeen,
    /// The protection.
    pub rules: RulesSeen,
    /// The approvals.
    pub approvals: ApprovalsSeen,
    /// `public`, `private` or `internal`, where it is known.
    pub visibility: Option<String>,
    /// Who started the run, and who started it again.
    pub started_by: Vec<String>,
    /// Which attempt of the run this is, from 1.
    pub attempt: u32,
    /// The environments of the configuration, with their GitHub environments.
    pub all: Vec<Environment>,
}

impl GateSeen {
    /// What summary and evidence tell of the approval.
    pub fn record(&self, environment: &Environment, purpose: Purpose) -> ApprovalRecord {
        match environment.approval {
            Approval::Required => {
                let approvers: &[String] = match &self.approvals {
                    ApprovalsSeen::Known(approvers) => approvers,
                    ApprovalsSeen::NotAsked | ApprovalsSeen::Failed(_) => &[],
                };
                let record = ApprovalRecord::of_run(
                    &environment.github_environment,
                    approvers,
                    self.attempt,
                );
                match (purpose, &self.rules) {
                    (Purpose::RollBack, _) => record.none_because(NoApproval::Rollback),
                    (_, RulesSeen::Known(rules)) if rules.reviewers.is_empty() => {
                        record.none_because(NoApproval::NoReviewers)
                    }
                    _ => record,
                }
            }
            other => ApprovalRecord::unasked(other),
        }
    }

    /// What a plan tells of the approval that is to come.
    pub fn outlook(&self, environment: &Environment) -> String {
        let place = &environment.github_environment;
        match (&self.rules, environment.approval) {
            (_, Approval::External | Approval::None) => {
                self.record(environment, Purpose::Show).describe()
            }
            (RulesSeen::Known(rules), Approval::Required) => {
                let Rules {
                    reviewers,
                    prevents_self_review,
                } = rules;
                let who = match reviewers.as_slice() {
                    [] => {
                        return format!(
                            "required by GitHub environment {place}, which asks nobody"
                        );
                    }
                    [one] => one.clone(),
                    all => format!("one of {}", all.join(", ")),
                };
                let own = if *prevents_self_review {
                    "not by who starts the run"
                } else {
                    "also by who starts the run"
                };
                format!("required by GitHub environment {place}: {who}, {own}")
            }
            (_, Approval::Required) => {
                format!("required by GitHub environment {place}; its reviewers were not asked for")
            }
        }
    }

    fn is_private(&self) -> bool {
        self.visibility.as_deref().is_some_and(|it| it != "public")
    }
}

/// Whether the rules have to be asked.
pub fn needs_rules(environment: &Environment) -> bool {
    environment.tier == Tier::Production && environment.approval == Approval::Required
}

/// Everything that speaks against going on, and things to know (as warnings).
pub fn check_gate(
    environment: &Environment,
    prevent_self_review: bool,
    purpose: Purpose,
    seen: &GateSeen,
) -> Vec<Diagnostic> {
    let guarded = needs_rules(environment);
    let mut found = Vec::new();
    found.extend(claim::check(environment, purpose, seen));
    if guarded {
        let rules = rules::check(environment, prevent_self_review, seen);
        // Nobody can have approved where nobody is asked.
        let asked = rules
            .as_ref()
            .is_none_or(|one| one.code == Code::SelfReviewAllowed);
        found.extend(rules);
        if asked {
            found.extend(check_approvals(environment, prevent_self_review, seen));
        }
    }
    let is_wrong_place = |diagnostic: &Diagnostic| diagnostic.code == Code::WrongGitHubEnvironment;
    match purpose {
        Purpose::Promote => {}
        Purpose::RollBack => {
            for diagnostic in found.iter_mut().filter(|one| !is_wrong_place(one)) {
                diagnostic.level = Level::Warning;
            }
        }
        Purpose::Show => {
            for diagnostic in &mut found {
                diagnostic.level = Level::Warning;
            }
        }
    }
    found
}

/// The run's own approval. A job starts without one when an administrator lets it past the protection,
/// or when the protection came later.
fn check_approvals(
    environment: &Environment,
    prevent_self_review: bool,
    seen: &GateSeen,
) -> Option<Diagnostic> {
    let Environment {
        name,
        github_environment,
        ..
    } = environment;
    let place = format!("environment {name}");
    match &seen.approvals {
        ApprovalsSeen::NotAsked => None,
        ApprovalsSeen::Failed(why) => Some(
            Diagnostic::error(Code::ApprovalUnknown, "who approved this run cannot be read")
                .at(place)
                .cause(why.clone())
                .help("give the job `permissions: actions: read`, and leave the input `github_token` at its default"),
        ),
        ApprovalsSeen::Known(approvers) if approvers.is_empty() => Some(
            Diagnostic::error(
                Code::ApprovalMissing,
                format!("nobody has approved the GitHub environment `{github_environment}` in this run"),
            )
            .at(place)
            .cause("the job was let past the protection, or the protection is younger than the run")
            .help("start the job again, and have a required reviewer approve it")
            .help("where something else than GitHub approves, say `approval: external`"),
        ),
        ApprovalsSeen::Known(approvers) => {
            let is_starter = |one: &String| seen.started_by.iter().any(|it| it.eq_ignore_ascii_case(one));
            (prevent_self_review && approvers.iter().all(is_starter)).then(|| {
                Diagnostic::error(
                    Code::SelfReviewAllowed,
                    format!("only {} approved, who started this run", approvers.join(", ")),
                )
                .at(place)
                .help("have another reviewer approve it")
            })
        }
    }
}

mod claim;
mod rules;

#[cfg(test)]
mod tests;
