//! Passes events on, and keeps what the summary needs.

use std::sync::{Arc, Mutex, PoisonError};

use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::gate::API_TESTS;
use delivery::verdict::{CaseResult, Evidence};

/// Keeps evidence and warnings: a run that stops gives no evidence back, but its summary shows it.
pub(super) struct Recorder {
    next: Arc<dyn EventSink>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Of the gates that have ended, in their order.
    ended: Vec<Evidence>,
    /// The gate under way, and its cases so far.
    gate: Option<&'static str>,
    cases: Vec<CaseResult>,
    warnings: Vec<Diagnostic>,
}

impl Recorder {
    pub(super) fn new(next: Arc<dyn EventSink>) -> Self {
        Self {
            next,
            kept: Mutex::default(),
        }
    }

    /// The evidence so far, that of a gate which was interrupted too.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let kept = self.kept();
        let mut all = kept.ended.clone();
        if !kept.cases.is_empty() {
            let gate = kept.gate.unwrap_or(API_TESTS);
            all.push(Evidence::new(gate, kept.cases.clone()));
        }
        all
    }

    /// The warnings so far.
    pub(super) fn warnings(&self) -> Vec<Diagnostic> {
        self.kept().warnings.clone()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn take(&mut self, event: &Event) {
        match event {
            Event::GateStarted { gate } => {
                self.gate = Some(gate);
                self.cases.clear();
            }
            Event::CaseFinished(case) => self.cases.push(case.clone()),
            Event::GateFinished(evidence) => {
                self.cases.clear();
                // The candidate is tested again after a conflict: the last result of each case counts.
                // Other cases of the same gate are those of another share of the traffic.
                let mut next = evidence.clone();
                if let Some(at) = self.ended.iter().position(|one| one.gate == next.gate) {
                    let known = self.ended.remove(at);
                    next = joined(known, next);
                }
                self.ended.push(next);
            }
            Event::Warning(warning) => self.warnings.push(warning.clone()),
            _ => {}
        }
    }
}

/// The gate's evidence with what it told before about other cases.
fn joined(known: Evidence, mut last: Evidence) -> Evidence {
    let is_new = |name: &str| last.cases.iter().any(|case| case.name == name);
    let mut cases: Vec<CaseResult> = known.cases;
    cases.retain(|case| !is_new(&case.name));
    cases.append(&mut last.cases);
    Evidence { cases, ..last }
}

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        self.kept().take(&event);
        self.next.emit(event);
    }
}
