//! Ends a rollout that its run left unfinished.

use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::Event;
use delivery::plan::lint;
use delivery::plan::recover::{
    Asker, Lease, Recovery, Rescue, Way, recover as plan_recovery, take_back as plan_way_back,
};
use delivery::snapshot::{Snapshot, StateSeen};
use delivery::state::OpenIntent;
use delivery::target::Target;
use tokio::time::Instant;

use super::{LOOK, MOST_PLANS, Seen, World, busy, carry_out, stopped};
use crate::execute::ExecutionEnd;

/// Pause between two looks at a record that its run may still close.
const PAUSE: Duration = Duration::from_millis(500);

/// Which unfinished rollouts are ended, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Whatever the asker may end, as the record says.
    Any,
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

/// The intent that stands in the target's record. One read.
///
/// # Errors
/// When the service cannot be read.
pub async fn open_intent(
    world: &World<'_>,
    target: &Target,
) -> Result<Option<OpenIntent>, Diagnostic> {
    let live = world.cloud.read(target).await?;
    Ok(live.and_then(|live| match live.state {
        StateSeen::Known(record) => record.intent,
        StateSeen::Absent | StateSeen::Unreadable(_) => None,
    }))
}

/// The intent that `asker` or an earlier attempt of it left open. A run that may be at work still gets
/// `patience` to close it itself.
///
/// # Errors
/// When the service cannot be read, or the run must end.
pub async fn left_open(
    world: &World<'_>,
    target: &Target,
    asker: &Asker,
    patience: Duration,
) -> Result<Option<OpenIntent>, Diagnostic> {
    let until = Instant::now() + patience;
    loop {
        let read = tokio::select! {
            biased;
            stop = world.guard.stopped() => return Err(stopped(stop, LOOK)),
            read = open_intent(world, target) => read?,
        };
        let own = read.filter(|intent| asker.run.continues(&intent.run));
        if own.is_none() || Instant::now() + PAUSE > until {
            return Ok(own);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks at the service and says how an unfinished rollout would be ended. Reads only.
///
/// # Errors
/// When the service cannot be looked at, or the run must end.
pub async fn look_for_unfinished(
    world: &World<'_>,
    target: &Target,
    asker: &Asker,
) -> Result<(Recovery, Seen), Diagnostic> {
    let seen = see(world, target).await?;
    Ok((seen_fit(plan_recovery(asker, &seen.snapshot)), seen))
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

/// Ends an unfinished rollout of the target, if there is one that `asker` may end.
pub async fn recover(world: &World<'_>, target: &Target, asker: &Asker) -> Recovered {
    recover_within(world, target, asker, Scope::Any).await
}

/// As [`recover`], within a scope.
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
            Scope::Any | Scope::Own => plan_recovery(asker, &seen.snapshot),
            Scope::OwnBack => plan_way_back(asker, &seen.snapshot),
        };
        let rescue = match seen_fit(recovery) {
            Recovery::Nothing => return Recovered::Nothing,
            Recovery::Waits(lease) => return Recovered::Held(lease),
            Recovery::Blocked(problems) => return not_restored(problems),
            Recovery::Proceed(rescue) => rescue,
        };
        // What a stranger has left, and nobody holds any more, is not this run's to end.
        if scope != Scope::Any && !asker.run.continues(&rescue.lease.run) {
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
async fn ended(
    world: &World<'_>,
    target: &Target,
    rescue: Rescue,
    end: ExecutionEnd,
    before: &Snapshot,
) -> Option<Recovered> {
    let Rescue { lease, way, plan } = rescue;
    match end {
        ExecutionEnd::Conflict { .. } => None,
        ExecutionEnd::UndoFailed(problems) => Some(Recovered::Failed(problems)),
        ExecutionEnd::Done { .. } => Some(Recovered::Ended {
            state: in_words(world, target, way).await,
            lease,
            way,
            problems: Vec::new(),
        }),
        // The way back may have been taken all the same, by the undo of the plan.
        ExecutionEnd::Stopped(problems) | ExecutionEnd::LeftOpen(problems) => {
            let open = open_intent(world, target).await;
            let is_closed =
                open.is_ok_and(|open| open.is_none_or(|intent| intent.run != lease.run));
            Some(if is_closed {
                Recovered::Ended {
                    state: in_words(world, target, Way::Back).await,
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

fn not_restored(problems: Vec<Diagnostic>) -> Recovered {
    if problems.iter().any(|one| one.code == Code::UndoFailed) {
        Recovered::Failed(problems)
    } else {
        Recovered::Stopped(problems)
    }
}

/// `old serves 100 %`.
async fn in_words(world: &World<'_>, target: &Target, way: Way) -> String {
    let read = world.cloud.read(target).await;
    match (read, way) {
        (Ok(Some(live)), _) => delivery::plan::render::serving_in_words(&live.serving),
        (_, Way::Back) => "what served before serves".to_owned(),
        (_, Way::Forward) => "the release serves".to_owned(),
    }
}
