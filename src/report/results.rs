//! Evidence as one JSON document, for programs. Pure.

use delivery::outcome::Outcome;
use serde_json::{Value, json};

use super::{RunSummary, json as events};

/// The form of the document; it changes when a reader would misunderstand.
pub const VERSION: u32 = 1;

/// Renders what was measured and how the run ended.
pub fn render(outcome: &Outcome, run: &RunSummary) -> Value {
    let diagnostics: Vec<Value> = outcome
        .diagnostics()
        .iter()
        .map(events::diagnostic)
        .collect();
    json!({
        "version": VERSION,
        "release": run.release_label,
        "environment": run.environment,
        "digest": run.digest,
        "candidate_url": run.candidate_url,
        "outcome": events::outcome_name(outcome),
        "exit_code": outcome.exit_code() as u8,
        "diagnostics": diagnostics,
        "gates": run.evidence,
    })
}
