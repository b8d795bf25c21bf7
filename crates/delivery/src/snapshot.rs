//! What was seen, when, with the etag that guards the next write.

use crate::configuration::Configuration;
use crate::entrance::Entrance;
use crate::name::{RevisionName, TagName};
use crate::spec::Access;
use crate::state::{RevisionRecord, StateRecord, Timestamp};
use crate::target::Target;
use crate::traffic::TrafficSplit;

/// What was seen of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where.
    pub target: Target,
    /// When. The plan takes "now" from here.
    pub observed_at: Timestamp,
    /// `None`: the service does not exist.
    pub service: Option<ServiceSeen>,
}

/// A service as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSeen {
    /// Guards the next write.
    pub etag: String,
    /// The service's address, as the cloud gives it; absent while it has none.
    pub uri: Option<String>,
    /// The wanted traffic.
    pub traffic: TrafficSplit,
    /// The traffic as it is; empty while nothing serves.
    pub serving: Vec<Serving>,
    /// How the service stands.
    pub condition: ServiceCondition,
    /// The latest revision that became ready.
    pub latest_ready: Option<RevisionName>,
    /// The latest revision that was made.
    pub latest_created: Option<RevisionName>,
    /// Who may call.
    pub access: Access,
    /// What stands between its addresses and a caller.
    pub entrance: Entrance,
    /// What the next revision is made from.
    pub template: Configuration,
    /// Our own record.
    pub state: StateSeen,
    /// Revisions, newest first.
    pub revisions: Vec<RevisionSeen>,
}

/// One entry of the traffic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Who.
    pub revision: RevisionName,
    /// 0 to 100.
    pub percent: u32,
    /// Its tag, if any.
    pub tag: Option<TagName>,
    /// The tag's own address, if any.
    pub uri: Option<String>,
}

/// How a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceCondition {
    /// The last change is in effect.
    Ready,
    /// A change is under way.
    Reconciling,
    /// The last change failed, with the cloud's text.
    Failed(String),
}

/// Our record as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateSeen {
    /// No record: a new service, one that other tools made, or a record that was erased.
    Absent,
    /// The record.
    Known(StateRecord),
    /// A record that cannot be read, with the reason. It is never overwritten by a guess.
    Unreadable(String),
}

/// A revision as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionSeen {
    /// Its name.
    pub name: RevisionName,
    /// Whether it can serve.
    pub readiness: Readiness,
    /// What it says about itself; `None` for a revision that is not ours.
    pub record: Option<RevisionRecord>,
    /// When it was made.
    pub created_at: Timestamp,
    /// How it is configured.
    pub configuration: Configuration,
}

/// Whether a revision can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It can; without traffic it is retired, and comes back at once.
    Ready,
    /// Not known yet.
    Pending,
    /// It cannot, with the cloud's text.
    Failed(String),
}
