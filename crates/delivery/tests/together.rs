//! What a run over two regions has left ends in the same release in both, or it is told which serves what.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use delivery::diagnostic::Code;
use delivery::name::{Region, RevisionName};
use delivery::plan::recover::{Asker, Despite, Recovery, Way};
use delivery::plan::{Plan, Wanted, lint, recover_together};
use delivery::snapshot::{Readiness, StateSeen};
use delivery::spec::Access;
use delivery::stage::RollbackTo;
use delivery::state::{Rejection, RunRef, Timestamp};
use delivery::target::Tier;
use world::{LEASE, World, by_run, ids, promote, release, rollback, spec};

const REGIONS: [&str; 2] = ["europe-west1", "us-central1"];

fn regions() -> Vec<Region> {
    REGIONS.map(|name| Region::parse(name).unwrap()).to_vec()
}

fn both(mut wanted: Wanted) -> Wanted {
    wanted.surroundings.regions = regions();
    wanted
}

fn v(version: &str, number: u32, run: u32) -> Wanted {
    let wanted = promote(release(version, number), spec(Access::Public));
    both(by_run(wanted, run, 1))
}

fn asker(run: &str) -> Asker {
    Asker {
        run: RunRef(run.to_owned()),
        despite: Despite::Nobody,
    }
}

/// Nothing is deployed yet.
fn empty() -> [World; 2] {
    let mut worlds = [(); 2].map(|()| World::empty(Tier::Preproduction));
    for (world, region) in worlds.iter_mut().zip(regions()) {
        world.seen.target.region = region;
    }
    worlds
}

/// v1.0.0 in both regions, by run 6.
fn settled() -> [World; 2] {
    let mut worlds = empty();
    for world in &mut worlds {
        world.run(&v("1.0.0", 1, 6));
    }
    worlds
}

/// The wanted is carried out in both, each up to so many steps.
fn died_after(worlds: &[World; 2], wanted: &Wanted, done: [usize; 2]) -> ([World; 2], Plan) {
    let mut worlds = worlds.clone();
    let mut plan = None;
    for (world, done) in worlds.iter_mut().zip(done) {
        let own = world.expect_plan(wanted);
        for step in &own.steps[..done] {
            world.apply(&step.action);
        }
        plan = Some(own);
    }
    (worlds, plan.unwrap())
}

fn look(worlds: &[World; 2], asker: &Asker) -> Vec<Recovery> {
    recover_together(asker, &worlds.each_ref().map(|world| &world.seen))
}

/// Ends what is left, and sees that nothing is left then.
fn recovered(worlds: &mut [World; 2], asker: &Asker) -> Vec<Recovery> {
    let all = look(worlds, asker);
    for (world, recovery) in worlds.iter_mut().zip(&all) {
        match recovery {
            Recovery::Nothing => {}
            Recovery::Proceed(rescue) => {
                assert_eq!(lint(&rescue.plan), [], "{rescue:#?}");
                for step in &rescue.plan.steps {
                    world.apply(&step.action);
                }
            }
            other => panic!("{other:#?}"),
        }
    }
    assert_eq!(look(worlds, asker), [Recovery::Nothing, Recovery::Nothing]);
    all
}

fn serves(world: &World) -> RevisionName {
    let serves = world.serves();
    assert_eq!(serves.len(), 1, "{serves:?}");
    RevisionName::parse(serves[0].0.clone()).unwrap()
}

#[test]
fn wherever_each_region_is_both_end_in_the_same_release() {
    let worlds = settled();
    let old = serves(&worlds[0]);
    for first in 0..=5 {
        for second in 0..=5 {
            let (mut left, plan) = died_after(&worlds, &v("1.1.0", 2, 7), [first, second]);
            let all = recovered(&mut left, &asker("7/1"));
            let is_new = first >= 3 && second >= 3;
            let expected = if is_new { &plan.revision } else { &old };
            let ends = left.each_ref().map(serves);
            assert_eq!(
                ends,
                [expected.clone(), expected.clone()],
                "{first}, {second}"
            );
            for world in &left {
                let state = world.state();
                assert_eq!(state.intent, None);
                assert_eq!(state.rejected, [], "nobody is at fault");
                assert_eq!(&state.healthy[0].revision, expected);
                assert_eq!(
                    world.tagged().len(),
                    usize::from(is_new),
                    "{first}, {second}"
                );
            }
            // The same in one go, and the run that comes next has nothing to wait for.
            if !is_new {
                let again = left[0].run(&v("1.1.0", 2, 8));
                assert_eq!(again.revision, plan.revision);
            }
            assert_eq!(all.len(), 2);
        }
    }
}

#[test]
fn a_first_deploy_that_came_through_in_one_region_is_closed_again() {
    for done in [[5, 1], [5, 0], [3, 2], [4, 0]] {
        let (mut left, plan) = died_after(&empty(), &v("1.0.0", 1, 7), done);
        recovered(&mut left, &asker("7/1"));
        let service = left[0].service();
        assert_eq!(service.access, Access::Private, "{done:?}");
        assert_eq!(left[0].state().healthy, []);
        // It is only closed: the next run takes the revision up.
        let again = left[0].run(&v("1.0.0", 1, 8));
        assert_eq!(again.revision, plan.revision);
        assert_eq!(left[0].service().access, Access::Public);
    }
}

#[test]
fn a_region_that_had_it_already_holds_nobody_back() {
    let mut worlds = settled();
    let before = worlds[0].run(&by_run(v("1.1.0", 2, 6), 6, 2)).revision;
    let mut left = worlds.clone();
    let plan = left[1].expect_plan(&v("1.1.0", 2, 7));
    for step in &plan.steps[..3] {
        left[1].apply(&step.action);
    }
    let all = recovered(&mut left, &asker("7/1"));
    assert_eq!(all[0], Recovery::Nothing);
    assert_eq!(left.each_ref().map(serves), [before.clone(), before]);
}

#[test]
fn the_lease_of_one_region_keeps_others_off_all() {
    let (mut left, _) = died_after(&settled(), &v("1.1.0", 2, 7), [3, 2]);
    // The second region's lease was written later.
    left[0].later(LEASE);
    let stranger = asker("8/1");
    let all = look(&left, &stranger);
    assert!(
        matches!(&all[..], [Recovery::Waits(_), Recovery::Waits(_)]),
        "{all:#?}"
    );
    left[1].later(LEASE);
    let old = serves(&settled()[0]);
    recovered(&mut left, &stranger);
    assert_eq!(left.each_ref().map(serves), [old.clone(), old]);
}

#[test]
fn what_has_no_lease_any_more_is_left_to_its_run_and_to_who_names_it() {
    // It came through in the first region; in the second it was taken back.
    let (mut left, _) = died_after(&settled(), &v("1.1.0", 2, 7), [5, 0]);
    let all = look(&left, &asker("8/1"));
    assert!(
        matches!(&all[..], [Recovery::Waits(_), Recovery::Nothing]),
        "{all:#?}"
    );
    left.iter_mut().for_each(|world| world.later(600));
    let all = look(&left, &asker("8/1"));
    let [Recovery::Blocked(problems), Recovery::Nothing] = &all[..] else {
        panic!("{all:#?}");
    };
    assert_eq!(problems[0].code, Code::RegionsApart);
    let state = problems[0].state.clone().unwrap();
    for (world, region) in left.iter().zip(REGIONS) {
        let serves = format!("{region}: {} serves 100 %", serves(world));
        assert!(state.contains(&serves), "{state}");
    }
    assert!(problems[0].help[0].contains("--run 7/1"), "{problems:?}");
    for run in [
        ("7/2", Despite::Nobody),
        ("8/1", Despite::Run(RunRef("7/1".to_owned()))),
    ] {
        let mut left = left.clone();
        let asker = Asker {
            despite: run.1,
            ..asker(run.0)
        };
        let all = recovered(&mut left, &asker);
        let Recovery::Proceed(rescue) = &all[0] else {
            panic!("{all:#?}");
        };
        assert_eq!(
            (rescue.way, &ids(&rescue.plan)[..]),
            (Way::Back, &["restore"][..])
        );
        assert!(
            rescue.plan.steps[0].because.contains(REGIONS[1]),
            "{rescue:#?}"
        );
    }
}

#[test]
fn what_cannot_go_back_any_more_is_told_region_by_region() {
    let worlds = settled();
    let old = serves(&worlds[0]);
    let (mut left, _) = died_after(&worlds, &v("1.1.0", 2, 7), [5, 2]);
    let service = left[0].service_mut();
    let gone = service.revisions.iter_mut().find(|seen| seen.name == old);
    gone.unwrap().readiness = Readiness::Failed("deleted".to_owned());
    let all = look(&left, &asker("7/1"));
    let [Recovery::Blocked(problems), Recovery::Proceed(_)] = &all[..] else {
        panic!("{all:#?}");
    };
    assert_eq!(problems[0].code, Code::RegionsApart);
    assert!(problems[0].cause[0].contains(old.as_str()), "{problems:?}");
}

#[test]
fn a_rollback_that_came_through_in_one_region_is_told_and_never_undone() {
    let mut worlds = settled();
    for world in &mut worlds {
        world.run(&v("1.1.0", 2, 7));
    }
    let back = both(by_run(rollback(RollbackTo::Previous), 9, 1));
    let (left, _) = died_after(&worlds, &back, [2, 0]);
    let all = look(&left, &asker("9/1"));
    let [Recovery::Blocked(problems), Recovery::Nothing] = &all[..] else {
        panic!("{all:#?}");
    };
    assert_eq!(problems[0].code, Code::RegionsApart);
    assert!(
        problems[0].help[0].contains("--rollback-to v1.0.0"),
        "{problems:?}"
    );
    // Told the same thing again, the run comes through.
    let mut left = left;
    left[1].run(&both(by_run(rollback(RollbackTo::Previous), 9, 2)));
    let nothing = [Recovery::Nothing, Recovery::Nothing];
    assert_eq!(look(&left, &asker("9/2")), nothing);
}

#[test]
fn a_region_that_cannot_be_seen_keeps_the_others_from_going_forward_and_not_from_going_back() {
    let worlds = settled();
    for (done, stays) in [(2, false), (3, true)] {
        let (left, _) = died_after(&worlds, &v("1.1.0", 2, 7), [done, done]);
        let [unseen] = &recover_together(&asker("7/1"), &[&left[0].seen])[..] else {
            panic!("one was looked at");
        };
        match unseen {
            Recovery::Blocked(problems) if stays => {
                assert_eq!(problems[0].code, Code::RecoveryUnknown);
                assert!(problems[0].title.contains(REGIONS[1]), "{problems:?}");
            }
            Recovery::Proceed(rescue) => assert_eq!((rescue.way, stays), (Way::Back, false)),
            other => panic!("{other:#?}"),
        }
        // Nor does one whose record cannot be read.
        let mut left = left;
        left[1].service_mut().state = StateSeen::Unreadable("no JSON".to_owned());
        let all = look(&left, &asker("7/1"));
        assert_eq!(matches!(all[0], Recovery::Blocked(_)), stays, "{all:#?}");
        assert!(matches!(all[1], Recovery::Blocked(_)));
    }
}

#[test]
fn a_later_release_or_rollback_in_one_region_alone_is_no_ones_to_end() {
    let mut worlds = settled();
    for world in &mut worlds {
        world.run(&v("1.1.0", 2, 7));
    }
    let nothing = [Recovery::Nothing, Recovery::Nothing];
    let mut ahead = worlds.clone();
    ahead[1].run(&by_run(
        promote(release("1.2.0", 3), spec(Access::Public)),
        8,
        1,
    ));
    assert_eq!(look(&ahead, &asker("7/1")), nothing);
    let mut back = worlds.clone();
    back[1].run(&by_run(rollback(RollbackTo::Previous), 8, 1));
    assert_eq!(look(&back, &asker("7/1")), nothing);
    // A run over one region alone says nothing of others.
    let mut alone = settled();
    alone[0].run(&by_run(
        promote(release("1.2.0", 3), spec(Access::Public)),
        8,
        1,
    ));
    assert_eq!(look(&alone, &asker("8/1")), nothing);
}

#[test]
fn runs_of_the_same_name_are_told_apart_by_what_they_bring() {
    // On a terminal, all runs of a person have one name.
    let mut worlds = empty();
    for world in &mut worlds {
        world.run(&v("1.0.0", 1, 7));
    }
    let old = serves(&worlds[0]);
    let (mut left, _) = died_after(&worlds, &v("1.1.0", 2, 7), [5, 0]);
    recovered(&mut left, &asker("7/1"));
    assert_eq!(left.each_ref().map(serves), [old.clone(), old]);
}

#[test]
fn a_record_that_another_tool_erased_decides_nothing() {
    let mut worlds = settled();
    let old = serves(&worlds[0]);
    for world in &mut worlds {
        world.run(&v("1.1.0", 2, 7));
    }
    worlds[1].service_mut().state = StateSeen::Absent;
    let nothing = [Recovery::Nothing, Recovery::Nothing];
    assert_eq!(look(&worlds, &asker("7/1")), nothing);
    worlds.iter_mut().for_each(|world| world.later(LEASE));
    assert_eq!(look(&worlds, &asker("8/1")), nothing);
    // Where everything was given in the other region, what serves here counts.
    for (serves_new, way) in [(true, Way::Forward), (false, Way::Back)] {
        let (mut left, plan) = died_after(&settled(), &v("1.1.0", 2, 7), [3, 5]);
        left[1].service_mut().state = StateSeen::Absent;
        if !serves_new {
            left[1].foreign_traffic(&[(old.as_str(), 100)]);
        }
        let all = recovered(&mut left, &asker("7/1"));
        let Recovery::Proceed(rescue) = &all[0] else {
            panic!("{all:#?}");
        };
        assert_eq!(rescue.way, way);
        let expected = if serves_new { &plan.revision } else { &old };
        assert_eq!(
            left.each_ref().map(serves),
            [expected.clone(), expected.clone()]
        );
    }
}

#[test]
fn what_may_have_served_before_keeps_a_region_from_being_closed() {
    // What is remembered of v1.0.0 was erased while it served; then v1.1.0 came through here alone.
    let mut worlds = settled();
    for world in &mut worlds {
        world.service_mut().state = StateSeen::Absent;
    }
    let (mut left, plan) = died_after(&worlds, &v("1.1.0", 2, 7), [5, 2]);
    let all = look(&left, &asker("7/1"));
    let [Recovery::Blocked(problems), Recovery::Proceed(_)] = &all[..] else {
        panic!("{all:#?}");
    };
    assert_eq!(problems[0].code, Code::RegionsApart);
    let old = serves(&settled()[0]);
    assert!(problems[0].cause[0].contains(old.as_str()), "{problems:?}");
    assert!(!problems[0].help[0].starts_with("or"), "{problems:?}");
    // What was rejected did not serve.
    let mut state = left[0].state();
    let before = worlds[0].service().revisions[0].record.clone().unwrap();
    state.rejected.push(before.rejected(
        Rejection::Failed,
        "tests failed".to_owned(),
        Timestamp(1),
        RunRef("6/1".to_owned()),
    ));
    left[0].service_mut().state = StateSeen::Known(state);
    let all = look(&left, &asker("7/1"));
    let Recovery::Proceed(rescue) = &all[0] else {
        panic!("{all:#?}");
    };
    assert_eq!(
        (rescue.way, &rescue.lease.revision),
        (Way::Back, &plan.revision)
    );
}

#[test]
fn who_may_call_goes_back_with_a_release_that_was_recorded() {
    let private = |version, number, run| {
        let wanted = promote(release(version, number), spec(Access::Private));
        both(by_run(wanted, run, 1))
    };
    let mut worlds = empty();
    for world in &mut worlds {
        world.run(&private("1.0.0", 1, 6));
    }
    let old = serves(&worlds[0]);
    // Done by one run, by a run that takes up what another one left, or by a recovery.
    for taken_up in [false, true] {
        let mut before = worlds.clone();
        if taken_up {
            (before, _) = died_after(&before, &v("1.1.0", 2, 7), [3, 0]);
        }
        let wanted = by_run(v("1.1.0", 2, 7), 7, 2);
        let steps = before[0].expect_plan(&wanted).steps.len();
        let (mut left, _) = died_after(&before, &wanted, [steps, 2]);
        assert_eq!(left[0].service().access, Access::Public);
        recovered(&mut left, &asker("7/2"));
        assert_eq!(left.each_ref().map(serves), [old.clone(), old.clone()]);
        for world in &left {
            assert_eq!(world.service().access, Access::Private, "{taken_up}");
        }
    }
    let (mut left, _) = died_after(&worlds, &v("1.1.0", 2, 7), [3, 3]);
    let Recovery::Proceed(rescue) = &look(&left, &asker("7/1"))[0] else {
        panic!("it can be finished");
    };
    let rescue = rescue.clone();
    for step in &rescue.plan.steps {
        left[0].apply(&step.action);
    }
    left[1] = worlds[1].clone();
    recovered(&mut left, &asker("7/1"));
    assert_eq!(left[0].service().access, Access::Private);
}

#[test]
fn a_rollback_that_was_finished_is_finished_also_where_previous_was_not_the_same() {
    let mut worlds = settled();
    // One region has had a release more.
    worlds[0].run(&by_run(v("1.1.0", 2, 7), 7, 1));
    for world in &mut worlds {
        world.run(&v("1.2.0", 3, 8));
    }
    for run in ["9/1", "cli/ann@laptop"] {
        let mut back = both(rollback(RollbackTo::Previous));
        back.run = RunRef(run.to_owned());
        let mut done = worlds.clone();
        for world in &mut done {
            world.run(&back);
        }
        assert_ne!(serves(&done[0]), serves(&done[1]));
        let nothing = [Recovery::Nothing, Recovery::Nothing];
        assert_eq!(look(&done, &asker(run)), nothing);
        done.iter_mut().for_each(|world| world.later(LEASE));
        assert_eq!(look(&done, &asker("10/1")), nothing);
    }
}
