//! Both uses of a document as gates.

mod conformance;
mod fetch;
mod version;

#[cfg(test)]
mod tests;

pub use conformance::ConformanceGate;
pub use version::SemverGate;

use delivery::attestation::test_result::WARNS_ONLY;
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::gate::Mode;
use delivery::verdict::{CaseEnd, CaseResult, Evidence};

use super::super::gate::case;

/// Where FastAPI, and many others, publish their document.
pub const DEFAULT_OPENAPI_PATH: &str = "/openapi.json";

/// Reports a case in the gate's mode: what only warns ends no release, and is told as a warning.
fn ended(mode: Mode, sink: &dyn EventSink, name: &str, found: (CaseEnd, u64)) -> CaseResult {
    let (end, millis) = found;
    let lines = match (mode, &end) {
        (Mode::Warn, CaseEnd::Failed(lines)) => lines.clone(),
        (Mode::Warn, CaseEnd::Undecided(reason)) => vec![reason.clone()],
        _ => return case(sink, name, end, millis),
    };
    let first = lines.first().cloned().unwrap_or_default();
    let warning = Diagnostic::warning(Code::GateWarned, format!("{name}: would not have passed"));
    let warning = lines.into_iter().fold(warning, Diagnostic::cause);
    sink.emit(Event::Warning(warning));
    let end = CaseEnd::Skipped(format!("{WARNS_ONLY}{first}"));
    case(sink, name, end, millis)
}

/// Evidence that there was nothing to measure on, told as a case.
fn nothing(gate: &'static str, sink: &dyn EventSink, reason: impl Into<String>) -> Vec<Evidence> {
    let result = case(sink, gate, CaseEnd::Skipped(reason.into()), 0);
    vec![Evidence::new(gate, vec![result])]
}
