//! Watches the world and remembers what nobody in it knows: what was tested, what somebody answers
//! for, what other tools wrote. Whatever breaks an invariant is written down.

mod ends;
mod moments;
mod together;
mod writes;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cloud::{Cloud, Service, Split, To, shares};

/// What must hold, whatever happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// Nobody but the tests reaches a revision that has not passed.
    UntestedServes,
    /// The split sums to 100 on revisions that can serve.
    SplitUnsound,
    /// Tags, labels and annotations of others stay.
    ForeignLost,
    /// While the lease of a run lasts, no other run writes.
    LeaseIgnored,
    /// What a write does is in the record that it writes.
    IntentMissing,
    /// The record is closed over the old traffic, or over a confirmed promotion.
    ClosedTooEarly,
    /// Only what serves everything, and passed, is recorded healthy.
    HealthInvented,
    /// A failed run ends in the old traffic and access, or exits 5 and says so.
    OldTrafficLost,
    /// Exit 0 means that it serves.
    ExitCodeLies,
    /// After an orderly end nothing of ours is left over.
    LeftOver,
    /// What was rolled back does not come back by itself.
    RolledForward,
    /// Planning again after success changes nothing.
    NotIdempotent,
    /// What died is brought to an end by the next run.
    NeverEnds,
    /// The program made no plan that its own rules forbid.
    Defect,
    /// The regions of one service serve the same release.
    RegionsApart,
    /// The story ended otherwise than told.
    WrongEnd,
}

/// One thing that must not be.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) text: String,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Revisions that passed, and those that others answer for.
    pub(crate) tested: BTreeSet<String>,
    /// Made by other tools.
    pub(crate) foreign_revisions: BTreeSet<String>,
    /// The traffic that somebody answers for; `None` while nothing tested serves.
    pub(crate) settled: Option<Split>,
    pub(crate) settled_public: bool,
    /// Another tool moved the traffic of a run that had changed the access, or of a first deploy that had
    /// just opened the service: that run may take the access back, or leave all to the other tool.
    access_open: bool,
    /// Another tool has moved the traffic since a run wrote last.
    pub(crate) moved_since: bool,
    /// The run that wrote last.
    wrote_last: Option<String>,
    /// The record was erased while a rollout was open, and no run has written since.
    tags_unknown: bool,
    /// Callers have met it.
    in_effect: bool,
    /// Every entry of health that a record has had, and that was right when it was written: the way
    /// back of a failed rollback writes the old record again.
    healthy: BTreeSet<(String, i64)>,
    pub(crate) foreign_tags: BTreeSet<String>,
    pub(crate) foreign_annotations: BTreeMap<String, String>,
    pub(crate) foreign_labels: BTreeMap<String, String>,
    /// Digests that were left by a rollback.
    pub(crate) rolled_back: BTreeSet<String>,
    /// Whoever a person has told that the run which holds the lease is dead.
    forced: BTreeSet<String>,
    /// Runs that roll back: to a target that they have tested they may go in one write.
    rollbacks: BTreeSet<String>,
    /// What served before such a write: it comes back if the write cannot be confirmed.
    before_rollback: Option<(String, Split, bool)>,
    /// What was before the newest record of a run over several regions.
    earlier: Option<together::Earlier>,
    /// Digests that served when the rollback at work began.
    pub(crate) left: Option<BTreeSet<String>>,
    /// Runs that were killed.
    died: BTreeSet<String>,
    /// A write of a killed run has arrived since somebody began to look for what is unfinished.
    wrote_late: bool,
    /// A run died, or said that it could not restore: somebody must bring order.
    pub(crate) in_doubt: bool,
    pub(crate) violations: Vec<Violation>,
    /// How many of them are in the trace.
    told: usize,
}

fn text<'a>(record: &'a Value, path: &str) -> Option<&'a str> {
    record.pointer(path).and_then(Value::as_str)
}

/// A later attempt of a run may go on where the earlier one died.
fn continues(run: &str, earlier: &str) -> bool {
    let parts = |run: &str| -> Option<(u64, u64)> {
        let (id, attempt) = run.split_once('/')?;
        Some((id.parse().ok()?, attempt.parse().ok()?))
    };
    run == earlier
        || matches!((parts(run), parts(earlier)), (Some((id, now)), Some((other, then))) if id == other && then < now)
}

/// The revision that gets everything.
fn alone(split: &Split) -> Option<&String> {
    split
        .iter()
        .find(|(_, percent)| **percent == 100)
        .map(|(name, _)| name)
}

impl Watch {
    pub(crate) fn broken(&mut self, invariant: Invariant, text: impl Into<String>) {
        let text = text.into();
        let known = self.violations.iter().any(|one| one.invariant == invariant);
        if !known {
            self.violations.push(Violation { invariant, text });
        }
    }

    /// Somebody answers for what serves now.
    pub(crate) fn answer_for(&mut self, service: &Service) {
        let split = service.wanted();
        self.moved_since = true;
        self.tested.extend(split.keys().cloned());
        let record = service.record();
        let changed = ["/intent/access_before", "/intent/passed/access_before"]
            .iter()
            .any(|path| text(&record, path).is_some());
        let opened = service.is_public() && record.pointer("/intent/passed").is_some();
        self.access_open |= if self.settled.is_some() {
            changed
        } else {
            opened
        };
        // Who moves traffic says nothing of who may call, which a run may be changing just now.
        if self.settled.is_none() {
            self.settled_public = service.is_public();
        }
        self.settled = Some(split).filter(|_| !self.is_as_created(service));
    }

    /// The service is as a first deploy creates it: closed, following LATEST, with our revisions only,
    /// and a record in which nothing has passed. Who brings it back to that leaves no trace of having
    /// answered for anything: until something has passed, it is a first deploy.
    fn is_as_created(&self, service: &Service) -> bool {
        let record = service.record();
        let healthy = record["healthy"].as_array();
        let shares = service.traffic.iter().filter(|one| one.percent > 0);
        let mut names = service.revisions.iter().map(|one| &one.name);
        !service.is_public()
            && shares.map(|one| &one.to).all(|to| *to == To::Latest)
            && record.is_object()
            && healthy.is_none_or(Vec::is_empty)
            && record.pointer("/intent/passed").is_none()
            && record.pointer("/intent/undo").is_none()
            && !names.any(|name| self.foreign_revisions.contains(name))
    }

    /// Another tool takes the record away. With the intent of a run that has died, or could not go back,
    /// the way back is gone: nobody can know of it any more. Whoever did that answers for the traffic and
    /// the access as they are; the tags of that run stay until the next run writes.
    pub(crate) fn erased(&mut self, service: &Service) {
        if text(&service.record(), "/intent/run").is_some() {
            self.settled = Some(service.wanted());
            self.settled_public = service.is_public();
            self.tags_unknown = true;
        }
    }

    /// A rollback begins: what serves now is what it leaves.
    pub(crate) fn rollback_begins(&mut self, run: &str, cloud: &Cloud) {
        self.rollbacks.insert(run.to_owned());
        let Some(service) = &cloud.service else {
            return;
        };
        let names = self.settled.iter().flat_map(|split| split.keys());
        let digests = names.filter_map(|name| service.revision(name));
        let digests = digests.map(|one| one.digest().to_owned()).collect();
        self.left = Some(digests);
    }

    /// A test of the revision ended.
    pub(crate) fn verified(&mut self, revision: &str, passed: bool) {
        if passed {
            self.tested.insert(revision.to_owned());
        }
    }

    /// A revision became ready or failed.
    pub(crate) fn settled(&mut self, cloud: &Cloud) {
        let Some(service) = &cloud.service else {
            return;
        };
        let follows = service
            .traffic
            .iter()
            .any(|one| one.to == To::Latest && one.percent > 0);
        let newest = service.latest_ready.as_ref();
        if follows && newest.is_some_and(|name| self.foreign_revisions.contains(name)) {
            self.answer_for(service);
        }
    }

    /// What must hold at every moment. Gives lines for the trace.
    pub(crate) fn check(&mut self, cloud: &Cloud) -> Vec<String> {
        if let Some(service) = &cloud.service {
            self.in_effect |= self.settled.as_ref() == Some(&shares(&service.routed));
            self.untested(service);
            self.splits(service);
            self.foreign(service);
        }
        self.untold()
    }

    /// Lines about what the trace does not have yet.
    pub(crate) fn untold(&mut self) -> Vec<String> {
        let new = self.violations.iter().skip(self.told);
        let lines = new.map(|one| format!("!!! {:?}: {}", one.invariant, one.text));
        let lines = lines.collect();
        self.told = self.violations.len();
        lines
    }
}
