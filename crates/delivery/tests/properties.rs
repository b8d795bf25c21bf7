//! Whatever happened to a service before: what every plan keeps to.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use std::collections::BTreeSet;

use delivery::diagnostic::Code;
use delivery::name::{RevisionName, ServiceName, TagName};
use delivery::plan::recover::{Asker, Despite, Recovery, Way, recover};
use delivery::plan::{
    Action, Plan, Planned, REVISION_LENGTH, TAG_AND_SERVICE_LENGTH, Undo, Wanted, lint, render,
};
use delivery::snapshot::{Readiness, ServiceCondition, StateSeen};
use delivery::spec::Access;
use delivery::stage::RollbackTo;
use delivery::state::{OpenIntent, RunRef};
use delivery::target::Tier;
use delivery::traffic::{Destination, Tag};
use proptest::prelude::*;
use world::{LEASE, World, by_run, promote, release, rollback, spec};

/// What serves, with its percent, and who may call: any of these.
type Before = (Vec<(String, u32)>, Vec<Access>);

/// Something that happens to a service.
#[derive(Debug, Clone)]
enum Happening {
    /// A run that ends well.
    Run(Asked),
    /// A run that fails at some step and is undone.
    Fails(Asked, usize),
    /// A run that dies after some step.
    Dies(Asked, usize),
    /// The candidate never becomes ready, and the run is undone.
    NeverReady(Asked),
    ForeignDeploy,
    ForeignTag(bool),
    FollowLatest,
    Split(u32),
    RecordErased,
    LeaseEnds,
    /// What a run that died has left is taken up: by its own post step, or by another after its lease.
    Recovers(bool),
}

#[derive(Debug, Clone)]
enum Asked {
    Promote {
        minor: u32,
        memory: u32,
        access: Access,
        retry: bool,
        attempt: u32,
        in_shares: bool,
    },
    Previous,
    Oldest,
}

fn asked() -> impl Strategy<Value = Asked> {
    let access = prop_oneof![Just(Access::Public), Just(Access::Private)];
    let promote = (0..4_u32, 0..2_u32, access, any::<(bool, bool)>(), 1..3_u32).prop_map(
        |(minor, memory, access, (retry, in_shares), attempt)| Asked::Promote {
            in_shares,
            minor,
            memory,
            access,
            retry,
            attempt,
        },
    );
    prop_oneof![6 => promote, 1 => Just(Asked::Previous), 1 => Just(Asked::Oldest)]
}

/// Two shares below everything.
fn shares() -> delivery::strategy::Strategy {
    let soak = std::time::Duration::from_secs(60);
    let mode = delivery::strategy::OnInconclusive::Fail;
    delivery::strategy::Strategy::new(&[10, 50, 100], soak, mode).unwrap()
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => asked().prop_map(Happening::Run),
        3 => (asked(), 0..9_usize).prop_map(|(asked, step)| Happening::Fails(asked, step)),
        3 => (asked(), 0..9_usize).prop_map(|(asked, step)| Happening::Dies(asked, step)),
        2 => asked().prop_map(Happening::NeverReady),
        1 => Just(Happening::ForeignDeploy),
        1 => any::<bool>().prop_map(Happening::ForeignTag),
        1 => Just(Happening::FollowLatest),
        1 => (1..100_u32).prop_map(Happening::Split),
        1 => Just(Happening::RecordErased),
        3 => Just(Happening::LeaseEnds),
        3 => any::<bool>().prop_map(Happening::Recovers),
    ]
}

fn tier() -> impl Strategy<Value = Tier> {
    prop_oneof![Just(Tier::Preproduction), Just(Tier::Production)]
}

/// A world, and how many things have happened in it.
#[derive(Debug)]
struct Story {
    world: World,
    count: u32,
}

impl Story {
    fn new(tier: Tier, foreign: bool) -> Self {
        let world = if foreign {
            World::foreign(tier, Access::Public)
        } else {
            World::empty(tier)
        };
        Self { world, count: 0 }
    }

    fn wanted(&self, asked: &Asked) -> Option<Wanted> {
        let wanted = match asked {
            Asked::Promote {
                minor,
                memory,
                access,
                retry,
                attempt,
                in_shares,
            } => {
                let mut spec = spec(*access);
                spec.memory = (*memory > 0).then(|| format!("{memory}Gi"));
                let release = release(&format!("1.{minor}.0"), *minor);
                let mut wanted = by_run(promote(release, spec), self.count, *attempt);
                wanted.retry_rejected = *retry;
                if *in_shares {
                    wanted.strategy = shares();
                }
                wanted
            }
            Asked::Previous => by_run(rollback(RollbackTo::Previous), self.count, 1),
            Asked::Oldest => {
                let oldest = self.world.seen.service.as_ref()?.revisions.last()?;
                let to = RollbackTo::Revision(oldest.name.clone());
                by_run(rollback(to), self.count, 1)
            }
        };
        Some(wanted)
    }

    fn planned(&self, asked: &Asked) -> Option<(Wanted, Plan)> {
        let wanted = self.wanted(asked)?;
        match self.world.plan(&wanted) {
            Planned::Proceed(plan) => Some((wanted, plan)),
            Planned::UpToDate { .. } | Planned::Blocked(_) => None,
        }
    }

    fn happens(&mut self, happening: &Happening) {
        self.count += 1;
        self.world.later(60);
        match happening {
            Happening::Run(asked) => {
                if let Some((wanted, plan)) = self.planned(asked) {
                    self.run(&wanted, &plan);
                }
            }
            Happening::Fails(asked, step) => {
                if let Some((_, plan)) = self.planned(asked) {
                    self.fails(&plan, (*step).min(plan.steps.len() - 1));
                }
            }
            Happening::Dies(asked, step) => {
                if let Some((_, plan)) = self.planned(asked) {
                    for step in plan.steps.iter().take(*step + 1) {
                        self.step(&plan, &step.action);
                    }
                }
            }
            Happening::NeverReady(asked) => {
                if let Some((_, plan)) = self.planned(asked) {
                    self.never_ready(&plan);
                }
            }
            Happening::Recovers(own) => self.recovers(*own),
            other => self.stranger(other),
        }
    }

    /// Ends in what served before or, where a revision that had passed has everything, in the
    /// finished rollout; whatever strangers did meanwhile stays.
    fn recovers(&mut self, own: bool) {
        let open = self.world.seen.service.as_ref().map(|seen| &seen.state);
        let intent = match open {
            Some(StateSeen::Known(state)) => state.intent.clone(),
            _ => None,
        };
        let run = match &intent {
            Some(intent) if own => intent.run.clone(),
            _ => RunRef("cli/ada@lab/1".to_owned()),
        };
        let asker = Asker {
            run,
            despite: Despite::Nobody,
        };
        let (intent, rescue) = match (intent, recover(&asker, &self.world.seen)) {
            (Some(intent), Recovery::Proceed(rescue)) => (intent, rescue),
            (Some(intent), Recovery::Waits(_)) => {
                assert!(!own && self.world.seen.observed_at < intent.expires);
                return;
            }
            (Some(_), Recovery::Blocked(problems)) => {
                assert!(!problems.is_empty());
                return;
            }
            (intent, recovery) => {
                assert_eq!((intent, recovery), (None, Recovery::Nothing));
                return;
            }
        };
        for step in &rescue.plan.steps {
            self.step(&rescue.plan, &step.action);
        }
        assert_eq!(self.world.state().intent, None);
        assert_eq!(recover(&asker, &self.world.seen), Recovery::Nothing);
        let candidate = [(intent.revision.to_string(), 100)];
        let is_left = rescue
            .plan
            .warnings
            .iter()
            .any(|one| one.code == Code::ForeignChange);
        match (rescue.way, &intent.undo) {
            (Way::Forward, _) => {
                assert_eq!(self.world.serves(), candidate);
                assert!(self.world.tested.contains(&intent.revision), "{rescue:#?}");
            }
            (Way::Back, _) if is_left => {}
            (Way::Back, Some(undo)) => {
                let service = self.world.service();
                assert_eq!(service.traffic.shares(), undo.shares(), "{rescue:#?}");
            }
            (Way::Back, None) => assert_eq!(self.world.service().access, Access::Private),
        }
    }

    /// What other tools do to a service that exists.
    fn stranger(&mut self, happening: &Happening) {
        let Some(service) = self.world.seen.service.as_ref() else {
            return;
        };
        let ready: Vec<_> = service
            .revisions
            .iter()
            .filter(|seen| seen.readiness == Readiness::Ready)
            .map(|seen| seen.name.clone())
            .collect();
        match happening {
            Happening::ForeignDeploy => {
                self.world
                    .foreign_deploy(&format!("api-{:05}-xyz", self.count));
                if self.world.service().traffic.follows_latest() {
                    self.answers_for_public();
                }
            }
            Happening::ForeignTag(latest) => {
                let to = ready.last().filter(|_| !latest);
                self.world
                    .foreign_tag(&format!("blue{}", self.count % 3), to);
            }
            Happening::FollowLatest if !ready.is_empty() => {
                self.world.foreign_traffic(&[("LATEST", 100)]);
                self.answers_for_public();
            }
            Happening::Split(percent) => {
                if let [first, .., last] = ready.as_slice() {
                    let shares = [(first.as_str(), *percent), (last.as_str(), 100 - *percent)];
                    self.world.foreign_traffic(&shares);
                    self.answers_for_public();
                }
            }
            Happening::RecordErased => self.world.service_mut().state = StateSeen::Absent,
            Happening::LeaseEnds => self.world.later(LEASE),
            _ => {}
        }
    }

    /// A stranger who gives a revision to the public answers for it.
    fn answers_for_public(&mut self) {
        let shares: Vec<RevisionName> = self
            .world
            .service()
            .serving
            .iter()
            .filter(|entry| entry.percent > 0)
            .map(|entry| entry.revision.clone())
            .collect();
        self.world.tested.extend(shares);
    }

    fn run(&mut self, wanted: &Wanted, plan: &Plan) {
        for step in &plan.steps {
            self.step(plan, &step.action);
        }
        assert_eq!(self.world.serves(), [(plan.revision.to_string(), 100)]);
        assert!(self.world.state().intent.is_none());
        let again = self.world.plan(wanted);
        assert!(
            matches!(&again, Planned::UpToDate { revision, .. } if *revision == plan.revision),
            "planned again after {plan:#?}: {again:#?}"
        );
    }

    fn fails(&mut self, plan: &Plan, index: usize) {
        let before = self.expected_after_undo(plan);
        for step in &plan.steps[..index] {
            self.step(plan, &step.action);
        }
        // The step that fails may have had its effect; tests that fail have none.
        match &plan.steps[index].action {
            Action::Verify { .. } | Action::Watch { .. } => {}
            Action::CreateService { .. } => self.step(plan, &plan.steps[index].action),
            action if self.count.is_multiple_of(2) => self.step(plan, action),
            _ => {}
        }
        self.undone(plan, index, before);
    }

    fn never_ready(&mut self, plan: &Plan) {
        let Action::DeployCandidate { revision, .. } = &plan.steps[0].action else {
            return;
        };
        let before = self.expected_after_undo(plan);
        let latest_ready = self.world.service().latest_ready.clone();
        self.world.apply(&plan.steps[0].action);
        let service = self.world.service_mut();
        service.latest_ready = latest_ready;
        service.condition = ServiceCondition::Failed("exit 1".to_owned());
        let name = &revision.record.revision;
        for seen in service
            .revisions
            .iter_mut()
            .filter(|seen| seen.name == *name)
        {
            seen.readiness = Readiness::Failed("exit 1".to_owned());
        }
        self.world.settle();
        self.undone(plan, 0, before);
    }

    /// What serves before the plan, unless a run that died left something to undo; and who may call:
    /// as before the plan, or before the run that died changed it.
    fn expected_after_undo(&self, plan: &Plan) -> Option<Before> {
        let service = self.world.seen.service.as_ref()?;
        let left_behind = matches!(&service.state, StateSeen::Known(state)
            if state.intent.as_ref().is_some_and(|intent|
                self.world.serves().iter().any(|(name, _)| *name == intent.revision.as_str())));
        let keeps_closed = |undo: &Undo| matches!(undo, Undo::KeepClosed { .. });
        let closes = plan.steps.iter().any(|step| keeps_closed(&step.undo));
        let changed = match &service.state {
            StateSeen::Known(state) => state.intent.as_ref().and_then(OpenIntent::access_before),
            StateSeen::Absent | StateSeen::Unreadable(_) => None,
        };
        let access = std::iter::once(service.access).chain(changed).collect();
        (!left_behind && !closes).then(|| (self.world.serves(), access))
    }

    fn undone(&mut self, plan: &Plan, index: usize, before: Option<Before>) {
        self.world.undo(&plan.steps[index].undo, "it failed");
        self.invariants(plan);
        if let Some((serves, access)) = before {
            assert_eq!(self.world.serves(), serves, "step {index} of {plan:#?}");
            let now = self.world.service().access;
            assert!(access.contains(&now), "{now:?} instead of {access:?}");
        }
        if let Undo::KeepClosed { .. } = &plan.steps[index].undo {
            assert_eq!(self.world.service().access, Access::Private);
        }
    }

    fn step(&mut self, plan: &Plan, action: &Action) {
        let foreign = |world: &World| -> BTreeSet<TagName> {
            let service = world.seen.service.iter();
            let tags = service.flat_map(|seen| seen.traffic.tags());
            tags.filter(|tag| tag.name.as_str().starts_with("blue"))
                .map(|tag| tag.name.clone())
                .collect()
        };
        let tags = foreign(&self.world);
        self.world.apply(action);
        assert_eq!(foreign(&self.world), tags, "foreign tags survive");
        self.invariants(plan);
    }

    fn invariants(&self, plan: &Plan) {
        assert_eq!(lint(plan), [], "{plan:#?}");
        let service = self.world.service();
        let sum: u32 = service
            .traffic
            .shares()
            .iter()
            .map(|share| share.percent)
            .sum();
        assert_eq!(sum, 100);
        for name in self.world.public_revisions() {
            assert!(
                self.world.tested.contains(&name),
                "the public reaches the untested {name}: {plan:#?}"
            );
        }
        let names: BTreeSet<&TagName> = service.traffic.tags().iter().map(|t| &t.name).collect();
        assert_eq!(
            names.len(),
            service.traffic.tags().len(),
            "each tag is there once"
        );
        for Tag { to, .. } in service.traffic.tags() {
            if let Destination::Revision(name) = to {
                assert!(service.revisions.iter().any(|seen| seen.name == *name));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_story_keeps_to_the_invariants(
        tier in tier(),
        foreign in any::<bool>(),
        happenings in prop::collection::vec(happening(), 1..12),
    ) {
        let mut story = Story::new(tier, foreign);
        for happening in &happenings {
            story.happens(happening);
        }
    }

    #[test]
    fn planning_is_total_and_the_same_for_the_same_input(
        tier in tier(),
        happenings in prop::collection::vec(happening(), 0..8),
        asked in asked(),
    ) {
        let mut story = Story::new(tier, true);
        for happening in &happenings {
            story.happens(happening);
        }
        if let Some(wanted) = story.wanted(&asked) {
            let planned = story.world.plan(&wanted);
            prop_assert_eq!(&planned, &story.world.plan(&wanted));
            match planned {
                Planned::Proceed(plan) => {
                    prop_assert!(render::render_plan(&plan).contains(plan.revision.as_str()));
                    prop_assert!(plan.steps.iter().all(|step| !step.because.is_empty()));
                }
                Planned::Blocked(blocks) => prop_assert!(!blocks.is_empty()
                    && blocks.iter().all(|block| !block.help.is_empty())),
                Planned::UpToDate { .. } => {}
            }
        }
    }

    #[test]
    fn names_are_legal_or_the_plan_is_blocked(
        service in "[a-z]([a-z0-9-]{0,47}[a-z0-9])?",
        pre in "([0-9A-Za-z-]{1,20}(\\.[A-Za-z][0-9A-Za-z-]{0,20}){0,3})?",
        build in "([0-9A-Za-z-]{1,20})?",
        numbers in any::<(u64, u64, u64)>(),
    ) {
        let mut version = semver::Version::new(numbers.0, numbers.1, numbers.2);
        version.pre = semver::Prerelease::new(&pre).unwrap_or_default();
        version.build = semver::BuildMetadata::new(&build).unwrap_or_default();
        let mut world = World::empty(Tier::Preproduction);
        let length = service.len();
        world.seen.target.service = ServiceName::parse(service).unwrap();
        let wanted = promote(release(&version.to_string(), 1), spec(Access::Private));
        match world.plan(&wanted) {
            Planned::Proceed(plan) => {
                let name = plan.revision.as_str();
                prop_assert!(RevisionName::parse(name).is_ok() && name.len() <= REVISION_LENGTH);
                prop_assert!(!name.contains("--") || world.seen.target.service.as_str().contains("--"));
                prop_assert!(length + "c-123456".len() <= TAG_AND_SERVICE_LENGTH);
            }
            Planned::Blocked(_) => prop_assert!(length + "c-123456".len() > TAG_AND_SERVICE_LENGTH),
            Planned::UpToDate { .. } => prop_assert!(false),
        }
    }
}
