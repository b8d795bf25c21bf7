//! What a write is to bring, and how it can end.

use cloud_api::rpc::OperationError;
use cloud_api::run::Service;
use delivery::diagnostic::Diagnostic;
use delivery::name::RevisionName;
use delivery::plan::NewRevision;
use delivery::snapshot::{ServiceCondition, Serving, StateSeen};
use delivery::spec::Access;
use delivery::state::{StateRecord, Timestamp};
use delivery::traffic::TrafficSplit;

/// One write. What is `None` stays as the service has it.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// True: the service must not exist yet, and is created.
    pub create: bool,
    /// A revision to make.
    pub revision: Option<&'a NewRevision>,
    /// A revision that exists and must be ready before the write counts as in effect.
    pub expects: Option<&'a RevisionName>,
    /// The whole new traffic.
    pub traffic: Option<&'a TrafficSplit>,
    /// The record; rides in every write.
    pub state: &'a StateRecord,
    /// Who may call.
    pub access: Option<Access>,
}

/// A write that the cloud accepted; it is not in effect yet.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    /// Name of the operation; absent when the answer was lost.
    pub operation: Option<String>,
    /// How the operation ended, where the answer said so at once: with the service as it is then.
    pub ended: Option<Result<Option<Box<Service>>, OperationError>>,
    /// The service's generation after this write, where known.
    pub generation: Option<u64>,
    /// The record as it was written.
    pub record: String,
    /// The revision that it makes.
    pub revision: Option<RevisionName>,
    /// The revision that exists and must be ready.
    pub expects: Option<RevisionName>,
    /// The traffic that it sets.
    pub traffic: Option<TrafficSplit>,
}

/// A service as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Guards the next write.
    pub etag: String,
    /// The service's address.
    pub uri: Option<String>,
    /// The wanted traffic.
    pub traffic: TrafficSplit,
    /// The traffic as it is.
    pub serving: Vec<Serving>,
    /// How the service stands.
    pub condition: ServiceCondition,
    /// The latest revision that became ready.
    pub latest_ready: Option<RevisionName>,
    /// The latest revision that was made.
    pub latest_created: Option<RevisionName>,
    /// True: anyone can call, whatever the IAM policy says.
    pub invoker_check_off: bool,
    /// Our own record.
    pub state: StateSeen,
    /// When it was changed last, or the change came to its end, by the cloud's clock.
    pub changed: Timestamp,
}

/// How a write fails.
#[derive(Debug)]
pub enum WriteError {
    /// Somebody else wrote in between: observe and plan again.
    Conflict,
    /// The revision did not become ready, with Cloud Run's text.
    NotReady(String),
    /// It was refused, or cannot be followed.
    Failed(Box<Diagnostic>),
    /// No answer came, and reading back brought none either: it may be in effect.
    Unknown(Box<Diagnostic>),
}
