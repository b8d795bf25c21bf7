//! Other tools that write to the same service.

use delivery::statistics::random::Random;
use serde_json::json;

use crate::cloud::{Readiness, STATE, Target, To};
use crate::world::Inner;

/// What another tool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// Sets a label and an annotation.
    Label,
    /// Gives a tested revision, or LATEST, a tag.
    Tag { latest: bool },
    /// Splits traffic among revisions that passed.
    Shift { percent: u32 },
    /// Makes a revision; what serves stays as it is wanted.
    Deploy,
    /// Lets traffic follow LATEST, which is a revision that passed.
    FollowLatest,
    /// Takes our record away.
    EraseRecord,
}

impl Foreign {
    pub(crate) fn any(random: &mut Random) -> Self {
        match random.below(8) {
            0 | 1 => Self::Label,
            2 => Self::Tag { latest: true },
            3 => Self::Tag { latest: false },
            4 => Self::Shift { percent: 90 },
            5 => Self::Deploy,
            6 => Self::FollowLatest,
            _ => Self::Label,
        }
    }
}

impl Inner {
    /// Another tool writes, reading and writing in one moment.
    pub(crate) fn stranger(&mut self, what: Foreign) {
        if self.cloud.service.is_none() {
            return;
        }
        self.strangers += 1;
        let number = self.strangers;
        let done = match what {
            Foreign::Label => self.label(number),
            Foreign::Tag { latest } => self.tag(number, latest),
            Foreign::Shift { percent } => self.shift(percent),
            Foreign::Deploy => self.deploy(number),
            Foreign::FollowLatest => self.follow_latest(),
            Foreign::EraseRecord => self.erase(),
        };
        if done {
            self.cloud.foreign_write();
            self.note(&format!("another tool: {what:?}"));
            self.check();
        }
    }

    fn label(&mut self, number: u32) -> bool {
        let Some(service) = &mut self.cloud.service else {
            return false;
        };
        let (key, value) = (format!("team-{number}"), "ml".to_owned());
        service.labels.insert(key.clone(), value.clone());
        service.annotations.insert(key.clone(), value.clone());
        self.watch.foreign_labels.insert(key.clone(), value.clone());
        self.watch.foreign_annotations.insert(key, value);
        true
    }

    /// The candidate of which only its run knows, if anybody, whether it has passed: it has no traffic
    /// yet, and the record does not say it. Nobody else relies on it.
    fn undecided(&self) -> Option<String> {
        let record = self.cloud.service.as_ref()?.record();
        let intent = record.get("intent")?;
        let is_told = intent.get("passed").is_some() || intent.get("share").is_some();
        let name = intent.get("revision").filter(|_| !is_told)?.as_str()?;
        Some(name.to_owned())
    }

    fn relies_on(&self, name: &String) -> bool {
        self.watch.tested.contains(name) && self.undecided().as_ref() != Some(name)
    }

    /// Revisions that others may rely on.
    fn tested(&self) -> Vec<String> {
        let revisions = self.cloud.service.iter().flat_map(|one| &one.revisions);
        revisions
            .filter(|one| one.readiness == Readiness::Ready && self.relies_on(&one.name))
            .map(|one| one.name.clone())
            .collect()
    }

    fn latest_is_tested(&self) -> bool {
        let service = self.cloud.service.as_ref();
        let ready = service.and_then(|one| one.latest_ready.as_ref());
        let created = service.and_then(|one| one.latest_created.as_ref());
        ready == created && ready.is_some_and(|name| self.relies_on(name))
    }

    fn tag(&mut self, number: u32, latest: bool) -> bool {
        let to = match self.tested().first() {
            _ if latest && self.latest_is_tested() => To::Latest,
            Some(name) if !latest => To::Revision(name.clone()),
            _ => return false,
        };
        let Some(service) = &mut self.cloud.service else {
            return false;
        };
        let tag = format!("blue{number}");
        service.traffic.push(Target {
            to,
            percent: 0,
            tag: Some(tag.clone()),
        });
        self.watch.foreign_tags.insert(tag);
        true
    }

    fn set_shares(&mut self, shares: Vec<(To, u32)>) -> bool {
        let Some(service) = &mut self.cloud.service else {
            return false;
        };
        let before = service.traffic.clone();
        // Tags stay.
        service.traffic.retain(|one| one.tag.is_some());
        for one in &mut service.traffic {
            one.percent = 0;
        }
        let shares = shares.into_iter().map(|(to, percent)| Target {
            to,
            percent,
            tag: None,
        });
        service.traffic.splice(0..0, shares);
        // Who writes what stands there already changes nothing that anybody could see later.
        if service.traffic != before {
            self.watch.answer_for(service);
        }
        true
    }

    fn shift(&mut self, percent: u32) -> bool {
        let tested = self.tested();
        match (tested.first(), tested.last()) {
            (Some(first), Some(last)) if first != last => self.set_shares(vec![
                (To::Revision(first.clone()), percent),
                (To::Revision(last.clone()), 100 - percent),
            ]),
            (Some(only), _) => self.set_shares(vec![(To::Revision(only.clone()), 100)]),
            _ => false,
        }
    }

    fn follow_latest(&mut self) -> bool {
        self.latest_is_tested() && self.set_shares(vec![(To::Latest, 100)])
    }

    fn deploy(&mut self, number: u32) -> bool {
        let Some(service) = &self.cloud.service else {
            return false;
        };
        // What another tool sends is what it read, our annotations among it.
        let mut template = service.template.clone();
        let name = format!("api-{:05}-f{number}", service.revisions.len() + 1);
        template["revision"] = json!(name);
        if let Some(image) = template.pointer_mut("/containers/0/image") {
            *image = json!(format!("gcr.io/foreign/api@sha256:{number:064x}"));
        }
        if self.cloud.make_revision(template).is_err() {
            return false;
        }
        self.watch.tested.insert(name.clone());
        self.watch.foreign_revisions.insert(name);
        true
    }

    fn erase(&mut self) -> bool {
        // Who erases the record of a service that nothing tested serves in takes that away too.
        if self.watch.settled.is_none() {
            return false;
        }
        self.watch.rolled_back.clear();
        let Some(service) = &mut self.cloud.service else {
            return false;
        };
        self.watch.erased(service);
        service.annotations.remove(STATE).is_some()
    }
}
