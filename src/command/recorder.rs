//! Passes events on, and keeps what the summary needs.

use std::sync::{Arc, Mutex, PoisonError};

use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::verdict::{CaseResult, Evidence};

use crate::verify::GATE;

/// Keeps test cases and warnings: a run that stops gives no evidence back, but its summary shows it.
pub(super) struct Recorder {
    next: Arc<dyn EventSink>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
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

    /// The cases so far. The order is the order in which they ended.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let cases = self.kept().cases.clone();
        if cases.is_empty() {
            return Vec::new();
        }
        vec![Evidence::new(GATE, cases)]
    }

    /// The warnings so far.
    pub(super) fn warnings(&self) -> Vec<Diagnostic> {
        self.kept().warnings.clone()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        match &event {
            Event::CaseFinished(case) => {
                let mut kept = self.kept();
                // The candidate is tested again after a conflict: the last result counts.
                kept.cases.retain(|known| known.name != case.name);
                kept.cases.push(case.clone());
            }
            Event::Warning(warning) => self.kept().warnings.push(warning.clone()),
            _ => {}
        }
        self.next.emit(event);
    }
}
