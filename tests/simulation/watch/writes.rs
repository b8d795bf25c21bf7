//! What must hold of every write of a run, and what a write settles.

use serde_json::Value;

use super::{Invariant, Watch, alone, continues, text};
use crate::cloud::{Cloud, Service, Split, To, shares};

/// What a write that closes the record has done, or not.
#[derive(Debug, Clone, Copy)]
struct Closes {
    /// The old traffic is wanted.
    restored: bool,
    /// The newest healthy entry is another one, and nothing else changed.
    recorded: bool,
    /// What had passed was given everything before, and keeps it.
    brought: bool,
}

/// Callers meet this revision, and nothing else.
pub(super) fn meet_alone(service: &Service, name: &str) -> bool {
    alone(&shares(&service.routed)).is_some_and(|one| one == name)
}

impl Watch {
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
            if alive && !continues(run, other) && !self.forced.contains(run) {
                self.broken(
                    Invariant::LeaseIgnored,
                    format!("{run} wrote while the lease of {other} lasts"),
                );
            }
        }
        self.tags_unknown = false;
        self.moved_since = false;
        self.wrote_last = Some(run.to_owned());
        self.rolled_in_one_write(before, service, run);
        self.taken_back_together(&is, service, run);
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
        self.health(&was, &is, service, run);
        let newest = |record: &Value| record.pointer("/healthy/0").cloned();
        let moved = made || traffic_changed;
        let recorded = newest(&was) != newest(&is) && !moved;
        // What serves already may be recorded without an intent: nothing that serves changes.
        let adopted = self.settled.is_none() && recorded;
        if intent.is_none() && (text(&was, "/intent/run").is_some() || traffic_changed || adopted) {
            // Everything was given to what had passed, by a write before this one.
            let brought = was.pointer("/intent/passed").is_some() && !moved;
            let closes = Closes {
                restored,
                recorded,
                brought,
            };
            self.closed(service, &split, closes, run);
        }
    }

    /// A rollback in one write: everything goes to what was healthy before and has passed, and the record
    /// is closed with it.
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
        let passed = alone(&split).is_some_and(|name| {
            self.tested.contains(name) && self.healthy.iter().any(|(healthy, _)| healthy == name)
        });
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
    fn closed(&mut self, service: &Service, split: &Split, closes: Closes, run: &str) {
        let confirmed = alone(split)
            .is_some_and(|name| self.tested.contains(name) && meet_alone(service, name));
        // A promotion of what served already may have changed who may call.
        if closes.recorded && confirmed {
            self.remember_earlier(service);
            self.settled = Some(split.clone());
            self.settled_public = service.is_public();
            self.access_open = false;
            return;
        }
        if closes.restored {
            if service.is_public() && self.settled.is_none() {
                self.settled = Some(split.clone());
                self.settled_public = true;
            }
            return;
        }
        // A revision that other tools made serves, and is not recorded healthy.
        if closes.brought && confirmed {
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

    /// A new entry is of what callers meet alone, and what has passed. A rollback, which is one write,
    /// renews the entry of what was healthy before; the way back of a rollback that failed brings an
    /// entry back that was there before.
    fn health(&mut self, was: &Value, is: &Value, service: &Service, run: &str) {
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
            let entry = (name.clone(), at);
            let new = !known.contains(&entry) && !self.healthy.contains(&entry);
            let renewed = self.rollbacks.contains(run)
                && alone(&service.wanted()) == Some(&name)
                && known.iter().any(|(earlier, _)| *earlier == name);
            let met = renewed || meet_alone(service, &name);
            if new && !(met && self.tested.contains(&name)) {
                self.broken(
                    Invariant::HealthInvented,
                    format!("{name} is recorded healthy while callers meet {routed:?}"),
                );
            }
            self.healthy.insert((name, at));
        }
    }
}
