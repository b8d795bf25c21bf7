//! A promotion in two parts, with tests of the user's own between them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::plan::{Plan, Planned, Wanted, lint, plan_from_verified, plan_to_verified};
use delivery::spec::Access;
use delivery::target::Tier;
use world::{LEASE, World, by_run, ids, promote, release, spec};

fn v(version: &str, number: u32) -> Wanted {
    promote(release(version, number), spec(Access::Public))
}

fn proceed(planned: Planned) -> Plan {
    match planned {
        Planned::Proceed(plan) => {
            assert_eq!(lint(&plan), [], "{plan:#?}");
            plan
        }
        other => panic!("no plan: {other:#?}"),
    }
}

fn blocked(planned: Planned) -> Diagnostic {
    match planned {
        Planned::Blocked(mut blocks) => blocks.remove(0),
        other => panic!("not blocked: {other:#?}"),
    }
}

fn first(world: &World, wanted: &Wanted) -> Plan {
    proceed(plan_to_verified(wanted, &world.seen))
}

fn carry_out(world: &mut World, plan: &Plan) {
    for step in &plan.steps {
        world.apply(&step.action);
    }
    world.later(60);
}

#[test]
fn the_first_part_ends_behind_the_tests_and_the_second_goes_on_from_there() {
    for is_first_deploy in [true, false] {
        let mut world = World::empty(Tier::Preproduction);
        if !is_first_deploy {
            world.run(&by_run(v("0.9.0", 9), 4, 1));
        }
        let before = world.seen.service.as_ref().map(|_| world.serves());
        let wanted = by_run(v("1.0.0", 1), 5, 1);
        let part = first(&world, &wanted);
        assert!(part.waits());
        assert_eq!(ids(&part)[1..], ["verify", "record"]);
        carry_out(&mut world, &part);
        match before {
            Some(before) => assert_eq!(world.serves(), before),
            None => assert_eq!(world.service().access, Access::Private),
        }
        let intent = world.state().intent.expect("an open intent");
        assert!(intent.verified && intent.revision == part.revision);

        let rest = proceed(plan_from_verified(&wanted, &world.seen));
        assert!(!rest.waits());
        assert_eq!(rest.revision, part.revision);
        carry_out(&mut world, &rest);
        assert_eq!(world.serves(), [(part.revision.to_string(), 100)]);
        assert_eq!(world.state().intent, None);
        assert_eq!(world.service().access, Access::Public);
        for planner in [plan_to_verified, plan_from_verified] {
            let again = planner(&wanted, &world.seen);
            assert!(matches!(again, Planned::UpToDate { .. }), "{again:#?}");
        }
    }
}

/// A second part that died goes on where its run does, and never for another one.
#[test]
fn the_second_part_goes_on_after_each_of_its_steps() {
    for done in 0..4 {
        let mut world = World::empty(Tier::Preproduction);
        world.run(&by_run(v("0.9.0", 9), 4, 1));
        let wanted = by_run(v("1.0.0", 1), 5, 1);
        let part = first(&world, &wanted);
        carry_out(&mut world, &part);
        let rest = proceed(plan_from_verified(&wanted, &world.seen));
        for step in &rest.steps[..done] {
            world.apply(&step.action);
        }
        let again = by_run(v("1.0.0", 1), 5, 2);
        let resumed = proceed(plan_from_verified(&again, &world.seen));
        carry_out(&mut world, &resumed);
        assert_eq!(world.serves(), [(part.revision.to_string(), 100)]);
        assert_eq!(world.state().intent, None);
    }
}

#[test]
fn nothing_is_promoted_that_did_not_pass_in_this_run() {
    let mut world = World::empty(Tier::Preproduction);
    world.run(&by_run(v("0.9.0", 9), 4, 1));
    let wanted = by_run(v("1.0.0", 1), 5, 1);
    let promote = |world: &World, wanted: &Wanted| blocked(plan_from_verified(wanted, &world.seen));
    assert_eq!(promote(&world, &wanted).code, Code::NothingWaits);
    // Killed during its tests.
    let part = first(&world, &wanted);
    let mut killed = world.clone();
    killed.apply(&part.steps[0].action);
    let problem = promote(&killed, &wanted);
    assert_eq!(problem.code, Code::NothingWaits);
    assert!(
        problem.cause[0].contains("did not run before"),
        "{problem:?}"
    );
    // It failed.
    let mut failed = world.clone();
    failed.fail_at(&part, 1);
    assert_eq!(promote(&failed, &wanted).code, Code::NothingWaits);
    // Another image than the one that waits.
    carry_out(&mut world, &part);
    let other = promote(&world, &by_run(v("1.1.0", 2), 5, 1));
    assert_eq!(other.code, Code::NothingWaits);
    assert!(other.cause[0].contains(part.revision.as_str()), "{other:?}");
    // Another run keeps off, and takes the candidate up only by testing it anew.
    let stranger = by_run(v("1.0.0", 1), 6, 1);
    assert_eq!(promote(&world, &stranger).code, Code::AnotherRun);
    world.later(LEASE);
    assert_eq!(promote(&world, &stranger).code, Code::NothingWaits);
    let anew = world.expect_plan(&stranger);
    assert!(ids(&anew).contains(&"verify"), "{anew:#?}");
    carry_out(&mut world, &anew);
    assert_eq!(world.serves(), [(part.revision.to_string(), 100)]);
}

/// What waits is taken back as if it had failed in its first part.
#[test]
fn what_waits_can_be_taken_back() {
    let mut world = World::empty(Tier::Preproduction);
    let old = world.run(&by_run(v("0.9.0", 9), 4, 1)).revision;
    let part = first(&world, &by_run(v("1.0.0", 1), 5, 1));
    let last = part.steps.len() - 1;
    world.fail_at(&part, last);
    assert_eq!(world.serves(), [(old.to_string(), 100)]);
    assert_eq!(world.state().intent, None);
    assert!(world.tagged().is_empty());
}
