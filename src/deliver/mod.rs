//! Observe → plan → execute, and again when somebody else was faster.
//!
//! | module | holds |
//! |---|---|
//! | `seam` | what a delivery is made over |
//! | `back` | the way back of a run that has written, and must not go on |
//! | `recover` | what a run that died has left in one service |
//! | `together` | the same in several regions |
//! | `ends` | how that ended, as it is told |
//! | [`regions`] | several regions together |
//!
//! Everything outside comes in through [`World`], so that the same loop runs over the real cloud, the
//! local one and a simulated one.

mod back;
mod ends;
mod recover;
pub mod regions;
mod seam;
#[cfg(test)]
mod tests;
mod together;

pub use ends::Ends;
pub use recover::Recovered;
pub use seam::{Cloud, Planner, Seen, World};
pub use together::{Left, left_open, look_for_unfinished, recover_all};

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::Event;
use delivery::name::RevisionName;
use delivery::outcome::Outcome;
use delivery::plan::{Intent, Plan, Planned, Wanted, lint};
use delivery::snapshot::{Snapshot, StateSeen};
use delivery::state::RunRef;
use delivery::target::Target;

use crate::execute::{CloudWriter, ExecutionEnd, Stop, execute};

/// What a delivery does first, for a diagnostic.
const LOOK: &str = "look at the service";
/// How often a run plans again after another one changed the service meanwhile.
const MOST_PLANS: u32 = 5;

/// What is told of a delivery, beside how it ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// What served before.
    pub before: Option<String>,
    /// The candidate's own address, if it had one.
    pub candidate_url: Option<String>,
    /// This run may have left its intent in the record: its post step has something to look for.
    pub left_open: bool,
}

/// What a look at the service and a plan bring.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one value a run: a box would only cost words"
)]
pub enum Prospect {
    /// Nothing to do.
    UpToDate {
        /// The revision that serves.
        revision: RevisionName,
        /// The service's address.
        url: String,
        /// Why.
        because: String,
    },
    /// It must not be done, or the service cannot be looked at, or the plan has a defect.
    Blocked(Vec<Diagnostic>),
    /// This.
    Plan(Plan),
}

/// Looks at the service and plans. Reads only.
///
/// # Errors
/// When the service cannot be looked at, or the run must end.
pub async fn look(
    world: &World<'_>,
    target: &Target,
    wanted: &Wanted,
) -> Result<Prospect, Diagnostic> {
    Ok(prospect(world, wanted, &see(world, target, wanted).await?))
}

async fn see(world: &World<'_>, target: &Target, wanted: &Wanted) -> Result<Seen, Diagnostic> {
    let now = world.guard.clock.now();
    tokio::select! {
        biased;
        stop = world.guard.stopped() => Err(stopped(stop, LOOK)),
        seen = world.cloud.observe(target, Some(wanted), now) => seen,
    }
}

fn prospect(world: &World<'_>, wanted: &Wanted, seen: &Seen) -> Prospect {
    let snapshot = &seen.snapshot;
    match (world.planner)(wanted, snapshot) {
        Planned::UpToDate { revision, because } => Prospect::UpToDate {
            revision,
            url: address(snapshot),
            because,
        },
        Planned::Blocked(problems) => Prospect::Blocked(problems),
        Planned::Proceed(plan) => {
            let defects = lint(&plan);
            if defects.is_empty() {
                Prospect::Plan(plan)
            } else {
                Prospect::Blocked(defects)
            }
        }
    }
}

/// Brings the service to what is wanted.
pub async fn deliver(world: &World<'_>, target: &Target, wanted: &Wanted) -> (Outcome, Told) {
    let (outcome, told) = rounds(world, target, wanted).await;
    if let Some(member) = &world.guard.convoy {
        match outcome {
            Outcome::Stopped(_) | Outcome::RollbackFailed(_) => member.fail(),
            _ => member.leave(),
        }
    }
    (outcome, told)
}

async fn rounds(world: &World<'_>, target: &Target, wanted: &Wanted) -> (Outcome, Told) {
    let mut told = Told::default();
    // What to say of the service if this ends after a round that met a stranger's change.
    let mut written: Option<String> = None;
    let mut wanted = wanted.clone();
    for _ in 0..MOST_PLANS {
        let seen = match see(world, target, &wanted).await {
            Ok(seen) => {
                // A write whose answer was lost may have been accepted before a stranger wrote.
                wanted.began |= written.is_some() && is_open(&seen.snapshot, &wanted.run);
                seen
            }
            Err(problem) => {
                told.left_open = written.is_some();
                let state = written.or(problem.state.clone());
                let problem = Diagnostic { state, ..problem };
                let problems = vec![problem];
                let outcome = if wanted.began {
                    back::take_back(world, target, &wanted, problems, &mut told).await
                } else {
                    Outcome::Stopped(problems)
                };
                return (outcome, told);
            }
        };
        let plan = match prospect(world, &wanted, &seen) {
            Prospect::UpToDate {
                revision,
                url,
                because,
            } => {
                let note = format!("nothing to do: {because}");
                world.sink.emit(Event::Note(note));
                return (Outcome::UpToDate { revision, url }, told);
            }
            Prospect::Blocked(problems) if wanted.began => {
                return (
                    back::take_back(world, target, &wanted, problems, &mut told).await,
                    told,
                );
            }
            Prospect::Blocked(problems) => return (Outcome::Stopped(problems), told),
            Prospect::Plan(plan) => plan,
        };
        told.before = Some(plan.before.clone());
        for warning in &plan.warnings {
            world.sink.emit(Event::Warning(warning.clone()));
        }
        match carry_out(world, target, &plan, seen.writer).await {
            ExecutionEnd::Done {
                url,
                tag_url,
                evidence: _,
            } => {
                told.candidate_url = tag_url;
                let waits = plan.waits();
                told.left_open = waits;
                let revision = plan.revision;
                let outcome = match wanted.intent {
                    _ if waits => {
                        // Closed, a first deploy is tested at the service's own address.
                        told.candidate_url.get_or_insert_with(|| url.clone());
                        Outcome::Waiting { revision, url }
                    }
                    Intent::Promote { .. } => Outcome::Promoted { revision, url },
                    Intent::Rollback { .. } => Outcome::RolledBack { revision, url },
                };
                return (outcome, told);
            }
            ExecutionEnd::Conflict { began } => {
                wanted.began |= began;
                told.left_open = wanted.began;
                written = Some(format!(
                    "not looked at again since another tool changed it; before this run: {}; the candidate `{}` may stand in the service, and the next run goes on from it",
                    plan.before, plan.revision
                ));
                world.sink.emit(Event::Note(
                    "the service was changed meanwhile: looking and planning again".to_owned(),
                ));
            }
            ExecutionEnd::Stopped(problems) => {
                told.left_open = false;
                return (Outcome::Stopped(problems), told);
            }
            ExecutionEnd::LeftOpen(problems) => {
                told.left_open = true;
                return (Outcome::Stopped(problems), told);
            }
            ExecutionEnd::UndoFailed(problems) => {
                told.left_open = true;
                return (Outcome::RollbackFailed(problems), told);
            }
        }
    }
    let problem = Diagnostic {
        state: written,
        ..busy(target)
    };
    let problems = vec![problem];
    if wanted.began {
        return (
            back::take_back(world, target, &wanted, problems, &mut told).await,
            told,
        );
    }
    (Outcome::Stopped(problems), told)
}

async fn carry_out(
    world: &World<'_>,
    target: &Target,
    plan: &Plan,
    mut writer: Box<dyn CloudWriter>,
) -> ExecutionEnd {
    world.sink.emit(Event::GroupStarted {
        title: format!("{} → {}", plan.revision, target.environment.name),
    });
    let end = execute(
        plan,
        writer.as_mut(),
        world.verifier,
        world.sink,
        world.guard,
    )
    .await;
    world.sink.emit(Event::GroupEnded);
    end
}

/// True when the run's intent stands in the record.
fn is_open(snapshot: &Snapshot, run: &RunRef) -> bool {
    let state = snapshot.service.as_ref().map(|seen| &seen.state);
    matches!(state, Some(StateSeen::Known(record))
        if record.intent.as_ref().is_some_and(|intent| intent.run == *run))
}

/// The service's address; a service that serves has one.
fn address(snapshot: &Snapshot) -> String {
    snapshot
        .service
        .as_ref()
        .and_then(|service| service.uri.clone())
        .unwrap_or_default()
}

/// That a run had to end while it was to do something that changes nothing.
pub(crate) fn stopped(stop: Stop, what: &str) -> Diagnostic {
    let diagnostic = match stop {
        Stop::Cancelled => Diagnostic::error(
            Code::Interrupted,
            format!("interrupted while it was to {what}"),
        ),
        Stop::Deadline => Diagnostic::error(
            Code::DeadlinePassed,
            format!("the deadline passed while it was to {what}"),
        )
        .help("raise the input `deadline`, in minutes"),
        Stop::Elsewhere(region) => Diagnostic::error(
            Code::RegionFailed,
            format!("stopped while it was to {what}, because region `{region}` failed"),
        ),
    };
    diagnostic.state("nothing was changed")
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
