//! Who may call: what a plan says of it before it changes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::plan::{Plan, Wanted, render};
use delivery::snapshot::Readiness;
use delivery::spec::Access;
use delivery::stage::RollbackTo;
use delivery::target::Tier;
use world::{World, promote, release, rollback, spec};

fn v(version: &str, number: u32, access: Access) -> Wanted {
    promote(release(version, number), spec(access))
}

fn changes(plan: &Plan) -> Vec<String> {
    let changes = plan.outlook.changes();
    let all = changes.iter().map(delivery::difference::Change::describe);
    all.filter(|line| line.contains("access")).collect()
}

fn warned(plan: &Plan) -> Vec<Code> {
    plan.warnings.iter().map(|warning| warning.code).collect()
}

#[test]
fn a_service_that_would_be_closed_says_so_and_how_to_leave_it_open() {
    let mut world = World::empty(Tier::Production);
    world.run(&v("1.0.0", 1, Access::Public));
    let plan = world.expect_plan(&v("1.1.0", 2, Access::Private));
    assert_eq!(changes(&plan), ["~ access: public → private"]);
    let expected = Diagnostic::warning(
        Code::ServiceClosed,
        "callers without an ID token will be refused: `api` is public, and this makes it private",
    )
    .at("test · us-central1/api")
    .help("where everybody is to call it, say `access: public`; unless said, a service is private");
    assert_eq!(plan.warnings, [expected]);
    let text = render::render_plan(&plan);
    assert!(
        text.contains("\n    ~ access: public → private\n"),
        "{text}"
    );
    // The same release, closed by a configuration that lost the key.
    let same = world.expect_plan(&v("1.0.0", 1, Access::Private));
    assert_eq!(changes(&same), ["~ access: public → private"]);
    assert_eq!(warned(&same), [Code::ServiceClosed]);
}

#[test]
fn a_service_that_would_be_opened_says_so_without_a_warning() {
    let mut world = World::empty(Tier::Production);
    let first = world.run(&v("1.0.0", 1, Access::Private));
    assert_eq!(changes(&first), ["+ access: private"]);
    let plan = world.run(&v("1.1.0", 2, Access::Public));
    assert_eq!(changes(&plan), ["~ access: private → public"]);
    assert_eq!(warned(&plan), []);
    // Neither the next release nor a rollback changes it.
    assert_eq!(changes(&world.run(&v("1.2.0", 3, Access::Public))), [""; 0]);
    let back = world.expect_plan(&rollback(RollbackTo::Previous));
    assert_eq!(changes(&back), [""; 0]);
    assert_eq!(warned(&back), []);
}

#[test]
fn another_tools_service_is_not_closed_without_a_word_unless_it_never_served() {
    let foreign = World::foreign(Tier::Preproduction, Access::Public);
    let plan = foreign.expect_plan(&v("1.0.0", 1, Access::Private));
    assert_eq!(changes(&plan), ["~ access: public → private"]);
    assert!(warned(&plan).contains(&Code::ServiceClosed), "{plan:#?}");
    // Nobody calls a service whose only revision never became ready.
    let mut broken = World::foreign(Tier::Preproduction, Access::Public);
    let service = broken.service_mut();
    service.revisions[0].readiness = Readiness::Failed("it exited".to_owned());
    (service.latest_ready, service.serving) = (None, Vec::new());
    let plan = broken.expect_plan(&v("1.0.0", 1, Access::Private));
    assert_eq!(changes(&plan), ["~ access: public → private"]);
    assert_eq!(warned(&plan), []);
}
