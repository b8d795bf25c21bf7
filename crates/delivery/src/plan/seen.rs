//! What has to be seen before a plan can be made. A rollback needs little: the service, and of its
//! revisions those that serve and the one that it leads to, which are nearly always among the newest.

use super::rollback::{already_back, previous};
use super::standing::Standing;
use super::{Intent, Wanted};
use crate::snapshot::{Readiness, Snapshot};
use crate::stage::RollbackTo;

/// What is missing in a snapshot with the service and its newest revisions only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Who may call decides something, so the IAM policy has to be read.
    pub access: bool,
    /// A revision further back may be needed.
    pub revisions: bool,
}

/// Says what is missing for [`plan`](super::plan()). What is not missing does not change the plan.
pub fn missing(wanted: &Wanted, snapshot: &Snapshot) -> Missing {
    let standing = Standing::of(snapshot);
    match &wanted.intent {
        Intent::Promote { .. } => Missing {
            access: true,
            revisions: true,
        },
        Intent::Rollback { to } => Missing {
            // A service that something tested serves in is neither closed nor opened.
            access: standing.nothing_tested_serves(),
            // Whether anything has ever passed here is told by all of them.
            revisions: standing.record.healthy.is_empty()
                || !known_is_seen(&standing)
                || !target_is_seen(wanted, &standing, to),
        },
    }
}

/// What serves, and what is recorded healthy: one of those is tagged next.
fn known_is_seen(standing: &Standing<'_>) -> bool {
    let service = standing.service.iter();
    let serving = service.flat_map(|seen| {
        let shown = seen.serving.iter().filter(|entry| entry.percent > 0);
        let shown = shown.map(|entry| &entry.revision);
        seen.traffic.revisions().chain(shown)
    });
    let healthy = standing.record.healthy.iter().map(|entry| &entry.revision);
    serving
        .chain(healthy)
        .all(|name| standing.revision(name).is_some())
}

fn target_is_seen(wanted: &Wanted, standing: &Standing<'_>, to: &RollbackTo) -> bool {
    match to {
        RollbackTo::Revision(name) => standing.revision(name).is_some(),
        RollbackTo::Version(version) => standing
            .record
            .healthy
            .iter()
            .filter(|entry| entry.version.as_ref() == Some(version))
            .filter_map(|entry| standing.revision(&entry.revision))
            .any(|seen| seen.readiness == Readiness::Ready),
        RollbackTo::Previous => {
            already_back(wanted, standing).is_some() || previous(standing).is_ok()
        }
    }
}
