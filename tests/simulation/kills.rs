//! Every scenario as it is, and killed at each of its requests.

use crate::program::Program;
use crate::story::{Report, Story, Successor, at, play};
use crate::world::{Happening, Moment, Trouble};
use crate::{batch, scenarios};

/// Ends the test with everything that it takes to see why, and to see it again.
pub(crate) fn told(case: &str, report: &Report) -> Option<String> {
    report.violations.first()?;
    let all: Vec<String> = report
        .violations
        .iter()
        .map(|one| format!("{:?}: {}", one.invariant, one.text))
        .collect();
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
        let report = play(
            Program::real(),
            story,
            1,
            Trouble::default(),
            Successor::Rerun,
        );
        let again = play(
            Program::real(),
            story,
            1,
            Trouble::default(),
            Successor::Rerun,
        );
        assert_eq!(
            report.hash, again.hash,
            "{} differs when played again",
            story.name
        );
        failures.extend(told(&story.name, &report));
    }
    println!("{} scenarios", stories.len());
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// One kill.
struct Kill {
    story: Story,
    request: u64,
    moment: Moment,
    successor: Successor,
}

/// Every kill of every scenario, whoever comes after it.
fn kills() -> Vec<Kill> {
    let mut cases = Vec::new();
    for story in scenarios::all() {
        let calm = Trouble::default();
        let requests = play(Program::real(), &story, 1, calm, Successor::Rerun).requests;
        for request in 1..=requests {
            for moment in [Moment::Before, Moment::After] {
                cases.extend(Successor::ALL.map(|successor| Kill {
                    story: story.clone(),
                    request,
                    moment,
                    successor,
                }));
            }
        }
    }
    cases
}

fn kill(case: &Kill) -> Report {
    let trouble = at(case.request, Happening::Kill(case.moment));
    play(Program::real(), &case.story, 1, trouble, case.successor)
}

fn name(case: &Kill) -> String {
    let Kill {
        story,
        request,
        moment,
        successor,
    } = case;
    format!("{}:{request}:{moment:?}:{successor:?}", story.name)
}

#[test]
fn killed_at_each_request_the_next_run_brings_order() {
    let mut cases = kills();
    // Who comes after it takes turns; a soak tries all of them.
    if !batch::is_soak() {
        let (mut number, all) = (0, Successor::ALL.len());
        cases.retain(|_| {
            number += 1;
            let (turn, of) = ((number - 1) / all, (number - 1) % all);
            of == turn * (all - 1) % all
        });
    }
    batch::all("kills", &cases, |case| told(&name(case), &kill(case)));
}

/// `ML_DEPLOY_SIM_KILL='SCENARIO:REQUEST:MOMENT:SUCCESSOR'` plays one kill again.
#[test]
fn one_kill_again() {
    let Ok(wanted) = std::env::var("ML_DEPLOY_SIM_KILL") else {
        return;
    };
    let case = kills().into_iter().find(|case| name(case) == wanted);
    let report = kill(&case.expect("a kill of this name"));
    println!("{}", report.trace.join("\n"));
    assert!(told(&wanted, &report).is_none(), "{:?}", report.violations);
}
