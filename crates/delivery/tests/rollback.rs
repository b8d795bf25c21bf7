//! Moving traffic back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use delivery::diagnostic::Code;
use delivery::name::RevisionName;
use delivery::plan::{Action, Planned, Wanted};
use delivery::snapshot::{Readiness, StateSeen};
use delivery::spec::Access;
use delivery::stage::RollbackTo;
use delivery::state::Rejection;
use delivery::target::Tier;
use world::{World, by_run, ids, promote, release, rollback, spec};

/// With a standing tag, one write does it.
const STEPS: [&str; 3] = ["verify", "shift-traffic", "confirm"];
/// Without one, the target is tagged first.
const TAG_FIRST: [&str; 4] = ["tag-revision", "verify", "shift-traffic", "confirm"];

fn v(version: &str, number: u32) -> Wanted {
    promote(release(version, number), spec(Access::Public))
}

/// The revisions of 1.0.0, 1.1.0 and 1.2.0, the last of which serves.
fn three() -> (World, [RevisionName; 3]) {
    let mut world = World::empty(Tier::Production);
    let names = [0, 1, 2].map(|minor| world.run(&v(&format!("1.{minor}.0"), minor)).revision);
    (world, names)
}

fn blocked(world: &World, to: RollbackTo) -> delivery::diagnostic::Diagnostic {
    match world.plan(&rollback(to)) {
        Planned::Blocked(mut blocks) => blocks.remove(0),
        other => panic!("not blocked: {other:#?}"),
    }
}

#[test]
fn previous_is_the_last_healthy_one_and_twice_goes_on_to_the_one_before() {
    let (mut world, [first, second, third]) = three();
    let plan = world.run(&rollback(RollbackTo::Previous));
    assert_eq!(ids(&plan), STEPS);
    assert_eq!(world.serves(), [(second.to_string(), 100)]);
    assert_eq!(
        world.service().access,
        Access::Public,
        "access is left as it was"
    );
    let rejected = &world.state().rejected[0];
    assert_eq!(
        (&rejected.revision, rejected.kind),
        (&third, Rejection::RolledBack)
    );
    let again = world.plan(&rollback(RollbackTo::Previous));
    assert!(
        matches!(again, Planned::UpToDate { .. }),
        "told once: {again:?}"
    );
    world.run(&by_run(rollback(RollbackTo::Previous), 101, 1));
    assert_eq!(world.serves(), [(first.to_string(), 100)]);
    let Planned::Blocked(blocks) = world.plan(&by_run(rollback(RollbackTo::Previous), 102, 1))
    else {
        panic!("there is nothing before it");
    };
    assert_eq!(blocks[0].code, Code::NoRollbackTarget);
}

#[test]
fn a_rollback_that_died_anywhere_is_resumed_and_goes_no_further() {
    for (to, done) in [(RollbackTo::Previous, 1..=2), (oldest(), 1..=3)] {
        for done in done {
            let (mut world, [first, second, third]) = three();
            let died = world.expect_plan(&by_run(rollback(to.clone()), 7, 1));
            for step in &died.steps[..done] {
                world.apply(&step.action);
            }
            let again = by_run(rollback(to.clone()), 7, 2);
            let shifted = world.serves()[0].0 == died.revision.as_str();
            if !shifted {
                world.run(&again);
            }
            let serves = [(died.revision.to_string(), 100)];
            assert_eq!(world.serves(), serves, "after {done} steps");
            let standby = if died.revision == first {
                second
            } else {
                first
            };
            assert_eq!(world.tagged(), [standby]);
            assert_eq!(world.state().rejected[0].revision, third);
            assert!(world.state().intent.is_none());
            let end = world.plan(&again);
            assert!(matches!(end, Planned::UpToDate { .. }), "{end:#?}");
        }
    }
}

fn oldest() -> RollbackTo {
    RollbackTo::Version("1.0.0".parse().unwrap())
}

#[test]
fn on_a_terminal_the_same_call_goes_no_further_for_a_while() {
    let (mut world, [first, second, _]) = three();
    let mut wanted = rollback(RollbackTo::Previous);
    wanted.run = delivery::state::RunRef("cli/ada@laptop".to_owned());
    world.run(&wanted);
    let Planned::UpToDate { revision, because } = world.plan(&wanted) else {
        panic!("the call before may have been killed after its write");
    };
    assert_eq!(revision, second);
    assert!(because.contains("name a version"), "{because}");
    world.later(15 * 60);
    world.run(&wanted);
    assert_eq!(world.serves(), [(first.to_string(), 100)]);
}

#[test]
fn a_target_without_a_tag_gets_one_first() {
    let (mut world, [first, second, third]) = three();
    let plan = world.run(&rollback(oldest()));
    assert_eq!(ids(&plan), TAG_FIRST);
    assert_eq!(world.serves(), [(first.to_string(), 100)]);
    assert_eq!(world.tagged(), [second]);
    assert_eq!(world.state().rejected[0].revision, third);
}

/// What a rollback does not look at decides nothing: the plan is the same without it.
#[test]
fn a_rollback_needs_the_newest_revisions_only() {
    use delivery::plan::{Missing, missing};
    let (mut world, _) = three();
    for number in 0..5 {
        world.foreign_deploy(&format!("api-{number:05}-xyz"));
    }
    let named = |name: &str| RollbackTo::Revision(RevisionName::parse(name).unwrap());
    for to in [RollbackTo::Previous, oldest(), named("api-00001-xyz")] {
        let wanted = rollback(to);
        let whole = world.plan(&wanted);
        for seen in 0..=world.service().revisions.len() {
            let mut part = world.clone();
            part.service_mut().revisions.truncate(seen);
            let Missing { access, revisions } = missing(&wanted, &part.seen);
            part.service_mut().access = Access::Private;
            if !revisions && !access {
                assert_eq!(part.plan(&wanted), whole, "{seen} seen");
            }
            assert_eq!(revisions, seen < 8, "{seen} seen");
        }
    }
    let all = missing(&v("1.3.0", 3), &world.seen);
    assert!(
        all.access && all.revisions,
        "a promotion looks at everything"
    );
}

#[test]
fn a_rollback_is_tested_before_it_gets_traffic_and_a_failure_changes_nothing() {
    let (mut world, [_, second, third]) = three();
    let before = world.state();
    let plan = world.expect_plan(&rollback(RollbackTo::Previous));
    world.fail_at(&plan, 1);
    assert_eq!(world.serves(), [(third.to_string(), 100)]);
    assert_eq!(world.tagged(), std::slice::from_ref(&second));
    assert_eq!(
        world.state(),
        before,
        "`{second}` stays healthy: the tests may be newer than it"
    );
}

#[test]
fn a_version_and_a_revision_can_be_named() {
    let (mut world, [first, second, _]) = three();
    world.run(&rollback(RollbackTo::Version("1.0.0".parse().unwrap())));
    assert_eq!(world.serves(), [(first.to_string(), 100)]);
    world.run(&rollback(RollbackTo::Revision(second.clone())));
    assert_eq!(world.serves(), [(second.to_string(), 100)]);
    let again = world.plan(&rollback(RollbackTo::Revision(second)));
    assert!(matches!(again, Planned::UpToDate { .. }), "{again:?}");
}

#[test]
fn a_rejected_revision_can_be_named_with_a_warning() {
    let (mut world, [_, _, third]) = three();
    world.run(&rollback(RollbackTo::Previous));
    let plan = world.run(&rollback(RollbackTo::Revision(third.clone())));
    assert!(
        plan.warnings[0].title.contains("was rolled back"),
        "{plan:?}"
    );
    assert_eq!(world.serves(), [(third.to_string(), 100)]);
    assert!(matches!(
        world.plan(&v("1.2.0", 2)),
        Planned::UpToDate { .. }
    ));
}

#[test]
fn what_was_never_healthy_is_recorded_only_when_it_is_confirmed() {
    let (mut world, [_, second, third]) = three();
    world.run(&rollback(RollbackTo::Previous));
    let mut plan = world.expect_plan(&rollback(RollbackTo::Revision(third.clone())));
    let confirm = plan.steps.len() - 2;
    assert_eq!(ids(&plan)[confirm..], ["confirm", "record"]);
    plan.steps.truncate(confirm);
    for step in &plan.steps {
        world.apply(&step.action);
        assert!(world.state().healthy_entry(&third).is_none());
        assert_eq!(world.state().healthy[0].revision, second);
    }
    assert_eq!(world.serves(), [(third.to_string(), 100)]);
}

#[test]
fn a_foreign_revision_can_be_named_and_has_no_commit() {
    let mut world = World::foreign(Tier::Production, Access::Private);
    world.run(&promote(release("1.0.0", 1), spec(Access::Private)));
    let foreign = RevisionName::parse("api-00001-abc").unwrap();
    let plan = world.run(&rollback(RollbackTo::Revision(foreign.clone())));
    let commits = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Verify { commit, .. } | Action::Confirm { commit, .. } => Some(commit),
        _ => None,
    });
    assert!(commits.clone().count() == 2 && commits.clone().all(Option::is_none));
    assert!(
        plan.warnings
            .iter()
            .any(|w| w.title.contains("commit is not known"))
    );
    assert_eq!(world.serves(), [(foreign.to_string(), 100)]);
    assert!(
        world.state().healthy.is_empty(),
        "1.0.0 was rolled back, the other is not ours"
    );
    let again = world.plan(&rollback(RollbackTo::Revision(foreign)));
    assert!(matches!(again, Planned::UpToDate { .. }), "{again:?}");
}

#[test]
fn deleted_and_broken_targets_are_passed_over_or_refused() {
    let (mut world, [first, second, third]) = three();
    let readiness = Readiness::Failed("image was deleted".to_owned());
    for seen in &mut world.service_mut().revisions {
        if seen.name == second {
            seen.readiness = readiness.clone();
        }
    }
    let unfit = blocked(&world, RollbackTo::Revision(second.clone()));
    assert_eq!(unfit.code, Code::RollbackTargetUnfit);
    assert_eq!(unfit.cause, ["image was deleted"]);
    let same = blocked(&world, RollbackTo::Version("1.1.0".parse().unwrap()));
    assert_eq!(same.code, Code::RollbackTargetUnfit);
    let plan = world.expect_plan(&rollback(RollbackTo::Previous));
    assert_eq!(
        plan.revision, first,
        "`previous` passes over what cannot serve"
    );
    world
        .service_mut()
        .revisions
        .retain(|seen| seen.name != first);
    let none = blocked(&world, RollbackTo::Previous);
    assert_eq!(none.code, Code::NoRollbackTarget);
    assert_eq!(none.cause.len(), 2, "{none:?}");
    let promote = "promote a release that works: push a new version tag";
    assert_eq!(none.help, [promote], "`{third}` serves");
}

#[test]
fn who_names_no_fit_target_is_told_of_the_healthy_ones_that_do_not_serve() {
    let (mut world, [first, second, third]) = three();
    let typo = |name: &RevisionName| {
        RollbackTo::Revision(RevisionName::parse(format!("{name}x")).unwrap())
    };
    let missing = blocked(&world, typo(&first));
    assert_eq!(missing.code, Code::RollbackTargetUnfit);
    let healthy =
        format!("name one that was healthy here with `rollback_to`: `{second}`, `{first}`");
    let near = format!("did you mean `{first}`?");
    assert_eq!(missing.help, [near, healthy.clone()]);
    // What serves is no way back, however near its name is.
    let serving = blocked(&world, typo(&third));
    assert!(
        serving
            .help
            .iter()
            .all(|line| !line.contains(third.as_str())),
        "{serving:?}"
    );
    assert_eq!(serving.help.last(), Some(&healthy));
    let version = blocked(&world, RollbackTo::Version("9.9.9".parse().unwrap()));
    assert_eq!(
        (version.code, version.help),
        (Code::NoRollbackTarget, vec![healthy])
    );
    // What was rolled back from is none either; where no record tells, what is there can be named.
    world.run(&by_run(rollback(RollbackTo::Previous), 200, 1));
    world.run(&by_run(rollback(RollbackTo::Previous), 201, 1));
    let promote = "promote a release that works: push a new version tag";
    assert_eq!(blocked(&world, typo(&first)).help.last().unwrap(), promote);
    world.service_mut().state = StateSeen::Absent;
    let other = format!(
        "or name one that is not recorded healthy here with `rollback_to`; it gets traffic only if it passes its tests: `{third}`, `{second}`"
    );
    assert_eq!(
        blocked(&world, RollbackTo::Previous).help,
        [promote, &other]
    );
}

#[test]
fn a_configuration_can_be_rolled_back_without_rejecting_its_digest() {
    let mut world = World::empty(Tier::Production);
    let good = world.run(&v("1.0.0", 1)).revision;
    let mut changed = spec(Access::Public);
    changed.memory = Some("128Mi".to_owned());
    let bad = promote(release("1.0.0", 1), changed);
    world.run(&bad);
    world.run(&rollback(RollbackTo::Previous));
    assert_eq!(world.serves(), [(good.to_string(), 100)]);
    assert!(matches!(
        world.plan(&v("1.0.0", 1)),
        Planned::UpToDate { .. }
    ));
    let Planned::Blocked(blocks) = world.plan(&bad) else {
        panic!("the configuration comes back");
    };
    assert_eq!(blocks[0].code, Code::DigestRejected);
}

#[test]
fn there_is_nothing_to_roll_back_in_a_service_that_does_not_exist() {
    let world = World::empty(Tier::Production);
    assert_eq!(
        blocked(&world, RollbackTo::Previous).code,
        Code::NoRollbackTarget
    );
}

#[test]
fn a_rollback_that_keeps_the_image_says_so() {
    let mut world = World::empty(Tier::Preproduction);
    world.run(&v("1.0.0", 1));
    // The same digest, released again under another version.
    world.run(&v("1.0.1", 1));
    let plan = world.run(&rollback(RollbackTo::Previous));
    let told: Vec<&str> = plan.warnings.iter().map(|w| w.title.as_str()).collect();
    assert!(
        told.iter()
            .any(|title| title.contains("only the configuration goes back")),
        "{told:?}"
    );
    let (mut world, _) = three();
    let plan = world.run(&rollback(RollbackTo::Previous));
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn what_served_before_keeps_a_tag_and_no_other_does() {
    let (mut world, [first, second, third]) = three();
    assert_eq!(
        world.tagged(),
        std::slice::from_ref(&second),
        "and not {first}"
    );
    let next = world.expect_plan(&v("1.3.0", 3));
    world.apply(&next.steps[0].action);
    assert_eq!(
        world.tagged(),
        [second.clone(), next.revision.clone()],
        "it stays while a candidate is tested"
    );
    world.undo(&next.steps[1].undo, "it failed");
    assert_eq!(
        world.tagged(),
        std::slice::from_ref(&second),
        "and when that is undone"
    );
    world.run(&v("1.4.0", 4));
    assert_eq!(
        world.tagged(),
        std::slice::from_ref(&third),
        "then it goes on"
    );
    world.run(&rollback(RollbackTo::Previous));
    assert_eq!(world.serves(), [(third.to_string(), 100)]);
    assert_eq!(world.tagged(), [second], "what was left gets none");
}

#[test]
fn a_strangers_tag_of_the_same_name_stays_where_it_is() {
    let mut world = World::empty(Tier::Production);
    let first = world.run(&v("1.0.0", 1)).revision;
    let (_, h6) = first.as_str().rsplit_once('-').unwrap();
    world.foreign_deploy("api-00002-xyz");
    let foreign = RevisionName::parse("api-00002-xyz").unwrap();
    world.foreign_tag(&format!("c-{h6}"), Some(&foreign));
    world.run(&v("1.1.0", 2));
    let tags = world.service().traffic.tags();
    assert_eq!(tags.len(), 1, "{tags:?}");
    assert_eq!(
        tags[0].to,
        delivery::traffic::Destination::Revision(foreign)
    );
    assert!(matches!(
        world.plan(&v("1.1.0", 2)),
        Planned::UpToDate { .. }
    ));
}
