//! What a run that died has left is finished or taken back, by whom it may be, and never in between.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use delivery::diagnostic::Code;
use delivery::name::RevisionName;
use delivery::plan::recover::{Asker, Despite, Lease, Recovery, Rescue, Way, recover};
use delivery::plan::{Action, Plan, Planned, Wanted, lint, render};
use delivery::snapshot::{Readiness, StateSeen};
use delivery::spec::Access;
use delivery::stage::RollbackTo;
use delivery::state::{BroughtBy, RunRef};
use delivery::target::Tier;
use delivery::traffic::{Destination, Share, TrafficSplit};
use world::{LEASE, World, by_run, ids, promote, release, rollback, spec};

fn v(version: &str, number: u32) -> Wanted {
    by_run(
        promote(release(version, number), spec(Access::Public)),
        7,
        1,
    )
}

fn asker(run: &str) -> Asker {
    Asker {
        run: RunRef(run.to_owned()),
        despite: Despite::Nobody,
    }
}

fn rescue(world: &World, asker: &Asker) -> Rescue {
    match recover(asker, &world.seen) {
        Recovery::Proceed(rescue) => {
            assert_eq!(lint(&rescue.plan), [], "{:#?}", rescue.plan);
            rescue
        }
        other => panic!("nothing is recovered: {other:#?}"),
    }
}

/// Takes up what is left, and sees that nothing is left then.
fn recovered(world: &mut World, asker: &Asker) -> Rescue {
    let rescue = rescue(world, asker);
    for step in &rescue.plan.steps {
        world.apply(&step.action);
    }
    assert_eq!(world.state().intent, None);
    assert_eq!(recover(asker, &world.seen), Recovery::Nothing);
    rescue
}

/// A service with v1.0.0, and the plan of v1.1.0.
fn second() -> (World, RevisionName, Plan) {
    let mut world = World::empty(Tier::Preproduction);
    let first = world.run(&v("1.0.0", 1)).revision;
    let plan = world.expect_plan(&v("1.1.0", 2));
    (world, first, plan)
}

fn died_after(world: &World, plan: &Plan, steps: usize) -> World {
    let mut world = world.clone();
    for step in &plan.steps[..steps] {
        world.apply(&step.action);
    }
    world
}

#[test]
fn nothing_is_open_before_the_first_run_nor_after_the_last() {
    let world = World::empty(Tier::Preproduction);
    assert_eq!(recover(&asker("8/1"), &world.seen), Recovery::Nothing);
    let foreign = World::foreign(Tier::Preproduction, Access::Public);
    assert_eq!(recover(&asker("8/1"), &foreign.seen), Recovery::Nothing);
    let (world, ..) = second();
    assert_eq!(recover(&asker("7/1"), &world.seen), Recovery::Nothing);
}

#[test]
fn a_run_that_dies_anywhere_ends_in_the_old_traffic_or_in_the_finished_promotion() {
    let (world, first, plan) = second();
    assert_eq!(plan.steps.len(), 5);
    for done in 1..plan.steps.len() {
        let mut world = died_after(&world, &plan, done);
        world.foreign_tag("blue", Some(&first));
        let rescue = recovered(&mut world, &asker("7/1"));
        let (way, serves) = if done < 3 {
            (Way::Back, &first)
        } else {
            (Way::Forward, &plan.revision)
        };
        assert_eq!(rescue.way, way, "died after {done} steps");
        assert_eq!(world.serves(), [(serves.to_string(), 100)]);
        let tags = world.service().traffic.tags();
        let candidates =
            |tag: &&delivery::traffic::Tag| tag.to == Destination::Revision(plan.revision.clone());
        assert_eq!(tags.iter().find(candidates), None, "our tag goes");
        let is_blue = |tag: &delivery::traffic::Tag| tag.name.as_str() == "blue";
        assert!(tags.iter().any(is_blue), "others' stay");
        // What a finished promotion may be rolled back to keeps an address.
        assert_eq!(tags.len(), if way == Way::Back { 1 } else { 2 });
        let state = world.state();
        assert_eq!(state.rejected, [], "nobody is at fault");
        assert_eq!(state.healthy[0].revision, *serves);
        assert_eq!(world.service().access, Access::Public);
    }
    let mut ended = died_after(&world, &plan, 5);
    assert_eq!(recover(&asker("7/1"), &ended.seen), Recovery::Nothing);
    ended.later(1);
    assert!(matches!(
        ended.plan(&v("1.1.0", 2)),
        Planned::UpToDate { .. }
    ));
}

#[test]
fn what_was_taken_back_is_promoted_again_by_the_same_revision() {
    let (world, _, plan) = second();
    let mut world = died_after(&world, &plan, 2);
    recovered(&mut world, &asker("7/1"));
    let again = world.run(&v("1.1.0", 2));
    assert_eq!(again.revision, plan.revision);
    assert_eq!(ids(&again)[0], "tag-revision");
}

#[test]
fn a_finished_promotion_is_the_dead_runs_own_and_confirmed_before_it_is_recorded() {
    let (world, first, plan) = second();
    let world = died_after(&world, &plan, 3);
    let rescue = rescue(&world, &asker("7/2"));
    assert_eq!(ids(&rescue.plan), ["confirm", "record"]);
    let Action::Record { state } = &rescue.plan.steps[1].action else {
        panic!("{rescue:#?}")
    };
    assert_eq!(state.healthy[0].run, RunRef("7/1".to_owned()));
    assert_eq!(state.healthy[0].by, BroughtBy::Promotion);
    // Not confirmed: what served before serves again.
    let mut failed = world.clone();
    failed.undo(&rescue.plan.steps[0].undo, "not confirmed");
    assert_eq!(failed.serves(), [(first.to_string(), 100)]);
    assert_eq!(failed.state().intent, None);
    assert_eq!(failed.state().rejected, []);
}

#[test]
fn a_share_of_the_traffic_is_taken_back_too() {
    let (world, first, plan) = second();
    for percent in [5, 50, 99] {
        let mut world = died_after(&world, &plan, 2);
        let shares = [(&plan.revision, percent), (&first, 100 - percent)]
            .map(|(name, percent)| Share {
                to: Destination::Revision(name.clone()),
                percent,
            })
            .to_vec();
        let tags = world.service().traffic.tags().to_vec();
        world.service_mut().traffic = TrafficSplit::new(shares, tags).unwrap();
        let mut state = world.state();
        state.intent.as_mut().unwrap().share = Some(percent);
        world.service_mut().state = StateSeen::Known(state);
        world.settle();
        let rescue = recovered(&mut world, &asker("7/1"));
        assert_eq!(rescue.way, Way::Back);
        assert_eq!(world.serves(), [(first.to_string(), 100)]);
        assert_eq!(world.service().traffic.tags(), []);
    }
}

#[test]
fn everything_without_having_passed_is_taken_back() {
    let (world, first, plan) = second();
    let mut world = died_after(&world, &plan, 2);
    world.foreign_traffic(&[("LATEST", 100)]);
    assert_eq!(world.serves(), [(plan.revision.to_string(), 100)]);
    assert_eq!(recovered(&mut world, &asker("7/1")).way, Way::Back);
    assert_eq!(world.serves(), [(first.to_string(), 100)]);
}

#[test]
fn a_foreign_run_waits_for_the_lease_unless_a_person_knows_better() {
    let (world, _, plan) = second();
    let mut world = died_after(&world, &plan, 2);
    let until = world.state().intent.unwrap().expires;
    let lease = Lease {
        run: RunRef("7/1".to_owned()),
        revision: plan.revision.clone(),
        until,
        regions: Vec::new(),
    };
    assert_eq!(
        recover(&asker("8/1"), &world.seen),
        Recovery::Waits(lease.clone())
    );
    let named = |run: &str| Asker {
        despite: Despite::Run(RunRef(run.to_owned())),
        ..asker("cli/ada@lab/9")
    };
    assert!(matches!(
        recover(&named("6/1"), &world.seen),
        Recovery::Waits(_)
    ));
    let any = Asker {
        despite: Despite::Anybody,
        ..asker("cli/ada@lab/9")
    };
    for asker in [named("7/1"), any] {
        let rescue = rescue(&world, &asker);
        let warning = &rescue.plan.warnings[0];
        assert_eq!(warning.code, Code::LeaseOverridden);
        assert!(warning.title.contains("7/1"), "{warning:?}");
        assert!(warning.cause[0].contains(&until.to_string()), "{warning:?}");
        assert_eq!(rescue.lease, lease);
    }
    // A later attempt of the same run has nothing to wait for, an earlier one has.
    assert_eq!(rescue(&world, &asker("7/2")).plan.warnings, []);
    assert!(matches!(
        recover(&asker("7/0"), &world.seen),
        Recovery::Waits(_)
    ));
    world.later(LEASE);
    assert_eq!(rescue(&world, &asker("8/1")).plan.warnings, []);
}

#[test]
fn a_first_deploy_stays_closed_until_it_was_opened() {
    let world = World::empty(Tier::Preproduction);
    let plan = world.expect_plan(&v("1.0.0", 1));
    for done in 1..3 {
        let mut world = died_after(&world, &plan, done);
        assert_eq!(recovered(&mut world, &asker("7/1")).way, Way::Back);
        assert_eq!(world.service().access, Access::Private);
        assert_eq!(world.state().healthy, []);
        let again = world.run(&v("1.0.0", 1));
        assert_eq!(again.revision, plan.revision);
        assert_eq!(world.service().access, Access::Public);
    }
    let mut opened = died_after(&world, &plan, 3);
    let rescue = recovered(&mut opened, &asker("7/1"));
    assert_eq!(rescue.way, Way::Forward);
    assert_eq!(opened.service().access, Access::Public);
    // Opened, and not confirmed: closed again.
    let mut failed = died_after(&world, &plan, 3);
    failed.undo(&rescue.plan.steps[0].undo, "not confirmed");
    assert_eq!(failed.service().access, Access::Private);
    // Opened, and somebody let traffic follow LATEST then, who answers for it.
    let mut moved = died_after(&world, &plan, 3);
    moved.foreign_traffic(&[("LATEST", 100)]);
    let rescue = recovered(&mut moved, &asker("7/1"));
    assert_eq!(rescue.plan.warnings[0].code, Code::ForeignChange);
    assert_eq!(moved.service().access, Access::Public);
    assert!(moved.service().traffic.follows_latest());
}

#[test]
fn who_could_call_before_is_restored_with_the_traffic() {
    let mut world = World::empty(Tier::Preproduction);
    let closed = |version: &str, number| {
        let spec = spec(Access::Private);
        by_run(promote(release(version, number), spec), 7, 1)
    };
    let first = world.run(&closed("1.0.0", 1)).revision;
    let plan = world.expect_plan(&v("1.1.0", 2));
    let world = died_after(&world, &plan, 3);
    assert_eq!(world.service().access, Access::Public);
    let rescue = rescue(&world, &asker("7/1"));
    let mut failed = world.clone();
    failed.undo(&rescue.plan.steps[0].undo, "not confirmed");
    assert_eq!(failed.serves(), [(first.to_string(), 100)]);
    assert_eq!(failed.service().access, Access::Private);
}

#[test]
fn who_could_call_before_is_restored_beside_a_strangers_traffic_too() {
    let closing = by_run(promote(release("1.1.0", 2), spec(Access::Private)), 7, 1);
    let mut world = World::empty(Tier::Preproduction);
    let first = world.run(&v("1.0.0", 1)).revision;
    let plan = world.expect_plan(&closing);
    for done in 1..5 {
        let mut world = died_after(&world, &plan, done);
        // Who may call is changed in a request of its own: the run may have died just after it.
        world.service_mut().access = Access::Private;
        let mut stranger = world.clone();
        stranger.foreign_deploy("api-00009-xyz");
        stranger.foreign_traffic(&[("api-00009-xyz", 100)]);
        assert_eq!(recovered(&mut stranger, &asker("7/1")).way, Way::Back);
        assert_eq!(stranger.service().access, Access::Public, "{done} steps");
        assert_eq!(stranger.serves(), [("api-00009-xyz".to_owned(), 100)]);
        if done < 3 {
            assert_eq!(recovered(&mut world, &asker("7/1")).way, Way::Back);
            assert_eq!(world.service().access, Access::Public, "{done} steps");
            assert_eq!(world.serves(), [(first.to_string(), 100)]);
        }
    }
    // The next run takes the undo over.
    let mut world = died_after(&world, &plan, 1);
    world.service_mut().access = Access::Private;
    let next = world.expect_plan(&by_run(
        promote(release("1.1.0", 2), spec(Access::Private)),
        7,
        2,
    ));
    world.fail_at(&next, 1);
    assert_eq!(world.service().access, Access::Public);
}

#[test]
fn a_rollback_moves_and_records_in_one_write_so_nothing_is_open_behind_it() {
    let (mut world, first, _) = second();
    let bad = world.run(&v("1.1.0", 2)).revision;
    let untagged = world.service().traffic.with_tags(Vec::new());
    world.service_mut().traffic = untagged;
    let plan = world.expect_plan(&by_run(rollback(RollbackTo::Previous), 9, 1));
    assert_eq!(ids(&plan)[..3], ["tag-revision", "verify", "shift-traffic"]);
    let mut early = died_after(&world, &plan, 2);
    assert_eq!(recovered(&mut early, &asker("9/1")).way, Way::Back);
    assert_eq!(early.serves(), [(bad.to_string(), 100)]);
    let late = died_after(&world, &plan, 3);
    assert_eq!(recover(&asker("9/1"), &late.seen), Recovery::Nothing);
    assert_eq!(late.serves(), [(first.to_string(), 100)]);
    assert_eq!(late.state().healthy[0].by, BroughtBy::Rollback);
    assert_eq!(late.state().rejected[0].revision, bad);
}

#[test]
fn a_strangers_traffic_stays_and_is_told() {
    let (world, first, plan) = second();
    let mut world = died_after(&world, &plan, 2);
    world.foreign_deploy("api-00009-xyz");
    world.foreign_traffic(&[("api-00009-xyz", 90), (first.as_str(), 10)]);
    let serves = world.serves();
    let rescue = recovered(&mut world, &asker("7/1"));
    assert_eq!(rescue.plan.warnings[0].code, Code::ForeignChange);
    assert_eq!(world.serves(), serves);
    assert_eq!(world.service().traffic.tags(), []);
}

/// What has passed may be given traffic by others; its run gave it another share, or all by name.
#[test]
fn a_strangers_traffic_to_what_has_passed_stays_too() {
    let (world, first, plan) = second();
    let candidate = plan.revision.as_str();
    let splits = [
        vec![("LATEST", 100)],
        vec![(first.as_str(), 90), (candidate, 10)],
    ];
    for split in splits {
        let mut world = died_after(&world, &plan, 3);
        world.foreign_traffic(&split);
        let serves = world.serves();
        let rescue = recovered(&mut world, &asker("7/1"));
        assert_eq!(rescue.plan.warnings[0].code, Code::ForeignChange);
        assert_eq!(world.serves(), serves);
    }
}

#[test]
fn a_way_back_that_is_gone_is_told_when_the_candidate_has_traffic() {
    let (world, first, plan) = second();
    let gone = |mut world: World| {
        let service = world.service_mut();
        let mut seen = service.revisions.iter_mut();
        let old = seen.find(|seen| seen.name == first).unwrap();
        old.readiness = Readiness::Failed("deleted".to_owned());
        world
    };
    // No traffic: nothing is to be moved.
    let mut idle = gone(died_after(&world, &plan, 2));
    assert_eq!(recovered(&mut idle, &asker("7/1")).way, Way::Back);
    // Some: it cannot be said to be undone.
    let mut part = gone(died_after(&world, &plan, 2));
    part.foreign_traffic(&[(plan.revision.as_str(), 5), (first.as_str(), 95)]);
    let Recovery::Blocked(problems) = recover(&asker("7/1"), &part.seen) else {
        panic!("{part:#?}")
    };
    assert_eq!(problems[0].code, Code::UndoFailed);
    assert!(problems[0].cause[0].contains(first.as_str()));
    // Everything, and passed: it stays.
    let mut whole = gone(died_after(&world, &plan, 3));
    assert_eq!(recovered(&mut whole, &asker("7/1")).way, Way::Forward);
}

#[test]
fn a_record_that_cannot_be_read_is_not_guessed() {
    let (mut world, ..) = second();
    world.service_mut().state = StateSeen::Unreadable("no JSON".to_owned());
    let Recovery::Blocked(problems) = recover(&asker("7/1"), &world.seen) else {
        panic!("{world:#?}")
    };
    assert_eq!(problems[0].code, Code::StateUnreadable);
}

#[test]
fn a_run_whose_intent_is_gone_does_not_begin_anew() {
    let (world, _, plan) = second();
    let mut wanted = v("1.1.0", 2);
    wanted.began = true;
    let mut world = died_after(&world, &plan, 2);
    assert!(matches!(world.plan(&wanted), Planned::Proceed(_)));
    recovered(&mut world, &asker("7/1"));
    let Planned::Blocked(problems) = world.plan(&wanted) else {
        panic!("it rolls forward")
    };
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, Code::RolloutEnded);
    // Another tool that erased the record has decided nothing.
    world.service_mut().state = StateSeen::Absent;
    assert!(matches!(world.plan(&wanted), Planned::Proceed(_)));
}

#[test]
fn a_plan_that_takes_back_says_so() {
    let (world, first, plan) = second();
    let world = died_after(&world, &plan, 2);
    let text = render::render_plan(&rescue(&world, &asker("7/1")).plan);
    for expected in [
        "restore: traffic".to_owned(),
        format!("{first} 100 %"),
        format!("without {}", plan.revision),
        "run `7/1` ended before".to_owned(),
    ] {
        assert!(text.contains(&expected), "no {expected} in:\n{text}");
    }
}
