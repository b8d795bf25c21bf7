//! Observe → plan → execute; again when somebody else was faster.

use std::time::{SystemTime, UNIX_EPOCH};

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use delivery::plan::render::render_plan;
use delivery::plan::{Intent, Plan, Planned, Wanted, lint, plan};
use delivery::snapshot::Snapshot;
use delivery::state::Timestamp;
use delivery::target::Target;

use super::job::Job;
use super::session::Session;
use super::verifier::DeployedVerifier;
use crate::execute::{ExecutionEnd, execute};
use crate::observe::observe;
use crate::report::{RunSummary, text};

/// How often a run plans again after another one changed the service meanwhile.
const MOST_PLANS: u32 = 5;
/// Seconds that other runs keep off beyond this run's own deadline: it may be undoing by then.
const LEASE_RESERVE_SECONDS: u32 = 120;

/// Whether a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is shown.
    Show,
    /// It is carried out.
    CarryOut,
}

/// Brings the service to what is wanted, or shows how.
pub(super) async fn deliver(
    job: &Job<'_>,
    session: &Session,
    target: &Target,
    intent: Intent,
    mode: Mode,
    run: &mut RunSummary,
) -> Outcome {
    let wanted = wanted(job, intent);
    let verifier = DeployedVerifier::new(job, session, target, version_of(&wanted.intent));
    let reader = session.reader();
    // What to say of the service if this ends after a round that met a stranger's change.
    let mut written: Option<String> = None;
    for _ in 0..MOST_PLANS {
        let seen = job
            .guarded("look at the service", observe(&reader, target, now()))
            .await;
        let snapshot = match seen {
            Ok(Ok(snapshot)) => snapshot,
            Ok(Err(problem)) | Err(problem) => {
                let state = written.or(problem.state.clone());
                return Outcome::Stopped(vec![Diagnostic { state, ..problem }]);
            }
        };
        let plan = match plan(&wanted, &snapshot) {
            Planned::UpToDate { revision, because } => {
                job.sink
                    .emit(Event::Note(format!("nothing to do: {because}")));
                return Outcome::UpToDate {
                    revision,
                    url: address(&snapshot),
                };
            }
            Planned::Blocked(problems) => return Outcome::Stopped(problems),
            Planned::Proceed(plan) => plan,
        };
        let defects = lint(&plan);
        if !defects.is_empty() {
            return Outcome::Stopped(defects);
        }
        run.before = Some(plan.before.clone());
        for warning in &plan.warnings {
            job.sink.emit(Event::Warning(warning.clone()));
        }
        if mode == Mode::Show {
            return show(job, &plan, run);
        }
        job.sink.emit(Event::GroupStarted {
            title: format!("{} → {}", plan.revision, target.environment.name),
        });
        let mut writer = session.writer(target);
        let end = execute(&plan, &mut writer, &verifier, job.sink.as_ref(), &job.guard).await;
        job.sink.emit(Event::GroupEnded);
        match end {
            ExecutionEnd::Done {
                url,
                tag_url,
                evidence: _,
            } => {
                run.candidate_url = tag_url;
                let revision = plan.revision;
                return match wanted.intent {
                    Intent::Promote { .. } => Outcome::Promoted { revision, url },
                    Intent::Rollback { .. } => Outcome::RolledBack { revision, url },
                };
            }
            ExecutionEnd::Conflict => {
                written = Some(format!(
                    "not looked at again since another tool changed it; before this run: {}; the candidate `{}` may stand in the service, and the next run goes on from it",
                    plan.before, plan.revision
                ));
                job.sink.emit(Event::Note(
                    "the service was changed meanwhile: looking and planning again".to_owned(),
                ));
            }
            ExecutionEnd::Stopped(problems) => return Outcome::Stopped(problems),
            ExecutionEnd::UndoFailed(problems) => return Outcome::RollbackFailed(problems),
        }
    }
    Outcome::Stopped(vec![Diagnostic {
        state: written,
        ..busy(target)
    }])
}

/// The version that the API must tell. A rollback takes a revision as it is.
fn version_of(intent: &Intent) -> Option<String> {
    match intent {
        Intent::Promote { release, .. } => release.version.as_ref().map(ToString::to_string),
        Intent::Rollback { .. } => None,
    }
}

fn wanted(job: &Job<'_>, intent: Intent) -> Wanted {
    let left = job
        .guard
        .deadline
        .saturating_duration_since(tokio::time::Instant::now());
    let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
    Wanted {
        intent,
        run: job.context.run.clone(),
        run_attempt: job.context.attempt,
        retry_rejected: job.inputs.retry_rejected,
        lease_seconds: seconds.saturating_add(LEASE_RESERVE_SECONDS),
    }
}

/// The plan is the result: on a terminal it goes to standard output, in a job to the log, and in
/// both to the summary.
fn show(job: &Job<'_>, plan: &Plan, run: &mut RunSummary) -> Outcome {
    let lines = text::plain_lines(&render_plan(plan));
    if job.shell.on_github {
        job.sink.emit(Event::Note(lines.join("\n")));
    } else if job.shell.format == crate::cli::Format::Human {
        job.shell
            .streams
            .out
            .say(&format!("{}\n", lines.join("\n")));
    }
    run.plan = lines;
    Outcome::Verified
}

/// The service's address; a service that serves has one.
fn address(snapshot: &Snapshot) -> String {
    snapshot
        .service
        .as_ref()
        .and_then(|service| service.uri.clone())
        .unwrap_or_default()
}

fn busy(target: &Target) -> Diagnostic {
    Diagnostic::error(
        Code::ServiceBusy,
        format!("`{}` keeps changing under this run", target.service),
    )
    .at(format!("environment {}", target.environment.name))
    .cause(format!(
        "{MOST_PLANS} times somebody else wrote to it between our look and our write"
    ))
    .help("let one workflow deploy an environment at a time: `concurrency: deploy-ENVIRONMENT`")
    .help("look for other tools that write to this service: Terraform, gcloud, another pipeline")
}

/// The wall clock, read here and nowhere in planning.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
