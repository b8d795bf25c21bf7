//! The revision serves everything already: what is left to do, if anything.

use super::standing::Standing;
use super::steps::{Change, End, confirm_and_record, intent};
use super::{Action, Address, Step, Undo, Wanted};
use crate::snapshot::ServiceSeen;
use crate::spec::Access;
use crate::traffic::{Destination, TrafficSplit};

/// Whether the end state must name the revision as the newest healthy one. A rollback to a revision
/// that serves asks for nothing more than that it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    Recorded,
    Serving,
}

/// The steps that are left; none when nothing is to be done.
pub(crate) fn steps(
    wanted: &Wanted,
    standing: &Standing<'_>,
    service: &ServiceSeen,
    change: &Change,
    demand: Demand,
) -> Vec<Step> {
    let revision = change.revision();
    let access = change.access.filter(|wanted| *wanted != service.access);
    let pinned = service.traffic.percent_of(revision) == 100;
    let left_over = standing.has_tags_left_over(&change.end, revision);
    let needs_write = !pinned || left_over || access.is_some();
    let recorded = match demand {
        Demand::Serving => true,
        Demand::Recorded => standing
            .record
            .healthy
            .first()
            .is_some_and(|newest| newest.revision == *revision),
    };
    let in_effect = shown_percent(service, revision) == 100;
    if !needs_write && recorded && in_effect && standing.record.intent.is_none() {
        return Vec::new();
    }
    let after_write = if needs_write {
        access.map(|_| service.access)
    } else {
        None
    };
    let (untouched, changed) = undo(standing, service, change, needs_write, after_write);
    let mut steps = vec![Step {
        because: format!("`{revision}` serves already: test it where it serves"),
        undo: untouched.clone(),
        action: Action::Verify {
            revision: revision.clone(),
            address: Address::Service,
            commit: change.commit.clone(),
        },
    }];
    if needs_write {
        let end = End {
            traffic: TrafficSplit::all_to(
                Destination::Revision(revision.clone()),
                standing.end_tags(&change.end, revision),
            ),
            state: intent(wanted, standing, change, restored(standing)),
            access,
            undo: changed,
        };
        steps.extend(end.steps(change));
    } else {
        steps.extend(confirm_and_record(change, &untouched));
    }
    steps
}

/// What undoes the steps before and after the write. Nothing is undone before anything was changed,
/// except what a run that died has left to be undone.
fn undo(
    standing: &Standing<'_>,
    service: &ServiceSeen,
    change: &Change,
    needs_write: bool,
    access: Option<Access>,
) -> (Undo, Undo) {
    let state = standing.record.without_intent();
    let traffic = restored(standing).unwrap_or_else(|| service.traffic.clone());
    let left_behind =
        standing.record.intent.as_ref().filter(|intent| {
            intent.revision == *change.revision() && standing.is_unconfirmed(intent)
        });
    if let Some(intent) = left_behind {
        let rejects = change.rejects.clone();
        let undo = |access| match intent.undo {
            Some(_) => Undo::Restore {
                traffic: traffic.clone(),
                state: state.clone(),
                rejects: rejects.clone(),
                access: standing.left_access().or(access),
            },
            None => Undo::KeepClosed {
                state: state.clone(),
                rejects: rejects.clone(),
            },
        };
        return (undo(None), undo(access));
    }
    let restore = |traffic, access| Undo::Restore {
        traffic,
        state: state.clone(),
        rejects: None,
        access: standing.left_access().or(access),
    };
    // An intent that is open, but whose traffic somebody else has moved since, or that brings another
    // revision, is closed at least: nobody comes back for it.
    let untouched = match &standing.record.intent {
        Some(_) => restore(traffic.clone(), None),
        None => Undo::Nothing,
    };
    let changed = if needs_write {
        restore(traffic, access)
    } else {
        untouched.clone()
    };
    (untouched, changed)
}

/// Where traffic returns to, of our tags with the standing one alone.
fn restored(standing: &Standing<'_>) -> Option<TrafficSplit> {
    let shares = standing.undo_shares()?;
    let mut tags = standing.foreign_tags();
    tags.extend(standing.kept_tag(&shares));
    Some(shares.with_tags(tags))
}

fn shown_percent(service: &ServiceSeen, revision: &crate::name::RevisionName) -> u32 {
    service
        .serving
        .iter()
        .filter(|serving| serving.revision == *revision)
        .map(|serving| serving.percent)
        .sum()
}
