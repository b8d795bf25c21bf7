//! Wires a delivery: what is wanted, over which world, and how a plan is shown.

use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use delivery::plan::render::render_plan;
use delivery::plan::{Intent, Plan, Surroundings, Wanted};
use delivery::target::Target;

use super::job::Job;
use super::session::Session;
use super::verifier::DeployedVerifier;
use crate::deliver::{Planner, Prospect, World, look};
use crate::inputs::Wish;
use crate::report::{RunSummary, text};

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
    let cloud = session.reader();
    let world = World {
        cloud: &cloud,
        planner: planner(job.inputs.command),
        verifier: &verifier,
        sink: job.sink.as_ref(),
        guard: &job.guard,
    };
    match mode {
        Mode::Show => show(job, &world, target, &wanted, run).await,
        Mode::CarryOut => {
            let (outcome, told) = crate::deliver::deliver(&world, target, &wanted).await;
            run.before = told.before;
            run.candidate_url = told.candidate_url;
            run.left_open = told.left_open;
            outcome
        }
    }
}

fn planner(command: Wish) -> Planner {
    match command {
        Wish::Deploy => delivery::plan::plan_to_verified,
        // Its verifier asks only who answers: see `verifier::gates`.
        Wish::Promote => delivery::plan::plan_from_verified,
        Wish::Auto | Wish::Plan | Wish::Status => delivery::plan::plan,
    }
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
        strategy: job.environment.traffic.strategy.clone(),
        began: false,
        surroundings: Surroundings {
            reach: job.environment.safety.reach,
            earlier: None,
        },
    }
}

async fn show(
    job: &Job<'_>,
    world: &World<'_>,
    target: &Target,
    wanted: &Wanted,
    run: &mut RunSummary,
) -> Outcome {
    match look(world, target, wanted).await {
        Err(problem) => Outcome::Stopped(vec![problem]),
        Ok(Prospect::Blocked(problems)) => Outcome::Stopped(problems),
        Ok(Prospect::UpToDate {
            revision,
            url,
            because,
        }) => {
            let note = format!("nothing to do: {because}");
            job.sink.emit(Event::Note(note));
            Outcome::UpToDate { revision, url }
        }
        Ok(Prospect::Plan(plan)) => {
            run.before = Some(plan.before.clone());
            for warning in &plan.warnings {
                job.sink.emit(Event::Warning(warning.clone()));
            }
            show_plan(job, &plan, run)
        }
    }
}

/// The plan is the result: on a terminal it goes to standard output, in a job to the log, and in
/// both to the summary.
fn show_plan(job: &Job<'_>, plan: &Plan, run: &mut RunSummary) -> Outcome {
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
