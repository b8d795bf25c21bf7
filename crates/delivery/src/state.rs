//! What is remembered about a service, in one annotation of it.
//!
//! State lives in the cloud, never on the runner: a run that was killed is resumed or undone by
//! observing and planning again. The record rides in the same etag-guarded write as its effect.

mod text;
mod timestamp;
mod transition;

pub use text::RecordTextError;
pub(crate) use text::newer;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::name::{Region, RevisionName, TagName};
use crate::release::{Commit, ImageDigest};
use crate::spec::{Access, ConfigHash};
use crate::traffic::TrafficSplit;

/// Key of the service's annotation that holds [`StateRecord`] as JSON.
pub const STATE_ANNOTATION: &str = "ml-deploy/state";
/// Key of a revision's annotation that holds [`RevisionRecord`] as JSON.
pub const RELEASE_ANNOTATION: &str = "ml-deploy/release";
/// Version of [`StateRecord`] that this program writes. A newer one is refused, never rewritten.
pub const STATE_VERSION: u32 = 1;
/// Longest reason of a rejection, in characters: the record stays far below the 256 KiB that all
/// annotations of a service may have together.
pub const REASON_LENGTH: usize = 200;
/// Most healthy and most rejected entries that are kept, newest first.
pub const STATE_ENTRIES: usize = 10;

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Which run did something: `ID/ATTEMPT` on GitHub, `cli/USER@HOST` on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunRef(pub String);

impl RunRef {
    /// Identifier and attempt of a run on GitHub, whose identifiers grow with time.
    pub fn github(&self) -> Option<(u64, u32)> {
        let (id, attempt) = self.0.split_once('/')?;
        Some((id.parse().ok()?, attempt.parse().ok()?))
    }

    /// True when `other` is this run, or an earlier attempt of it: GitHub starts an attempt only
    /// when the one before has ended.
    pub fn continues(&self, other: &Self) -> bool {
        self == other
            || matches!(
                (self.github(), other.github()),
                (Some((id, attempt)), Some((other_id, earlier)))
                    if id == other_id && earlier < attempt
            )
    }

    /// The same run, or another attempt of it.
    pub fn is_of_same(&self, other: &Self) -> bool {
        self.continues(other) || other.continues(self)
    }
}

/// What is remembered about a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRecord {
    /// [`STATE_VERSION`].
    pub version: u32,
    /// Revisions that passed and served, newest first; the first is the stable one.
    #[serde(default)]
    pub healthy: Vec<Healthy>,
    /// Digests that failed or were rolled back, newest first.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    /// What a run is about to do, or left behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<OpenIntent>,
}

impl Default for StateRecord {
    fn default() -> Self {
        Self {
            version: STATE_VERSION,
            healthy: Vec::new(),
            rejected: Vec::new(),
            intent: None,
        }
    }
}

/// A revision that passed its tests and served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthy {
    /// The revision.
    pub revision: RevisionName,
    /// Its image.
    pub digest: ImageDigest,
    /// Its configuration.
    pub config: ConfigHash,
    /// Its version, if it was a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Its commit.
    pub commit: Commit,
    /// When it was confirmed.
    pub at: Timestamp,
    /// By which run.
    pub run: RunRef,
    /// What brought it to serve.
    #[serde(default)]
    pub by: BroughtBy,
    /// Who could call before, where the run changed that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_before: Option<Access>,
    /// The regions that the run brought its release to together, this one among them; empty where it
    /// was this one alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
}

/// What brought a revision to serve. A re-run of a rollback to the previous revision must know that
/// it was carried out, or it would go one further.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BroughtBy {
    /// A release was promoted.
    #[default]
    Promotion,
    /// Traffic was moved back.
    Rollback,
}

/// What is against a digest. In words, the first is failed, the second rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// It failed before it got traffic: the same release may be tried again.
    Failed,
    /// It served and was rolled back: it is not promoted again unless told.
    RolledBack,
}

/// A digest that failed or was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The image.
    pub digest: ImageDigest,
    /// The revision that showed it.
    pub revision: RevisionName,
    /// Its configuration, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigHash>,
    /// Which of the two.
    pub kind: Rejection,
    /// In one line, at most 200 characters.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// By which run.
    pub run: RunRef,
}

/// What a run is about to do: written before, or together with, the first effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenIntent {
    /// The run.
    pub run: RunRef,
    /// The revision that it brings.
    pub revision: RevisionName,
    /// The tag that it set.
    pub tag: TagName,
    /// The traffic to return to; absent on a first deploy, where nothing served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<TrafficSplit>,
    /// Until then, other runs keep off.
    pub expires: Timestamp,
    /// Percent of the traffic that the write with this record gave to the revision, where that was a
    /// part of it: any other split that is found later is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u32>,
    /// Set by the write that gives the revision everything, once it has passed its tests: from then
    /// on a rollout whose run died can be finished instead of being taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Passed>,
    /// The candidate has passed its tests, and the run waits for tests that are not ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    /// Who could call before a run that died changed that, where this run took over its undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_before: Option<Access>,
    /// The regions that the run brings its release to together, this one among them; empty where it is
    /// this one alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
}

impl OpenIntent {
    /// Who could call before, where a write of this run, or of one that it took over, changed that.
    pub fn access_before(&self) -> Option<Access> {
        let by_last = self.passed.as_ref().and_then(|passed| passed.access_before);
        by_last.or(self.access_before)
    }

    /// The candidate has passed, waits for its promotion, and has been given nothing yet.
    pub fn waits(&self) -> bool {
        self.verified && self.share.is_none() && self.passed.is_none()
    }
}

/// A revision that has passed its tests and was given everything, but is not confirmed yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// What brought it.
    pub by: BroughtBy,
    /// Who could call before, where the same write changed that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_before: Option<Access>,
}

/// What a revision says about itself: written into its template, so it cannot change later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionRecord {
    /// Its own name. Other tools copy annotations into revisions that they make; the record counts
    /// only where this name is the revision's.
    pub revision: RevisionName,
    /// The image.
    pub digest: ImageDigest,
    /// The wanted configuration.
    pub config: ConfigHash,
    /// 1 for the first try of this digest with this configuration.
    pub attempt: u32,
    /// The version, if it is a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The commit.
    pub commit: Commit,
}
