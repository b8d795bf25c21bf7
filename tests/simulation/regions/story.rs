//! A story in two regions: what happens in which, and what must hold of both together.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use delivery::diagnostic::Code;
use delivery::name::Region;
use delivery::outcome::Outcome;
use delivery::plan::Intent;
use delivery::plan::recover::Despite;
use delivery::target::{Target, Tier};

use crate::cloud::{Behaviour, Pace};
use crate::foreign::Foreign;
use crate::program::{End, Left, Program, in_words};
use crate::running::Place;
use crate::story::{Expect, Report, Successor, as_told};
use crate::watch::{Invariant, Violation};
use crate::wishes::{Wish, digest, promote, target};
use crate::world::{Inner, Trouble, World};

/// Where it is delivered to.
pub(super) const REGIONS: [&str; 2] = ["us-central1", "us-east1"];
/// Image of the next release, which is good everywhere, and of one that is good nowhere.
const NEXT: u64 = 90;
const NEXT_BAD: u64 = 91;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// A run, and how it must end where nothing goes wrong.
    Run(Wish, Expect),
    /// Two runs; the second sets out so much later.
    Together(Wish, Wish, Duration),
    /// Another tool sets a label in one region.
    Label(usize),
    /// Time passes.
    Wait(Duration),
}

#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) name: String,
    pub(super) paces: [Pace; 2],
    /// How images behave, each in one region only.
    pub(super) behaviours: Vec<(usize, u64, Behaviour)>,
    pub(super) acts: Vec<Act>,
    /// Things go on going wrong for the first one who brings order: it may die too.
    pub(super) stubborn: bool,
}

/// What came of it.
pub(super) struct Played {
    pub(super) report: Report,
    /// The requests of the last act, and of all that came after, in each region.
    pub(super) last: [RangeInclusive<u64>; 2],
}

/// Plays a story in two worlds, on one clock of their own.
pub(super) fn play(
    program: Program,
    story: &Story,
    seed: u64,
    trouble: [Trouble; 2],
    successor: Successor,
) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let calm = trouble.iter().all(Trouble::is_over);
        let worlds = story.paces.iter().zip(trouble).enumerate();
        let places = worlds.map(|(index, (pace, trouble))| Place {
            world: World::new(seed + index as u64, pace.clone(), trouble),
            target: Target {
                region: Region::parse(REGIONS[index]).unwrap(),
                ..target(Tier::Production)
            },
        });
        let mut stage = Stage {
            program,
            places: places.collect(),
            story,
            successor,
            calm,
            before_last: [0; 2],
        };
        stage.play().await;
        stage.played()
    })
}

/// The traces of both, in the order of their times.
fn traced(places: &[Place]) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let inner = place.world.now();
        let all = inner.trace.iter().map(|line| {
            let (time, text) = line.split_at(9.min(line.len()));
            format!("{time} {index}{text}")
        });
        lines.extend(all);
    }
    lines.sort_by(|one, other| one.get(..9).cmp(&other.get(..9)));
    lines
}

struct Stage<'a> {
    program: Program,
    places: Vec<Place>,
    story: &'a Story,
    successor: Successor,
    /// Nothing goes wrong: each run ends as told.
    calm: bool,
    /// Requests in each region before the last act.
    before_last: [u64; 2],
}

/// What callers are to reach in a region: the share of each release, by image and resources. Empty while
/// nothing has been recorded: a first deploy that failed is closed to callers, wherever its traffic leads.
type Serving = BTreeMap<String, u32>;

/// Digests differ in their last digits.
fn short(digest: &str) -> &str {
    digest.trim_start_matches("sha256:").trim_start_matches('0')
}

fn serving(inner: &Inner) -> Serving {
    let Some(service) = inner.cloud.service.as_ref() else {
        return Serving::new();
    };
    let record = service.record();
    let healthy = record["healthy"].as_array().map_or(0, Vec::len);
    if inner.watch.settled.is_none() || (healthy == 0 && !service.is_public()) {
        return Serving::new();
    }
    let release = |name: &str| {
        service.revision(name).map_or_else(String::new, |one| {
            let resources = &one.template["containers"][0]["resources"];
            format!("{} {resources}", short(one.digest()))
        })
    };
    let split = service.wanted().into_iter();
    split
        .map(|(name, percent)| (release(&name), percent))
        .collect()
}

impl Stage<'_> {
    fn played(&self) -> Played {
        let requests = |index: usize| self.places[index].world.now().requests;
        let last = |index: usize| self.before_last[index] + 1..=requests(index);
        let trace = traced(&self.places);
        let all = self.places.iter().zip(REGIONS);
        let violations = all.flat_map(|(place, region)| {
            let inner = place.world.now();
            let found = inner.watch.violations.clone();
            found.into_iter().map(move |one| Violation {
                text: format!("{region}: {}", one.text),
                ..one
            })
        });
        Played {
            report: Report {
                requests: requests(0) + requests(1),
                violations: violations.collect(),
                hash: 0,
                trace,
            },
            last: [last(0), last(1)],
        }
    }

    async fn play(&mut self) {
        let nowhere = REGIONS
            .iter()
            .enumerate()
            .map(|(region, _)| (region, NEXT_BAD, Behaviour::Bad));
        let nowhere: Vec<_> = nowhere.collect();
        for (region, number, behaviour) in self.story.behaviours.iter().chain(&nowhere) {
            let digest = digest(*number).as_str().to_owned();
            let mut inner = self.places[*region].world.now();
            inner.cloud.behaviours.insert(digest, *behaviour);
        }
        let mut last = None;
        for act in &self.story.acts {
            self.before_last = [0, 1].map(|index| self.places[index].world.now().requests);
            match act {
                Act::Run(wish, expect) => {
                    let left = self.run(wish, *expect).await;
                    if left.is_none() {
                        self.bring_order(wish, None).await;
                    }
                    last = Some((wish, left));
                }
                Act::Together(first, second, later) => {
                    let second_run = async {
                        tokio::time::sleep(*later).await;
                        self.program.run(&self.places, second).await
                    };
                    let first_run = self.program.run(&self.places, first);
                    let ((_, left), _) = tokio::join!(first_run, second_run);
                    last = Some((first, left));
                }
                Act::Label(index) => self.places[*index].world.now().stranger(Foreign::Label),
                Act::Wait(time) => tokio::time::sleep(*time).await,
            }
        }
        rest().await;
        if let Some((wish, main)) = last.filter(|_| self.in_doubt()) {
            self.bring_order(wish, main).await;
        }
        rest().await;
        for place in &self.places {
            let mut inner = place.world.now();
            let Inner { cloud, watch, .. } = &mut *inner;
            watch.at_rest(cloud);
            inner.tell_new_violations();
        }
        self.must_agree("at rest");
    }

    fn is_calm(&self) -> bool {
        let mut all = self.places.iter();
        all.all(|place| place.world.now().trouble.is_over())
    }

    fn in_doubt(&self) -> bool {
        let mut all = self.places.iter();
        all.any(|place| place.world.now().watch.in_doubt)
    }

    fn serving(&self) -> Vec<Serving> {
        let all = self.places.iter();
        all.map(|place| serving(&place.world.now())).collect()
    }

    fn broken(&self, invariant: Invariant, text: String) {
        let mut inner = self.places[0].world.now();
        inner.watch.broken(invariant, text);
        inner.tell_new_violations();
    }

    fn agree(&self) -> bool {
        self.serving().windows(2).all(|pair| pair[0] == pair[1])
    }

    fn must_agree(&self, when: &str) {
        if !self.agree() {
            let text = format!("{when} the regions serve {:?}", self.serving());
            self.broken(Invariant::RegionsApart, text);
        }
    }

    /// What it says that it has left; `None` where it died.
    async fn run(&self, wish: &Wish, expect: Expect) -> Option<Left> {
        let before = (!self.in_doubt()).then(|| self.serving());
        let (end, left) = self.program.run(&self.places, wish).await;
        let End::Ended(outcome) = &end else {
            return None;
        };
        if self.calm && !as_told(outcome, expect) {
            let text = format!("{expect:?} was told, it is {}", in_words(&end));
            self.broken(Invariant::WrongEnd, text);
        }
        for place in &self.places {
            let mut inner = place.world.now();
            let Inner { cloud, watch, .. } = &mut *inner;
            watch.only_recovered(cloud, &wish.wanted, outcome);
        }
        self.judge(wish, outcome, before);
        if let Outcome::Promoted { .. } | Outcome::UpToDate { .. } | Outcome::RolledBack { .. } =
            outcome
        {
            self.plan_again(wish).await;
        }
        left
    }

    /// The exit code tells how it stands in both.
    fn judge(&self, wish: &Wish, outcome: &Outcome, before: Option<Vec<Serving>>) {
        match outcome {
            Outcome::Promoted { .. } | Outcome::UpToDate { .. } | Outcome::RolledBack { .. } => {
                self.must_agree("after exit code 0");
                let image = match &wish.wanted.intent {
                    Intent::Promote { release, .. } => short(release.image.digest.as_str()),
                    Intent::Rollback { .. } => "",
                };
                let all = self.serving();
                let serves = |one: &Serving| {
                    !one.is_empty() && one.keys().all(|release| release.starts_with(image))
                };
                if !all.iter().all(serves) {
                    let text = format!("exit code 0, and {all:?} instead of {image}");
                    self.broken(Invariant::ExitCodeLies, text);
                }
            }
            Outcome::Recovered { .. } => self.must_agree("after a recovery"),
            _ if self.in_doubt() => {
                let says = |one: &delivery::diagnostic::Diagnostic| {
                    let state = one.state.as_deref().unwrap_or_default();
                    state.contains("the next run goes on from it")
                };
                let is_told =
                    outcome.exit_code() as u8 == 5 || outcome.diagnostics().iter().any(says);
                if before.is_some() && !is_told {
                    let text = format!("nobody is told to bring order: {outcome:?}");
                    self.broken(Invariant::ExitCodeLies, text);
                }
            }
            // They were apart, as an earlier run had told, and this one could not even look.
            _ if before.is_none() && outcome.exit_code() as u8 == 6 && !self.agree() => {
                for place in &self.places {
                    place.world.now().watch.in_doubt = true;
                }
            }
            _ => {
                self.must_agree("after a run that failed");
                let all = self.serving();
                if before.as_ref().is_some_and(|before| *before != all) {
                    let text = format!("a run failed: {all:?} instead of {before:?}");
                    self.broken(Invariant::OldTrafficLost, text);
                }
            }
        }
    }

    /// A finished run leaves nothing to do in any region.
    async fn plan_again(&self, wish: &Wish) {
        tokio::time::sleep(Duration::from_secs(60)).await;
        for place in &self.places {
            let said = self.program.look(place, wish).await;
            if said != "up to date" {
                let region = &place.target.region;
                let text = format!("planned again in {region}: {said}");
                self.broken(Invariant::NotIdempotent, text);
            }
        }
    }

    fn calm_down(&self) {
        for place in &self.places {
            place.world.now().calm_down();
        }
    }

    /// Somebody comes after a run that died or could not restore, which ended so. Nothing goes wrong any
    /// more, or not for the next one.
    async fn bring_order(&self, wish: &Wish, main: Option<Left>) {
        if !self.story.stubborn {
            self.calm_down();
        }
        let line = format!("{:?} comes to bring order", self.successor);
        self.places[0].world.now().note(&line);
        let lease = wish.lease() + Duration::from_secs(10_000);
        let next = promote(NEXT, "9.0.0", 900).memory("512Mi");
        let bad = promote(NEXT_BAD, "8.1.0", 902).memory("512Mi");
        if let Successor::Next | Successor::NextBad = self.successor {
            tokio::time::sleep(lease).await;
        }
        let is_rollback = matches!(wish.wanted.intent, Intent::Rollback { .. });
        match self.successor {
            Successor::Rerun => drop(self.run(&wish.clone().again(), Expect::Anything).await),
            Successor::Post => {
                let ended = self.program.post(&self.places, wish, main).await;
                self.recovered(wish, ended.as_ref());
            }
            Successor::Forced => {
                let person = wish.clone().by(903);
                let recovering = self
                    .program
                    .recover(&self.places, &person, Despite::Anybody);
                let ended = recovering.await;
                self.recovered(wish, ended.as_ref());
            }
            // A rollback that was killed between the regions is told, and not taken back: what fails after
            // it leaves them as they are.
            Successor::NextBad if !is_rollback => drop(self.run(&bad, Expect::Anything).await),
            _ => drop(self.run(&next, Expect::Anything).await),
        }
        // What the dead run sent may still arrive.
        rest().await;
        if self.in_doubt() {
            self.calm_down();
            tokio::time::sleep(lease).await;
            self.run(&next, Expect::Anything).await;
        }
    }

    /// Nothing is open in any region, and both serve the same; or it was a rollback, which is not undone,
    /// and the exit code says so.
    fn recovered(&self, wish: &Wish, ended: Option<&Outcome>) {
        match ended {
            None | Some(Outcome::Recovered { .. }) if self.in_doubt() => {}
            None | Some(Outcome::Recovered { .. }) => self.must_agree("after a recovery"),
            Some(_) if !self.is_calm() => {}
            Some(other) => {
                let apart = |one: &delivery::diagnostic::Diagnostic| one.code == Code::RegionsApart;
                let is_told = other.exit_code() as u8 == 5 && other.diagnostics().iter().all(apart);
                let is_rollback = matches!(wish.wanted.intent, Intent::Rollback { .. });
                let [first, second] = self.serving().try_into().unwrap_or_default();
                if !(is_told && is_rollback && first != second) {
                    let text = format!("not recovered: {other:?}");
                    self.broken(Invariant::NeverEnds, text);
                }
            }
        }
    }
}

async fn rest() {
    tokio::time::sleep(Duration::from_secs(600)).await;
}
