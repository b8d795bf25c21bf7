//! Asks GitHub what the approval gate has to know.

use delivery::diagnostic::{Diagnostic, Level};
use delivery::event::{Event, EventSink};

use super::job::Job;
use super::session::Session;
use crate::gcp::auth::oidc::{self, OidcRequest};
use crate::github::GitHub;
use crate::github::client::Approver;
use crate::github::gate::{
    ApprovalsSeen, ClaimSeen, GateSeen, Purpose, RulesSeen, check_gate, needs_rules,
};
use crate::report::RunSummary;

/// Audience of the token whose claims are read. No service takes it, so the token opens nothing.
const AUDIENCE: &str = "ml-deploy-gate";

/// Checks the gate; warnings are reported, and what is known of the approval is kept for the summary.
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
    let seen = look(job, session, purpose).await;
    match purpose {
        // Nobody can have approved what is only shown now.
        Purpose::Show => {
            let view = run.view.get_or_insert_default();
            view.gate = gate_lines(job, &seen);
        }
        Purpose::Promote | Purpose::RollBack => {
            run.approval = Some(seen.record(environment, purpose));
        }
    }
    let prevent_self_review = job.environment.safety.prevent_self_review;
    let (errors, warnings): (Vec<_>, Vec<_>) =
        check_gate(environment, prevent_self_review, purpose, &seen)
            .into_iter()
            .partition(|found| found.level == Level::Error);
    for warning in warnings {
        job.sink.emit(Event::Warning(warning));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// Who must approve, and how the cloud holds that, for who reads a plan.
fn gate_lines(job: &Job<'_>, seen: &GateSeen) -> Vec<String> {
    let environment = &job.environment.environment;
    let mut lines = vec![seen.outlook(environment)];
    if needs_rules(environment) {
        let claim = &environment.github_environment;
        let provider = job.environment.workload_identity_provider.as_deref();
        let pool = provider
            .and_then(|name| name.split("/providers/").next())
            .unwrap_or("POOL");
        let repository = job.context.repository_id.as_deref().unwrap_or("ID");
        lines.push(format!(
            "held by Google Cloud, whatever the workflow says, where the deployer's only member for \
             roles/iam.workloadIdentityUser is \
             principalSet://iam.googleapis.com/{pool}/attribute.environment/{claim} and the provider's condition is \
             assertion.repository_id == '{repository}' (docs/permissions.md, steps 2 and 4)"
        ));
    }
    lines
}

async fn look(job: &Job<'_>, session: &Session, purpose: Purpose) -> GateSeen {
    let environment = &job.environment.environment;
    let (claim, visibility) = ask_claim(job, session).await;
    // A plan on a terminal needs no GitHub; a rollback is not held up for what GitHub says, so it does
    // not wait for it either.
    let asks = match purpose {
        Purpose::Show => job.shell.on_github,
        Purpose::RollBack => false,
        Purpose::Promote => true,
    };
    let (rules, approvals) = if needs_rules(environment) && asks {
        ask_github(job, session, purpose).await
    } else {
        (RulesSeen::NotAsked, ApprovalsSeen::NotAsked)
    };
    GateSeen {
        claim: match purpose {
            Purpose::Show => ClaimSeen::NotAsked,
            Purpose::Promote | Purpose::RollBack => claim,
        },
        rules,
        approvals,
        visibility,
        started_by: job.context.actors.clone(),
        attempt: job.context.attempt,
        all: job
            .inputs
            .environments
            .iter()
            .map(|one| one.environment.clone())
            .collect(),
    }
}

/// The protection of the environment, and who approved it in this run.
async fn ask_github(
    job: &Job<'_>,
    session: &Session,
    purpose: Purpose,
) -> (RulesSeen, ApprovalsSeen) {
    let github = match client(job, session) {
        Ok(github) => github,
        Err(unasked) => return (unasked, ApprovalsSeen::NotAsked),
    };
    let environment = &job.environment.environment.github_environment;
    let rules = github.rules(environment).await;
    let approvals = match (purpose, job.context.run_id) {
        // Before a plan was read, nobody can have approved it.
        (Purpose::Show, _) => ApprovalsSeen::NotAsked,
        (_, None) => ApprovalsSeen::Failed("the run's number is not known".to_owned()),
        (Purpose::Promote | Purpose::RollBack, Some(run_id)) => {
            match github.approvals(run_id).await {
                Ok(all) => ApprovalsSeen::Known(approvers(all, environment)),
                Err(why) => ApprovalsSeen::Failed(why),
            }
        }
    };
    (rules, approvals)
}

/// The job's environment, and the visibility of its repository where that is said.
async fn ask_claim(job: &Job<'_>, session: &Session) -> (ClaimSeen, Option<String>) {
    if !job.shell.on_github {
        return (ClaimSeen::NoJob, None);
    }
    let Some(request) = OidcRequest::from_lookup(&|name| job.shell.variable(name)) else {
        return (ClaimSeen::NoPermission, None);
    };
    let claims = match oidc::fetch(&session.transport, &request, AUDIENCE).await {
        Ok(token) => {
            job.shell.masker.mask(&token);
            oidc::claims(&token)
        }
        Err(error) => Err(error),
    };
    match claims {
        Ok(claims) => (ClaimSeen::Claim(claims.environment), claims.visibility),
        Err(error) => {
            let why = [vec![error.title], error.cause].concat().join(": ");
            (ClaimSeen::Failed(why), None)
        }
    }
}

/// Or why GitHub cannot be asked.
fn client(job: &Job<'_>, session: &Session) -> Result<GitHub, RulesSeen> {
    let token = job.inputs.github_token.as_ref();
    let token = token.ok_or(RulesSeen::NoToken)?;
    let repository = job.context.owner_and_name();
    let repository = repository.ok_or(RulesSeen::NoRepository)?;
    job.shell.masker.mask(token);
    let api_url = &job.context.api_url;
    let http = session.transport.client_for(api_url).clone();
    GitHub::new(api_url, repository, token, http)
        .map_err(|error| RulesSeen::Failed(crate::gcp::error::chain(&error).join(": ")))
}

/// Who approved this environment.
fn approvers(all: Vec<Approver>, environment: &str) -> Vec<String> {
    all.into_iter()
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
