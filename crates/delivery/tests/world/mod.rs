//! A model of what the cloud does for each action, and names to tell stories with.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeSet;

use delivery::configuration::Configuration;
use delivery::diagnostic::{Code, Diagnostic};
use delivery::entrance::Entrance;
use delivery::name::{RevisionName, TagName};
use delivery::plan::{Action, NewRevision, Plan, Planned, Undo, Wanted, plan};
use delivery::snapshot::{
    Readiness, RevisionSeen, ServiceCondition, ServiceSeen, Serving, Snapshot, StateSeen,
};
use delivery::spec::Access;
use delivery::state::{RunRef, StateRecord, Timestamp};
use delivery::target::Tier;
use delivery::traffic::{Destination, Share, Tag, TrafficSplit};

mod names;

pub(crate) use names::*;

/// The cloud, and what a verifier has seen there.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) seen: Snapshot,
    /// Revisions that passed their tests, or that others answer for.
    pub(crate) tested: BTreeSet<RevisionName>,
    writes: u64,
}

impl World {
    pub(crate) fn empty(tier: Tier) -> Self {
        Self {
            seen: Snapshot {
                target: target(tier),
                observed_at: Timestamp(START),
                service: None,
            },
            tested: BTreeSet::new(),
            writes: 0,
        }
    }

    /// A service that another tool made and that follows LATEST.
    pub(crate) fn foreign(tier: Tier, access: Access) -> Self {
        let mut world = Self::empty(tier);
        world.seen.service = Some(ServiceSeen {
            etag: "0".to_owned(),
            uri: Some("https://api.test".to_owned()),
            traffic: TrafficSplit::all_to(Destination::Latest, Vec::new()),
            serving: Vec::new(),
            condition: ServiceCondition::Ready,
            latest_ready: None,
            latest_created: None,
            access,
            entrance: Entrance::default(),
            template: Configuration::default(),
            state: StateSeen::Absent,
            revisions: Vec::new(),
        });
        world.foreign_deploy("api-00001-abc");
        world
    }

    pub(crate) fn plan(&self, wanted: &Wanted) -> Planned {
        plan(wanted, &self.seen)
    }

    pub(crate) fn service(&self) -> &ServiceSeen {
        self.seen.service.as_ref().expect("the service exists")
    }

    pub(crate) fn service_mut(&mut self) -> &mut ServiceSeen {
        self.seen.service.as_mut().expect("the service exists")
    }

    pub(crate) fn state(&self) -> StateRecord {
        match &self.service().state {
            StateSeen::Known(record) => record.clone(),
            other => panic!("no record: {other:?}"),
        }
    }

    /// Who gets traffic, sorted.
    pub(crate) fn serves(&self) -> Vec<(String, u32)> {
        let mut shares: Vec<_> = self
            .service()
            .serving
            .iter()
            .filter(|entry| entry.percent > 0)
            .map(|entry| (entry.revision.to_string(), entry.percent))
            .collect();
        shares.sort();
        shares
    }

    /// The revisions that a tag of ours points at: a candidate while it is tested, or the one that a
    /// rollback would lead to.
    pub(crate) fn tagged(&self) -> Vec<RevisionName> {
        let tags = self.service().traffic.tags().iter();
        tags.filter_map(|tag| match &tag.to {
            Destination::Revision(name)
                if tag.name.as_str().strip_prefix("c-")
                    == name.as_str().rsplit_once('-').map(|(_, h6)| h6) =>
            {
                Some(name.clone())
            }
            Destination::Revision(_) | Destination::Latest => None,
        })
        .collect()
    }

    pub(crate) fn later(&mut self, seconds: u32) {
        self.seen.observed_at = self.seen.observed_at.plus(seconds);
    }

    /// Plans and carries out, which must end in a plan.
    pub(crate) fn run(&mut self, wanted: &Wanted) -> Plan {
        let plan = self.expect_plan(wanted);
        for step in &plan.steps {
            self.apply(&step.action);
        }
        self.later(60);
        plan
    }

    pub(crate) fn expect_plan(&self, wanted: &Wanted) -> Plan {
        match self.plan(wanted) {
            Planned::Proceed(plan) => {
                assert_eq!(delivery::plan::lint(&plan), [], "{plan:#?}");
                plan
            }
            other => panic!("no plan: {other:#?}"),
        }
    }

    /// Carries out the plan up to and including the step with this index, then its undo.
    pub(crate) fn fail_at(&mut self, plan: &Plan, index: usize) {
        for step in &plan.steps[..=index] {
            self.apply(&step.action);
        }
        self.undo(&plan.steps[index].undo, "it failed");
        self.later(60);
    }

    pub(crate) fn apply(&mut self, action: &Action) {
        match action {
            Action::CreateService { revision, state } => {
                assert!(self.seen.service.is_none(), "created twice");
                self.seen.service = Some(ServiceSeen {
                    etag: String::new(),
                    uri: Some("https://api.test".to_owned()),
                    traffic: TrafficSplit::all_to(Destination::Latest, Vec::new()),
                    serving: Vec::new(),
                    condition: ServiceCondition::Ready,
                    latest_ready: None,
                    latest_created: None,
                    access: Access::Private,
                    entrance: Entrance::default(),
                    template: Configuration::default(),
                    state: StateSeen::Known(state.clone()),
                    revisions: Vec::new(),
                });
                self.add(revision);
            }
            Action::DeployCandidate {
                revision,
                traffic,
                state,
                access,
            } => {
                self.write(traffic, state, *access);
                self.add(revision);
            }
            Action::TagRevision {
                revision,
                is_ready: _,
                traffic,
                state,
                access,
            } => {
                self.becomes_ready(revision);
                self.write(traffic, state, *access);
            }
            Action::ShiftTraffic {
                revision: _,
                traffic,
                state,
                access,
            } => self.write(traffic, state, *access),
            Action::Verify { revision, .. } => {
                self.tested.insert(revision.clone());
            }
            Action::Watch {
                revision,
                tag,
                serving,
                percent,
                ..
            } => {
                let traffic = &self.service().traffic;
                assert_eq!(traffic.percent_of(revision), *percent);
                for (tag, name) in [(tag, revision), (&serving.tag, &serving.revision)] {
                    let to = Destination::Revision(name.clone());
                    let own = |one: &&Tag| one.name == *tag;
                    assert_eq!(
                        traffic.tags().iter().find(own).map(|one| &one.to),
                        Some(&to)
                    );
                }
            }
            Action::Confirm { revision, .. } => {
                assert_eq!(self.serves(), [(revision.to_string(), 100)]);
            }
            Action::Record { state } => {
                self.service_mut().state = StateSeen::Known(state.clone());
            }
            Action::Restore {
                traffic,
                state,
                access,
            } => {
                let as_it_is = self.service().traffic.clone();
                self.write(traffic.as_ref().unwrap_or(&as_it_is), state, *access);
            }
        }
        self.settle();
    }

    /// The undo after failed tests.
    pub(crate) fn undo(&mut self, undo: &Undo, reason: &str) {
        self.undo_after(undo, &Diagnostic::error(Code::TestsFailed, reason));
    }

    pub(crate) fn undo_after(&mut self, undo: &Undo, failure: &Diagnostic) {
        let run = RunRef("100/1".to_owned());
        let record = undo.record_after(failure, self.seen.observed_at, &run);
        match (undo, record) {
            (
                Undo::Restore {
                    traffic, access, ..
                },
                Some(record),
            ) => {
                self.write(traffic, &record, *access);
            }
            (Undo::KeepClosed { .. }, Some(record)) => {
                let service = self.service_mut();
                service.state = StateSeen::Known(record);
                service.access = Access::Private;
            }
            (undo, record) => assert_eq!((undo, record), (&Undo::Nothing, None)),
        }
        self.settle();
    }

    fn write(&mut self, traffic: &TrafficSplit, state: &StateRecord, access: Option<Access>) {
        let service = self.service_mut();
        service.traffic = traffic.clone();
        service.state = StateSeen::Known(state.clone());
        service.access = access.unwrap_or(service.access);
    }

    fn add(&mut self, new: &NewRevision) {
        let name = new.record.revision.clone();
        let now = self.seen.observed_at;
        let service = self.service_mut();
        assert!(
            service.revisions.iter().all(|seen| seen.name != name),
            "{name} is made twice"
        );
        service.template = service.template.with(new);
        service.revisions.insert(
            0,
            RevisionSeen {
                name: name.clone(),
                readiness: Readiness::Ready,
                record: Some(new.record.clone()),
                created_at: now,
                configuration: service.template.clone(),
            },
        );
        service.latest_ready = Some(name.clone());
        service.latest_created = Some(name);
    }

    fn becomes_ready(&mut self, name: &RevisionName) {
        let service = self.service_mut();
        let is_latest = service.latest_created.as_ref() == Some(name);
        let seen = service.revisions.iter_mut().find(|seen| seen.name == *name);
        let seen = seen.expect("a revision that exists");
        if seen.readiness == Readiness::Pending {
            seen.readiness = Readiness::Ready;
            if is_latest {
                service.latest_ready = Some(name.clone());
            }
        }
    }

    /// What serves follows what is wanted.
    pub(crate) fn settle(&mut self) {
        self.writes += 1;
        let writes = self.writes;
        let Some(service) = self.seen.service.as_mut() else {
            return;
        };
        service.etag = writes.to_string();
        let resolve = |to: &Destination| match to {
            Destination::Latest => service.latest_ready.clone(),
            Destination::Revision(name) => Some(name.clone()),
        };
        let shares = service
            .traffic
            .shares()
            .iter()
            .map(|s| (&s.to, s.percent, None));
        let tags = service.traffic.tags().iter();
        let tags = tags.map(|tag| (&tag.to, 0, Some(tag.name.clone())));
        service.serving = shares
            .chain(tags)
            .filter_map(|(to, percent, tag)| {
                Some(Serving {
                    revision: resolve(to)?,
                    percent,
                    uri: tag.as_ref().map(|tag| format!("https://{tag}---api.test")),
                    tag,
                })
            })
            .collect();
    }

    /// Another tool deploys: a revision of its own, which becomes the latest.
    pub(crate) fn foreign_deploy(&mut self, name: &str) {
        let name = RevisionName::parse(name).unwrap();
        let now = self.seen.observed_at;
        let service = self.service_mut();
        // Other tools copy the annotations of the template, our record among them.
        let record = service
            .revisions
            .first()
            .and_then(|seen| seen.record.clone());
        service.revisions.insert(
            0,
            RevisionSeen {
                name: name.clone(),
                readiness: Readiness::Ready,
                record,
                created_at: now,
                configuration: service.template.clone(),
            },
        );
        service.latest_ready = Some(name.clone());
        service.latest_created = Some(name.clone());
        self.tested.insert(name);
        self.settle();
    }

    /// Another tool writes traffic.
    pub(crate) fn foreign_traffic(&mut self, shares: &[(&str, u32)]) {
        let shares = shares
            .iter()
            .map(|(to, percent)| Share {
                to: match *to {
                    "LATEST" => Destination::Latest,
                    name => Destination::Revision(RevisionName::parse(name).unwrap()),
                },
                percent: *percent,
            })
            .collect();
        let service = self.service_mut();
        let tags = service.traffic.tags().to_vec();
        service.traffic = TrafficSplit::new(shares, tags).unwrap();
        self.settle();
    }

    /// Another tool sets a tag; `None` follows LATEST.
    pub(crate) fn foreign_tag(&mut self, tag: &str, to: Option<&RevisionName>) {
        let to = to.map_or(Destination::Latest, |name| {
            Destination::Revision(name.clone())
        });
        let service = self.service_mut();
        service.traffic = service.traffic.with_tag(TagName::parse(tag).unwrap(), to);
        self.settle();
    }

    /// Every revision that gets traffic while everybody may call.
    pub(crate) fn public_revisions(&self) -> Vec<RevisionName> {
        match &self.seen.service {
            Some(service) if service.access == Access::Public => service
                .serving
                .iter()
                .filter(|entry| entry.percent > 0)
                .map(|entry| entry.revision.clone())
                .collect(),
            _ => Vec::new(),
        }
    }
}

pub(crate) fn ids(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(|step| step.action.id()).collect()
}
