//! The steps between the tests and the end: a share of the traffic, then a watch over it.

use super::candidate::tag_of;
use super::standing::Standing;
use super::steps::Change;
use super::{Action, Baseline, Intent, Step, Undo, Wanted};
use crate::name::RevisionName;
use crate::state::StateRecord;
use crate::traffic::{Destination, TrafficSplit};

/// What the candidate is compared with: of those that `serving` gives a share, the one with the
/// largest. `None` where traffic moves at once, as in every rollback: that is the way out of trouble.
pub(crate) fn baseline(
    wanted: &Wanted,
    standing: &Standing<'_>,
    serving: &TrafficSplit,
    candidate: &RevisionName,
) -> Option<Baseline> {
    let Intent::Promote { .. } = wanted.intent else {
        return None;
    };
    if wanted.strategy.is_at_once() {
        return None;
    }
    let main = serving
        .revisions()
        .filter(|name| *name != candidate)
        .max_by_key(|name| serving.percent_of(name))?;
    Some(Baseline {
        revision: main.clone(),
        tag: tag_of(&standing.target.service, main).ok()?,
    })
}

/// The traffic with an address of its own for what the candidate is compared with.
pub(crate) fn with_address(traffic: TrafficSplit, baseline: Option<&Baseline>) -> TrafficSplit {
    match baseline {
        None => traffic,
        Some(Baseline { revision, tag }) => {
            traffic.with_tag(tag.clone(), Destination::Revision(revision.clone()))
        }
    }
}

/// What every share is made from.
pub(crate) struct Shares<'a> {
    /// What the first write wrote: the candidate at 0 %, both tags.
    pub(crate) traffic: &'a TrafficSplit,
    /// With the intent.
    pub(crate) state: &'a StateRecord,
    pub(crate) undo: &'a Undo,
    pub(crate) baseline: &'a Baseline,
}

/// The steps for each percent below 100.
pub(crate) fn steps(wanted: &Wanted, change: &Change, shares: &Shares<'_>) -> Vec<Step> {
    let Shares {
        traffic,
        state,
        undo,
        baseline,
    } = *shares;
    let strategy = &wanted.strategy;
    let revision = change.revision();
    let one = |(percent, next): (u32, u32)| {
        let shift = Step {
            because: format!(
                "let {percent} % of the callers reach `{revision}`, and the others what served before"
            ),
            undo: undo.clone(),
            action: Action::ShiftTraffic {
                revision: revision.clone(),
                traffic: traffic.beside(revision, percent),
                state: with_share(state, percent),
                access: None,
            },
        };
        let watch = Step {
            because: format!(
                "hold it against its limits and against `{}` before it gets {next} %",
                baseline.revision
            ),
            undo: undo.clone(),
            action: Action::Watch {
                revision: revision.clone(),
                tag: change.tag.clone(),
                serving: baseline.clone(),
                percent,
                next,
                soak: strategy.soak(),
                on_inconclusive: strategy.on_inconclusive(),
            },
        };
        [shift, watch]
    };
    strategy.partial().flat_map(one).collect()
}

/// The record that is written with a part of the traffic.
fn with_share(state: &StateRecord, percent: u32) -> StateRecord {
    let mut state = state.clone();
    if let Some(intent) = &mut state.intent {
        intent.share = Some(percent);
    }
    state
}
