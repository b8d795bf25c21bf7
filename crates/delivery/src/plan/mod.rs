//! Intent and snapshot in, plan out. The undo of each step is in the plan before the first write.
//!
//! | module | holds |
//! |---|---|
//! | `standing` | what is concluded from a snapshot before anything is decided |
//! | `guard` | what must not be done, every reason at once |
//! | `candidate` | the names of one attempt |
//! | `promote`, `rollback` | which revision is brought, and what is remembered of it |
//! | `seen` | what has to be seen before the plan can be made |
//! | `steps` | the steps that bring it, from a service that serves or one that does not yet |
//! | `progress` | the shares of the traffic between the tests and the end |
//! | `finish` | the steps when it serves already |
//! | `outlook` | what changes, what to return to, whether the tests can reach it |
//! | `undo` | what an undo writes, once the failure is known |
//! | [`mod@recover`] | what a run that died has left: finished, or taken back |
//! | `together` | the same for a run over several regions: all of them one way |
//! | `cut` | a promotion in two parts, with tests of the user's own between them |
//! | [`mod@lint`] | what every plan must keep to |
//! | [`render`] | plans as text |

mod candidate;
mod cut;
mod finish;
mod guard;
pub mod lint;
mod outlook;
mod progress;
mod promote;
pub mod recover;
pub mod render;
mod rollback;
mod seen;
mod standing;
mod steps;
mod together;
mod undo;

pub use candidate::{REVISION_LENGTH, TAG_AND_SERVICE_LENGTH};
pub use cut::{plan_from_verified, plan_to_verified};
pub use guard::{COMMIT_VARIABLE, RESERVED_VARIABLES, VERSION_VARIABLE};
pub use lint::lint;
pub use recover::recover;
pub use seen::{Missing, missing};
pub use standing::nothing_tested_serves;
pub use together::recover_together;

pub use outlook::{Outlook, Surroundings};
use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::name::{RevisionName, TagName};
use crate::release::{Commit, Release};
use crate::snapshot::Snapshot;
use crate::spec::{Access, ServiceSpec};
use crate::stage::RollbackTo;
use crate::state::{RevisionRecord, RunRef, StateRecord};
use crate::strategy::{OnInconclusive, Strategy};
use crate::target::Target;
use crate::traffic::TrafficSplit;

/// Says what is to be done so that the wanted holds, or why it must not be done. Total and pure: it
/// takes "now" from the snapshot, and planning again after a finished plan says [`Planned::UpToDate`].
pub fn plan(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    let standing = standing::Standing::of(snapshot);
    let planned = match &wanted.intent {
        Intent::Promote { release, spec } => promote::plan(wanted, &standing, release, spec),
        Intent::Rollback { to } => rollback::plan(wanted, &standing, to),
    };
    outlook::complete(wanted, &standing, planned)
}

/// What is wanted of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Promote or roll back.
    pub intent: Intent,
    /// Who wants it.
    pub run: RunRef,
    /// 1, or more for a re-run of the same workflow run.
    pub run_attempt: u32,
    /// Promote a digest again that was rolled back here.
    pub retry_rejected: bool,
    /// Seconds for which other runs keep off: the run's own deadline and some reserve.
    pub lease_seconds: u32,
    /// How traffic moves to a release that has passed its tests. A rollback goes at once.
    pub strategy: Strategy,
    /// This run has written already: its intent must still stand in the record, or somebody has ended
    /// the rollout meanwhile.
    pub began: bool,
    /// What is known of the world around the target.
    pub surroundings: Surroundings,
}

/// Promote or roll back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Bring this release, configured like this.
    Promote {
        /// The release.
        release: Release,
        /// The configuration.
        spec: Box<ServiceSpec>,
    },
    /// Move traffic back.
    Rollback {
        /// To what.
        to: RollbackTo,
    },
}

/// What planning says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one value a run: a box would only cost words"
)]
pub enum Planned {
    /// Nothing to do.
    UpToDate {
        /// The revision that serves.
        revision: RevisionName,
        /// Why nothing is to be done.
        because: String,
    },
    /// These steps.
    Proceed(Plan),
    /// It must not be done.
    Blocked(Vec<Diagnostic>),
}

/// Steps in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where.
    pub target: Target,
    /// Who carries it out.
    pub run: RunRef,
    /// Etag that the first write carries; `None` when the service does not exist.
    pub etag: Option<String>,
    /// The revision that serves at the end; where a rollout is taken back, the one that it brought.
    pub revision: RevisionName,
    /// What serves before, in words: `ml-api-test-v1-0-0-3f9c2a serves 100 %`.
    pub before: String,
    /// What else may answer at the service's address for a while after everything was given to it.
    pub others: Others,
    /// What is done, each with its undo.
    pub steps: Vec<Step>,
    /// Things to know, such as traffic that followed LATEST.
    pub warnings: Vec<Diagnostic>,
    /// What is to be seen beside the steps before somebody approves.
    pub outlook: Outlook,
}

/// What has, or has had, a share of the traffic beside the revision of a plan. Callers go on meeting it
/// for seconds after the service tells that the revision serves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Nothing.
    None,
    /// Revisions of other commits: an API that tells its commit tells them apart.
    Apart,
    /// A revision of the same commit, or one of which no commit is known: nothing tells it apart.
    Alike,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// Why.
    pub because: String,
    /// What restores what served before the plan, should this or a later step fail. It undoes
    /// everything up to and including this step, so only the last one that was reached is carried out.
    pub undo: Undo,
}

/// A revision to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRevision {
    /// What it says about itself (its name is in there).
    pub record: RevisionRecord,
    /// The release.
    pub release: Release,
    /// The configuration, `ML_DEPLOY_VERSION` and `ML_DEPLOY_COMMIT` among its variables.
    pub spec: ServiceSpec,
}

/// Which address a check is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The address of this tag.
    Tag(TagName),
    /// The address of the service.
    Service,
}

/// What serves beside a candidate, at an address of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The revision.
    pub revision: RevisionName,
    /// Its tag.
    pub tag: TagName,
}

/// What is done. A closed list: execution makes no choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Creates the service, closed to all but callers with an ID token; all traffic to LATEST, which
    /// is the candidate. Waits for the operation.
    CreateService {
        /// The first revision.
        revision: Box<NewRevision>,
        /// The record.
        state: StateRecord,
    },
    /// Writes the candidate's template, the traffic (candidate at 0 % under its tag, or LATEST when
    /// nothing serves), the record and, where said, who may call. Waits for the operation.
    DeployCandidate {
        /// The revision.
        revision: Box<NewRevision>,
        /// The whole new traffic.
        traffic: TrafficSplit,
        /// The record.
        state: StateRecord,
        /// Closes the service when nothing tested serves; `None` leaves it as it is.
        access: Option<Access>,
    },
    /// Takes up a revision that exists: writes the traffic (the revision under a tag of its own, or,
    /// where nothing tested serves, everything to it), the record and, where said, who may call.
    /// Waits, also for a revision that is not ready yet.
    TagRevision {
        /// The revision.
        revision: RevisionName,
        /// True: it was seen ready, and is not looked at again.
        is_ready: bool,
        /// The whole new traffic.
        traffic: TrafficSplit,
        /// The record.
        state: StateRecord,
        /// Closes the service when nothing tested serves; `None` leaves it as it is.
        access: Option<Access>,
    },
    /// Runs the API tests against the candidate.
    Verify {
        /// The revision that must answer.
        revision: RevisionName,
        /// Where.
        address: Address,
        /// The commit that must answer; `None` for a revision that other tools made.
        commit: Option<Commit>,
    },
    /// Writes a share of the traffic or, as the last one, the end state: traffic pinned, the
    /// candidate's tag gone, the standing tag at what served before, who may call, the record: still
    /// with the intent, or, for a rollback to what was healthy, as it is at the end. Waits.
    ShiftTraffic {
        /// The revision that gets it: everything, in the last one.
        revision: RevisionName,
        /// The whole new traffic.
        traffic: TrafficSplit,
        /// The record.
        state: StateRecord,
        /// Who may call from now on; `None` leaves it as it is.
        access: Option<Access>,
    },
    /// Puts load on the candidate and on what serves beside it, each at its own address, for as long as
    /// said, and holds them against their limits and each other. [`crate::decide::decide`] says what
    /// it means.
    Watch {
        /// The candidate.
        revision: RevisionName,
        /// Its tag.
        tag: TagName,
        /// What it is compared with.
        serving: Baseline,
        /// What it gets of the traffic meanwhile.
        percent: u32,
        /// What it gets next.
        next: u32,
        /// How long it is watched.
        soak: Duration,
        /// What is done when that cannot decide.
        on_inconclusive: OnInconclusive,
    },
    /// `trafficStatuses` shows 100 % on the revision, and consecutive answers through the service's
    /// address come from the commit.
    Confirm {
        /// The revision.
        revision: RevisionName,
        /// The commit; `None` for a revision that other tools made.
        commit: Option<Commit>,
    },
    /// Writes the record alone: healthy, intent gone.
    Record {
        /// The record.
        state: StateRecord,
    },
    /// Takes back what a run that died has left: writes what served before, who may call, and the
    /// record without intent. Waits. The only step of its plan.
    Restore {
        /// The whole new traffic; `None` leaves it as it is.
        traffic: Option<TrafficSplit>,
        /// The record.
        state: StateRecord,
        /// Who may call from now on; `None` leaves it as it is.
        access: Option<Access>,
    },
}

impl Action {
    /// Its name in logs and diagnostics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::CreateService { .. } => "create-service",
            Self::DeployCandidate { .. } => "deploy-candidate",
            Self::TagRevision { .. } => "tag-revision",
            Self::Verify { .. } => "verify",
            Self::ShiftTraffic { .. } => "shift-traffic",
            Self::Watch { .. } => "watch",
            Self::Confirm { .. } => "confirm",
            Self::Record { .. } => "record",
            Self::Restore { .. } => "restore",
        }
    }
}

/// What restores what served before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Nothing was changed.
    Nothing,
    /// Writes this traffic and record; the rejection gets its reason from the failure.
    Restore {
        /// The traffic that served before, without our tag.
        traffic: TrafficSplit,
        /// The record without intent; [`Undo::record_after`] adds what the failure rejects.
        state: StateRecord,
        /// What is rejected by the failure.
        rejects: Option<RevisionRecord>,
        /// Who may call; `None` leaves it as it is.
        access: Option<Access>,
    },
    /// A first deploy: nothing tested served before. The service stays, is closed to all but callers
    /// with an ID token, and keeps its traffic; the record is written.
    KeepClosed {
        /// The record without intent.
        state: StateRecord,
        /// What is rejected by the failure.
        rejects: Option<RevisionRecord>,
    },
}
