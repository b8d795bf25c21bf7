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
                // The candidate is tested again after a conflict: the last result counts.
                self.ended.retain(|known| known.gate != evidence.gate);
                self.ended.push(evidence.clone());
            }
            Event::Warning(warning) => self.warnings.push(warning.clone()),
            _ => {}
        }
    }
}

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        self.kept().take(&event);
        self.next.emit(event);
    }
}
