//! Events, diagnostics and the outcome as JSON, one object a line. Pure.

use delivery::diagnostic::{Diagnostic, Level};
use delivery::event::{Event, Unit};
use delivery::outcome::Outcome;
use delivery::verdict::Evidence;
use serde_json::{Value, json};

use super::RunSummary;

/// One diagnostic.
pub fn diagnostic(diagnostic: &Diagnostic) -> Value {
    let Diagnostic {
        code,
        level,
        title,
        at,
        file,
        cause,
        state,
        help,
        logs,
    } = diagnostic;
    json!({
        "code": code.id(),
        "level": match level { Level::Error => "error", Level::Warning => "warning" },
        "title": title,
        "at": at,
        "file": file.as_ref().map(|place| json!({
            "path": place.file, "line": place.line, "column": place.column,
        })),
        "cause": cause,
        "state": state,
        "help": help,
        "logs": logs,
    })
}

/// One event.
pub fn event(event: &Event) -> Value {
    match event {
        Event::GroupStarted { title } => json!({"event": "group_started", "title": title}),
        Event::GroupEnded => json!({"event": "group_ended"}),
        Event::StepStarted {
            number,
            total,
            id,
            because,
        } => {
            json!({"event": "step_started", "number": number, "total": total, "id": id, "because": because})
        }
        Event::StepFinished { id, result, millis } => {
            json!({"event": "step_finished", "id": id, "result": result, "millis": millis})
        }
        Event::Progress {
            what,
            done,
            total,
            unit,
        } => json!({
            "event": "progress", "what": what, "done": done, "total": total,
            "unit": match unit { Unit::Bytes => "bytes", Unit::Items => "items", Unit::Seconds => "seconds" },
        }),
        Event::GateStarted { gate } => json!({"event": "gate_started", "gate": gate}),
        Event::GateFinished(Evidence {
            gate,
            place,
            cases: _,
            measurements,
            plots: _,
        }) => {
            let mut told =
                json!({"event": "gate_finished", "gate": gate, "measurements": measurements});
            if let Some(place) = place {
                told["place"] = json!(place);
            }
            told
        }
        Event::CaseFinished(case) => json!({"event": "case_finished", "case": case}),
        Event::Note(text) => json!({"event": "note", "text": text}),
        Event::ForeignText { source, text } => {
            json!({"event": "foreign_text", "source": source, "text": text})
        }
        Event::Warning(warning) => json!({"event": "warning", "diagnostic": diagnostic(warning)}),
    }
}

/// The name of an outcome, as in the output `outcome`.
pub fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted { .. } => "promoted",
        Outcome::UpToDate { .. } => "up-to-date",
        Outcome::RolledBack { .. } => "rolled-back",
        Outcome::Waiting { .. } => "waiting",
        Outcome::Verified => "verified",
        Outcome::Recovered { .. } => "recovered",
        Outcome::Stopped(_) => "stopped",
        Outcome::RollbackFailed(_) => "rollback-failed",
    }
}

/// How the run ended.
pub fn outcome(outcome: &Outcome, run: &RunSummary) -> Value {
    let diagnostics: Vec<Value> = match outcome {
        Outcome::Stopped(diagnostics) | Outcome::RollbackFailed(diagnostics) => {
            diagnostics.iter().map(diagnostic).collect()
        }
        Outcome::Promoted { .. }
        | Outcome::UpToDate { .. }
        | Outcome::RolledBack { .. }
        | Outcome::Recovered { .. }
        | Outcome::Waiting { .. }
        | Outcome::Verified => Vec::new(),
    };
    let outputs: serde_json::Map<String, Value> = run
        .outputs(outcome)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect();
    let mut finished = json!({
        "event": "finished",
        "exit_code": outcome.exit_code() as u8,
        "outputs": outputs,
        "diagnostics": diagnostics,
        "evidence": run.evidence,
    });
    if let Some(approval) = &run.approval {
        finished["approval"] = json!(approval);
    }
    if let Some(view) = &run.view {
        finished["plan"] = view.json(&run.passes);
        finished["plan"]["steps"] = json!(run.plan);
    }
    finished
}
