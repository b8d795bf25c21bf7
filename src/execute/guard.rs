//! Cancelled? Too late? And what time it is.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use delivery::state::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::convoy::{Member, Point};

/// How long the service may take to answer as the new release. After a change of traffic the old
/// split lingers for seconds; two minutes mean that something is wrong.
const CONFIRM_GRACE: Duration = Duration::from_secs(120);

/// What time it is, for what is written down. How long something takes is measured by `tokio::time`.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock, read here and nowhere in planning.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

/// What ends a run early, and what time it is.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Cancelled by SIGINT and SIGTERM.
    pub cancelled: CancellationToken,
    /// When the run must have ended.
    pub deadline: Instant,
    /// How long the service may take to answer as the new release.
    pub confirm_grace: Duration,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The others that this one goes together with, where there are several regions.
    pub convoy: Option<Member>,
}

/// Why a run ends early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// A signal.
    Cancelled,
    /// The deadline.
    Deadline,
    /// Another region failed: this one.
    Elsewhere(String),
}

impl Guard {
    /// With the usual grace for confirming.
    pub fn new(cancelled: CancellationToken, deadline: Instant) -> Self {
        Self {
            cancelled,
            deadline,
            confirm_grace: CONFIRM_GRACE,
            clock: Arc::new(SystemClock),
            convoy: None,
        }
    }

    /// Returns when the run must end.
    pub async fn stopped(&self) -> Stop {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Stop::Cancelled,
            () = tokio::time::sleep_until(self.deadline) => Stop::Deadline,
            region = self.broken() => Stop::Elsewhere(region),
        }
    }

    async fn broken(&self) -> String {
        match &self.convoy {
            Some(member) => member.broken().await,
            None => std::future::pending().await,
        }
    }

    /// Waits for the others at a point, where there are others.
    ///
    /// # Errors
    /// When the run must end.
    pub async fn meet(&self, point: Point) -> Result<(), Stop> {
        let Some(member) = &self.convoy else {
            return Ok(());
        };
        tokio::select! {
            // Who comes last takes all others along: none may stop behind the last point alone.
            biased;
            () = member.meet(point) => Ok(()),
            stop = self.stopped() => Err(stop),
        }
    }
}
