//! Plans as values: what the lint finds in broken ones, and how they read.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod world;

use delivery::plan::{Action, Plan, Undo, lint, render};
use delivery::spec::Access;
use delivery::target::Tier;
use delivery::traffic::{Destination, TrafficSplit};
use world::{World, promote, release, spec};

fn v(version: &str, number: u32) -> delivery::plan::Wanted {
    promote(release(version, number), spec(Access::Public))
}

fn ordinary() -> Plan {
    let mut world = World::empty(Tier::Preproduction);
    world.run(&v("1.0.0", 1));
    world.foreign_tag("blue", None);
    world.expect_plan(&v("1.1.0", 2))
}

fn found(break_it: impl FnOnce(&mut Plan)) -> Vec<String> {
    let mut plan = ordinary();
    break_it(&mut plan);
    lint(&plan)
        .into_iter()
        .map(|finding| finding.title)
        .collect()
}

/// Breaks a plan.
type Defect = Box<dyn FnOnce(&mut Plan)>;

#[test]
fn a_broken_plan_is_found_out() {
    let revision = ordinary().revision;
    let to_all = TrafficSplit::all_to(Destination::Revision(revision), Vec::new());
    let cases: Vec<(&str, Defect)> = vec![
        (
            "before the tests",
            Box::new(|plan| drop(plan.steps.remove(1))),
        ),
        ("before the tests", Box::new(|plan| plan.steps.swap(1, 2))),
        (
            "without an undo",
            Box::new(|plan| plan.steps[2].undo = Undo::Nothing),
        ),
        (
            "does not end with its record",
            Box::new(|plan| drop(plan.steps.pop())),
        ),
        (
            "without reason",
            Box::new(|plan| plan.steps[3].because.clear()),
        ),
        (
            "everything pinned",
            Box::new(|plan| {
                if let Action::ShiftTraffic { traffic, .. } = &mut plan.steps[2].action {
                    *traffic = TrafficSplit::all_to(Destination::Latest, Vec::new());
                }
            }),
        ),
        (
            "candidate before its tests",
            Box::new(|plan| {
                if let Action::DeployCandidate { traffic, .. } = &mut plan.steps[0].action {
                    *traffic = to_all;
                }
            }),
        ),
        (
            "an undo that leaves an intent behind",
            Box::new(|plan| {
                let Action::ShiftTraffic { state: open, .. } = plan.steps[2].action.clone() else {
                    return;
                };
                if let Undo::Restore { state, .. } = &mut plan.steps[0].undo {
                    *state = open;
                }
            }),
        ),
        (
            "ends with an intent",
            Box::new(|plan| {
                let Action::ShiftTraffic { state: open, .. } = plan.steps[2].action.clone() else {
                    return;
                };
                if let Action::Record { state } = &mut plan.steps[4].action {
                    *state = open;
                }
            }),
        ),
    ];
    assert!(found(|_| {}).is_empty());
    for (text, break_it) in cases {
        let titles = found(break_it);
        assert!(
            titles.iter().any(|title| title.contains(text)),
            "{text}: {titles:?}"
        );
    }
}

#[test]
fn a_plan_reads_like_this() {
    let mut world = World::empty(Tier::Preproduction);
    insta::assert_snapshot!(
        "first",
        render::render_plan(&world.expect_plan(&v("1.0.0", 1)))
    );
    world.run(&v("1.0.0", 1));
    insta::assert_snapshot!("ordinary", render::render_plan(&ordinary()));
}

#[test]
fn traffic_reads_like_this() {
    let mut world = World::foreign(Tier::Preproduction, Access::Public);
    world.foreign_deploy("api-00002-def");
    world.foreign_traffic(&[("api-00001-abc", 90), ("LATEST", 10)]);
    world.foreign_tag("blue", None);
    let service = world.service();
    assert_eq!(
        render::traffic(&service.traffic),
        "api-00001-abc 90 %, LATEST 10 %; tag blue → LATEST"
    );
    assert_eq!(
        render::serving_in_words(&service.serving),
        "api-00001-abc serves 90 %, api-00002-def 10 %"
    );
    assert_eq!(render::serving_in_words(&[]), "nothing serves");
}
