//! One event → lines of text, for people; and the reporter of JSON lines, for programs.

use delivery::event::{Event, EventSink, Unit};
use delivery::outcome::Outcome;
use delivery::verdict::{CaseEnd, Evidence, Measurement, Plot};

use super::style::Style;
use super::{Output, Reporter, RunSummary, diagnostic, json, text};

/// The lines of one event; none of them holds a terminal sequence that is not ours.
pub fn render(event: &Event, style: Style) -> Vec<String> {
    match event {
        Event::GroupStarted { title } => vec![style.bold(&text::one_line(title))],
        Event::GroupEnded => Vec::new(),
        Event::StepStarted {
            number,
            total,
            id,
            because,
        } => {
            let head = style.blue(&format!("[{number}/{total}] {id}"));
            vec![format!("{head}: {}", text::one_line(because))]
        }
        Event::StepFinished { id, result, millis } => {
            let mark = style.green("✓");
            let took = style.dim(&format!("({})", text::duration(*millis)));
            vec![format!("  {mark} {id}: {} {took}", text::one_line(result))]
        }
        Event::Progress {
            what,
            done,
            total,
            unit,
        } => vec![progress(what, *done, *total, *unit)],
        Event::GateStarted { .. } => Vec::new(),
        Event::GateFinished(Evidence {
            gate: _,
            place: _,
            cases: _,
            measurements,
            plots,
        }) => {
            let figures = measurements.iter().map(measurement);
            let pictures = plots.iter().flat_map(|Plot { title, rows }| {
                let rows = rows.iter().map(|row| format!("  {}", text::one_line(row)));
                std::iter::once(format!("{}:", text::one_line(title))).chain(rows)
            });
            figures
                .chain(pictures)
                .map(|line| format!("      {line}"))
                .collect()
        }
        Event::CaseFinished(case) => {
            let name = text::one_line(&case.name);
            let took = style.dim(&format!("({})", text::duration(case.millis)));
            match &case.end {
                CaseEnd::Passed => vec![format!("  {} {name} {took}", style.green("✓"))],
                CaseEnd::Failed(why) => {
                    let mut lines = vec![format!("  {} {name} {took}", style.red("✗"))];
                    lines.extend(
                        why.iter()
                            .flat_map(|line| text::plain_lines(line))
                            .map(|line| format!("      {line}")),
                    );
                    lines
                }
                CaseEnd::Undecided(why) => vec![format!(
                    "  {} {name}: {}",
                    style.yellow("?"),
                    text::one_line(why)
                )],
                CaseEnd::Skipped(why) => vec![format!(
                    "  {} {name}: {}",
                    style.dim("-"),
                    text::one_line(why)
                )],
            }
        }
        Event::Note(note) => text::plain_lines(note),
        Event::ForeignText {
            source,
            text: foreign,
        } => {
            let mut lines = vec![style.dim(&format!("{}:", text::one_line(source)))];
            lines.extend(
                text::plain_lines(foreign)
                    .into_iter()
                    .map(|line| style.dim(&format!("  | {line}"))),
            );
            lines
        }
        Event::Warning(warning) => diagnostic::render(warning, style)
            .lines()
            .map(str::to_owned)
            .collect(),
    }
}

/// `p95: 120 ms (98 to 140 ms), limit 200 ms`.
fn measurement(measured: &Measurement) -> String {
    let Measurement {
        name,
        value,
        unit,
        low,
        high,
        limit,
    } = measured;
    let figure = |number: f64| text::figure(number, unit);
    let interval = match (low, high) {
        (Some(low), Some(high)) => format!(" ({} to {})", text::figure(*low, ""), figure(*high)),
        (Some(low), None) => format!(" (at least {})", figure(*low)),
        (None, Some(high)) => format!(" (at most {})", figure(*high)),
        (None, None) => String::new(),
    };
    let limit = limit.map(|limit| format!(", limit {}", figure(limit)));
    text::one_line(&format!(
        "{name}: {}{interval}{}",
        figure(*value),
        limit.unwrap_or_default()
    ))
}

/// `push layer: 12.3 MB of 100.0 MB (12 %)`.
pub fn progress(what: &str, done: u64, total: Option<u64>, unit: Unit) -> String {
    let amount = |count: u64| match unit {
        Unit::Bytes => text::bytes(count),
        Unit::Items => count.to_string(),
        Unit::Seconds => format!("{count} s"),
    };
    let what = text::one_line(what);
    match total {
        Some(total) if total > 0 => {
            let percent = u128::from(done.min(total)) * 100 / u128::from(total);
            format!(
                "{what}: {} of {} ({percent} %)",
                amount(done),
                amount(total)
            )
        }
        _ => format!("{what}: {}", amount(done)),
    }
}

/// Reports one JSON object a line.
pub struct JsonReporter {
    output: Output,
}

impl JsonReporter {
    /// Writes to the given place.
    pub fn new(output: Output) -> Self {
        Self { output }
    }
}

impl EventSink for JsonReporter {
    fn emit(&self, event: Event) {
        self.output.say(&format!("{}\n", json::event(&event)));
    }
}

impl Reporter for JsonReporter {
    fn finish(&self, outcome: &Outcome, run: &RunSummary) {
        self.output
            .say(&format!("{}\n", json::outcome(outcome, run)));
    }
}
