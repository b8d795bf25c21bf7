//! What a delivery is made over.

use async_trait::async_trait;
use delivery::diagnostic::Diagnostic;
use delivery::event::EventSink;
use delivery::plan::{Planned, Wanted};
use delivery::snapshot::Snapshot;
use delivery::state::Timestamp;
use delivery::target::Target;

use crate::execute::{CloudWriter, Guard, Verifier};
use crate::gcp::run::{RunReader, RunWriter};
use crate::observe::observe;

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
    /// Looks at the target. Reads only.
    async fn observe(&self, target: &Target, now: Timestamp) -> Result<Snapshot, Diagnostic>;

    /// Writes to the target.
    fn writer(&self, target: &Target) -> Box<dyn CloudWriter>;
}

/// Cloud Run, through its API.
#[async_trait]
impl Cloud for RunReader {
    async fn observe(&self, target: &Target, now: Timestamp) -> Result<Snapshot, Diagnostic> {
        observe(self, target, now).await
    }

    fn writer(&self, target: &Target) -> Box<dyn CloudWriter> {
        Box::new(RunWriter::new(self.clone(), target.clone()))
    }
}
