//! Traffic that moves in shares: the steps, what a run that died between them leaves, and what the next
//! run makes of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::name::RevisionName;
use delivery::plan::render::render_plan;
use delivery::plan::{Action, Plan, Planned, Undo, Wanted, lint};
use delivery::spec::Access;
use delivery::stage::RollbackTo;
use delivery::state::Rejection;
use delivery::strategy::{OnInconclusive, Strategy};
use delivery::target::Tier;
use delivery::traffic::{Destination, Share, TrafficSplit};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;
use world::{LEASE, World, by_run, ids, promote, release, rollback, spec};

fn at_once(version: &str, number: u32) -> Wanted {
    promote(release(version, number), spec(Access::Public))
}

fn v(version: &str, number: u32) -> Wanted {
    let soak = Duration::from_secs(60);
    Wanted {
        strategy: Strategy::new(&[5, 25, 100], soak, OnInconclusive::Fail).unwrap(),
        ..at_once(version, number)
    }
}

/// A service on which v0.9.0 serves.
fn served() -> (World, RevisionName) {
    let mut world = World::empty(Tier::Preproduction);
    let before = world.run(&at_once("0.9.0", 9)).revision;
    (world, before)
}

fn all(name: &RevisionName) -> Vec<(String, u32)> {
    vec![(name.to_string(), 100)]
}

/// What each write of traffic gives, in the order of the plan.
fn written(plan: &Plan) -> Vec<&TrafficSplit> {
    plan.steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::DeployCandidate { traffic, .. }
            | Action::TagRevision { traffic, .. }
            | Action::ShiftTraffic { traffic, .. } => Some(traffic),
            _ => None,
        })
        .collect()
}

#[test]
fn each_share_is_watched_before_the_next_and_undone_to_what_served() {
    let (mut world, before) = served();
    world.foreign_tag("blue", Some(&before));
    let plan = world.expect_plan(&v("1.0.0", 1));
    assert_eq!(
        ids(&plan),
        [
            "deploy-candidate",
            "verify",
            "shift-traffic",
            "watch",
            "shift-traffic",
            "watch",
            "shift-traffic",
            "confirm",
            "record"
        ]
    );
    let percents: Vec<_> = written(&plan)
        .iter()
        .map(|split| (split.percent_of(&before), split.percent_of(&plan.revision)))
        .collect();
    assert_eq!(percents, [(100, 0), (95, 5), (75, 25), (0, 100)]);
    let tags = |split: &TrafficSplit| split.tags().len();
    let counts: Vec<_> = written(&plan).into_iter().map(tags).collect();
    // blue, the candidate's, the serving one's; at the end blue, and the one to roll back to.
    assert_eq!(counts, [3, 3, 3, 2]);
    for step in &plan.steps {
        let Undo::Restore { traffic, .. } = &step.undo else {
            panic!("{step:?}")
        };
        assert_eq!(traffic.percent_of(&before), 100);
        assert_eq!(traffic.tags().len(), 1, "{step:?}");
    }
    let Action::Watch {
        serving,
        percent,
        next,
        soak,
        ..
    } = &plan.steps[5].action
    else {
        panic!("{plan:?}")
    };
    assert_eq!((&serving.revision, *percent, *next), (&before, 25, 100));
    assert_eq!(soak.as_secs(), 60);
    world.run(&v("1.0.0", 1));
    assert_eq!(world.serves(), all(&plan.revision));
}

#[test]
fn the_plan_tells_its_shares_and_how_long_each_is_watched() {
    let (world, before) = served();
    let text = render_plan(&world.expect_plan(&v("1.0.0", 1)));
    for part in [
        &format!("3. shift-traffic: traffic {before} 95 %"),
        "let 5 % of the callers reach",
        "4. watch: api-v1-0-0-",
        &format!("at 25 % for 60 s, beside {before}, at the addresses of tags c-"),
        "undecided counts as failed",
        "before it gets 100 %",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_a_stranger_split_stays_the_base() {
    let (mut world, before) = served();
    world.foreign_deploy("api-00002-xyz");
    world.foreign_traffic(&[(before.as_str(), 90), ("api-00002-xyz", 10)]);
    let plan = world.expect_plan(&v("1.0.0", 1));
    let foreign = RevisionName::parse("api-00002-xyz").unwrap();
    let of = |split: &TrafficSplit| {
        [&before, &foreign, &plan.revision].map(|name| split.percent_of(name))
    };
    let shares: Vec<_> = written(&plan).into_iter().map(of).collect();
    assert_eq!(shares, [[90, 10, 0], [86, 9, 5], [68, 7, 25], [0, 0, 100]]);
    // The one with the largest share is what it is compared with.
    let Action::Watch { serving, .. } = &plan.steps[3].action else {
        panic!("{plan:?}")
    };
    assert_eq!(serving.revision, before);
    world.fail_at(&plan, 5);
    assert_eq!(
        world.serves(),
        [("api-00002-xyz".to_owned(), 10), (before.to_string(), 90)]
    );
}

#[test]
fn a_first_deploy_and_a_rollback_go_at_once() {
    let empty = World::empty(Tier::Preproduction);
    let first = empty.expect_plan(&v("1.0.0", 1));
    assert!(!ids(&first).contains(&"watch"), "{first:?}");
    let (mut world, _) = served();
    world.run(&v("1.0.0", 1));
    let back = Wanted {
        strategy: v("1.0.0", 1).strategy,
        ..rollback(RollbackTo::Previous)
    };
    assert!(!ids(&world.expect_plan(&back)).contains(&"watch"));
}

/// Every place where a run can die: its own release goes on from 0 %, another one begins there, and
/// both end in a finished promotion or, where they fail anywhere, in what served before.
#[test]
fn a_run_that_died_at_any_share_is_taken_up_or_undone() {
    let (world, before) = served();
    let died = world.expect_plan(&by_run(v("1.0.0", 1), 5, 1));
    for done in 1..=6 {
        let mut left = world.clone();
        for step in &died.steps[..done] {
            left.apply(&step.action);
        }
        left.later(LEASE);
        for wanted in [by_run(v("1.0.0", 1), 5, 2), by_run(v("1.1.0", 2), 7, 1)] {
            let plan = left.expect_plan(&wanted);
            let first = written(&plan)[0];
            assert_eq!(
                first.percent_of(&before),
                100,
                "after {done} steps: {plan:?}"
            );
            for index in 0..plan.steps.len() {
                let mut failed = left.clone();
                failed.fail_at(&plan, index);
                assert_eq!(failed.serves(), all(&before), "after {done}, at {index}");
                assert!(failed.state().intent.is_none());
                assert!(failed.service().traffic.tags().is_empty());
            }
            let mut ended = left.clone();
            ended.run(&wanted);
            assert_eq!(ended.serves(), all(&plan.revision));
            let to: Vec<_> = ended
                .service()
                .traffic
                .tags()
                .iter()
                .map(|tag| &tag.to)
                .collect();
            let standing = Destination::Revision(before.clone());
            assert_eq!(to, [&standing], "the one to roll back to alone keeps a tag");
        }
    }
}

#[test]
fn the_plan_says_what_it_takes_back() {
    let (mut world, _) = served();
    let died = world.expect_plan(&by_run(v("1.0.0", 1), 5, 1));
    died.steps[..5]
        .iter()
        .for_each(|step| world.apply(&step.action));
    world.later(LEASE);
    let next = world.expect_plan(&by_run(v("1.1.0", 2), 7, 1));
    let because = &next.steps[0].because;
    let told = format!(
        "`{}`, which run `5/1` left at 25 %, goes back to 0 %",
        died.revision
    );
    assert!(because.contains(&told), "{because}");
}

/// Who dies after the last shift has not confirmed it. What is released next in shares takes them from
/// what was confirmed, so that the run after it can tell them.
#[test]
fn shares_are_taken_from_what_was_confirmed() {
    let (mut world, before) = served();
    let died = world.expect_plan(&by_run(v("1.0.0", 1), 5, 1));
    died.steps[..7]
        .iter()
        .for_each(|step| world.apply(&step.action));
    assert_eq!(world.serves(), all(&died.revision));
    world.later(LEASE);
    let second = world.expect_plan(&by_run(v("1.1.0", 2), 7, 1));
    assert_eq!(written(&second)[1].percent_of(&before), 95);
    second.steps[..3]
        .iter()
        .for_each(|step| world.apply(&step.action));
    world.later(LEASE);
    let third = world.expect_plan(&by_run(v("1.2.0", 3), 9, 1));
    world.fail_at(&third, 0);
    assert_eq!(world.serves(), all(&before));
}

#[test]
fn a_stranger_who_moved_traffic_after_a_death_is_not_undone() {
    let (mut world, before) = served();
    let died = world.expect_plan(&by_run(v("1.0.0", 1), 5, 1));
    died.steps[..5]
        .iter()
        .for_each(|step| world.apply(&step.action));
    world.foreign_traffic(&[(before.as_str(), 60), (died.revision.as_str(), 40)]);
    // 40 % is what a step of a run could have written, but its record says that it gave 25 %.
    world.later(LEASE);
    let kept = world.expect_plan(&by_run(v("1.1.0", 2), 7, 1));
    let first = written(&kept)[0];
    assert_eq!(
        (first.percent_of(&before), first.percent_of(&died.revision)),
        (60, 40)
    );
    // Three revisions, of which the run knew two, are somebody else's work.
    world.foreign_deploy("api-00009-xyz");
    world.foreign_traffic(&[
        (before.as_str(), 50),
        (died.revision.as_str(), 40),
        ("api-00009-xyz", 10),
    ]);
    let kept = world.expect_plan(&by_run(v("1.1.0", 2), 7, 1));
    let first = written(&kept)[0];
    assert_eq!(
        (first.percent_of(&before), first.percent_of(&died.revision)),
        (50, 40)
    );
}

/// After its last shift the run gives everything to its candidate, by name: what is a part of it, or
/// follows LATEST, is somebody else's.
#[test]
fn a_stranger_who_moved_traffic_after_the_last_shift_is_not_undone() {
    let (mut world, before) = served();
    let died = world.expect_plan(&by_run(at_once("1.0.0", 1), 5, 1));
    died.steps[..3]
        .iter()
        .for_each(|step| world.apply(&step.action));
    world.later(LEASE);
    let next = by_run(at_once("1.1.0", 2), 7, 1);
    let mut split = world.clone();
    split.foreign_traffic(&[(before.as_str(), 90), (died.revision.as_str(), 10)]);
    let plan = split.expect_plan(&next);
    split.fail_at(&plan, 1);
    assert_eq!(
        split.serves(),
        [(before.to_string(), 90), (died.revision.to_string(), 10)]
    );
    let mut follows = world.clone();
    follows.foreign_traffic(&[("LATEST", 100)]);
    for wanted in [next.clone(), by_run(at_once("1.0.0", 1), 7, 1)] {
        let plan = follows.expect_plan(&wanted);
        for index in 0..plan.steps.len() {
            let mut follows = follows.clone();
            follows.fail_at(&plan, index);
            assert_eq!(follows.serves(), all(&died.revision), "{wanted:?}");
            assert_eq!(follows.state().intent, None, "{wanted:?} at {index}");
        }
    }
    // The run itself, as long as nobody else came.
    let plan = world.expect_plan(&next);
    world.fail_at(&plan, 1);
    assert_eq!(world.serves(), all(&before));
}

#[test]
fn a_rollback_leaves_the_candidate_of_a_dead_run_and_rejects_it() {
    let (mut world, before) = served();
    let died = world.expect_plan(&by_run(v("1.0.0", 1), 5, 1));
    died.steps[..5]
        .iter()
        .for_each(|step| world.apply(&step.action));
    world.later(LEASE);
    let plan = world.run(&by_run(rollback(RollbackTo::Previous), 8, 1));
    assert_eq!(
        plan.revision, before,
        "the newest healthy one, although it has 75 %"
    );
    assert_eq!(world.serves(), all(&before));
    let state = world.state();
    let rejected = state.rejected_entry(&died.revision).unwrap();
    assert_eq!(rejected.kind, Rejection::RolledBack);
}

#[test]
fn what_failed_in_traffic_is_rolled_back_and_what_failed_before_it_may_be_tried_again() {
    for (code, steps, rejects) in [
        (Code::TestsFailed, 2, Some(Rejection::Failed)),
        (Code::CanaryFailed, 4, Some(Rejection::RolledBack)),
        (Code::CanaryUndecided, 4, None),
        (Code::NotConfirmed, 8, Some(Rejection::RolledBack)),
    ] {
        let (mut world, before) = served();
        let plan = world.expect_plan(&v("1.0.0", 1));
        for step in &plan.steps[..steps] {
            world.apply(&step.action);
        }
        let failure = Diagnostic::error(code, "it was seen");
        world.undo_after(&plan.steps[steps - 1].undo, &failure);
        assert_eq!(world.serves(), all(&before));
        let state = world.state();
        let kind = state.rejected_entry(&plan.revision).map(|entry| entry.kind);
        assert_eq!(kind, rejects, "{code:?}");
        let again = world.plan(&v("1.0.0", 1));
        let refused =
            matches!(&again, Planned::Blocked(why) if why[0].code == Code::DigestRejected);
        assert_eq!(refused, rejects == Some(Rejection::RolledBack), "{again:?}");
    }
}

#[test]
fn a_plan_that_gives_more_without_watching_is_a_defect() {
    let (world, _) = served();
    let plan = world.expect_plan(&v("1.0.0", 1));
    let broken = |change: fn(&mut Plan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        let found = lint(&plan);
        let titles = found.into_iter().map(|one| one.title);
        titles.collect::<Vec<_>>().join("; ")
    };
    for (change, title) in [
        (
            (|plan: &mut Plan| drop(plan.steps.remove(3))) as fn(&mut Plan),
            "gives more traffic before what was given is watched",
        ),
        (
            |plan| plan.steps.swap(2, 4),
            "shifts traffic without giving its revision more",
        ),
        (
            |plan| drop(plan.steps.remove(6)),
            "does not end with everything pinned to its revision",
        ),
        (|plan| plan.steps.swap(2, 3), "watches what was not given"),
        (
            |plan| drop(plan.steps.remove(1)),
            "shifts traffic before the tests",
        ),
    ] {
        let found = broken(change);
        assert!(found.contains(title), "{title}: {found}");
    }
}

fn base() -> impl proptest::strategy::Strategy<Value = TrafficSplit> {
    prop::collection::btree_set(1..100_u32, 0..8).prop_map(|cuts| {
        let mut from = 0;
        let mut shares = Vec::new();
        for (number, to) in cuts.into_iter().chain([100]).enumerate() {
            let name = RevisionName::parse(format!("api-{number:05}-abc")).unwrap();
            shares.push(Share {
                to: Destination::Revision(name),
                percent: to - from,
            });
            from = to;
        }
        TrafficSplit::new(shares, Vec::new()).unwrap()
    })
}

proptest! {
    #[test]
    fn shares_beside_a_candidate_sum_to_a_hundred_and_keep_their_proportion(
        base in base(),
        percent in 0..=100_u32,
        is_in_base in any::<bool>(),
    ) {
        let name = if is_in_base { "api-00000-abc" } else { "api-new-abcdef" };
        let candidate = RevisionName::parse(name).unwrap();
        let split = base.beside(&candidate, percent);
        let sum: u32 = split.shares().iter().map(|share| share.percent).sum();
        prop_assert_eq!(sum, 100);
        prop_assert!(split.shares().iter().all(|share| share.percent > 0));
        let others: Vec<&Share> = base.shares().iter()
            .filter(|share| share.to != Destination::Revision(candidate.clone()))
            .collect();
        if others.is_empty() {
            prop_assert_eq!(split.percent_of(&candidate), 100);
            return Ok(());
        }
        prop_assert_eq!(split.percent_of(&candidate), percent);
        let rest = 100 - percent;
        let all: u32 = others.iter().map(|share| share.percent).sum();
        for share in &others {
            let Destination::Revision(name) = &share.to else { unreachable!() };
            let got = split.percent_of(name);
            prop_assert!(got > 0 || rest < others.len() as u32, "{} lost its share", name);
            let exact = f64::from(share.percent * rest) / f64::from(all);
            // Within one percent of its part, but for what others gave up so that all keep one.
            prop_assert!(f64::from(got) - exact < 1.0 || exact < 1.0, "{}: {} of {}", name, got, exact);
            prop_assert!(exact - f64::from(got) < others.len() as f64, "{}: {} of {}", name, got, exact);
        }
        prop_assert!(split.same_shares(&base.beside(&candidate, percent)));
    }
}
