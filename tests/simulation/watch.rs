//! Watches the world and remembers what nobody in it knows: what was tested, what somebody answers
//! for, what other tools wrote. Whatever breaks an invariant is written down.

use std::collections::{BTreeMap, BTreeSet};

use delivery::diagnostic::{Code, Diagnostic};
use delivery::outcome::{ExitCode, Outcome};
use delivery::plan::{Intent, Wanted};
use delivery::spec::Access;
use serde_json::Value;

use crate::cloud::{Cloud, Readiness, Service, Split, To, shares};

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
    /// Another tool moved the traffic of a run that had changed the access: that run may take it back,
    /// or leave all to the other tool.
    access_open: bool,
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
    /// Runs that roll back: to a target that they have tested they may go in one write.
    rollbacks: BTreeSet<String>,
    /// What served before such a write: it comes back if the write cannot be confirmed.
    before_rollback: Option<(String, Split, bool)>,
    /// Digests that served when the rollback at work began.
    pub(crate) left: Option<BTreeSet<String>>,
    /// The API tells no commit: what callers meet cannot be told from anything else.
    pub(crate) silent: bool,
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
        self.tested.extend(split.keys().cloned());
        let record = service.record();
        let changed = ["/intent/access_before", "/intent/passed/access_before"]
            .iter()
            .any(|path| text(&record, path).is_some());
        self.access_open |= self.settled.is_some() && changed;
        self.settled = Some(split);
        self.settled_public = service.is_public();
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

    fn untested(&mut self, service: &Service) {
        // In a closed service that nobody depends on, only the tests reach anything.
        let reachable = service.is_public() || self.in_effect;
        let mut seen = Vec::new();
        for (where_, split) in [
            ("the API tells", shares(&service.shown)),
            ("callers meet", shares(&service.routed)),
            ("wanted is", service.wanted()),
        ] {
            for (name, percent) in split {
                if reachable && !name.is_empty() && !self.tested.contains(&name) {
                    seen.push(format!(
                        "{where_} {percent} % on {name}, which has not passed"
                    ));
                }
            }
        }
        for entry in &service.routed {
            let foreign = entry
                .tag
                .as_ref()
                .filter(|tag| self.foreign_tags.contains(*tag));
            if let Some(tag) = foreign.filter(|_| !self.tested.contains(&entry.revision)) {
                seen.push(format!(
                    "tag {tag} leads to {}, which has not passed",
                    entry.revision
                ));
            }
        }
        for text in seen {
            self.broken(Invariant::UntestedServes, text);
        }
    }

    fn splits(&mut self, service: &Service) {
        let split = shares(&service.routed);
        if split.is_empty() {
            return;
        }
        let sum: u32 = split.values().sum();
        let ready = |name: &String| {
            let found = service.revision(name);
            found.is_some_and(|one| one.readiness == Readiness::Ready)
        };
        if sum != 100 || !split.keys().all(ready) {
            self.broken(Invariant::SplitUnsound, format!("callers meet {split:?}"));
        }
    }

    fn foreign(&mut self, service: &Service) {
        let lost: Vec<String> = self
            .foreign_tags
            .iter()
            .filter(|tag| {
                let has = |one: &crate::cloud::Target| one.tag.as_ref() == Some(*tag);
                !service.traffic.iter().any(has)
            })
            .map(|tag| format!("tag {tag}"))
            .chain(
                self.foreign_annotations
                    .iter()
                    .filter(|(key, value)| service.annotations.get(*key) != Some(value))
                    .map(|(key, _)| format!("annotation {key}")),
            )
            .chain(
                self.foreign_labels
                    .iter()
                    .filter(|(key, value)| service.labels.get(*key) != Some(value))
                    .map(|(key, _)| format!("label {key}")),
            )
            .collect();
        if !lost.is_empty() {
            self.broken(Invariant::ForeignLost, format!("lost: {}", lost.join(", ")));
        }
    }

    /// A run has written; `told` is the latest that its clock has told it.
    pub(crate) fn written(
        &mut self,
        before: Option<&Service>,
        cloud: &Cloud,
        run: &str,
        told: i64,
    ) {
        let Some(service) = &cloud.service else {
            return;
        };
        let was = before.map(Service::record).unwrap_or_default();
        let is = service.record();
        if let Some(other) = text(&was, "/intent/run") {
            let expires = was.pointer("/intent/expires").and_then(Value::as_i64);
            let alive = expires.is_some_and(|expires| told < expires);
            if alive && !continues(run, other) {
                self.broken(
                    Invariant::LeaseIgnored,
                    format!("{run} wrote while the lease of {other} lasts"),
                );
            }
        }
        self.rolled_in_one_write(before, service, run);
        let traffic_changed = before.is_none_or(|before| before.traffic != service.traffic);
        let made = before.is_none_or(|before| before.revisions.len() < service.revisions.len());
        let split = service.wanted();
        let before_passed = before.is_some_and(|one| self.is_passed(one, &one.wanted()));
        let restored = self.settled.as_ref() == Some(&split)
            || before.is_some_and(|one| before_passed && one.wanted() == split);
        let intent = text(&is, "/intent/run");
        if let Some(before) = before.filter(|_| before_passed && intent == Some(run)) {
            // The run goes back there, and must.
            self.settled = Some(before.wanted());
            self.settled_public = before.is_public();
        }
        if (made || traffic_changed) && intent != Some(run) && (made || !restored) {
            self.broken(
                Invariant::IntentMissing,
                format!("{run} changed traffic or made a revision, the record names {intent:?}"),
            );
        }
        self.health(&was, &is, service);
        if intent.is_none() && (text(&was, "/intent/run").is_some() || traffic_changed) {
            let newest = |record: &Value| record.pointer("/healthy/0").cloned();
            let moved = made || traffic_changed;
            let recorded = newest(&was) != newest(&is) && !moved;
            self.closed(service, &split, restored, recorded, moved, run);
        }
    }

    /// A rollback in one write: everything goes to what passed, and the record is closed with it.
    fn rolled_in_one_write(&mut self, before: Option<&Service>, service: &Service, run: &str) {
        let open = |record: &Value| text(record, "/intent/run").is_some();
        let moved = before.is_some_and(|one| one.traffic != service.traffic);
        if !moved || open(&service.record()) || !self.rollbacks.contains(run) {
            return;
        }
        let split = service.wanted();
        if let Some((_, old, public)) = self
            .before_rollback
            .take_if(|(by, old, _)| by == run && *old == split)
        {
            self.settled = Some(old);
            self.settled_public = public;
            return;
        }
        let passed = alone(&split).is_some_and(|name| self.tested.contains(name));
        if let Some(settled) = self.settled.clone().filter(|old| *old != split && passed) {
            self.before_rollback = Some((run.to_owned(), settled, self.settled_public));
            self.settled = Some(split);
            self.settled_public = service.is_public();
            self.in_effect = false;
        }
    }

    /// While nothing tested serves: everything that callers meet has passed and is pinned. A first run
    /// died before it could record that, and the next one builds on it.
    fn is_passed(&self, service: &Service, split: &Split) -> bool {
        let follows = service.traffic.iter().any(|one| one.to == To::Latest);
        let passed = alone(split).is_some_and(|name| self.tested.contains(name));
        self.settled.is_none() && passed && !follows && shares(&service.routed) == *split
    }

    /// The record is without intent now.
    fn closed(
        &mut self,
        service: &Service,
        split: &Split,
        restored: bool,
        recorded: bool,
        moved: bool,
        run: &str,
    ) {
        // A promotion of what served already may have changed who may call.
        let confirmed = alone(split)
            .is_some_and(|name| self.tested.contains(name) && self.confirmable(service, name));
        if recorded && confirmed {
            self.settled = Some(split.clone());
            self.settled_public = service.is_public();
            self.access_open = false;
            return;
        }
        if restored && service.is_public() && self.settled.is_none() {
            self.settled = Some(split.clone());
            self.settled_public = true;
        }
        if restored {
            return;
        }
        if confirmed && !moved {
            self.settled = Some(split.clone());
            self.settled_public = service.is_public();
            return;
        }
        let routed = shares(&service.routed);
        if self.settled.is_none() && !service.is_public() {
            return;
        }
        self.broken(
            Invariant::ClosedTooEarly,
            format!(
                "{run} closed the record over {split:?}, callers meet {routed:?}, before it was {:?}",
                self.settled
            ),
        );
    }

    /// Callers meet this revision alone, as far as anybody can tell: of two revisions of one commit
    /// the API says the same, and some APIs say nothing.
    fn confirmable(&self, service: &Service, name: &str) -> bool {
        let routed = shares(&service.routed);
        let commit = |name: &str| {
            let found = service.revision(name);
            found.and_then(|one| one.variable("ML_DEPLOY_COMMIT").map(str::to_owned))
        };
        let own = commit(name);
        let alike = self.silent || own.is_none() || routed.keys().all(|one| commit(one) == own);
        let shown = shares(&service.shown);
        alone(&routed).is_some_and(|one| one == name)
            || (alike && alone(&shown).is_some_and(|one| one == name))
    }

    fn health(&mut self, was: &Value, is: &Value, service: &Service) {
        let entries = |record: &Value| -> Vec<(String, i64)> {
            let list = record["healthy"].as_array().cloned().unwrap_or_default();
            let one = |entry: &Value| {
                let name = entry["revision"].as_str().unwrap_or_default().to_owned();
                (name, entry["at"].as_i64().unwrap_or(0))
            };
            list.iter().map(one).collect()
        };
        let known = entries(was);
        let routed = shares(&service.routed);
        for (name, at) in entries(is) {
            let new =
                !known.contains(&(name.clone(), at)) && !self.healthy.contains(&(name.clone(), at));
            let rolled = self.before_rollback.is_some()
                && self.settled.as_ref().and_then(alone) == Some(&name);
            if new && !rolled && !(self.confirmable(service, &name) && self.tested.contains(&name))
            {
                self.broken(
                    Invariant::HealthInvented,
                    format!("{name} is recorded healthy while callers meet {routed:?}"),
                );
            }
            self.healthy.insert((name, at));
        }
    }

    /// A run has ended by itself.
    pub(crate) fn ended(&mut self, cloud: &Cloud, wanted: &Wanted, outcome: &Outcome) {
        self.before_rollback = None;
        for problem in outcome.diagnostics() {
            if problem.code == Code::Internal {
                self.broken(Invariant::Defect, format!("{problem}: {:?}", problem.at));
            }
        }
        match outcome {
            Outcome::Promoted { revision, .. }
            | Outcome::UpToDate { revision, .. }
            | Outcome::RolledBack { revision, .. } => {
                self.succeeded(cloud, wanted, outcome, revision.as_str());
            }
            Outcome::Stopped(problems) => self.stopped(cloud, wanted, problems),
            Outcome::RollbackFailed(problems) => {
                let says = problems.iter().any(|problem| {
                    problem.code == Code::UndoFailed
                        && problem.help.iter().any(|line| line.starts_with("act now"))
                });
                if problems.len() < 2 || !says {
                    self.broken(Invariant::OldTrafficLost, "exit 5 does not say what to do");
                }
                self.in_doubt = true;
            }
            Outcome::Recovered { .. } | Outcome::Waiting { .. } | Outcome::Verified => {}
        }
    }

    fn succeeded(&mut self, cloud: &Cloud, wanted: &Wanted, outcome: &Outcome, revision: &str) {
        let Some(service) = &cloud.service else {
            self.broken(Invariant::ExitCodeLies, "there is no service");
            return;
        };
        let all = Split::from([(revision.to_owned(), 100)]);
        let (split, routed) = (service.wanted(), shares(&service.routed));
        let met = match outcome {
            // Nothing was written: what the API tells is all that was looked at.
            Outcome::UpToDate { .. } => shares(&service.shown) == all,
            _ => self.confirmable(service, revision),
        };
        if split != all || !met {
            let text = format!("exit 0 with {revision}, wanted {split:?}, met {routed:?}");
            self.broken(Invariant::ExitCodeLies, text);
        }
        if !self.tested.contains(revision) {
            self.broken(Invariant::ExitCodeLies, format!("{revision} never passed"));
        }
        let digest = service
            .revision(revision)
            .map(|one| one.digest().to_owned());
        let digest = digest.unwrap_or_default();
        match &wanted.intent {
            Intent::Promote { release, spec } => {
                if release.image.digest.as_str() != digest {
                    self.broken(Invariant::ExitCodeLies, format!("{digest} serves"));
                }
                if service.is_public() != (spec.access == Access::Public) {
                    self.broken(Invariant::ExitCodeLies, "the access is not as wanted");
                }
                if wanted.retry_rejected {
                    self.rolled_back.remove(&digest);
                } else if self.rolled_back.contains(&digest) {
                    self.broken(Invariant::RolledForward, format!("{digest} came back"));
                }
            }
            Intent::Rollback { .. } => {
                if let Outcome::RolledBack { .. } = outcome {
                    let left = self.left.take().unwrap_or_default();
                    self.rolled_back
                        .extend(left.into_iter().filter(|one| *one != digest));
                    self.rolled_back.remove(&digest);
                }
            }
        }
        let record = service.record();
        if text(&record, "/intent/run").is_some_and(|run| continues(&wanted.run.0, run)) {
            self.broken(Invariant::LeftOver, "the intent of a finished run is open");
        }
        self.in_doubt = false;
    }

    fn stopped(&mut self, cloud: &Cloud, wanted: &Wanted, problems: &[Diagnostic]) {
        let Some(service) = &cloud.service else {
            return;
        };
        let record = service.record();
        let open = text(&record, "/intent/run");
        let says_open = problems.iter().any(|problem| {
            let state = problem.state.as_deref().unwrap_or_default();
            state.contains("the next run goes on from it")
        });
        if says_open {
            self.in_doubt = true;
            return;
        }
        if let Some(run) = open {
            if continues(&wanted.run.0, run) && !self.in_doubt {
                self.broken(
                    Invariant::LeftOver,
                    format!("{} has ended, and its intent is open", wanted.run.0),
                );
            }
            // Another run is at work, or has died: it answers for the traffic.
            return;
        }
        let blocked = problems.first().map(|one| one.code.exit_code()) == Some(ExitCode::Blocked);
        let split = service.wanted();
        match &self.settled {
            Some(settled) if *settled != split => {
                let text = format!("{split:?} instead of {settled:?}");
                self.broken(Invariant::OldTrafficLost, text);
            }
            Some(_) if service.is_public() != self.settled_public && !self.access_open => {
                self.broken(Invariant::OldTrafficLost, "the access is not as it was");
            }
            None if service.is_public() && !blocked => {
                self.broken(
                    Invariant::OldTrafficLost,
                    "nothing tested serves, and it is open",
                );
            }
            Some(_) | None => {}
        }
        self.tags(service);
        self.in_doubt = false;
    }

    /// None of our tags leads to what did not pass.
    fn tags(&mut self, service: &Service) {
        // The standing tag of what a rollback leads to; it outlives a record that another tool erased.
        let stands = |to: &To| match to {
            To::Latest => false,
            To::Revision(name) => self.healthy.iter().any(|(one, _)| one == name),
        };
        let left: Vec<String> = service
            .traffic
            .iter()
            .filter(|one| !stands(&one.to))
            .filter_map(|one| one.tag.clone())
            .filter(|tag| tag.starts_with("c-") && !self.foreign_tags.contains(tag))
            .collect();
        if !left.is_empty() {
            self.broken(Invariant::LeftOver, format!("tags {left:?} are left"));
        }
    }

    /// Everything is quiet.
    pub(crate) fn at_rest(&mut self, cloud: &Cloud) {
        let Some(service) = &cloud.service else {
            return;
        };
        if self.in_doubt {
            self.broken(Invariant::NeverEnds, "nobody brought it to an end");
            return;
        }
        let split = service.wanted();
        if let Some(settled) = &self.settled
            && *settled != split
        {
            let text = format!("at rest: {split:?} instead of {settled:?}");
            self.broken(Invariant::OldTrafficLost, text);
        }
        if self.settled.is_some() && shares(&service.routed) != split {
            let text = format!(
                "at rest callers meet {:?}, not {split:?}",
                shares(&service.routed)
            );
            self.broken(Invariant::SplitUnsound, text);
        }
        if self.settled.is_none() && service.is_public() {
            self.broken(Invariant::UntestedServes, "open, and nothing tested serves");
        }
        if let Some(run) = text(&service.record(), "/intent/run") {
            self.broken(
                Invariant::LeftOver,
                format!("at rest the intent of {run} is open"),
            );
        }
    }
}
