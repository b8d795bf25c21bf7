//! Whether the job runs where the environment is deployed from.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::target::Environment;

use super::{ClaimSeen, GateSeen, Purpose, needs_rules};

/// What is wrong with the job's place.
pub(super) fn check(
    environment: &Environment,
    purpose: Purpose,
    seen: &GateSeen,
) -> Option<Diagnostic> {
    match &seen.claim {
        ClaimSeen::NotAsked => None,
        ClaimSeen::Claim(Some(actual)) => {
            let is_here = alike(actual, &environment.github_environment);
            (!is_here).then(|| elsewhere(environment, actual, &seen.all))
        }
        _ if !needs_rules(environment) => None,
        ClaimSeen::Claim(None) => Some(wrong(environment, "none")),
        ClaimSeen::NoPermission => Some(
            unknown(environment, "the job may not ask GitHub for an OIDC token")
                .help("give the job `permissions: id-token: write`"),
        ),
        ClaimSeen::Failed(why) => Some(unknown(environment, why).help("run the job again")),
        ClaimSeen::NoJob => {
            let how = match purpose {
                Purpose::RollBack => {
                    "to have it checked, roll back by the workflow (examples/workflows/rollback.yml)"
                }
                Purpose::Promote | Purpose::Show => {
                    "promote from the workflow, where somebody approves"
                }
            };
            Some(
                unknown(environment, "this is no GitHub job")
                    .help(how)
                    .help("where something else than GitHub approves, say `approval: external`"),
            )
        }
    }
}

/// GitHub does not tell names apart by their case.
fn alike(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The job runs in another GitHub environment. That of another of our environments is never offered as
/// this one's: production would be deployed from where nobody approves.
fn elsewhere(environment: &Environment, actual: &str, all: &[Environment]) -> Diagnostic {
    let found = wrong(environment, &format!("`{actual}`"));
    let owner = all
        .iter()
        .find(|one| one.name != environment.name && alike(actual, &one.github_environment));
    match owner {
        Some(owner) => found.help(format!(
            "or, if this job is to deploy {0}, give the action `environment: {0}`",
            owner.name
        )),
        None => found.help(format!(
            "or, if `{actual}` is the GitHub environment of {0}, say so in the entry of {0} in .github/ml-deploy.yml: `github_environment: {actual}`",
            environment.name
        )),
    }
}

fn wrong(environment: &Environment, actual: &str) -> Diagnostic {
    let Environment {
        name,
        github_environment: wanted,
        ..
    } = environment;
    Diagnostic::error(
        Code::WrongGitHubEnvironment,
        format!("{name} is deployed from the GitHub environment `{wanted}`, but this job runs in {actual}"),
    )
    .at(format!("environment {name}"))
    .help(format!("write `environment: {wanted}` into the job"))
}

fn unknown(environment: &Environment, why: &str) -> Diagnostic {
    let Environment {
        name,
        github_environment: wanted,
        ..
    } = environment;
    Diagnostic::error(
        Code::ApprovalUnknown,
        format!("whether this job runs in the GitHub environment `{wanted}` cannot be checked"),
    )
    .at(format!("environment {name}"))
    .cause(why)
}
