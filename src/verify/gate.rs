//! The seam that every gate plugs into, and the order in which they run.
//!
//! A gate measures one thing about a candidate and gives evidence; `judge` alone decides what the
//! evidence means. [`run_gates`] runs them one after the other, cheapest and most telling first, and
//! stops at the first that fails: what comes later would only cost time. Whatever a gate tells, in
//! events or in its evidence, passes the candidate's mask here: no secret is shown, also where an API
//! sends it back.

use async_trait::async_trait;
use delivery::event::{Event, EventSink};
use delivery::release::Commit;
use delivery::verdict::{CaseEnd, CaseResult, Evidence, Verdict, judge};
use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use super::mask::MaskedSink;

/// What a gate works with.
pub struct GateContext<'a> {
    /// The candidate, at its own address.
    pub candidate: &'a Caller,
    /// What serves now, at the service's address; `None` when nothing serves, or when the candidate
    /// is what serves.
    pub serving: Option<&'a Caller>,
    /// The version of the release, without `v`; `None` for a branch, a rollback, or by hand.
    pub version: Option<&'a str>,
    /// The commit of the release; `None` for a revision that other tools made, or by hand.
    pub commit: Option<&'a Commit>,
    /// Takes events as they happen.
    pub sink: &'a dyn EventSink,
    /// Cancelled when nobody waits for the gates any more. A gate's future is dropped then; tasks
    /// that it has spawned end by this.
    pub cancelled: CancellationToken,
}

/// One gate.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Its name in evidence and reports, such as `api-tests`.
    fn name(&self) -> &'static str;

    /// Whether later gates have nothing to measure unless this one passed. A gate that cannot be
    /// decided lets the others run otherwise.
    fn opens_the_others(&self) -> bool {
        false
    }

    /// Measures. Emits [`Event::CaseFinished`] for each case as it ends, and gives at least one case:
    /// evidence without any leaves the release undecided. What there is nothing to measure on is
    /// [`Evidence::skipped`]. Errors are cases too: nothing here ends the run.
    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence>;
}

/// Runs the gates in their order. The evidence of those after a failed one tells that they did not
/// run.
pub async fn run_gates(gates: &[Box<dyn Gate>], at: &GateContext<'_>) -> Vec<Evidence> {
    let mask = &at.candidate.mask;
    let sink = &MaskedSink {
        mask,
        next: at.sink,
    };
    let at = &GateContext {
        sink,
        cancelled: at.cancelled.clone(),
        ..*at
    };
    let mut all = Vec::new();
    let mut stopped_by: Option<&'static str> = None;
    for gate in gates {
        let name = gate.name();
        if let Some(failed) = stopped_by {
            let skipped = Evidence::skipped(
                name,
                format!("not run, since `{failed}` stopped the release"),
            );
            for case in &skipped.cases {
                at.sink.emit(Event::CaseFinished(case.clone()));
            }
            at.sink.emit(Event::GateFinished(skipped.clone()));
            all.push(skipped);
            continue;
        }
        at.sink.emit(Event::GateStarted { gate: name });
        let found = gate.run(at).await;
        let found: Vec<Evidence> = found.into_iter().map(|one| mask.evidence(one)).collect();
        stopped_by = match judge(&found) {
            Verdict::Fail(_) => Some(name),
            Verdict::Inconclusive(_) if gate.opens_the_others() && !all_skipped(&found) => {
                Some(name)
            }
            Verdict::Inconclusive(_) | Verdict::Pass => None,
        };
        for evidence in &found {
            at.sink.emit(Event::GateFinished(evidence.clone()));
        }
        all.extend(found);
    }
    all
}

/// Reports a case, and gives it back.
pub fn case(sink: &dyn EventSink, name: &str, end: CaseEnd, millis: u64) -> CaseResult {
    let case = CaseResult {
        name: name.to_owned(),
        end,
        millis,
    };
    sink.emit(Event::CaseFinished(case.clone()));
    case
}

fn all_skipped(evidence: &[Evidence]) -> bool {
    let mut cases = evidence.iter().flat_map(|one| &one.cases);
    cases.all(|case| matches!(case.end, CaseEnd::Skipped(_)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Told(&'static str, CaseEnd, bool);

    #[async_trait]
    impl Gate for Told {
        fn name(&self) -> &'static str {
            self.0
        }

        fn opens_the_others(&self) -> bool {
            self.2
        }

        async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
            let case = super::case(at.sink, "case", self.1.clone(), 1);
            vec![Evidence::new(self.0, vec![case])]
        }
    }

    #[derive(Default)]
    struct Events(Mutex<Vec<String>>);

    impl EventSink for Events {
        fn emit(&self, event: Event) {
            let line = match event {
                Event::GateStarted { gate } => format!("start {gate}"),
                Event::GateFinished(evidence) => format!("end {}", evidence.gate),
                Event::CaseFinished(case) => format!("case {:?}", case.end),
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap().push(line);
        }
    }

    fn fail() -> CaseEnd {
        CaseEnd::Failed(vec!["wrong".to_owned()])
    }

    fn open() -> CaseEnd {
        CaseEnd::Undecided("no route".to_owned())
    }

    async fn ends(gates: Vec<Told>) -> Vec<(String, String)> {
        let candidate = Caller::new("http://127.0.0.1:9", None).unwrap();
        let events = Events::default();
        let gates: Vec<Box<dyn Gate>> = gates
            .into_iter()
            .map(|gate| Box::new(gate) as Box<dyn Gate>)
            .collect();
        let evidence = run_gates(
            &gates,
            &GateContext {
                candidate: &candidate,
                serving: None,
                version: None,
                commit: None,
                sink: &events,
                cancelled: CancellationToken::new(),
            },
        )
        .await;
        let ended = events.0.lock().unwrap();
        let ended = ended.iter().filter(|line| line.starts_with("end")).count();
        assert_eq!(ended, evidence.len(), "each gate's end is told once");
        let word = |end: &CaseEnd| match end {
            CaseEnd::Passed => "passed".to_owned(),
            CaseEnd::Failed(_) => "failed".to_owned(),
            CaseEnd::Undecided(_) => "undecided".to_owned(),
            CaseEnd::Skipped(why) => why.clone(),
        };
        let told = |one: Evidence| (one.gate, word(&one.cases[0].end));
        evidence.into_iter().map(told).collect()
    }

    #[tokio::test]
    async fn the_first_that_fails_stops_the_rest_with_the_reason() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let found = ends(vec![
            Told("identity", CaseEnd::Passed, true),
            Told("api-tests", fail(), false),
            Told("slo", CaseEnd::Passed, false),
        ])
        .await;
        let word = |gate: &str, end: &str| (gate.to_owned(), end.to_owned());
        assert_eq!(
            found,
            [
                word("identity", "passed"),
                word("api-tests", "failed"),
                word("slo", "not run, since `api-tests` stopped the release"),
            ]
        );
    }

    #[tokio::test]
    async fn an_open_gate_stops_the_rest_only_where_nothing_can_be_measured_without_it() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (opens, last) in [
            (true, "not run, since `a` stopped the release"),
            (false, "passed"),
        ] {
            let found = ends(vec![
                Told("a", open(), opens),
                Told("b", CaseEnd::Passed, false),
            ])
            .await;
            assert_eq!(found[1].1, last);
        }
        let skipped = CaseEnd::Skipped("no version path".to_owned());
        let found = ends(vec![
            Told("a", skipped, true),
            Told("b", CaseEnd::Passed, false),
        ])
        .await;
        assert_eq!(found[1].1, "passed");
    }
}
