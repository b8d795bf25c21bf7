//! A region that had closed its record before another one failed: what a stranger's change can bring
//! about, after which a region looks again and finds itself up to date.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::outcome::Outcome;
use delivery::plan::recover::{Asker, Despite, Lease, Way};
use delivery::plan::render::place;
use delivery::state::RunRef;
use delivery::target::Target;

use super::back::in_own_time;
use super::regions::{Landed, Site, named};
use super::together::read_left;
use super::{Recovered, World, recover_all};

/// Takes the release back where this run has recorded it, if it failed elsewhere: all regions go, or
/// none. One read of each region, and only after a failure.
pub(super) async fn none_alone(
    world: &World<'_>,
    sites: &[Site<'_>],
    run: &RunRef,
    mut landed: Vec<Landed>,
) -> Vec<Landed> {
    let Some(failed) = landed.iter().find(|one| is_cause(&one.outcome)) else {
        return landed;
    };
    let failed = failed.region.clone();
    let targets: Vec<Target> = sites.iter().map(|site| site.target.clone()).collect();
    let asker = Asker {
        run: run.clone(),
        despite: Despite::Nobody,
    };
    let ends = in_own_time(world, async |world| {
        let left = read_left(world, &targets, run).await;
        let ends = match left.halfway {
            true => recover_all(world, sites, &asker).await,
            false => Vec::new(),
        };
        (ends, left.unread.is_empty())
    })
    .await;
    let (ends, is_known) = ends.unwrap_or_default();
    for one in &mut landed {
        // Its post step looks again.
        one.told.left_open |= !is_known;
    }
    for ((one, target), end) in landed.iter_mut().zip(&targets).zip(ends) {
        one.told.left_open |= matches!(end, Recovered::Stopped(_) | Recovered::Failed(_));
        let outcome = with(one.outcome.clone(), target, failed.as_str(), end);
        one.outcome = named(outcome, &target.region);
    }
    landed
}

/// It failed, and not because another one did.
fn is_cause(outcome: &Outcome) -> bool {
    let first = outcome.diagnostics().first();
    first.is_some_and(|first| first.code != Code::RegionFailed)
}

/// How a region ended, after what it had recorded was looked for once more.
fn with(outcome: Outcome, target: &Target, failed: &str, end: Recovered) -> Outcome {
    match (end, outcome) {
        (Recovered::Nothing | Recovered::Held(_), outcome) => outcome,
        (
            Recovered::Ended {
                way: Way::Forward, ..
            },
            outcome,
        ) => outcome,
        (Recovered::Ended { state, .. }, Outcome::Stopped(problems)) => {
            let one = |problem: Diagnostic| problem.state(state.clone());
            Outcome::Stopped(problems.into_iter().map(one).collect())
        }
        (Recovered::Ended { .. }, Outcome::RollbackFailed(problems)) => {
            Outcome::RollbackFailed(problems)
        }
        (Recovered::Ended { lease, state, .. }, _) => {
            Outcome::Stopped(vec![taken_back(target, failed, &lease, state)])
        }
        (Recovered::Stopped(more) | Recovered::Failed(more), outcome) => {
            let mut problems = outcome.diagnostics().to_vec();
            problems.extend(more);
            Outcome::RollbackFailed(problems)
        }
    }
}

fn taken_back(target: &Target, failed: &str, lease: &Lease, state: String) -> Diagnostic {
    let revision = &lease.revision;
    Diagnostic::error(
        Code::RegionFailed,
        format!(
            "`{revision}` was confirmed and recorded, and taken back because region `{failed}` failed"
        ),
    )
    .at(place(target))
    .state(state)
}
