//! What the environment's protection must be.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::target::Environment;

use super::{GateSeen, Rules, RulesSeen};

/// What GitHub's plans give to a private repository.
/// Source: <https://docs.github.com/en/actions/reference/workflows-and-actions/deployments-and-environments>.
const PLANS: &str = "the repository is not public: GitHub has environments for it on Pro, Team and Enterprise, and required reviewers on Enterprise only";
/// The way out where GitHub asks nobody.
const EXTERNAL: &str = "where something else than GitHub approves, say `approval: external`";

/// The first thing that is wrong with it.
pub(super) fn check(
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
    let settings = format!("Settings → Environments → {github_environment}");
    let unknown = |why: String| {
        Diagnostic::error(
            Code::ApprovalUnknown,
            format!("whether the GitHub environment `{github_environment}` has required reviewers cannot be checked"),
        )
        .at(place.clone())
        .cause(why)
    };
    let with_plan = |found: Diagnostic| {
        if seen.is_private() {
            found.cause(PLANS).help(
                "without such a plan, say `approval: external` or `approval: none`; it is then printed in plan, summary and evidence",
            )
        } else {
            found
        }
    };
    match &seen.rules {
        RulesSeen::NotAsked => None,
        RulesSeen::NoToken => Some(
            unknown("there is no GitHub token".to_owned())
                .help("leave the input `github_token` at its default, and give the job `permissions: actions: read`"),
        ),
        RulesSeen::NoRepository => Some(
            unknown("the name of the repository on GitHub is not known".to_owned())
                .help("run it as a job on GitHub, which says GITHUB_REPOSITORY")
                .help(EXTERNAL),
        ),
        RulesSeen::Refused { status, message } => Some(with_plan(
            unknown(format!("GitHub answered {status}: {message}"))
                .help("give the job `permissions: actions: read`")
                .help(format!("make sure that the repository has an environment `{github_environment}`")),
        )),
        RulesSeen::Failed(why) => Some(unknown(why.clone()).help("run the job again")),
        RulesSeen::Known(Rules { reviewers, .. }) if reviewers.is_empty() => Some(with_plan(
            Diagnostic::error(
                Code::ApprovalNotRequired,
                format!("the GitHub environment `{github_environment}` has no required reviewers"),
            )
            .at(place)
            .help(format!("add them: {settings} → Required reviewers"))
            .help(EXTERNAL),
        )),
        RulesSeen::Known(Rules {
            prevents_self_review: true,
            ..
        }) => None,
        RulesSeen::Known(_) if prevent_self_review => Some(
            Diagnostic::error(
                Code::SelfReviewAllowed,
                format!("`prevent_self_review` is asked for, and `{github_environment}` allows self-review"),
            )
            .at(place)
            .help(format!("{settings} → Prevent self-review")),
        ),
        RulesSeen::Known(_) => Some(
            Diagnostic::warning(
                Code::SelfReviewAllowed,
                format!("who starts a run can approve it: `{github_environment}` allows self-review"),
            )
            .at(place)
            .help(format!("{settings} → Prevent self-review"))
            .help("to make it an error, say `prevent_self_review: true`"),
        ),
    }
}
