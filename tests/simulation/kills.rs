//! Every scenario as it is, and killed at each of its requests.

use crate::program::Program;
use crate::story::{Report, Successor, at, play};
use crate::world::{Happening, Moment, Trouble};
use crate::{batch, scenarios};

/// Ends the test with everything that it takes to see why, and to see it again.
pub(crate) fn told(case: &str, report: &Report) -> Option<String> {
    let worst = report.violations.first()?;
    let all: Vec<String> = report
        .violations
        .iter()
        .map(|one| format!("{:?}: {}", one.invariant, one.text))
        .collect();
    let _ = worst;
    Some(format!(
        "{case}\n  {}\n{}\n",
        all.join("\n  "),
        report.trace.join("\n")
    ))
}

#[test]
fn scenarios_end_as_told() {
    let mut failures = Vec::new();
    let stories = scenarios::all();
    for story in &stories {
        let report = play(Program::real(), story, 1, Trouble::default(), Successor::Rerun);
        let again = play(Program::real(), story, 1, Trouble::default(), Successor::Rerun);
        assert_eq!(report.hash, again.hash, "{} differs when played again", story.name);
        failures.extend(told(&story.name, &report));
    }
    println!("{} scenarios", stories.len());
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn killed_at_each_request_the_next_run_brings_order() {
    let mut cases = Vec::new();
    let mut turn = 0;
    for story in scenarios::all() {
        let calm = Trouble::default();
        let requests = play(Program::real(), &story, 1, calm, Successor::Rerun).requests;
        for request in 1..=requests {
            for moment in [Moment::Before, Moment::After] {
                // Who comes after it takes turns; a soak tries all of them.
                turn += 1;
                let successors = if batch::is_soak() {
                    Successor::ALL.to_vec()
                } else {
                    vec![Successor::ALL[turn % 4]]
                };
                for successor in successors {
                    cases.push((story.clone(), request, moment, successor));
                }
            }
        }
    }
    batch::all("kills", &cases, |(story, request, moment, successor)| {
        let trouble = at(*request, Happening::Kill(*moment));
        let report = play(Program::real(), story, 1, trouble, *successor);
        let case = format!("{} killed at {request} {moment:?}, then {successor:?}", story.name);
        told(&case, &report)
    });
}
