//! Rollouts by seed: any history, any trouble.

use std::time::Duration;

use delivery::stage::RollbackTo;
use delivery::statistics::random::Random;
use delivery::target::Tier;

use crate::batch;
use crate::cloud::{Behaviour, Operations, Pace};
use crate::foreign::Foreign;
use crate::kills::told;
use crate::program::Program;
use crate::story::{Act, Expect, OpenTo, Report, Story, Successor, play};
use crate::wishes::{Wish, promote, rollback};
use crate::world::{Happening, Moment, Trouble};

/// Rollouts of `make test`.
const COUNT: u64 = 2_000;

/// A story, and what goes wrong in it.
pub(crate) struct Rollout {
    pub(crate) seed: u64,
    pub(crate) story: Story,
    pub(crate) trouble: Trouble,
    pub(crate) successor: Successor,
}

fn millis(random: &mut Random, below: u64) -> Duration {
    Duration::from_millis(random.below(below))
}

fn pace(random: &mut Random) -> Pace {
    let operations = match random.below(6) {
        0 => Operations::NeverEnd,
        1 => Operations::Forbidden,
        2 => Operations::Impatient,
        _ => Operations::Honest,
    };
    Pace {
        ready: millis(random, 9_000),
        route: millis(random, 2_000),
        show_lag: millis(random, 1_500),
        route_lag: Duration::from_millis(1_500) + millis(random, 4_000),
        operations,
        observes_failures: random.below(2) == 0,
        page: 1 + usize::try_from(random.below(4)).unwrap(),
        stuck: (random.below(12) == 0).then(|| 1 + random.below(9)),
    }
}

const BEHAVIOURS: [Behaviour; 6] = [
    Behaviour::Bad,
    Behaviour::Crashes,
    Behaviour::SlowToAnswer,
    Behaviour::FailsWhenServing,
    Behaviour::Degrades,
    Behaviour::Good,
];

/// A promotion; later runs bring later versions, as a rule.
fn promotion(random: &mut Random, run: u32) -> Wish {
    let number = 1 + random.below(4) + if random.below(3) == 0 { 10 } else { 0 };
    let minor = if random.below(5) == 0 { 0 } else { run };
    let mut wish = promote(number, &format!("1.{minor}.{number}"), run);
    if random.below(4) == 0 {
        wish = wish.private();
    }
    if random.below(5) == 0 {
        wish = wish.memory("1Gi");
    }
    if random.below(6) == 0 {
        wish = wish.silent();
    }
    if random.below(6) == 0 {
        wish = wish.retry_rejected();
    }
    if random.below(4) == 0 {
        wish = wish.in_steps();
    }
    wish
}

fn wish(random: &mut Random, run: u32) -> Wish {
    let wish = match random.below(6) {
        0 => rollback(RollbackTo::Previous, run),
        _ => promotion(random, run),
    };
    match random.below(10) {
        0 => wish.within(Duration::from_secs(1 + random.below(40))),
        1 => wish.again(),
        _ => wish,
    }
}

fn act(random: &mut Random, run: u32) -> Act {
    match random.below(12) {
        0 => Act::Stranger(Foreign::any(random)),
        1 => Act::Stranger(Foreign::EraseRecord),
        2 => Act::Together(
            wish(random, run),
            wish(random, run + 1),
            millis(random, 20_000),
        ),
        3 => Act::Wait(Duration::from_secs(random.below(4_000))),
        _ => Act::Run(wish(random, run), Expect::Anything),
    }
}

fn happening(random: &mut Random) -> Happening {
    match random.below(8) {
        0..=2 => Happening::Kill(Moment::Before),
        3 => Happening::Kill(Moment::After),
        4 => Happening::Signal,
        5 => Happening::Revoke,
        6 => Happening::Jump(i64::try_from(random.below(40_000)).unwrap() - 20_000),
        _ => Happening::Foreign(Foreign::any(random)),
    }
}

/// The rollout of a seed.
pub(crate) fn rollout(seed: u64) -> Rollout {
    let mut random = Random::new(seed ^ 0x5eed_0000_0000_0000);
    let random = &mut random;
    let mut acts = Vec::new();
    match random.below(4) {
        0 => acts.push(Act::Made {
            open_to: OpenTo::EverybodyByBinding,
        }),
        1 => acts.push(Act::Made {
            open_to: OpenTo::TokenHolders,
        }),
        _ => {}
    }
    for number in 1..=2 + u32::try_from(random.below(4)).unwrap() {
        acts.push(act(random, number * 2));
    }
    let behaviours = (11..=14).map(|number| {
        let index = usize::try_from(random.below(6)).unwrap();
        (number, BEHAVIOURS[index])
    });
    let behaviours = behaviours.collect();
    let mut trouble = Trouble {
        faults: [0, 20, 60, 150][usize::try_from(random.below(4)).unwrap()],
        foreign: [0, 0, 10, 30][usize::try_from(random.below(4)).unwrap()],
        ..Trouble::default()
    };
    for _ in 0..random.below(4) {
        let request = 1 + random.below(120);
        trouble.at.insert(request, happening(random));
    }
    Rollout {
        seed,
        story: Story {
            name: format!("seed {seed}"),
            tier: if random.below(2) == 0 {
                Tier::Production
            } else {
                Tier::Preproduction
            },
            pace: pace(random),
            behaviours,
            acts,
        },
        trouble,
        successor: Successor::ALL[usize::try_from(random.below(6)).unwrap()],
    }
}

impl Rollout {
    pub(crate) fn play(&self, program: Program) -> Report {
        play(
            program,
            &self.story,
            self.seed,
            self.trouble.clone(),
            self.successor,
        )
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn rollouts_by_seed_keep_to_the_invariants() {
    if let Some(seed) = number("ML_DEPLOY_SIM_SEED") {
        let report = rollout(seed).play(Program::real());
        println!("{}", report.trace.join("\n"));
        assert!(report.violations.is_empty(), "{:?}", report.violations);
        return;
    }
    let first = number("ML_DEPLOY_SIM_FIRST").unwrap_or(1);
    let count = number("ML_DEPLOY_SIM_COUNT").unwrap_or(COUNT);
    let seeds: Vec<u64> = (first..first + count).collect();
    batch::all("rollouts", &seeds, |seed| {
        let report = rollout(*seed).play(Program::real());
        told(
            &format!(
                "seed {seed}: ML_DEPLOY_SIM_SEED={seed} cargo test --test simulation by_seed -- --nocapture"
            ),
            &report,
        )
    });
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 1..=40 {
        let first = rollout(seed).play(Program::real());
        let second = rollout(seed).play(Program::real());
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}
