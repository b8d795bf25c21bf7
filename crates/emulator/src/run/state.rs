//! What Cloud Run knows: services, their revisions, operations. No IO, no clock, no lock.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, SecondsFormat, Utc};
use cloud_api::rpc::OperationError;
use cloud_api::run::{
    CONDITION_FAILED, CONDITION_RECONCILING, CONDITION_SUCCEEDED, Condition, TrafficTargetStatus,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::failure::Failure;
use super::iam::PolicyRecord;
use super::key::ServiceKey;
use super::platform::Platform;
use super::reserved::{Reserved, ReservedPart};
use crate::error::ApiError;
use crate::registry::Resolved;
use crate::storage::{Changes, Keep, Storage, StorageError, Table};

/// Operations that are kept after their end. Each of them holds its resource as it was then.
const KEPT_OPERATIONS: usize = 1_000;

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) services: Table<ServiceKey, ServiceRecord>,
    /// By full name.
    pub(crate) operations: Table<String, OperationRecord>,
    /// Names of the operations that have ended, the oldest first.
    ended: VecDeque<String>,
    /// What accepted writes have left to do, by operation.
    pub(crate) works: Table<String, Work>,
    /// Counts what is made, so that lists have an order.
    pub(crate) made: u64,
    /// The last version that a write got (microseconds since 1970); each write gets a later one.
    pub(crate) last_version: i64,
    /// Quotas, codes, troubles.
    pub(crate) platform: Platform,
}

/// One service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServiceRecord {
    pub(crate) key: ServiceKey,
    pub(crate) uid: String,
    pub(crate) order: u64,
    /// The fields that a caller can write, defaults filled in, unknown ones kept.
    pub(crate) spec: Map<String, Value>,
    /// What API v1 says beside it.
    pub(crate) reserved: Reserved,
    pub(crate) generation: u64,
    /// 0: none yet.
    pub(crate) observed_generation: u64,
    /// Version of the last write, see [`super::etag`].
    pub(crate) version: i64,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) update_time: DateTime<Utc>,
    pub(crate) creator: String,
    pub(crate) last_modifier: String,
    /// Full name of the operation of the last write.
    pub(crate) last_operation: String,
    pub(crate) uri: String,
    /// Address of each tag that was ever used.
    pub(crate) tag_uris: BTreeMap<String, String>,
    pub(crate) policy: PolicyRecord,
    /// By short name.
    pub(crate) revisions: BTreeMap<String, RevisionRecord>,
    /// Short name; empty: none.
    pub(crate) latest_created: String,
    /// Short name; empty: none.
    pub(crate) latest_ready: String,
    /// Traffic as it is.
    pub(crate) statuses: Vec<TrafficTargetStatus>,
    pub(crate) reconciling: bool,
    pub(crate) ready: Condition,
    pub(crate) routes_ready: Condition,
    pub(crate) configurations_ready: Condition,
}

/// One revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RevisionRecord {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) order: u64,
    /// The template it was made from, without the revision's name.
    pub(crate) template: Map<String, Value>,
    /// What API v1 says beside it.
    pub(crate) reserved: ReservedPart,
    /// Generation of the service that it was made with.
    pub(crate) configuration_generation: u64,
    /// What the image's tag stood for when the revision was made; `None`: no such image.
    pub(crate) image: Option<Resolved>,
    pub(crate) launch_stage: Value,
    pub(crate) creator: String,
    pub(crate) create_time: DateTime<Utc>,
    pub(crate) phase: Phase,
    /// When it became ready or failed.
    pub(crate) settle_time: DateTime<Utc>,
    /// True while traffic or a tag refers to it.
    pub(crate) active: bool,
    /// When `active` changed last.
    pub(crate) active_time: DateTime<Utc>,
}

/// How far a revision has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Its first instance is being started.
    Pending,
    /// It can serve.
    Ready,
    /// It never became ready, and never will.
    Failed(Failure),
}

/// One operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OperationRecord {
    pub(crate) name: String,
    pub(crate) order: u64,
    pub(crate) subject: Subject,
    pub(crate) end: Option<End>,
    /// True: it never ends, see [`super::platform::Trouble`].
    pub(crate) endless: bool,
}

/// What an operation is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Subject {
    /// A service that is written; its metadata is the service as it is now.
    Service(ServiceKey),
    /// Something that is deleted; its metadata is the last that was seen of it.
    Deleted {
        /// `service` or `revision`.
        kind: Cow<'static, str>,
        /// The resource.
        last: Value,
    },
}

/// How an operation ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct End {
    /// The resource at that time, with `@type`.
    pub(crate) resource: Value,
    /// Set when it failed.
    pub(crate) error: Option<OperationError>,
}

/// An accepted write whose effect is still to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Full name of the operation.
    pub(crate) operation: String,
    pub(crate) key: ServiceKey,
    /// Guards against a service of the same name that was made later.
    pub(crate) uid: String,
    pub(crate) generation: u64,
    /// Short name of the revision that has to be brought up.
    pub(crate) new_revision: Option<String>,
}

impl Keep for State {
    fn keep(&mut self, changes: &mut Changes) {
        let Self {
            services,
            operations,
            works,
            ended: _,
            made: _,
            last_version: _,
            // As faults, it lasts as long as the process.
            platform: _,
        } = self;
        services.keep(changes);
        operations.keep(changes);
        works.keep(changes);
    }
}

impl State {
    /// What was kept. The counters go on after the highest that is in use.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub(crate) fn load(storage: &Storage) -> Result<Self, StorageError> {
        let services: Table<ServiceKey, ServiceRecord> = storage.table("run.services")?;
        let operations: Table<String, OperationRecord> = storage.table("run.operations")?;
        let revisions = services.values().flat_map(|it| it.revisions.values());
        let orders = revisions
            .map(|it| it.order)
            .chain(services.values().map(|it| it.order))
            .chain(operations.values().map(|it| it.order));
        let made = orders.max().unwrap_or(0);
        let versions = services.values();
        let versions = versions.map(|it| it.version.max(it.policy.version()));
        let last_version = versions.max().unwrap_or(0);
        let mut ended: Vec<&OperationRecord> = operations
            .values()
            .filter(|operation| operation.end.is_some())
            .collect();
        ended.sort_by_key(|operation| operation.order);
        let ended = ended.into_iter().map(|it| it.name.clone()).collect();
        Ok(Self {
            ended,
            services,
            operations,
            works: storage.table("run.works")?,
            made,
            last_version,
            platform: Platform::default(),
        })
    }

    /// Forgets everything but how far the versions have come.
    pub(crate) fn clear(&mut self) {
        self.services.clear();
        self.operations.clear();
        self.works.clear();
        self.ended.clear();
        self.platform = Platform::default();
    }

    /// Ends an operation, and forgets the oldest of those that have ended when there are too many.
    pub(crate) fn end_operation(&mut self, name: &str, end: End) {
        self.works.remove(name);
        let operation = self.operations.get_mut(name);
        let Some(operation) = operation.filter(|operation| !operation.endless) else {
            return;
        };
        operation.end = Some(end);
        self.ended.push_back(name.to_owned());
        while self.ended.len() > KEPT_OPERATIONS {
            if let Some(oldest) = self.ended.pop_front() {
                self.operations.remove(&oldest);
            }
        }
    }

    /// The next place in lists.
    pub(crate) fn next_order(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A version later than all before.
    pub(crate) fn next_version(&mut self, now: DateTime<Utc>) -> i64 {
        self.last_version = now.timestamp_micros().max(self.last_version + 1);
        self.last_version
    }

    /// The service.
    ///
    /// # Errors
    /// `NOT_FOUND` with Cloud Run's text.
    pub(crate) fn service(&self, key: &ServiceKey) -> Result<&ServiceRecord, ApiError> {
        self.services.get(key).ok_or_else(|| service_not_found(key))
    }

    /// The service, to be changed.
    ///
    /// # Errors
    /// `NOT_FOUND` with Cloud Run's text.
    pub(crate) fn service_mut(&mut self, key: &ServiceKey) -> Result<&mut ServiceRecord, ApiError> {
        self.services
            .get_mut(key)
            .ok_or_else(|| service_not_found(key))
    }

    /// True when another service of the project and region made a revision of this name before: they
    /// share one namespace.
    pub(crate) fn has_elsewhere(&self, key: &ServiceKey, revision: &RevisionRecord) -> bool {
        self.services.values().any(|service| {
            let same_namespace =
                service.key.project == key.project && service.key.location == key.location;
            let other = service.revisions.get(&revision.name);
            service.key != *key
                && same_namespace
                && other.is_some_and(|other| other.order < revision.order)
        })
    }

    /// The service that a piece of work belongs to, unless it is gone.
    pub(crate) fn worked_on(&mut self, work: &Work) -> Option<&mut ServiceRecord> {
        self.services
            .get_mut(&work.key)
            .filter(|service| service.uid == work.uid)
    }
}

impl ServiceRecord {
    /// The revision.
    ///
    /// # Errors
    /// `NOT_FOUND` with Cloud Run's text.
    pub(crate) fn revision(&self, revision: &str) -> Result<&RevisionRecord, ApiError> {
        self.revisions
            .get(revision)
            .ok_or_else(|| not_found(&self.key, "REVISION", revision))
    }
}

fn service_not_found(key: &ServiceKey) -> ApiError {
    not_found(key, "SERVICE", &key.service)
}

/// `NOT_FOUND` about a resource.
pub(crate) fn not_found(key: &ServiceKey, kind: &str, name: &str) -> ApiError {
    ApiError::new(
        "NOT_FOUND",
        format!(
            "Resource '{name}' of kind '{kind}' in region '{}' in project '{}' does not exist.",
            key.location, key.project
        ),
    )
}

/// A time as Cloud Run writes it.
pub(crate) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A condition that holds.
pub(crate) fn succeeded(kind: &str, message: &str, time: DateTime<Utc>) -> Condition {
    condition(kind, CONDITION_SUCCEEDED, message, time)
}

/// A condition that is being worked on.
pub(crate) fn reconciling(kind: &str, message: &str, time: DateTime<Utc>) -> Condition {
    condition(kind, CONDITION_RECONCILING, message, time)
}

/// A condition that does not hold.
pub(crate) fn failed(kind: &str, failure: &Failure, time: DateTime<Utc>) -> Condition {
    let mut condition = condition(kind, CONDITION_FAILED, "", time);
    failure.explain(&mut condition);
    condition
}

/// A condition.
pub(crate) fn condition(kind: &str, state: &str, message: &str, time: DateTime<Utc>) -> Condition {
    Condition {
        kind: kind.to_owned(),
        state: state.to_owned(),
        message: message.to_owned(),
        last_transition_time: timestamp(time),
        ..Condition::default()
    }
}
