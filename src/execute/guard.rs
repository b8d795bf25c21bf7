//! Cancelled? Too late?

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the service may take to answer as the new release. After a change of traffic the old
/// split lingers for seconds; two minutes mean that something is wrong.
const CONFIRM_GRACE: Duration = Duration::from_secs(120);

/// What ends a run early.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Cancelled by SIGINT and SIGTERM.
    pub cancelled: CancellationToken,
    /// When the run must have ended.
    pub deadline: Instant,
    /// How long the service may take to answer as the new release.
    pub confirm_grace: Duration,
}

/// Why a run ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A signal.
    Cancelled,
    /// The deadline.
    Deadline,
}

impl Guard {
    /// With the usual grace for confirming.
    pub fn new(cancelled: CancellationToken, deadline: Instant) -> Self {
        Self {
            cancelled,
            deadline,
            confirm_grace: CONFIRM_GRACE,
        }
    }

    /// Returns when the run must end.
    pub async fn stopped(&self) -> Stop {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Stop::Cancelled,
            () = tokio::time::sleep_until(self.deadline) => Stop::Deadline,
        }
    }
}
