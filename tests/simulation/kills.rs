//! Every scenario as it is, and killed at each of its requests.

use std::ops::RangeInclusive;

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

/// One kill of a story.
pub(crate) struct Kill<S> {
    pub(crate) story: S,
    request: u64,
    moment: Moment,
    pub(crate) successor: Successor,
}

impl<S> Kill<S> {
    pub(crate) fn trouble(&self) -> Trouble {
        at(self.request, Happening::Kill(self.moment))
    }

    /// By which it is played again.
    pub(crate) fn name(&self, story: &str) -> String {
        let Self {
            story: _,
            request,
            moment,
            successor,
        } = self;
        format!("{story}:{request}:{moment:?}:{successor:?}")
    }
}

/// Every kill of every story, whoever comes after it; `requests` has the first and the last request of a
/// story at which it is killed.
pub(crate) fn kills<S: Clone>(
    stories: Vec<S>,
    requests: impl Fn(&S) -> RangeInclusive<u64>,
    successors: &[Successor],
) -> Vec<Kill<S>> {
    let mut cases = Vec::new();
    for story in stories {
        for request in requests(&story) {
            for moment in [Moment::Before, Moment::After] {
                cases.extend(successors.iter().map(|successor| Kill {
                    story: story.clone(),
                    request,
                    moment,
                    successor: *successor,
                }));
            }
        }
    }
    cases
}

/// Who comes after it takes turns from kill to kill; a soak tries all of them.
pub(crate) fn in_turns<S>(cases: &mut Vec<Kill<S>>, successors: &[Successor]) {
    if batch::is_soak() {
        return;
    }
    let (mut number, all) = (0, successors.len());
    cases.retain(|_| {
        number += 1;
        let (turn, of) = ((number - 1) / all, (number - 1) % all);
        // Each comes after both moments.
        of == (turn + turn / all) % all
    });
}

fn all() -> Vec<Kill<Story>> {
    let calm = |story: &Story| {
        let calm = Trouble::default();
        1..=play(Program::real(), story, 1, calm, Successor::Rerun).requests
    };
    kills(scenarios::all(), calm, &Successor::ALL)
}

fn kill(case: &Kill<Story>) -> Report {
    play(
        Program::real(),
        &case.story,
        1,
        case.trouble(),
        case.successor,
    )
}

fn name(case: &Kill<Story>) -> String {
    case.name(&case.story.name)
}

#[test]
fn killed_at_each_request_the_next_run_brings_order() {
    let mut cases = all();
    in_turns(&mut cases, &Successor::ALL);
    batch::all("kills", &cases, |case| told(&name(case), &kill(case)));
}

/// `ML_DEPLOY_SIM_KILL='SCENARIO:REQUEST:MOMENT:SUCCESSOR'` plays one kill again.
#[test]
fn one_kill_again() {
    let Ok(wanted) = std::env::var("ML_DEPLOY_SIM_KILL") else {
        return;
    };
    let case = all().into_iter().find(|case| name(case) == wanted);
    let report = kill(&case.expect("a kill of this name"));
    println!("{}", report.trace.join("\n"));
    assert!(told(&wanted, &report).is_none(), "{:?}", report.violations);
}
