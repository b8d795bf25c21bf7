//! What a plan is walked over.

use std::time::Duration;

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::gate::CANARY;
use delivery::name::RevisionName;
use delivery::release::Commit;
use delivery::verdict::Evidence;

use crate::gcp::logging;
use crate::gcp::run::{Change, Live, Pending, RunWriter, WriteError};

/// A change of traffic reaches all callers within seconds, and nothing tells when it has. Google names
/// no figure.
pub(super) const PROPAGATION: Duration = Duration::from_secs(10);

/// Writes to one service, each write guarded by the etag of the one before.
#[async_trait]
pub trait CloudWriter: Send + Sync {
    /// Reads the service that the first write builds on; it must still have this etag (`None`: not
    /// exist).
    async fn begin(&mut self, etag: Option<&str>) -> Result<Option<Live>, WriteError>;

    /// Sends a write. When it returns well, the write is accepted, not in effect. It must be let
    /// run to its end, or the service be reloaded before the next write.
    async fn send(&mut self, change: &Change<'_>) -> Result<Pending, WriteError>;

    /// Waits until the write is in effect. May be dropped at any time.
    async fn settle(&mut self, pending: &Pending) -> Result<Live, WriteError>;

    /// Reads the service anew; its etag guards the next write. For the way back only.
    async fn reload(&mut self) -> Result<Option<Live>, Diagnostic>;

    /// Reads the service; the next write is guarded as before.
    async fn read(&self) -> Result<Option<Live>, Diagnostic>;

    /// How long callers may go on meeting an earlier split after the service tells the new one.
    fn propagation(&self) -> Duration {
        PROPAGATION
    }

    /// The last lines that the revision wrote, oldest first.
    async fn log_lines(
        &self,
        revision: &RevisionName,
        count: u32,
    ) -> Result<Vec<String>, Diagnostic>;
}

/// What a deployed container says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The commit.
    pub commit: String,
    /// The version, if it tells one.
    pub version: Option<String>,
}

/// What is tested.
#[derive(Debug, Clone, Copy)]
pub struct UnderTest<'a> {
    /// Where the candidate answers.
    pub url: &'a str,
    /// Audience of the ID token; `None` when no token is needed. It is the service's address, also
    /// at a tag's.
    pub audience: Option<&'a str>,
    /// The commit that must answer; `None` for a revision that other tools made.
    pub commit: Option<&'a Commit>,
    /// Where another revision serves now; `None` when the candidate stands alone.
    pub serving: Option<&'a str>,
}

/// What is watched.
#[derive(Debug, Clone, Copy)]
pub struct UnderWatch<'a> {
    /// Where the candidate answers.
    pub candidate: &'a str,
    /// Where what serves beside it answers.
    pub serving: &'a str,
    /// Audience of the ID token for both; `None` when no token is needed.
    pub audience: Option<&'a str>,
    /// What the candidate has of the traffic, in percent.
    pub percent: u32,
    /// How long.
    pub soak: Duration,
    /// How often it was watched with this percent before: what was measured then counts too.
    pub held: u32,
}

/// Tests an address.
#[async_trait]
pub trait Verifier: Send + Sync {
    /// Runs the gates, after waiting for the commit to answer (where there is one).
    async fn verify(&self, what: &UnderTest<'_>) -> Vec<Evidence>;

    /// Puts load on the candidate and on what serves beside it, and holds them against their limits
    /// and each other. What can put no load on an address leaves it undecided.
    async fn watch(&self, what: &UnderWatch<'_>) -> Vec<Evidence> {
        let why = format!("nothing measures here at {} %", what.percent);
        vec![Evidence::skipped(CANARY, why)]
    }

    /// What kept the last test from being decided, where it was nothing about the candidate.
    fn obstacle(&self) -> Option<Diagnostic> {
        None
    }

    /// Whether the API tells its commit. Where it does not, nothing that answers can be told from
    /// anything else, and what Cloud Run says of the traffic is all there is.
    fn tells_commit(&self) -> bool;

    /// Asks once what answers, with an ID token for the audience where one is needed; `None` when nothing does, or it does not tell.
    async fn identity(&self, base_url: &str, audience: Option<&str>) -> Option<Identity>;
}

#[async_trait]
impl CloudWriter for RunWriter {
    async fn begin(&mut self, etag: Option<&str>) -> Result<Option<Live>, WriteError> {
        Self::begin(self, etag).await
    }

    async fn send(&mut self, change: &Change<'_>) -> Result<Pending, WriteError> {
        Self::send(self, change).await
    }

    async fn settle(&mut self, pending: &Pending) -> Result<Live, WriteError> {
        Self::settle(self, pending).await
    }

    async fn reload(&mut self) -> Result<Option<Live>, Diagnostic> {
        Self::reload(self).await
    }

    async fn read(&self) -> Result<Option<Live>, Diagnostic> {
        Self::read(self).await
    }

    /// The local cloud moves traffic with the write; where it was told to take longer, its answers show
    /// that.
    fn propagation(&self) -> Duration {
        if self.reader().api().endpoints().is_local() {
            Duration::ZERO
        } else {
            PROPAGATION
        }
    }

    async fn log_lines(
        &self,
        revision: &RevisionName,
        count: u32,
    ) -> Result<Vec<String>, Diagnostic> {
        let api = self.reader().api();
        let lines = logging::last_lines(api, self.target(), Some(revision), count).await;
        let lines = lines.map_err(|error| error.into_diagnostic("read the container's log"))?;
        Ok(lines.into_iter().map(|line| line.text).collect())
    }
}
