//! Runs that died, strangers in between: what the next run does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::plan::{Action, Planned, Undo, Wanted};
use delivery::snapshot::{Readiness, StateSeen};
use delivery::spec::Access;
use delivery::stage::RollbackTo;
use delivery::target::Tier;
use delivery::traffic::Destination;
use world::{LEASE, World, by_run, ids, promote, release, rollback, spec};

fn v(version: &str, number: u32) -> Wanted {
    promote(release(version, number), spec(Access::Public))
}

#[test]
fn a_run_that_died_anywhere_is_resumed_with_its_own_revision() {
    for first_deploy in [true, false] {
        for done in 1..=4 {
            let mut world = World::empty(Tier::Preproduction);
            let mut standing = Vec::new();
            if !first_deploy {
                standing.push(world.run(&v("0.9.0", 9)).revision);
            }
            let died = world.expect_plan(&by_run(v("1.0.0", 1), 5, 1));
            for step in &died.steps[..done] {
                world.apply(&step.action);
            }
            let resumed = world.run(&by_run(v("1.0.0", 1), 5, 2));
            assert_eq!(
                resumed.revision, died.revision,
                "after {done} steps: {resumed:#?}"
            );
            assert_eq!(world.serves(), [(died.revision.to_string(), 100)]);
            assert_eq!(world.tagged(), standing);
            assert_eq!(world.service().access, Access::Public);
            assert!(world.state().intent.is_none());
            assert!(matches!(
                world.plan(&v("1.0.0", 1)),
                Planned::UpToDate { .. }
            ));
        }
    }
}

/// The second run to die knows of the first only what its own first write took back.
#[test]
fn what_two_dead_runs_left_is_undone_to_what_was_confirmed() {
    let mut world = World::empty(Tier::Preproduction);
    let closed = |version, number| promote(release(version, number), spec(Access::Private));
    let before = world.run(&closed("1.0.0", 1)).revision;
    for wanted in [
        by_run(v("1.1.0", 2), 5, 1),
        by_run(closed("1.2.0", 3), 6, 1),
    ] {
        let died = world.expect_plan(&wanted);
        let writes = if wanted.run.0 == "5/1" { 3 } else { 1 };
        for step in &died.steps[..writes] {
            world.apply(&step.action);
        }
        world.later(LEASE);
    }
    assert_eq!(world.serves(), [(before.to_string(), 100)]);
    assert_eq!(world.service().access, Access::Private);
    let next = world.expect_plan(&by_run(v("1.3.0", 4), 7, 1));
    world.fail_at(&next, 1);
    assert_eq!(world.serves(), [(before.to_string(), 100)]);
    assert_eq!(world.service().access, Access::Private);
}

/// A private service of another tool, whose new traffic somebody let follow LATEST: nobody closed it,
/// and who may call it depends on it.
#[test]
fn a_private_service_that_somebody_moved_to_the_candidate_is_depended_on() {
    let mut world = World::foreign(Tier::Preproduction, Access::Private);
    let private = |version, number| promote(release(version, number), spec(Access::Private));
    let died = world.expect_plan(&by_run(private("1.0.0", 1), 5, 1));
    for step in &died.steps[..3] {
        world.apply(&step.action);
    }
    world.foreign_traffic(&[("LATEST", 100)]);
    world.later(LEASE);
    let next = world.expect_plan(&by_run(private("1.1.0", 2), 7, 1));
    world.apply(&next.steps[0].action);
    assert_eq!(world.serves(), [(died.revision.to_string(), 100)]);
}

/// That it was healthy once says nothing of what its run has not confirmed now.
#[test]
fn an_unconfirmed_shift_to_an_earlier_release_is_undone_with_the_next_that_fails() {
    let mut world = World::empty(Tier::Preproduction);
    world.run(&v("1.0.0", 1));
    let before = world.run(&v("1.1.0", 2)).revision;
    let died = world.expect_plan(&by_run(v("1.0.0", 1), 5, 2));
    assert_eq!(ids(&died)[0], "tag-revision");
    for step in &died.steps[..3] {
        world.apply(&step.action);
    }
    assert_eq!(world.serves(), [(died.revision.to_string(), 100)]);
    world.later(LEASE);
    let next = world.expect_plan(&by_run(v("1.2.0", 3), 7, 1));
    world.fail_at(&next, 1);
    assert_eq!(world.serves(), [(before.to_string(), 100)]);
}

#[test]
fn an_unconfirmed_shift_of_a_dead_run_is_undone_if_it_fails_its_tests() {
    let mut world = World::empty(Tier::Preproduction);
    let before = world.run(&v("0.9.0", 9)).revision;
    let died = world.expect_plan(&v("1.0.0", 1));
    for step in &died.steps[..3] {
        world.apply(&step.action);
    }
    let mut other = world.clone();
    let resumed = world.expect_plan(&v("1.0.0", 1));
    assert_eq!(ids(&resumed), ["verify", "confirm", "record"]);
    world.fail_at(&resumed, 0);
    assert_eq!(world.serves(), [(before.to_string(), 100)]);
    assert_eq!(world.state().rejected[0].revision, died.revision);
    // Another release that fails goes back to the last confirmed one too.
    other.later(LEASE);
    let next = other.expect_plan(&by_run(v("1.1.0", 2), 7, 1));
    other.fail_at(&next, 1);
    assert_eq!(other.serves(), [(before.to_string(), 100)]);
}

#[test]
fn a_dead_first_deploy_stays_closed_for_another_release() {
    let mut world = World::empty(Tier::Preproduction);
    let died = world.expect_plan(&v("1.0.0", 1));
    world.apply(&died.steps[0].action);
    world.later(LEASE);
    let next = world.expect_plan(&by_run(v("1.1.0", 2), 7, 1));
    let Action::DeployCandidate {
        traffic, access, ..
    } = &next.steps[0].action
    else {
        panic!("{next:?}");
    };
    assert_eq!(traffic.shares()[0].to, Destination::Latest);
    assert_eq!(*access, Some(Access::Private));
    assert!(matches!(next.steps[4].undo, Undo::KeepClosed { .. }));
    world.run(&by_run(v("1.1.0", 2), 7, 1));
    assert_eq!(world.serves(), [(next.revision.to_string(), 100)]);
}

#[test]
fn a_stranger_who_lets_traffic_follow_what_had_passed_answers_for_it() {
    for access in [Access::Public, Access::Private] {
        let mut world = World::empty(Tier::Preproduction);
        let first = promote(release("1.0.0", 1), spec(access));
        let died = world.expect_plan(&first);
        // Everything was given to it, and it was not confirmed yet.
        for step in &died.steps[..3] {
            world.apply(&step.action);
        }
        world.foreign_traffic(&[("LATEST", 100)]);
        world.later(LEASE);
        let next = promote(release("1.1.0", 2), spec(access));
        let next = world.expect_plan(&by_run(next, 7, 1));
        world.apply(&next.steps[0].action);
        assert_eq!(world.serves(), [(died.revision.to_string(), 100)]);
        assert_eq!(world.service().access, access, "callers depend on it");
    }
}

#[test]
fn a_service_of_another_tool_is_no_first_deploy_although_nothing_was_recorded() {
    let private = |version, number| promote(release(version, number), spec(Access::Private));
    let mut world = World::foreign(Tier::Preproduction, Access::Private);
    let undecided = world.expect_plan(&private("1.0.0", 1));
    world.apply(&undecided.steps[0].action);
    // Somebody gives everything to it, and the run takes back what is its own.
    world.foreign_traffic(&[("LATEST", 100)]);
    let state = world.state().without_intent();
    world.service_mut().state = StateSeen::Known(state);
    let next = world.expect_plan(&by_run(private("1.1.0", 2), 7, 1));
    world.apply(&next.steps[0].action);
    assert_eq!(world.serves(), [(undecided.revision.to_string(), 100)]);
}

#[test]
fn a_tag_that_follows_latest_does_not_reach_the_candidate_of_a_first_deploy_either() {
    let mut world = World::empty(Tier::Preproduction);
    let died = world.expect_plan(&v("1.0.0", 1));
    world.apply(&died.steps[0].action);
    world.foreign_tag("blue", None);
    world.later(LEASE);
    let next = world.expect_plan(&by_run(v("1.1.0", 2), 7, 1));
    let Action::DeployCandidate { traffic, .. } = &next.steps[0].action else {
        panic!("{next:?}");
    };
    let held = Destination::Revision(died.revision);
    assert_eq!(traffic.tags()[0].to, held);
    world.run(&by_run(v("1.1.0", 2), 7, 1));
    let blue = &world.service().traffic.tags()[0];
    assert_eq!(blue.to, Destination::Latest, "as it was");
}

#[test]
fn an_open_service_is_not_closed_for_what_failed_here() {
    let mut world = World::empty(Tier::Preproduction);
    let before = world.run(&v("1.0.0", 1)).revision;
    let failed = world.expect_plan(&by_run(v("1.1.0", 2), 6, 1));
    world.fail_at(&failed, 1);
    // Somebody wants it all the same.
    world.foreign_traffic(&[(failed.revision.as_str(), 100)]);
    let back = rollback(RollbackTo::Previous);
    let back = world.expect_plan(&by_run(back, 7, 1));
    assert_eq!(back.revision, before);
    for step in &back.steps {
        world.apply(&step.action);
        assert_eq!(world.service().access, Access::Public);
    }
    assert_eq!(world.serves(), [(before.to_string(), 100)]);
}

#[test]
fn a_private_service_is_no_first_deploy_for_what_failed_here() {
    let mut world = World::empty(Tier::Preproduction);
    let private =
        |version: &str, number: u32| promote(release(version, number), spec(Access::Private));
    world.run(&private("1.0.0", 1));
    let failed = world.expect_plan(&by_run(private("1.1.0", 2), 6, 1));
    world.fail_at(&failed, 1);
    // Somebody wants it all the same. Callers with a token must not meet the next one untested.
    world.foreign_traffic(&[(failed.revision.as_str(), 100)]);
    let next = world.expect_plan(&by_run(private("1.2.0", 3), 7, 1));
    world.apply(&next.steps[0].action);
    assert_eq!(world.serves(), [(failed.revision.to_string(), 100)]);
}

#[test]
fn a_revision_that_is_not_ready_yet_is_waited_for_and_a_failed_one_is_made_anew() {
    let mut world = World::empty(Tier::Preproduction);
    let before = world.run(&v("0.9.0", 9)).revision;
    let died = world.expect_plan(&v("1.0.0", 1));
    world.apply(&died.steps[0].action);
    let service = world.service_mut();
    service.revisions[0].readiness = Readiness::Pending;
    service.latest_ready = Some(before.clone());
    let mut broken = world.clone();
    let resumed = world.run(&v("1.0.0", 1));
    assert_eq!(ids(&resumed)[0], "tag-revision");
    assert_eq!(resumed.revision, died.revision);
    broken.service_mut().revisions[0].readiness = Readiness::Failed("exit 1".to_owned());
    let anew = broken.run(&v("1.0.0", 1));
    assert_ne!(anew.revision, died.revision);
    assert_eq!(broken.tagged(), [before], "the dead run's tag is gone too");
}

#[test]
fn a_serving_revision_that_was_never_recorded_is_tested_and_recorded() {
    let mut world = World::empty(Tier::Preproduction);
    let plan = world.expect_plan(&v("1.0.0", 1));
    world.apply(&plan.steps[0].action);
    let interrupted = Diagnostic::error(Code::Interrupted, "the run was interrupted");
    world.undo_after(&plan.steps[0].undo, &interrupted);
    assert!(world.state().rejected.is_empty(), "that is not its fault");
    let next = world.run(&v("1.0.0", 1));
    // Nothing has ever passed here: it goes the way of a first deploy, closed until its tests have passed.
    let ids = ids(&next);
    assert_eq!(ids[..2], ["tag-revision", "verify"]);
    assert!(matches!(next.steps[0].undo, Undo::KeepClosed { .. }));
    assert_eq!(next.revision, plan.revision);
    assert_eq!(world.service().access, Access::Public);
}

#[test]
fn only_a_change_of_access_tests_and_opens() {
    let mut world = World::empty(Tier::Preproduction);
    let closed = promote(release("1.0.0", 1), spec(Access::Private));
    world.run(&closed);
    assert_eq!(world.service().access, Access::Private);
    let plan = world.expect_plan(&v("1.0.0", 1));
    assert_eq!(ids(&plan), ["verify", "shift-traffic", "confirm", "record"]);
    let mut failed = world.clone();
    failed.fail_at(&plan, 2);
    assert_eq!(failed.service().access, Access::Private);
    world.run(&v("1.0.0", 1));
    assert_eq!(world.service().access, Access::Public);
    world.run(&closed);
    assert_eq!(world.service().access, Access::Private);
}

#[test]
fn a_stranger_who_moved_traffic_is_not_undone_but_built_upon() {
    let mut world = World::empty(Tier::Preproduction);
    let first = world.run(&v("1.0.0", 1)).revision;
    world.foreign_deploy("api-00002-xyz");
    world.foreign_traffic(&[(first.as_str(), 90), ("LATEST", 10)]);
    world.foreign_tag("blue", Some(&first));
    let plan = world.expect_plan(&v("1.1.0", 2));
    let split = [("api-00002-xyz".to_owned(), 10), (first.to_string(), 90)];
    for index in 0..plan.steps.len() {
        let mut failed = world.clone();
        failed.fail_at(&plan, index);
        assert_eq!(failed.serves(), split, "failed at step {}", index + 1);
        assert_eq!(failed.service().traffic.tags().len(), 1);
    }
    world.run(&v("1.1.0", 2));
    assert_eq!(world.serves(), [(plan.revision.to_string(), 100)]);
    assert_eq!(world.service().traffic.tags()[0].name.as_str(), "blue");
}

#[test]
fn the_same_again_after_a_stranger_moved_away_takes_up_the_revision() {
    let mut world = World::empty(Tier::Preproduction);
    let first = world.run(&v("1.0.0", 1)).revision;
    world.foreign_deploy("api-00002-xyz");
    world.foreign_traffic(&[("LATEST", 100)]);
    let plan = world.run(&v("1.0.0", 1));
    assert_eq!(ids(&plan)[0], "tag-revision");
    assert_eq!(plan.revision, first);
    assert_eq!(world.service().revisions.len(), 2);
    assert_eq!(world.serves(), [(first.to_string(), 100)]);
}

#[test]
fn a_candidate_that_could_not_be_decided_is_tested_again_and_not_made_anew() {
    let mut world = World::empty(Tier::Preproduction);
    world.run(&v("1.0.0", 1));
    let plan = world.expect_plan(&v("1.1.0", 2));
    world.apply(&plan.steps[0].action);
    let open = Diagnostic::error(Code::TestsInconclusive, "no answer");
    world.undo_after(&plan.steps[1].undo, &open);
    let again = world.run(&v("1.1.0", 2));
    assert_eq!(ids(&again)[0], "tag-revision");
    assert_eq!(again.revision, plan.revision);
}

#[test]
fn a_tag_that_was_left_behind_is_removed_even_if_nothing_else_is_to_be_done() {
    let mut world = World::empty(Tier::Preproduction);
    let first = world.run(&v("1.0.0", 1)).revision;
    let second = world.run(&v("1.1.0", 2)).revision;
    let (_, h6) = second.as_str().rsplit_once('-').unwrap();
    world.foreign_tag(&format!("c-{h6}"), Some(&second));
    world.foreign_tag("c-abcdef", Some(&first));
    assert_eq!(world.tagged(), [first.clone(), second]);
    let plan = world.run(&v("1.1.0", 2));
    assert_eq!(ids(&plan), ["verify", "shift-traffic", "confirm", "record"]);
    assert_eq!(world.tagged(), [first], "the standing tag is no left-over");
    let tags = world.service().traffic.tags();
    let names: Vec<_> = tags.iter().map(|tag| tag.name.as_str()).collect();
    assert!(
        names.contains(&"c-abcdef"),
        "a tag with another hash is not ours: {names:?}"
    );
}

#[test]
fn the_name_of_a_deleted_revision_is_not_given_again() {
    let mut world = World::empty(Tier::Preproduction);
    world.run(&v("1.0.0", 1));
    let failed = world.expect_plan(&v("1.1.0", 2));
    world.fail_at(&failed, 1);
    let service = world.service_mut();
    service
        .revisions
        .retain(|seen| seen.name != failed.revision);
    let again = world.run(&v("1.1.0", 2));
    assert_ne!(again.revision, failed.revision);
    assert!(matches!(
        world.plan(&v("1.1.0", 2)),
        Planned::UpToDate { .. }
    ));
}
