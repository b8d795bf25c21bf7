//! Asks GitHub what the approval gate has to know.

use delivery::diagnostic::{Diagnostic, Level};
use delivery::event::{Event, EventSink};

use super::job::Job;
use super::session::Session;
use crate::gcp::auth::oidc::{self, OidcRequest};
use crate::github::GitHub;
use crate::github::gate::{ClaimSeen, Purpose, RulesSeen, check_gate, needs_rules};
use crate::report::RunSummary;

/// Audience of the token whose claims are read. No service takes it, so the token opens nothing.
const AUDIENCE: &str = "ml-deploy-gate";

/// Checks the gate; warnings are reported.
///
/// # Errors
/// Everything that speaks against going on.
pub(super) async fn check(
    job: &Job<'_>,
    session: &Session,
    purpose: Purpose,
    run: &mut RunSummary,
) -> Result<(), Vec<Diagnostic>> {
    let environment = &job.environment.environment;
    let claim = ask_claim(job, session).await;
    let github = client(job, session);
    let rules = match (&github, needs_rules(environment)) {
        (_, false) => RulesSeen::NotAsked,
        (Ok(Some(github)), true) => github.rules(&environment.github_environment).await,
        (Ok(None), true) => RulesSeen::NoToken,
        (Err(why), true) => RulesSeen::Failed(why.clone()),
    };
    let (errors, warnings): (Vec<_>, Vec<_>) = check_gate(environment, purpose, &claim, &rules)
        .into_iter()
        .partition(|found| found.level == Level::Error);
    for warning in warnings {
        job.sink.emit(Event::Warning(warning));
    }
    if let (RulesSeen::Known(_), Ok(Some(github)), Some(run_id)) =
        (&rules, &github, job.context.run_id)
    {
        run.approvers = approvers(github, run_id, &environment.github_environment).await;
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

async fn ask_claim(job: &Job<'_>, session: &Session) -> ClaimSeen {
    if !job.shell.on_github {
        return ClaimSeen::NoJob;
    }
    let Some(request) = OidcRequest::from_lookup(&|name| job.shell.variable(name)) else {
        return ClaimSeen::NoPermission;
    };
    let claims = match oidc::fetch(&session.transport, &request, AUDIENCE).await {
        Ok(token) => {
            job.shell.masker.mask(&token);
            oidc::claims(&token)
        }
        Err(error) => Err(error),
    };
    match claims {
        Ok(claims) => ClaimSeen::Claim(claims.environment),
        Err(error) => ClaimSeen::Failed([vec![error.title], error.cause].concat().join(": ")),
    }
}

/// `None` without a token or a repository.
fn client(job: &Job<'_>, session: &Session) -> Result<Option<GitHub>, String> {
    let (Some(token), Some(repository)) = (&job.inputs.github_token, job.context.owner_and_name())
    else {
        return Ok(None);
    };
    job.shell.masker.mask(token);
    let api_url = &job.context.api_url;
    let http = session.transport.client_for(api_url).clone();
    GitHub::new(api_url, repository, token, http)
        .map(Some)
        .map_err(|error| crate::gcp::error::chain(&error).join(": "))
}

/// Who approved this environment in this run; nobody when it cannot be read, for it is only told.
async fn approvers(github: &GitHub, run_id: u64, environment: &str) -> Vec<String> {
    let approvals = github.approvals(run_id).await.unwrap_or_default();
    approvals
        .into_iter()
        .filter(|approval| approval.state == "approved")
        .filter(|approval| {
            approval
                .environments
                .iter()
                .any(|name| name.eq_ignore_ascii_case(environment))
        })
        .map(|approval| approval.user)
        .collect()
}
