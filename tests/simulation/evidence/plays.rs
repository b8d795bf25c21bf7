//! Named stories killed at each request, stories by seed, and mutants.

use std::sync::Mutex;
use std::time::Duration;

use delivery::gate::Mode;
use delivery::stage::RollbackTo;
use delivery::statistics::random::Random;
use ml_deploy::evidence::rule::Next;

use super::runs::Mutant;
use super::story::{Act, Counts, Report, Story, play};
use super::vault::Keys;
use crate::batch;
use crate::cloud::{Behaviour, Pace};
use crate::kills::{Kill, in_turns, kills};
use crate::story::Successor;
use crate::wishes::{Wish, promote, rollback};
use crate::world::{Happening, Moment, Trouble};

/// Image that fails its tests.
const BAD: u64 = 11;
/// Image that fails when it serves.
const FAILS_SERVING: u64 = 14;
/// Stories by seed of `make test`, and of a soak.
const SEEDS: (u64, u64) = (600, 6_000);
/// Seeds that each mutant is given.
const MOST_SEEDS: u64 = 400;
/// Who comes after a run that died.
const SUCCESSORS: [Successor; 2] = [Successor::Rerun, Successor::Same];

fn story(name: &str, keys: Keys, acts: Vec<Act>) -> Story {
    Story {
        name: name.to_owned(),
        keys,
        mode: Mode::Require,
        next: Next::Asks,
        pace: Pace::default(),
        behaviours: vec![
            (BAD, Behaviour::Bad),
            (FAILS_SERVING, Behaviour::FailsWhenServing),
        ],
        acts,
    }
}

fn first() -> [Act; 2] {
    [Act::Passes(1), Act::Run(promote(1, "1.0.0", 1), Some(0))]
}

fn scenarios() -> Vec<Story> {
    let second = || promote(2, "1.1.0", 2);
    let mut all = Vec::new();
    for keys in [Keys::None, Keys::Each] {
        let mut add = |name: &str, acts: Vec<Act>| {
            all.push(story(&format!("{name}, {keys:?}"), keys, acts));
        };
        add("first deploy", first().to_vec());
        let mut acts = first().to_vec();
        acts.extend([
            Act::Run(second(), Some(3)),
            Act::Claimed(3),
            Act::Run(
                promote(3, "1.2.0", 3),
                Some(if keys == Keys::Each { 3 } else { 0 }),
            ),
        ]);
        add("what has not passed is refused", acts);
        let mut acts = first().to_vec();
        acts.extend([
            Act::Run(second(), Some(3)),
            Act::Passes(2),
            Act::Run(second().by(3), Some(0)),
            Act::Run(second().by(4), Some(0)),
        ]);
        add("refused, passed before, promoted, and once more", acts);
        let mut acts = first().to_vec();
        acts.extend([
            Act::Passes(BAD),
            Act::Run(promote(BAD, "1.1.0", 2), Some(4)),
        ]);
        add("let in, and failed here", acts);
        let mut acts = first().to_vec();
        acts.extend([
            Act::Passes(FAILS_SERVING),
            Act::Run(promote(FAILS_SERVING, "1.1.0", 2), Some(4)),
        ]);
        add("let in, and not confirmed", acts);
        let mut acts = first().to_vec();
        acts.extend([Act::Passes(2), Act::Halves(second(), Some(0))]);
        add("in two steps", acts);
        add(
            "the first deploy in two steps",
            vec![Act::Passes(1), Act::Halves(promote(1, "1.0.0", 1), Some(0))],
        );
        let mut acts = first().to_vec();
        acts.extend([
            Act::Passes(2),
            Act::Run(second().in_steps(), Some(0)),
            Act::Run(rollback(RollbackTo::Previous, 3), Some(0)),
        ]);
        add("in shares, and back", acts);
    }
    all.push(Story {
        next: Next::None,
        ..story("the last environment", Keys::Each, first().to_vec())
    });
    all
}

fn told(case: &str, report: &Report) -> Option<String> {
    (!report.broken.is_empty()).then(|| {
        format!(
            "{case}\n  {}\n{}\n",
            report.broken.join("\n  "),
            report.trace.join("\n")
        )
    })
}

fn calm(mutant: Mutant, story: &Story) -> Report {
    play(mutant, story, 1, Trouble::default(), Successor::Rerun)
}

#[test]
fn stories_of_evidence_end_as_told() {
    let mut failures = Vec::new();
    for story in scenarios() {
        let report = calm(Mutant::None, &story);
        let again = calm(Mutant::None, &story);
        assert_eq!(report.hash, again.hash, "{} differs", story.name);
        failures.extend(told(&story.name, &report));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn every_kill() -> Vec<Kill<Story>> {
    let requests = |story: &Story| 1..=calm(Mutant::None, story).requests;
    kills(scenarios(), requests, &SUCCESSORS)
}

/// The name of a kill, and what came of it.
fn killed(case: &Kill<Story>) -> (String, Report) {
    let Kill {
        story, successor, ..
    } = case;
    let name = case.name(&story.name);
    (
        name,
        play(Mutant::None, story, 1, case.trouble(), *successor),
    )
}

/// Killed at any request, those to the place of evidence among them: the next completed run leaves the
/// pass of what serves, and nothing is there that was not let in.
///
/// `ML_DEPLOY_SIM_EVIDENCE_KILL='STORY:REQUEST:MOMENT:SUCCESSOR'` plays one again.
#[test]
fn killed_at_each_request_the_evidence_of_what_serves_is_there_at_last() {
    let mut cases = every_kill();
    if let Ok(wanted) = std::env::var("ML_DEPLOY_SIM_EVIDENCE_KILL") {
        let case = cases.iter().map(killed).find(|(name, _)| *name == wanted);
        let (_, report) = case.expect("a kill of this name");
        println!("{}", report.trace.join("\n"));
        assert!(report.broken.is_empty(), "{:?}", report.broken);
        return;
    }
    in_turns(&mut cases, &SUCCESSORS);
    let counts = Mutex::new(Counts::default());
    batch::all("kills with evidence", &cases, |case| {
        let (name, report) = killed(case);
        counts.lock().unwrap().plus(&report.counts);
        told(&name, &report)
    });
    let counts = counts.into_inner().unwrap();
    println!("{counts:?}");
    assert!(counts.passed > 0 && counts.refused > 0 && counts.made_up_for > 0);
}

/// A promotion; every third image has not passed before.
fn promotion(random: &mut Random, run: u32) -> Wish {
    let number = 1 + random.below(5) + if random.below(4) == 0 { 10 } else { 0 };
    let wish = promote(number, &format!("1.{run}.{number}"), run);
    match random.below(4) {
        0 => wish.in_steps(),
        1 => wish.private(),
        _ => wish,
    }
}

fn act(random: &mut Random, run: u32) -> Act {
    match random.below(11) {
        0 => Act::Passes(1 + random.below(5)),
        10 => Act::PassesElsewhere(1 + random.below(5)),
        1 => Act::Claimed(1 + random.below(5)),
        2 => Act::Wait(Duration::from_secs(random.below(4_000))),
        3 => Act::Run(rollback(RollbackTo::Previous, run), None),
        4 | 5 => Act::Halves(promotion(random, run), None),
        _ => Act::Run(promotion(random, run), None),
    }
}

/// The story of a seed, and what goes wrong in it.
fn by_seed(seed: u64) -> (Story, Trouble, Successor) {
    let mut random = Random::new(seed ^ 0xe71d_0000_0000_0000);
    let random = &mut random;
    let keys = [Keys::None, Keys::Each][usize::try_from(random.below(2)).unwrap()];
    let mut acts: Vec<Act> = [1, 2, 4, 5, 11, 14].map(Act::Passes).to_vec();
    for number in 1..=3 + u32::try_from(random.below(4)).unwrap() {
        acts.push(act(random, number));
    }
    let mut trouble = Trouble {
        faults: [0, 20, 60, 150][usize::try_from(random.below(4)).unwrap()],
        ..Trouble::default()
    };
    for _ in 0..random.below(3) {
        let happening = match random.below(5) {
            0 | 1 => Happening::Kill(Moment::Before),
            2 => Happening::Kill(Moment::After),
            3 => Happening::Signal,
            _ => Happening::Revoke,
        };
        trouble.at.insert(1 + random.below(150), happening);
    }
    let story = Story {
        next: [Next::Asks, Next::Asks, Next::None][usize::try_from(random.below(3)).unwrap()],
        ..story(&format!("seed {seed}"), keys, acts)
    };
    let successor = SUCCESSORS[usize::try_from(random.below(2)).unwrap()];
    (story, trouble, successor)
}

fn seeded(mutant: Mutant, seed: u64) -> Report {
    let (story, trouble, successor) = by_seed(seed);
    play(mutant, &story, seed, trouble, successor)
}

/// `ML_DEPLOY_SIM_EVIDENCE_SEED=SEED` plays one again.
#[test]
fn stories_of_evidence_by_seed() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("ML_DEPLOY_SIM_EVIDENCE_SEED") {
        let report = seeded(Mutant::None, seed);
        println!("{}", report.trace.join("\n"));
        assert!(report.broken.is_empty(), "{:?}", report.broken);
        return;
    }
    let count = if batch::is_soak() { SEEDS.1 } else { SEEDS.0 };
    let seeds: Vec<u64> = (1..=count).collect();
    let counts = Mutex::new(Counts::default());
    batch::all("stories of evidence", &seeds, |seed| {
        let report = seeded(Mutant::None, *seed);
        counts.lock().unwrap().plus(&report.counts);
        told(&format!("ML_DEPLOY_SIM_EVIDENCE_SEED={seed}"), &report)
    });
    let counts = counts.into_inner().unwrap();
    println!("{counts:?}");
    assert!(counts.refused > 0 && counts.not_attached > 0 && counts.made_up_for > 0);
}

#[test]
fn a_seed_of_evidence_replays_exactly() {
    for seed in 1..=20 {
        let (one, two) = (seeded(Mutant::None, seed), seeded(Mutant::None, seed));
        assert_eq!(one.trace, two.trace, "seed {seed}");
    }
}

#[test]
fn each_mutant_of_the_evidence_is_killed_by_a_seed() {
    let mutants = [
        ("no evidence check", Mutant::NoCheck),
        ("checked after the delivery", Mutant::CheckedAfterwards),
        (
            "the pass of any environment counts",
            Mutant::AnyEnvironmentsPassCounts,
        ),
        ("what is not signed counts", Mutant::UnsignedCounts),
        (
            "attached before it is confirmed",
            Mutant::AttachedBeforeConfirmed,
        ),
        ("attached whatever the end", Mutant::AttachedWhateverTheEnd),
        (
            "what is missing is not made up for",
            Mutant::NothingMadeUpFor,
        ),
        ("not attached", Mutant::NotAttached),
        (
            "what an earlier run brought is called one's own",
            Mutant::EarlierRunsAreOurs,
        ),
        (
            "a candidate that waits has passed",
            Mutant::WaitingHasPassed,
        ),
    ];
    let mut survivors = Vec::new();
    for (name, mutant) in mutants {
        let killed = (1..=MOST_SEEDS).find_map(|seed| {
            let broken = seeded(mutant, seed).broken.into_iter().next()?;
            // What the program itself does is no merit of the mutant's.
            let real = seeded(Mutant::None, seed).broken;
            real.is_empty().then_some((seed, broken))
        });
        match killed {
            Some((seed, broken)) => println!("{name} → seed {seed} → {broken}"),
            None => survivors.push(name),
        }
    }
    assert!(
        survivors.is_empty(),
        "not killed within {MOST_SEEDS} seeds: {survivors:?}"
    );
}
