//! Stories of one environment: what is planned, and what the cloud looks like after it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use delivery::diagnostic::Code;
use delivery::name::TagName;
use delivery::plan::{Action, Intent, Others, Planned, Undo};
use delivery::spec::Access;
use delivery::stage::RollbackTo;
use delivery::target::Tier;
use delivery::traffic::Destination;
use world::{LEASE, World, by_run, ids, promote, release, rollback, spec};

const FIRST: [&str; 5] = [
    "create-service",
    "verify",
    "shift-traffic",
    "confirm",
    "record",
];
const ORDINARY: [&str; 5] = [
    "deploy-candidate",
    "verify",
    "shift-traffic",
    "confirm",
    "record",
];

fn v(version: &str, number: u32) -> delivery::plan::Wanted {
    promote(release(version, number), spec(Access::Public))
}

#[test]
fn a_first_deploy_is_closed_until_it_has_passed() {
    let mut world = World::empty(Tier::Preproduction);
    let plan = world.expect_plan(&v("1.0.0", 1));
    assert_eq!(ids(&plan), FIRST);
    assert_eq!(plan.etag, None);
    for step in &plan.steps {
        assert!(matches!(step.undo, Undo::KeepClosed { .. }), "{step:?}");
    }
    world.apply(&plan.steps[0].action);
    assert_eq!(world.service().access, Access::Private);
    for step in &plan.steps[1..] {
        world.apply(&step.action);
    }
    assert_eq!(world.service().access, Access::Public);
    assert!(
        !world.service().traffic.follows_latest(),
        "the end state is pinned"
    );
    assert!(world.state().intent.is_none());
    assert!(matches!(
        world.plan(&v("1.0.0", 1)),
        Planned::UpToDate { .. }
    ));
}

#[test]
fn the_next_release_stands_beside_what_serves() {
    let mut world = World::empty(Tier::Preproduction);
    let first = world.run(&v("1.0.0", 1)).revision;
    let etag = world.service().etag.clone();
    let plan = world.expect_plan(&v("1.1.0", 2));
    assert_eq!(ids(&plan), ORDINARY);
    assert_eq!(plan.etag, Some(etag));
    assert_eq!(plan.before, format!("{first} serves 100 %"));
    world.apply(&plan.steps[0].action);
    assert_eq!(world.serves(), [(first.to_string(), 100)]);
    let tags = world.service().traffic.tags();
    assert_eq!(tags.len(), 1);
    assert_eq!(tags[0].to, Destination::Revision(plan.revision.clone()));
    for step in &plan.steps[1..] {
        world.apply(&step.action);
    }
    assert_eq!(world.serves(), [(plan.revision.to_string(), 100)]);
    assert_eq!(
        world.tagged(),
        [first],
        "the candidate's tag is gone, what served before keeps one"
    );
    assert!(matches!(
        world.plan(&v("1.1.0", 2)),
        Planned::UpToDate { .. }
    ));
}

#[test]
fn the_container_is_told_what_it_is_and_names_say_it() {
    let world = World::empty(Tier::Preproduction);
    let plan = world.expect_plan(&v("1.4.0-rc.1", 1));
    let Action::CreateService { revision, .. } = &plan.steps[0].action else {
        panic!("{plan:?}");
    };
    assert_eq!(revision.spec.env_vars["ML_DEPLOY_VERSION"], "v1.4.0-rc.1");
    assert_eq!(
        revision.spec.env_vars["ML_DEPLOY_COMMIT"],
        format!("{:040x}", 1)
    );
    assert!(
        plan.revision.as_str().starts_with("api-v1-4-0-rc-1-"),
        "{}",
        plan.revision
    );
    assert_eq!(revision.record.config, revision.spec.hash());
    let branch = world.expect_plan(&v("", 0x1234_5678));
    assert!(
        branch.revision.as_str().starts_with("api-sha-0000000-"),
        "{}",
        branch.revision
    );
}

#[test]
fn a_foreign_service_that_follows_latest_is_pinned_and_reported() {
    let mut world = World::foreign(Tier::Preproduction, Access::Public);
    world.foreign_tag("blue", None);
    let plan = world.expect_plan(&v("1.0.0", 1));
    assert_eq!(ids(&plan), ORDINARY);
    let titles: Vec<_> = plan.warnings.iter().map(|w| w.title.as_str()).collect();
    for part in [
        "traffic followed LATEST",
        "another tool",
        "tag `blue` follows LATEST",
    ] {
        assert!(
            titles.iter().any(|t| t.contains(part)),
            "{part}: {titles:?}"
        );
    }
    world.apply(&plan.steps[0].action);
    assert_eq!(world.serves(), [("api-00001-abc".to_owned(), 100)]);
    let blue = TagName::parse("blue").unwrap();
    let blue = |world: &World| {
        let tagged = world
            .service()
            .serving
            .iter()
            .find(|s| s.tag == Some(blue.clone()));
        tagged.unwrap().revision.clone()
    };
    assert_eq!(
        blue(&world).as_str(),
        "api-00001-abc",
        "callers of blue stay where they are"
    );
    for step in &plan.steps[1..] {
        world.apply(&step.action);
    }
    assert_eq!(blue(&world), plan.revision, "blue follows LATEST again");
}

#[test]
fn a_failed_candidate_leaves_traffic_and_the_next_run_makes_a_new_attempt() {
    let mut world = World::empty(Tier::Preproduction);
    let first = world.run(&v("1.0.0", 1)).revision;
    let failed = world.expect_plan(&v("1.1.0", 2));
    world.fail_at(&failed, 1);
    assert_eq!(world.serves(), [(first.to_string(), 100)]);
    assert!(world.service().traffic.tags().is_empty());
    assert_eq!(world.state().rejected[0].reason, "it failed");
    let again = world.run(&v("1.1.0", 2));
    assert_ne!(again.revision, failed.revision);
    let Action::DeployCandidate { revision, .. } = &again.steps[0].action else {
        panic!("{again:?}");
    };
    assert_eq!(revision.record.attempt, 2);
}

#[test]
fn a_failed_first_deploy_stays_closed_and_is_retried_closed() {
    let mut world = World::empty(Tier::Preproduction);
    let failed = world.expect_plan(&v("1.0.0", 1));
    world.fail_at(&failed, 1);
    assert_eq!(world.service().access, Access::Private);
    let again = world.expect_plan(&v("1.0.0", 1));
    assert_eq!(ids(&again), ORDINARY);
    let Action::DeployCandidate {
        traffic, access, ..
    } = &again.steps[0].action
    else {
        panic!("{again:?}");
    };
    assert_eq!(traffic.shares()[0].to, Destination::Latest);
    assert_eq!(*access, Some(Access::Private));
    world.run(&v("1.0.0", 1));
    assert_eq!(world.service().access, Access::Public);
    assert_eq!(world.serves(), [(again.revision.to_string(), 100)]);
}

#[test]
fn a_service_name_without_room_for_the_tag_is_blocked_with_the_longest_that_fits() {
    let mut world = World::empty(Tier::Preproduction);
    world.seen.target.service = delivery::name::ServiceName::parse("s".repeat(40)).unwrap();
    let Planned::Blocked(blocks) = world.plan(&v("1.0.0", 1)) else {
        panic!("not blocked");
    };
    assert_eq!(blocks[0].code, Code::NameTooLong);
    assert!(blocks[0].help[0].contains("38 characters"), "{blocks:?}");
}

#[test]
fn a_plan_says_what_else_may_answer_at_the_services_address() {
    let v = |version, number| promote(release(version, number), spec(Access::Public));
    let mut world = World::empty(Tier::Preproduction);
    assert_eq!(world.expect_plan(&v("1.0.0", 1)).others, Others::None);
    let first = world.run(&v("1.0.0", 1)).revision;
    let next = world.expect_plan(&by_run(v("1.1.0", 2), 6, 1));
    assert_eq!(next.others, Others::Apart);
    // Another version, and another configuration, of the same commit.
    for alike in [
        v("1.1.0", 1),
        promote(release("1.0.0", 1), spec(Access::Private)),
    ] {
        let mut alike = by_run(alike, 6, 1);
        if let Intent::Promote { spec, .. } = &mut alike.intent {
            spec.memory = Some("1Gi".to_owned());
        }
        assert_eq!(world.expect_plan(&alike).others, Others::Alike);
    }
    // What a run that died has left, and what its undo leads to.
    for step in &next.steps[..3] {
        world.apply(&step.action);
    }
    world.later(LEASE);
    let finish = world.expect_plan(&by_run(v("1.1.0", 2), 7, 1));
    assert_eq!(finish.others, Others::Apart);
    let back = rollback(RollbackTo::Revision(first));
    assert_eq!(world.expect_plan(&by_run(back, 7, 1)).others, Others::Apart);
    // Others may tell any commit.
    let foreign = World::foreign(Tier::Preproduction, Access::Public);
    assert_eq!(foreign.expect_plan(&v("1.0.0", 1)).others, Others::Alike);
}
