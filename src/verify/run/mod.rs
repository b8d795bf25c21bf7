//! Runs suites against an address and measures.
//!
//! | module | holds |
//! |---|---|
//! | `prepare` | a request of a suite → a call that can be sent |
//! | `attempt` | one step: send, compare, try again |
//! | `expectations` | an answer against what was expected |
//! | `answer` | what an answer holds, in words |

pub(crate) mod answer;
mod attempt;
mod expectations;
pub(crate) mod prepare;

use delivery::event::{Event, EventSink};
use delivery::gate::API_TESTS;
use delivery::verdict::{CaseEnd, CaseResult, Evidence};
use futures_util::stream::{self, StreamExt};

use self::attempt::run_step;
use super::caller::Caller;
use super::suite::{Case, DEFAULT_CONCURRENCY, LoadedSuite};

pub(crate) use answer::read_json;
pub(crate) use prepare::prepare;

/// Sends every case and compares the answers. Cases of one suite run at the same time, within its
/// `concurrency`; suites run one after the other. The evidence keeps their order; events come as
/// cases end.
///
/// A case fails when the API answers otherwise, too late, too much, not at all, or refuses the
/// connection: a candidate that is ready takes connections. It is undecided when something before
/// the API fails: name resolution, the route to the host, TLS.
pub async fn run_suites(suites: &[LoadedSuite], caller: &Caller, sink: &dyn EventSink) -> Evidence {
    let caller = &caller.clone().keeping(suites);
    let total: usize = suites.iter().map(|one| one.suite.cases.len()).sum();
    let mut cases = Vec::with_capacity(total);
    for loaded in suites {
        let before = cases.len();
        cases.extend(run_suite(loaded, caller, sink, (before, total)).await);
    }
    Evidence::new(API_TESTS, cases)
}

async fn run_suite(
    loaded: &LoadedSuite,
    caller: &Caller,
    sink: &dyn EventSink,
    (before, total): (usize, usize),
) -> Vec<CaseResult> {
    // Collected first: a closure inside of the stream would not be `Send` for every lifetime.
    let runs: Vec<_> = loaded
        .suite
        .cases
        .iter()
        .enumerate()
        .map(|(index, case)| async move { (index, run_case(loaded, case, caller).await) })
        .collect();
    let at_once = loaded.suite.concurrency.unwrap_or(DEFAULT_CONCURRENCY);
    let mut running = stream::iter(runs).buffer_unordered(usize::from(at_once));
    let mut results = Vec::with_capacity(loaded.suite.cases.len());
    while let Some((index, result)) = running.next().await {
        sink.emit(Event::CaseFinished(result.clone()));
        results.push((index, result));
        sink.emit(Event::Progress {
            what: "API tests".to_owned(),
            done: (before + results.len()) as u64,
            total: Some(total as u64),
            unit: delivery::event::Unit::Items,
        });
    }
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Runs the steps of a case; the first that does not pass ends it.
async fn run_case(loaded: &LoadedSuite, case: &Case, caller: &Caller) -> CaseResult {
    let steps = case.exchanges();
    let mut scope = loaded.scope.clone();
    let mut millis = 0;
    let mut end = CaseEnd::Passed;
    for (index, step) in steps.iter().enumerate() {
        let ended = run_step(loaded, step, &scope, caller).await;
        millis += u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX);
        for (name, value) in ended.captured {
            scope.set(name, value);
        }
        if ended.end != CaseEnd::Passed {
            let step = (steps.len() > 1).then(|| match &step.name {
                Some(name) => format!("step {} `{name}`", index + 1),
                None => format!("step {}", index + 1),
            });
            end = told(ended.end, step.as_deref());
            break;
        }
    }
    let name = match &loaded.label {
        Some(label) => format!("{label}: {}", case.name),
        None => case.name.clone(),
    };
    CaseResult { name, end, millis }
}

/// Names the step.
fn told(end: CaseEnd, step: Option<&str>) -> CaseEnd {
    let line = |line: String| match step {
        Some(step) if !line.starts_with(' ') => format!("{step}: {line}"),
        _ => line,
    };
    match end {
        CaseEnd::Failed(lines) => CaseEnd::Failed(lines.into_iter().map(line).collect()),
        CaseEnd::Undecided(why) => CaseEnd::Undecided(line(why)),
        other => other,
    }
}
