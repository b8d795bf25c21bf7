//! Named stories, killed at each request in each region; stories by seed.

use std::time::Duration;

use delivery::diagnostic::Code;
use delivery::stage::RollbackTo;
use delivery::statistics::random::Random;

use super::story::{Act, Played, REGIONS, Story, play};
use crate::batch;
use crate::cloud::{Behaviour, Pace};
use crate::foreign::Foreign;
use crate::kills::{Kill, kills, told};
use crate::program::Program;
use crate::story::{Expect, Report, Successor};
use crate::wishes::{Wish, promote, rollback};
use crate::world::{Happening, Moment, Trouble};

/// Images that behave badly in one region, and well in the other.
const BAD: u64 = 11;
const CRASHES: u64 = 12;
const FAILS_SERVING: u64 = 14;
const DEGRADES: u64 = 15;
/// The same, in the other region.
const BAD_FIRST: u64 = 16;
const FAILS_FIRST: u64 = 17;

/// Stories by seed of `make test`, and of a soak.
const SEEDS: (u64, u64) = (200, 4_000);
/// Who comes after a run that died.
const SUCCESSORS: [Successor; 5] = [
    Successor::Rerun,
    Successor::Next,
    Successor::NextBad,
    Successor::Post,
    Successor::Forced,
];

fn story(name: &str, acts: Vec<Act>) -> Story {
    let slower = Pace {
        ready: Duration::from_millis(4_200),
        route_lag: Duration::from_millis(2_300),
        ..Pace::default()
    };
    Story {
        name: name.to_owned(),
        paces: [Pace::default(), slower],
        behaviours: vec![
            (1, BAD, Behaviour::Bad),
            (1, CRASHES, Behaviour::Crashes),
            (1, FAILS_SERVING, Behaviour::FailsWhenServing),
            (1, DEGRADES, Behaviour::Degrades),
            (0, BAD_FIRST, Behaviour::Bad),
            (0, FAILS_FIRST, Behaviour::FailsWhenServing),
        ],
        acts,
        stubborn: false,
    }
}

fn first() -> Act {
    Act::Run(promote(1, "1.0.0", 1), Expect::Promoted)
}

fn update(image: u64, expect: Expect) -> Act {
    Act::Run(promote(image, "1.1.0", 2), expect)
}

fn scenarios() -> Vec<Story> {
    let previous = || Act::Run(rollback(RollbackTo::Previous, 3), Expect::RolledBack);
    let second = || update(2, Expect::Promoted);
    vec![
        story("first deploy", vec![first()]),
        story(
            "first deploy that fails in one region",
            vec![Act::Run(
                promote(BAD, "1.0.0", 1),
                Expect::Stops(Code::TestsFailed),
            )],
        ),
        story("update", vec![first(), second()]),
        story(
            "update that fails in one region",
            vec![first(), update(BAD, Expect::Stops(Code::TestsFailed))],
        ),
        story(
            "update that fails in one region once it serves",
            vec![
                first(),
                update(FAILS_SERVING, Expect::Stops(Code::NotConfirmed)),
            ],
        ),
        story(
            "traffic in steps",
            vec![
                first(),
                Act::Run(promote(2, "1.1.0", 2).in_steps(), Expect::Promoted),
            ],
        ),
        story(
            "traffic in steps to what degrades in one region",
            vec![
                first(),
                Act::Run(
                    promote(DEGRADES, "1.1.0", 2).in_steps(),
                    Expect::Stops(Code::CanaryFailed),
                ),
            ],
        ),
        story("rollback", vec![first(), second(), previous()]),
        story(
            "two runs at the same moment",
            vec![
                first(),
                Act::Together(
                    promote(2, "1.1.0", 2),
                    promote(3, "1.2.0", 3),
                    Duration::ZERO,
                ),
            ],
        ),
    ]
}

fn calm(story: &Story) -> Played {
    let calm = [Trouble::default(), Trouble::default()];
    play(Program::real(), story, 1, calm, Successor::Rerun)
}

#[test]
fn regions_end_as_told() {
    let mut failures = Vec::new();
    for story in scenarios() {
        let (report, again) = (calm(&story).report, calm(&story).report);
        assert_eq!(report.trace, again.trace, "{} differs", story.name);
        failures.extend(told(&story.name, &report));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Every kill in the last act of every story, by a request to either region.
fn every_kill() -> Vec<Kill<(Story, usize)>> {
    let in_each = scenarios()
        .into_iter()
        .flat_map(|story| [(story.clone(), 0), (story, 1)]);
    let requests = |(story, region): &(Story, usize)| calm(story).last[*region].clone();
    kills(in_each.collect(), requests, &SUCCESSORS)
}

fn name(case: &Kill<(Story, usize)>) -> String {
    let (story, region) = &case.story;
    case.name(&format!("{}, {}", story.name, REGIONS[*region]))
}

fn killed(case: &Kill<(Story, usize)>) -> Report {
    let (story, region) = &case.story;
    let mut trouble = [Trouble::default(), Trouble::default()];
    trouble[*region] = case.trouble();
    play(Program::real(), story, 1, trouble, case.successor).report
}

/// `ML_DEPLOY_SIM_REGIONS_KILL='STORY, REGION:REQUEST:MOMENT:SUCCESSOR'` plays one again.
#[test]
fn killed_at_each_request_the_regions_end_in_one_release() {
    let mut cases = every_kill();
    if let Ok(wanted) = std::env::var("ML_DEPLOY_SIM_REGIONS_KILL") {
        let case = cases.iter().find(|case| name(case) == wanted);
        let report = killed(case.expect("a kill of this name"));
        println!("{}", report.trace.join("\n"));
        assert!(report.violations.is_empty(), "{:?}", report.violations);
        return;
    }
    if !batch::is_soak() {
        // Before one request is nearly after the one before it: the moments take turns as well.
        let mut number = 0;
        let both = 2 * SUCCESSORS.len();
        cases.retain(|_| {
            number += 1;
            let (request, of) = ((number - 1) / both, (number - 1) % both);
            of == request * 3 % both
        });
    }
    batch::all("kills in two regions", &cases, |case| {
        let name = name(case);
        let again = format!(
            "ML_DEPLOY_SIM_REGIONS_KILL='{name}' cargo test --test simulation killed_at_each_request_the_regions -- --nocapture"
        );
        told(&again, &killed(case))
    });
}

fn pace(random: &mut Random) -> Pace {
    Pace {
        ready: Duration::from_millis(random.below(9_000)),
        route: Duration::from_millis(random.below(2_000)),
        show_lag: Duration::from_millis(random.below(1_500)),
        route_lag: Duration::from_millis(1_500 + random.below(4_000)),
        ..Pace::default()
    }
}

fn promotion(random: &mut Random, run: u32) -> Wish {
    let images = [
        1,
        2,
        3,
        4,
        BAD,
        CRASHES,
        FAILS_SERVING,
        DEGRADES,
        BAD_FIRST,
        FAILS_FIRST,
    ];
    let index = match random.below(2) {
        0 => random.below(4),
        _ => random.below(10),
    };
    let image = images[usize::try_from(index).unwrap()];
    let mut wish = promote(image, &format!("1.{run}.{image}"), run);
    if random.below(4) == 0 {
        wish = wish.private();
    }
    // What is not said stays as the service has it, which a release that failed may have changed in one
    // region only.
    wish = wish.memory(["512Mi", "512Mi", "1Gi"][usize::try_from(random.below(3)).unwrap()]);
    if random.below(3) == 0 {
        wish = wish.in_steps();
    }
    wish
}

fn act(random: &mut Random, run: u32) -> Act {
    let wish = match random.below(5) {
        0 => rollback(RollbackTo::Previous, run),
        _ => promotion(random, run),
    };
    match random.below(12) {
        0 => Act::Label(usize::try_from(random.below(2)).unwrap()),
        1 => Act::Wait(Duration::from_secs(random.below(4_000))),
        2 => Act::Together(
            wish,
            promotion(random, run + 1),
            Duration::from_millis(random.below(20_000)),
        ),
        3 => Act::Run(
            wish.within(Duration::from_secs(1 + random.below(40))),
            Expect::Anything,
        ),
        _ => Act::Run(wish, Expect::Anything),
    }
}

fn happening(random: &mut Random) -> Happening {
    match random.below(9) {
        0..=2 => Happening::Kill(Moment::Before),
        3 | 4 => Happening::Kill(Moment::After),
        5 => Happening::Signal,
        6 => Happening::Revoke,
        _ => Happening::Foreign(Foreign::Label),
    }
}

/// The story of a seed, and what goes wrong in it.
fn by_seed(seed: u64) -> (Story, [Trouble; 2], Successor) {
    let mut random = Random::new(seed ^ 0x2e61_0000_0000_0000);
    let random = &mut random;
    let acts = (1..=2 + u32::try_from(random.below(3)).unwrap()).map(|run| act(random, run * 2));
    let acts = acts.collect();
    let faults = [0, 20, 60, 150][usize::try_from(random.below(4)).unwrap()];
    let trouble = || Trouble {
        faults,
        ..Trouble::default()
    };
    let mut trouble = [trouble(), trouble()];
    let stubborn = random.below(3) == 0;
    for _ in 0..random.below(if stubborn { 9 } else { 4 }) {
        let region = usize::try_from(random.below(2)).unwrap();
        let request = 1 + random.below(90);
        trouble[region].at.insert(request, happening(random));
    }
    let story = Story {
        paces: [pace(random), pace(random)],
        stubborn,
        ..story(&format!("seed {seed}"), acts)
    };
    let successor = SUCCESSORS[usize::try_from(random.below(5)).unwrap()];
    (story, trouble, successor)
}

pub(super) fn seeded(program: Program, seed: u64) -> Report {
    let (story, trouble, successor) = by_seed(seed);
    play(program, &story, seed, trouble, successor).report
}

/// `ML_DEPLOY_SIM_REGIONS_SEED=SEED` plays one again.
#[test]
fn rollouts_to_regions_by_seed() {
    let seed = std::env::var("ML_DEPLOY_SIM_REGIONS_SEED").ok();
    if let Some(seed) = seed.and_then(|seed| seed.parse().ok()) {
        let report = seeded(Program::real(), seed);
        println!("{}", report.trace.join("\n"));
        assert!(report.violations.is_empty(), "{:?}", report.violations);
        return;
    }
    let count = if batch::is_soak() { SEEDS.1 } else { SEEDS.0 };
    let seeds: Vec<u64> = (1..=count).collect();
    batch::all("rollouts to two regions", &seeds, |seed| {
        let again = format!(
            "ML_DEPLOY_SIM_REGIONS_SEED={seed} cargo test --test simulation regions_by_seed -- --nocapture"
        );
        told(&again, &seeded(Program::real(), *seed))
    });
}
