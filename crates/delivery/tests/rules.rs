//! What must not be done, and what may.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::name::RevisionName;
use delivery::plan::{Planned, Wanted};
use delivery::snapshot::{Readiness, RevisionSeen, ServiceCondition, StateSeen};
use delivery::spec::{Access, SecretBinding, SecretPlace};
use delivery::stage::RollbackTo;
use delivery::state::{StateRecord, Timestamp};
use delivery::target::Tier;
use world::{LEASE, World, by_run, promote, release, rollback, spec};

fn v(version: &str, number: u32) -> Wanted {
    promote(release(version, number), spec(Access::Public))
}

fn blocks(world: &World, wanted: &Wanted) -> Vec<Diagnostic> {
    match world.plan(wanted) {
        Planned::Blocked(blocks) => blocks,
        other => panic!("not blocked: {other:#?}"),
    }
}

fn codes(world: &World, wanted: &Wanted) -> Vec<Code> {
    blocks(world, wanted)
        .iter()
        .map(|block| block.code)
        .collect()
}

/// 1.0.0 and then 1.2.0 were promoted.
fn serving_1_2(tier: Tier) -> World {
    let mut world = World::empty(tier);
    world.run(&by_run(v("1.0.0", 10), 1, 1));
    world.run(&by_run(v("1.2.0", 12), 2, 1));
    world
}

#[test]
fn production_takes_no_prerelease_no_branch_build_and_no_older_version() {
    let world = serving_1_2(Tier::Production);
    for (version, code) in [
        ("2.0.0-rc.1", Code::PrereleaseToProduction),
        ("", Code::NotARelease),
        ("1.1.0", Code::OlderThanProduction),
    ] {
        assert_eq!(codes(&world, &v(version, 99)), [code], "{version}");
        let elsewhere = serving_1_2(Tier::Preproduction);
        assert!(
            matches!(elsewhere.plan(&v(version, 99)), Planned::Proceed(_)),
            "{version} is held back outside production"
        );
    }
    let older = blocks(&world, &v("1.1.0", 99)).remove(0);
    assert!(older.help[0].contains("rollback_to: v1.1.0"), "{older:?}");
    assert!(older.state.unwrap().contains("serves 100 %"));
}

#[test]
fn a_version_is_immutable_in_production() {
    let world = serving_1_2(Tier::Production);
    for version in ["1.2.0", "1.2.0+other"] {
        let block = blocks(&world, &v(version, 99)).remove(0);
        assert_eq!(block.code, Code::VersionReused, "{version}");
        assert!(block.help[0].contains("v1.2.1"), "{block:?}");
    }
    let mut configured = spec(Access::Public);
    configured
        .env_vars
        .insert("LEVEL".to_owned(), "debug".to_owned());
    let same_digest = promote(release("1.2.0", 12), configured);
    assert!(matches!(world.plan(&same_digest), Planned::Proceed(_)));
}

#[test]
fn a_patch_above_what_serves_is_allowed_after_a_rollback() {
    let mut world = serving_1_2(Tier::Production);
    world.run(&rollback(RollbackTo::Previous));
    assert!(matches!(world.plan(&v("1.0.1", 13)), Planned::Proceed(_)));
    assert_eq!(codes(&world, &v("0.9.0", 9)), [Code::OlderThanProduction]);
}

#[test]
fn every_reason_is_given_at_once() {
    let mut world = serving_1_2(Tier::Production);
    let mut bad = spec(Access::Public);
    for name in ["PORT", "ML_DEPLOY_VERSION", "K_SERVICE", "FINE"] {
        bad.env_vars.insert(name.to_owned(), "1".to_owned());
    }
    bad.secrets.push(SecretBinding {
        place: SecretPlace::Variable("K_REVISION".to_owned()),
        secret: "s".to_owned(),
        version: "latest".to_owned(),
    });
    world.seen.target.service = delivery::name::ServiceName::parse("s".repeat(45)).unwrap();
    let found = codes(&world, &promote(release("1.1.0-rc.1", 99), bad));
    let count = |code| found.iter().filter(|found| **found == code).count();
    assert_eq!(count(Code::InputInvalid), 4, "{found:?}");
    assert_eq!(count(Code::PrereleaseToProduction), 1);
    assert_eq!(count(Code::OlderThanProduction), 1);
    assert_eq!(count(Code::NameTooLong), 1);
    assert_eq!(found.len(), 7);
}

#[test]
fn a_rerun_moves_back_only_to_what_was_healthy_and_not_rejected() {
    for tier in [Tier::Preproduction, Tier::Production] {
        let mut world = serving_1_2(tier);
        let never = by_run(v("1.1.0", 11), 1, 2);
        let block = blocks(&world, &never).remove(0);
        assert_eq!(block.code, Code::SupersededRerun);
        assert!(block.help[0].contains("rollback_to"), "{block:?}");

        let back = by_run(v("1.0.0", 10), 1, 2);
        let plan = world.run(&back);
        assert_eq!(world::ids(&plan)[0], "tag-revision");
        assert!(plan.revision.as_str().starts_with("api-v1-0-0-"));
        assert_eq!(world.serves(), [(plan.revision.to_string(), 100)]);
        // To go back by a re-run rejects nothing: 1.2.0 may come again.
        assert!(matches!(world.plan(&v("1.2.0", 12)), Planned::Proceed(_)));

        let mut rolled = serving_1_2(tier);
        rolled.run(&rollback(RollbackTo::Previous));
        let again = by_run(v("1.2.0", 12), 2, 2);
        assert_eq!(codes(&rolled, &again), [Code::DigestRejected]);
    }
}

#[test]
fn a_rerun_of_a_branch_build_is_superseded_by_a_later_run() {
    let mut world = World::empty(Tier::Preproduction);
    world.run(&by_run(v("", 2), 20, 1));
    assert_eq!(
        codes(&world, &by_run(v("", 1), 10, 2)),
        [Code::SupersededRerun]
    );
    assert!(matches!(
        world.plan(&by_run(v("", 3), 30, 2)),
        Planned::Proceed(_)
    ));
    assert!(matches!(
        world.plan(&by_run(v("", 1), 10, 1)),
        Planned::Proceed(_)
    ));
}

#[test]
fn a_digest_that_was_rolled_back_comes_again_only_when_told() {
    let mut world = serving_1_2(Tier::Preproduction);
    world.run(&rollback(RollbackTo::Previous));
    let mut wanted = v("1.2.0", 12);
    let block = blocks(&world, &wanted).remove(0);
    assert_eq!(block.code, Code::DigestRejected);
    assert!(
        block
            .help
            .iter()
            .any(|line| line.contains("retry_rejected"))
    );
    // Under another version it is the same digest.
    assert_eq!(codes(&world, &v("1.3.0", 12)), [Code::DigestRejected]);
    wanted.retry_rejected = true;
    world.run(&wanted);
    wanted.retry_rejected = false;
    assert!(matches!(world.plan(&wanted), Planned::UpToDate { .. }));
}

#[test]
fn a_living_lease_of_another_run_blocks_and_says_until_when() {
    let mut world = serving_1_2(Tier::Preproduction);
    let theirs = by_run(v("1.3.0", 13), 50, 1);
    let plan = world.expect_plan(&theirs);
    world.apply(&plan.steps[0].action);
    let until = Timestamp(world.seen.observed_at.0 + i64::from(LEASE)).to_string();
    for wanted in [
        by_run(v("1.4.0", 14), 51, 1),
        rollback(RollbackTo::Previous),
    ] {
        let block = blocks(&world, &wanted).remove(0);
        assert_eq!(block.code, Code::AnotherRun);
        assert!(block.title.contains("50/1") && block.title.contains(plan.revision.as_str()));
        assert!(block.cause[0].contains(&until), "{block:?}");
    }
    // The same run, and a later attempt of it, go on.
    for own in [theirs, by_run(v("1.3.0", 13), 50, 2)] {
        assert!(matches!(world.plan(&own), Planned::Proceed(_)));
    }
    world.later(LEASE);
    assert!(matches!(
        world.plan(&by_run(v("1.4.0", 14), 51, 1)),
        Planned::Proceed(_)
    ));
}

#[test]
fn a_record_that_cannot_be_read_is_never_overwritten() {
    let mut world = serving_1_2(Tier::Preproduction);
    let newer = StateRecord {
        version: 2,
        ..StateRecord::default()
    };
    for state in [
        StateSeen::Unreadable("it is no JSON".to_owned()),
        StateSeen::Known(newer),
    ] {
        world.service_mut().state = state;
        for wanted in [v("1.2.0", 12), v("1.3.0", 13)] {
            let block = blocks(&world, &wanted).remove(0);
            assert_eq!(block.code, Code::StateUnreadable);
            assert_eq!(block.help.len(), 2, "{block:?}");
        }
    }
}

#[test]
fn an_erased_record_is_started_anew_and_health_is_not_guessed() {
    let mut world = serving_1_2(Tier::Preproduction);
    world.service_mut().state = StateSeen::Absent;
    let block = blocks(&world, &rollback(RollbackTo::Previous)).remove(0);
    assert_eq!(block.code, Code::NoRollbackTarget);
    let plan = world.run(&v("1.2.0", 12));
    assert_eq!(
        world::ids(&plan),
        ["verify", "shift-traffic", "confirm", "record"],
        "a standing tag leads to what is recorded healthy, or it goes"
    );
    assert!(
        plan.warnings[0].title.contains("record is missing"),
        "{plan:?}"
    );
    assert!(matches!(
        world.plan(&v("1.2.0", 12)),
        Planned::UpToDate { .. }
    ));
}

#[test]
fn a_rollout_of_others_that_is_to_get_traffic_ends_first() {
    let mut world = World::foreign(Tier::Preproduction, Access::Private);
    let pending = RevisionName::parse("api-00002-def").unwrap();
    let service = world.service_mut();
    service.condition = ServiceCondition::Reconciling;
    service.latest_created = Some(pending.clone());
    service.revisions.insert(
        0,
        RevisionSeen {
            name: pending,
            readiness: Readiness::Pending,
            record: None,
            created_at: Timestamp(world::START),
            configuration: delivery::configuration::Configuration::default(),
        },
    );
    let block = blocks(&world, &v("1.0.0", 1)).remove(0);
    assert_eq!(block.code, Code::ServiceBusy);
    assert!(block.title.contains("api-00002-def"), "{block:?}");
    // Ready by the time that the revisions were read: LATEST leads there, and not where the service,
    // which was read before, still tells.
    world.service_mut().revisions[0].readiness = Readiness::Ready;
    let block = blocks(&world, &v("1.0.0", 1)).remove(0);
    assert_eq!(block.code, Code::ServiceBusy);
    // Without a share for it, it can only become ready at 0 %.
    world.foreign_traffic(&[("api-00001-abc", 100)]);
    let plan = world.expect_plan(&v("1.0.0", 1));
    assert!(plan.warnings.iter().any(|w| w.title.contains("under way")));
}
