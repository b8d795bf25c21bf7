//! Wires a delivery: what is wanted, over which world, and how a plan is shown.

use delivery::diagnostic::Diagnostic;
use delivery::drift::drift;
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use delivery::plan::render::render_plan;
use delivery::plan::{Intent, Plan, Surroundings, Wanted};

use super::job::Job;
use super::session::Session;
use super::surroundings;
use super::verifier::DeployedVerifier;
use crate::deliver::regions::{Landed, Site, deliver_all, together};
use crate::deliver::{Planner, Prospect, Told, World, look};
use crate::github::gate::Purpose;
use crate::inputs::{Wish, typed};
use crate::report::{RunSummary, Served, text};

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

impl Mode {
    /// What the gate is asked about.
    pub(super) fn purpose(self, carried_out: Purpose) -> Purpose {
        match self {
            Self::Show => Purpose::Show,
            Self::CarryOut => carried_out,
        }
    }
}

/// Brings the service to what is wanted, in each region, or shows how; gives how it ended, and how in
/// each region, in the order of the job's targets.
pub(super) async fn deliver(
    job: &Job<'_>,
    session: &Session,
    intent: Intent,
    mode: Mode,
    run: &mut RunSummary,
) -> (Outcome, Vec<Landed>) {
    let surroundings = match surroundings::look(job, session, &intent).await {
        Ok(surroundings) => surroundings,
        Err(problem) => return (Outcome::Stopped(vec![problem]), Vec::new()),
    };
    let is_rollback = matches!(intent, Intent::Rollback { .. });
    let wanted = wanted(job, intent, surroundings);
    let version = version_of(&wanted.intent);
    let verifier = |target| DeployedVerifier::new(job, session, target, version.clone());
    let verifiers: Vec<DeployedVerifier> = job.targets.iter().map(verifier).collect();
    let sites: Vec<Site<'_>> = job
        .targets
        .iter()
        .zip(&verifiers)
        .map(|(target, verifier)| Site { target, verifier })
        .collect();
    let Some(first) = sites.first() else {
        return (Outcome::Stopped(vec![typed::missing("region")]), Vec::new());
    };
    let cloud = session.reader();
    let world = World {
        cloud: &cloud,
        planner: planner(job.inputs.command),
        verifier: first.verifier,
        sink: job.sink.as_ref(),
        guard: &job.guard,
    };
    let landed = match mode {
        Mode::Show => show_all(job, &world, &sites, &wanted, run).await,
        Mode::CarryOut => deliver_all(&world, &sites, &wanted).await,
    };
    tell(&landed, run);
    let mut outcome = together(&landed);
    if is_rollback {
        advise_rollback(&mut outcome, job.environment.environment.name.as_str());
    }
    (outcome, landed)
}

/// The ways out of a candidate that fails are those of a release; nobody mends a revision that is there.
fn advise_rollback(outcome: &mut Outcome, environment: &str) {
    let Outcome::Stopped(problems) = outcome else {
        return;
    };
    let target_failed = |one: &&mut Diagnostic| one.code.is_candidates_fault();
    for problem in problems.iter_mut().filter(target_failed) {
        problem.help = vec![
            format!(
                "name another revision: `ml-deploy revisions --environment {environment}` lists them"
            ),
            "or promote a release that works".to_owned(),
        ];
    }
}

/// What is told of all regions.
fn tell(landed: &[Landed], run: &mut RunSummary) {
    let several = landed.len() > 1;
    let before = landed.iter().filter_map(|one| {
        let before = one.told.before.as_ref()?;
        Some(if several {
            format!("{}: {before}", one.region)
        } else {
            before.clone()
        })
    });
    let before: Vec<String> = before.collect();
    run.before = (!before.is_empty()).then(|| before.join("; "));
    run.left_open = landed.iter().any(|one| one.told.left_open);
    run.candidate_url = landed.iter().find_map(|one| one.told.candidate_url.clone());
    run.regions = landed.iter().filter_map(served).collect();
}

fn served(landed: &Landed) -> Option<Served> {
    match &landed.outcome {
        Outcome::Promoted { revision, url }
        | Outcome::UpToDate { revision, url }
        | Outcome::Waiting { revision, url }
        | Outcome::RolledBack { revision, url } => Some(Served {
            region: landed.region.to_string(),
            revision: revision.to_string(),
            url: url.clone(),
        }),
        _ => None,
    }
}

/// Looks at all regions at the same time, and shows their plans in their order.
async fn show_all(
    job: &Job<'_>,
    world: &World<'_>,
    sites: &[Site<'_>],
    wanted: &Wanted,
    run: &mut RunSummary,
) -> Vec<Landed> {
    let looks = sites.iter().map(|site| look(world, site.target, wanted));
    let seen = futures_util::future::join_all(looks).await;
    let mut landed = Vec::new();
    let mut drift = Vec::new();
    for (site, seen) in sites.iter().zip(seen) {
        let mut told = Told::default();
        let region = site.target.region.clone();
        if let Ok(Prospect::Plan(plan)) = &seen {
            let view = run.view.get_or_insert_default();
            view.outlooks
                .push((region.to_string(), plan.outlook.clone()));
            drift.push((region.to_string(), drift_lines(wanted, plan)));
        }
        landed.push(Landed {
            outcome: show(job, seen, &mut told, run),
            region,
            told,
        });
    }
    if let Some(view) = &mut run.view
        && !drift.is_empty()
    {
        view.set_drift(&drift);
        // Evidence was told as it was found.
        say(job, &text::plain_lines(&view.lines(&[]).join("\n")));
    }
    landed
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

fn wanted(job: &Job<'_>, intent: Intent, surroundings: Surroundings) -> Wanted {
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
        surroundings,
        began: false,
    }
}

fn show(
    job: &Job<'_>,
    seen: Result<Prospect, Diagnostic>,
    told: &mut Told,
    run: &mut RunSummary,
) -> Outcome {
    match seen {
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
            told.before = Some(plan.before.clone());
            for warning in &plan.warnings {
                job.sink.emit(Event::Warning(warning.clone()));
            }
            show_plan(job, &plan, run)
        }
    }
}

/// What the comparison with the environment before came to; what kept it from being made is a warning
/// of its own.
fn drift_lines(wanted: &Wanted, plan: &Plan) -> Vec<String> {
    let Some(earlier) = &wanted.surroundings.earlier else {
        return Vec::new();
    };
    let (there, here) = (&earlier.environment, &plan.target.environment.name);
    let drift = drift(&earlier.configuration, &plan.outlook.after);
    if drift.is_none() {
        return vec![format!(
            "no variable and no secret of {there} would be missing in {here}"
        )];
    }
    let missing = drift.lines().into_iter();
    missing
        .map(|one| format!("{one} of {there} would be missing in {here}"))
        .collect()
}

/// The plan is the result: on a terminal it goes to standard output, in a job to the log, and in
/// both to the summary.
fn show_plan(job: &Job<'_>, plan: &Plan, run: &mut RunSummary) -> Outcome {
    let steps = text::plain_lines(&render_plan(plan));
    say(job, &steps);
    run.plan.extend(steps);
    Outcome::Verified
}

fn say(job: &Job<'_>, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let lines = lines.join("\n");
    if job.shell.on_github {
        job.sink.emit(Event::Note(lines));
    } else if job.shell.format == crate::cli::Format::Human {
        job.shell.streams.out.say(&format!("{lines}\n"));
    }
}

#[cfg(test)]
mod tests {
    use delivery::diagnostic::Code;

    use super::*;

    #[test]
    fn a_rollback_whose_target_fails_its_tests_is_told_to_name_another() {
        let stopped = |code| {
            let problem = Diagnostic::error(code, "it failed").help("mend the release");
            let mut outcome = Outcome::Stopped(vec![problem]);
            advise_rollback(&mut outcome, "production");
            outcome.diagnostics()[0].help.clone()
        };
        assert_eq!(
            stopped(Code::TestsFailed),
            [
                "name another revision: `ml-deploy revisions --environment production` lists them",
                "or promote a release that works"
            ]
        );
        // What has nothing to do with the target keeps its own.
        assert_eq!(stopped(Code::PermissionDenied), ["mend the release"]);
    }
}
