//! Whether somebody had to approve: production goes out only from a job that ran in its GitHub
//! environment, and only if that environment demands reviewers. Pure.
//!
//! This check is no boundary: who edits the workflow can skip it. The cloud holds the boundary, by
//! what production's service account accepts; the check tells early what is missing.

use delivery::diagnostic::{Code, Diagnostic, Level};
use delivery::target::{Approval, Environment, Tier};

/// In which GitHub environment the job runs, as its OIDC token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimSeen {
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
    /// GitHub answered with this status: the token may not read it, or there is no such environment.
    Refused(u16),
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

/// What a run wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Bring a release.
    Promote,
    /// Bring back what served. It is not held up for a missing rule: that could cost minutes of an
    /// outage. What is missing is told.
    RollBack,
}

/// Whether the rules have to be asked.
pub fn needs_rules(environment: &Environment) -> bool {
    environment.tier == Tier::Production && environment.approval == Approval::Required
}

/// Everything that speaks against going on, and things to know (as warnings).
pub fn check_gate(
    environment: &Environment,
    purpose: Purpose,
    claim: &ClaimSeen,
    rules: &RulesSeen,
) -> Vec<Diagnostic> {
    let guarded = needs_rules(environment);
    let mut found = Vec::new();
    found.extend(check_claim(environment, claim, guarded));
    if guarded {
        found.extend(check_rules(environment, rules));
    }
    let is_wrong_place = |diagnostic: &Diagnostic| diagnostic.code == Code::WrongGitHubEnvironment;
    if purpose == Purpose::RollBack {
        for diagnostic in found.iter_mut().filter(|one| !is_wrong_place(one)) {
            diagnostic.level = Level::Warning;
        }
    }
    found
}

fn check_claim(environment: &Environment, claim: &ClaimSeen, guarded: bool) -> Option<Diagnostic> {
    let Environment {
        name,
        github_environment: wanted,
        ..
    } = environment;
    let fix = format!("write `environment: {wanted}` into the job");
    let unknown = |why: String| {
        Diagnostic::error(
            Code::ApprovalUnknown,
            format!("whether this job runs in the GitHub environment `{wanted}` cannot be checked"),
        )
        .at(format!("environment {name}"))
        .cause(why)
    };
    match claim {
        ClaimSeen::Claim(Some(actual)) if actual.to_lowercase() == wanted.to_lowercase() => None,
        ClaimSeen::Claim(Some(actual)) => Some(
            Diagnostic::error(
                Code::WrongGitHubEnvironment,
                format!("{name} is deployed from the GitHub environment `{wanted}`, but this job runs in `{actual}`"),
            )
            .at(format!("environment {name}"))
            .help(fix)
            .help(format!("or name it in .github/ml-deploy.yml: `github_environment: {actual}`")),
        ),
        _ if !guarded => None,
        ClaimSeen::Claim(None) => Some(
            Diagnostic::error(
                Code::WrongGitHubEnvironment,
                format!("{name} is deployed from the GitHub environment `{wanted}`, but this job runs in none"),
            )
            .at(format!("environment {name}"))
            .help(fix),
        ),
        ClaimSeen::NoPermission => Some(
            unknown("the job may not ask GitHub for an OIDC token".to_owned())
                .help("give the job `permissions: id-token: write`"),
        ),
        ClaimSeen::Failed(why) => Some(unknown(why.clone()).help("run the job again")),
        ClaimSeen::NoJob => Some(
            unknown("this is no GitHub job".to_owned())
                .help("promote from the workflow, where somebody approves")
                .help("where something else than GitHub approves, say `approval: external`"),
        ),
    }
}

fn check_rules(environment: &Environment, rules: &RulesSeen) -> Option<Diagnostic> {
    let Environment {
        name,
        github_environment,
        ..
    } = environment;
    let place = format!("environment {name}");
    let unknown = |why: String| {
        Diagnostic::error(
            Code::ApprovalUnknown,
            format!("whether the GitHub environment `{github_environment}` has required reviewers cannot be checked"),
        )
        .at(place.clone())
        .cause(why)
    };
    match rules {
        RulesSeen::NotAsked => None,
        RulesSeen::NoToken => Some(
            unknown("there is no GitHub token, or the repository is not known".to_owned())
                .help("leave the input `github_token` at its default, and give the job `permissions: actions: read`"),
        ),
        RulesSeen::Refused(status) => Some(
            unknown(format!("GitHub answered {status}"))
                .help("give the job `permissions: actions: read`")
                .help(format!("make sure that the repository has an environment `{github_environment}`")),
        ),
        RulesSeen::Failed(why) => Some(unknown(why.clone()).help("run the job again")),
        RulesSeen::Known(Rules { reviewers, .. }) if reviewers.is_empty() => Some(
            Diagnostic::error(
                Code::ApprovalNotRequired,
                format!("the GitHub environment `{github_environment}` has no required reviewers"),
            )
            .at(place)
            .help(format!("add them: Settings → Environments → {github_environment} → Required reviewers"))
            .help("where something else than GitHub approves, say `approval: external`"),
        ),
        RulesSeen::Known(Rules { prevents_self_review: false, .. }) => Some(
            Diagnostic::warning(
                Code::ApprovalNotRequired,
                format!("who starts a run can approve it: `{github_environment}` allows self-review"),
            )
            .at(place)
            .help(format!("Settings → Environments → {github_environment} → Prevent self-review")),
        ),
        RulesSeen::Known(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::name::EnvironmentName;

    fn environment(tier: Tier, approval: Approval) -> Environment {
        Environment {
            name: EnvironmentName::parse("production").unwrap(),
            github_environment: "Production".to_owned(),
            tier,
            approval,
        }
    }

    fn production() -> Environment {
        environment(Tier::Production, Approval::Required)
    }

    fn reviewed() -> RulesSeen {
        RulesSeen::Known(Rules {
            reviewers: vec!["ada".to_owned()],
            prevents_self_review: true,
        })
    }

    fn claim(name: &str) -> ClaimSeen {
        ClaimSeen::Claim(Some(name.to_owned()))
    }

    #[test]
    fn the_table_of_production() {
        use Code::{ApprovalNotRequired, ApprovalUnknown, WrongGitHubEnvironment};
        let bare = RulesSeen::Known(Rules::default());
        let rows: Vec<(ClaimSeen, RulesSeen, Vec<Code>, &str)> = vec![
            (claim("production"), reviewed(), vec![], ""),
            (
                claim("staging"),
                reviewed(),
                vec![WrongGitHubEnvironment],
                "environment: Production",
            ),
            (
                ClaimSeen::Claim(None),
                reviewed(),
                vec![WrongGitHubEnvironment],
                "environment: Production",
            ),
            (
                ClaimSeen::NoPermission,
                reviewed(),
                vec![ApprovalUnknown],
                "id-token: write",
            ),
            (
                ClaimSeen::NoJob,
                reviewed(),
                vec![ApprovalUnknown],
                "approval: external",
            ),
            (
                claim("production"),
                bare.clone(),
                vec![ApprovalNotRequired],
                "Required reviewers",
            ),
            (
                claim("production"),
                RulesSeen::NoToken,
                vec![ApprovalUnknown],
                "github_token",
            ),
            (
                claim("production"),
                RulesSeen::Refused(403),
                vec![ApprovalUnknown],
                "actions: read",
            ),
            (
                claim("production"),
                RulesSeen::Refused(404),
                vec![ApprovalUnknown],
                "has an environment",
            ),
            (
                ClaimSeen::Claim(None),
                bare,
                vec![WrongGitHubEnvironment, ApprovalNotRequired],
                "",
            ),
        ];
        for (claim, rules, codes, fix) in rows {
            let found = check_gate(&production(), Purpose::Promote, &claim, &rules);
            let seen: Vec<Code> = found.iter().map(|one| one.code).collect();
            assert_eq!(seen, codes, "{claim:?} {rules:?}");
            assert!(found.iter().all(|one| one.level == Level::Error));
            let help: String = found.iter().flat_map(|one| one.help.clone()).collect();
            assert!(help.contains(fix), "{help}");
        }
    }

    #[test]
    fn self_review_is_a_warning() {
        let rules = RulesSeen::Known(Rules {
            reviewers: vec!["ada".to_owned()],
            prevents_self_review: false,
        });
        let found = check_gate(
            &production(),
            Purpose::Promote,
            &claim("production"),
            &rules,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].level, Level::Warning);
    }

    #[test]
    fn other_environments_are_refused_only_in_the_wrong_place() {
        let staging = environment(Tier::Preproduction, Approval::None);
        for seen in [
            ClaimSeen::NoJob,
            ClaimSeen::NoPermission,
            ClaimSeen::Claim(None),
            claim("PRODUCTION"),
        ] {
            assert_eq!(
                check_gate(&staging, Purpose::Promote, &seen, &RulesSeen::NotAsked),
                [],
                "{seen:?}"
            );
        }
        let found = check_gate(
            &staging,
            Purpose::Promote,
            &claim("dev"),
            &RulesSeen::NotAsked,
        );
        assert_eq!(found[0].code, Code::WrongGitHubEnvironment);
    }

    #[test]
    fn a_rollback_is_held_up_only_in_the_wrong_place() {
        let found = check_gate(
            &production(),
            Purpose::RollBack,
            &ClaimSeen::NoPermission,
            &RulesSeen::Refused(403),
        );
        assert!(found.iter().all(|one| one.level == Level::Warning));
        let found = check_gate(&production(), Purpose::RollBack, &claim("dev"), &reviewed());
        assert_eq!(found[0].level, Level::Error);
    }

    #[test]
    fn an_external_approval_is_not_checked() {
        let external = environment(Tier::Production, Approval::External);
        assert_eq!(
            check_gate(
                &external,
                Purpose::Promote,
                &ClaimSeen::NoJob,
                &RulesSeen::NotAsked
            ),
            []
        );
    }
}
