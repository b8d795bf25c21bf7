//! Ends a rollout that its run left unfinished.

use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::Event;
use delivery::name::Region;
use delivery::plan::recover::{
    Asker, Lease, Recovery, Rescue, Way, recover as plan_recovery, take_back as plan_way_back,
};
use delivery::plan::render::{closed_in_words, place};
use delivery::plan::{Undo, lint};
use delivery::snapshot::{Snapshot, StateSeen};
use delivery::state::StateRecord;
use delivery::target::Target;

use super::{LOOK, MOST_PLANS, Seen, World, busy, carry_out, stopped};
use crate::execute::ExecutionEnd;

/// Pause between two looks at a record that its run may still close.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// Which unfinished rollouts are ended, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Whatever the asker may end, and only back.
    AnyBack,
    /// What the asker's own run began, as the record says.
    Own,
    /// What the asker's own run began, and only back: the other regions go back too.
    OwnBack,
}

/// How a look for an unfinished rollout ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Recovered {
    /// There is none.
    Nothing,
    /// It belongs to a run that may still be at work.
    Held(Lease),
    /// It is ended.
    Ended {
        /// Whose it was.
        lease: Lease,
        /// Which way it was ended at last.
        way: Way,
        /// What serves now, in words.
        state: String,
        /// What went wrong on the way, where something did.
        problems: Vec<Diagnostic>,
    },
    /// Nothing was changed.
    Stopped(Vec<Diagnostic>),
    /// What served before could not be restored.
    Failed(Vec<Diagnostic>),
}

/// The target's record; an empty one where there is none that can be read. One read.
///
/// # Errors
/// When the service cannot be read.
pub(super) async fn record(world: &World<'_>, target: &Target) -> Result<StateRecord, Diagnostic> {
    let live = world.cloud.read(target).await?;
    Ok(match live.map(|live| live.state) {
        Some(StateSeen::Known(record)) => record,
        Some(StateSeen::Absent | StateSeen::Unreadable(_)) | None => StateRecord::default(),
    })
}

/// Everything that there is to be seen.
pub(super) async fn see(world: &World<'_>, target: &Target) -> Result<Seen, Diagnostic> {
    let observing = world.cloud.observe(target, None, world.guard.clock.now());
    tokio::select! {
        biased;
        stop = world.guard.stopped() => Err(stopped(stop, LOOK)),
        seen = observing => seen,
    }
}

/// A plan with a defect is not carried out.
pub(super) fn seen_fit(recovery: Recovery) -> Recovery {
    match recovery {
        Recovery::Proceed(rescue) => {
            let defects = lint(&rescue.plan);
            if defects.is_empty() {
                Recovery::Proceed(rescue)
            } else {
                Recovery::Blocked(defects)
            }
        }
        other => other,
    }
}

/// Ends an unfinished rollout of the target, within the scope, if there is one that `asker` may end.
pub(super) async fn recover_within(
    world: &World<'_>,
    target: &Target,
    asker: &Asker,
    scope: Scope,
) -> Recovered {
    for _ in 0..MOST_PLANS {
        let seen = match see(world, target).await {
            Ok(seen) => seen,
            Err(problem) => return Recovered::Stopped(vec![problem]),
        };
        let recovery = match scope {
            Scope::Own => plan_recovery(asker, &seen.snapshot),
            Scope::AnyBack | Scope::OwnBack => plan_way_back(asker, &seen.snapshot),
        };
        let rescue = match seen_fit(recovery) {
            Recovery::Nothing => return Recovered::Nothing,
            Recovery::Waits(lease) => return Recovered::Held(lease),
            Recovery::Blocked(problems) => return not_restored(problems),
            Recovery::Proceed(rescue) => rescue,
        };
        // What a stranger has left, and nobody holds any more, is not this run's to end.
        let is_own_only = matches!(scope, Scope::Own | Scope::OwnBack);
        if is_own_only && !asker.run.continues(&rescue.lease.run) {
            return Recovered::Nothing;
        }
        for warning in &rescue.plan.warnings {
            world.sink.emit(Event::Warning(warning.clone()));
        }
        let end = carry_out(world, target, &rescue.plan, seen.writer).await;
        match ended(world, target, rescue, end, &seen.snapshot).await {
            Some(recovered) => return recovered,
            None => world.sink.emit(Event::Note(
                "the service was changed meanwhile: looking again".to_owned(),
            )),
        }
    }
    Recovered::Stopped(vec![busy(target)])
}

/// What came of a rescue; `None`: somebody else was faster.
pub(super) async fn ended(
    world: &World<'_>,
    target: &Target,
    rescue: Rescue,
    end: ExecutionEnd,
    before: &Snapshot,
) -> Option<Recovered> {
    let Rescue { lease, way, plan } = rescue;
    // A first deploy has nothing to go back to.
    let is_first = plan
        .steps
        .iter()
        .any(|step| matches!(step.undo, Undo::KeepClosed { .. }));
    let state = async |way: Way| match way {
        Way::Back if is_first => match world.cloud.read(target).await {
            Ok(Some(live)) => closed_in_words(&live.serving),
            _ => "nothing tested serves".to_owned(),
        },
        way => in_words(world, target, way).await,
    };
    match end {
        ExecutionEnd::Conflict { .. } => None,
        ExecutionEnd::UndoFailed(problems) => Some(Recovered::Failed(problems)),
        ExecutionEnd::Done { .. } => Some(Recovered::Ended {
            state: state(way).await,
            lease,
            way,
            problems: Vec::new(),
        }),
        // The way back may have been taken all the same, by the undo of the plan.
        ExecutionEnd::Stopped(problems) | ExecutionEnd::LeftOpen(problems) => {
            let stands = |record: StateRecord| record.intent.is_some_and(|it| it.run == lease.run);
            let read = record(world, target).await;
            let is_closed = read.is_ok_and(|record| !stands(record));
            Some(if is_closed {
                Recovered::Ended {
                    state: state(Way::Back).await,
                    lease,
                    way: Way::Back,
                    problems,
                }
            } else if gets_traffic(before, &plan.revision) {
                Recovered::Failed(problems)
            } else {
                Recovered::Stopped(problems)
            })
        }
    }
}

fn gets_traffic(snapshot: &Snapshot, revision: &delivery::name::RevisionName) -> bool {
    let serving = snapshot.service.iter().flat_map(|seen| &seen.serving);
    let mut own = serving.filter(|entry| entry.revision == *revision);
    own.any(|entry| entry.percent > 0)
}

pub(super) fn not_restored(problems: Vec<Diagnostic>) -> Recovered {
    let is_failed = |one: &Diagnostic| matches!(one.code, Code::UndoFailed | Code::RegionsApart);
    if problems.iter().any(is_failed) {
        Recovered::Failed(problems)
    } else {
        Recovered::Stopped(problems)
    }
}

/// `old serves 100 %`.
pub(super) async fn in_words(world: &World<'_>, target: &Target, way: Way) -> String {
    let read = world.cloud.read(target).await;
    match (read, way) {
        (Ok(Some(live)), _) => delivery::plan::render::serving_in_words(&live.serving),
        (_, Way::Back) => "what served before serves".to_owned(),
        (_, Way::Forward) => "the release serves".to_owned(),
    }
}

/// Nothing that was unfinished is ended in silence.
pub(super) fn recovered(target: &Target, lease: &Lease, way: Way, state: &str) -> Diagnostic {
    let (run, revision) = (&lease.run.0, &lease.revision);
    let (title, cause) = match way {
        Way::Back => (
            format!(
                "run `{run}` had left its rollout of `{revision}` unfinished: it was taken back"
            ),
            before_the_end(&lease.regions),
        ),
        Way::Forward => (
            format!(
                "run `{run}` had not come to record its rollout of `{revision}`: it was confirmed and recorded"
            ),
            "the run ended after the revision had passed its tests and was given all traffic"
                .to_owned(),
        ),
    };
    let warning = Diagnostic::warning(Code::RolloutRecovered, title)
        .at(place(target))
        .cause(cause)
        .state(state);
    match way {
        Way::Back => warning.help("run again, if the release is still wanted"),
        Way::Forward => warning.help("run again to have what comes after the record done too"),
    }
}

/// What the run had not come to. A region that is taken back may have been recorded.
fn before_the_end(regions: &[Region]) -> String {
    let names: Vec<&str> = regions.iter().map(Region::as_str).collect();
    match names.as_slice() {
        [] => "the run ended before the rollout was confirmed".to_owned(),
        names => format!(
            "the run ended before the rollout was confirmed and recorded in all of {}",
            names.join(", ")
        ),
    }
}
