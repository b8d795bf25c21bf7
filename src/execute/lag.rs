//! What callers meet lags behind what the service tells of its traffic: no answer of Cloud Run names
//! its revision, so where the API does not tell either, only time does.

use std::time::Duration;

use delivery::name::RevisionName;
use delivery::plan::Others;
use delivery::release::Commit;
use delivery::snapshot::ServiceCondition;
use delivery::state::Timestamp;
use tokio::time::Instant;

use super::Execution;
use super::failure::Failure;
use super::seam::PROPAGATION;
use crate::gcp::run::Live;

/// When the traffic was last known to move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    /// When this execution's last write of traffic was in effect, or when it began.
    pub(super) at: Instant,
    /// The last change before it, by the cloud's clock; `None` while there was no service.
    pub(super) before: Option<Earlier>,
}

/// The last change of the service before this execution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Earlier {
    changed: Timestamp,
    goes_on: bool,
}

impl Earlier {
    pub(super) fn of(live: &Live) -> Self {
        Self {
            changed: live.changed,
            goes_on: live.condition == ServiceCondition::Reconciling,
        }
    }
}

impl Execution<'_> {
    /// Until when an answer through the service's address may come from something else than the
    /// revision, and nothing but time tells; `None` where the answers themselves tell, or nothing else
    /// has ever answered there.
    pub(super) fn lags_until(
        &self,
        revision: &RevisionName,
        commit: Option<&Commit>,
    ) -> Option<Instant> {
        let propagation = self.cloud.propagation();
        let told = commit.is_some() && self.verifier.tells_commit();
        let lags = match self.plan.others {
            Others::None => false,
            Others::Alike => true,
            Others::Apart => !told || self.earlier_share(revision) > 0,
        };
        // A split that was there before the last one may still be met, whatever it was.
        let lags = lags || self.changed_lately(propagation);
        let until = self.moved.at + propagation;
        (lags && until > Instant::now()).then_some(until)
    }

    /// Until when the candidate itself may answer where what serves is to be asked, to be compared with
    /// it: a run that died had given it a share. The local cloud takes its time too, and says nothing.
    pub(super) fn split_until(&self, candidate: &RevisionName) -> Option<Instant> {
        let mut splits = self.own_traffic.iter().map(|(_, split)| split);
        let had_share = splits.any(|split| split.percent_of(candidate) > 0);
        had_share.then(|| self.moved.at + PROPAGATION)
    }

    /// True when somebody else's change, whatever it was, may not have reached all callers yet.
    fn changed_lately(&self, propagation: Duration) -> bool {
        let (Some(before), Some(live)) = (self.moved.before, &self.live) else {
            return false;
        };
        let seconds = live.changed.0.saturating_sub(before.changed.0);
        let long_ago = u64::try_from(seconds).is_ok_and(|age| age >= propagation.as_secs());
        before.goes_on || !long_ago
    }

    /// The largest share of the traffic, short of all of it, that this run knows the revision to have
    /// had: such a split may linger.
    pub(super) fn earlier_share(&self, revision: &RevisionName) -> u32 {
        let percents = self
            .own_traffic
            .iter()
            .map(|(_, split)| split.percent_of(revision));
        percents.filter(|percent| *percent < 100).max().unwrap_or(0)
    }

    /// Waits until callers meet what the service tells.
    pub(super) async fn await_callers(&self, until: Option<Instant>) -> Result<(), Failure> {
        let Some(until) = until else {
            return Ok(());
        };
        tokio::select! {
            biased;
            stop = self.guard.stopped() => Err(Failure::Stopped(stop)),
            () = tokio::time::sleep_until(until) => Ok(()),
        }
    }
}
