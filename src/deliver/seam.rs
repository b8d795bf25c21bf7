//! What a delivery is made over.

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::event::EventSink;
use delivery::plan::{Planned, Wanted};
use delivery::snapshot::Snapshot;
use delivery::state::Timestamp;
use delivery::target::Target;

use crate::execute::{CloudWriter, Guard, Verifier};
use crate::gcp::run::{Live, RunReader, RunWriter};
use crate::observe::observe_for;

/// Makes a plan of what is wanted and what is seen.
pub type Planner = fn(&Wanted, &Snapshot) -> Planned;

/// Everything outside.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Services and their revisions.
    pub cloud: &'a dyn Cloud,
    /// What makes the plan: `delivery::plan::plan`.
    pub planner: Planner,
    /// The tests.
    pub verifier: &'a dyn Verifier,
    /// Who is told.
    pub sink: &'a dyn EventSink,
    /// What ends it early, and what time it is.
    pub guard: &'a Guard,
}

/// Services and their revisions.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Looks at what a plan of the wanted needs, or at everything. Reads only.
    async fn observe(
        &self,
        target: &Target,
        wanted: Option<&Wanted>,
        now: Timestamp,
    ) -> Result<Seen, Diagnostic>;

    /// Reads the service alone.
    async fn read(&self, target: &Target) -> Result<Option<Live>, Diagnostic>;
}

/// What was seen, and what writes upon it.
pub struct Seen {
    /// What the plan is made upon.
    pub snapshot: Snapshot,
    /// Writes to the service as it was seen: each write is guarded by its etag.
    pub writer: Box<dyn CloudWriter>,
}

/// Cloud Run, through its API.
#[async_trait]
impl Cloud for RunReader {
    async fn observe(
        &self,
        target: &Target,
        wanted: Option<&Wanted>,
        now: Timestamp,
    ) -> Result<Seen, Diagnostic> {
        let (snapshot, service) = observe_for(self, target, wanted, now).await?;
        let writer = RunWriter::upon(self.clone(), target.clone(), service);
        Ok(Seen {
            snapshot,
            writer: Box::new(writer),
        })
    }

    async fn read(&self, target: &Target) -> Result<Option<Live>, Diagnostic> {
        RunWriter::new(self.clone(), target.clone()).read().await
    }
}
