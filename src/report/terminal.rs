//! A terminal: colours, and one bar that moves.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;

use super::style::Style;
use super::{Output, Reporter, RunSummary, diagnostic, lines, summary, text};

/// How often the bar is drawn again at most.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a line is written where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Cells of the bar.
const BAR_CELLS: u64 = 24;
/// Longest line of the bar, so that it does not wrap on a usual terminal.
const BAR_LINE: usize = 78;
/// To the line's start, and clear it.
const CLEAR_LINE: &str = "\r\u{1b}[2K";

/// Whether a bar can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bars {
    /// The output is a terminal.
    Drawn,
    /// It is a file or a pipe: sparse lines.
    Lines,
}

/// Reports to a person.
pub struct TerminalReporter {
    output: Output,
    style: Style,
    bars: Bars,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar_is_shown: bool,
    drawn_at: Option<Instant>,
    /// Whose text came last: its name is not told again for each piece.
    source: Option<String>,
}

impl TerminalReporter {
    /// Writes to the given place.
    pub fn new(output: Output, style: Style, bars: Bars) -> Self {
        Self {
            output,
            style,
            bars,
            state: Mutex::default(),
        }
    }

    fn lines(&self, lines: impl IntoIterator<Item = String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let clear = if std::mem::take(&mut state.bar_is_shown) {
            CLEAR_LINE
        } else {
            ""
        };
        let block: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
        if !block.is_empty() || !clear.is_empty() {
            self.output.say(&format!("{clear}{block}"));
        }
    }

    /// Whether the event is more text of the same source; the first line then only names it again.
    fn goes_on(&self, event: &Event) -> bool {
        let source = match event {
            Event::ForeignText { source, .. } => Some(source.clone()),
            _ => None,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut state.source, source);
        before.is_some() && before == state.source
    }

    fn progress(&self, event: &Event) {
        let Event::Progress {
            what,
            done,
            total,
            unit,
        } = event
        else {
            return;
        };
        let is_last = *total == Some(*done);
        let every = match self.bars {
            Bars::Drawn => REDRAW_EVERY,
            Bars::Lines => LINE_EVERY,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let first = state.drawn_at.is_none() && self.bars == Bars::Drawn;
        let due = first
            || state
                .drawn_at
                .is_some_and(|last| now.duration_since(last) >= every);
        if state.drawn_at.is_none() {
            state.drawn_at = Some(now);
        }
        if !due && !is_last {
            return;
        }
        let line = lines::progress(what, *done, *total, *unit);
        match self.bars {
            Bars::Lines if is_last => {}
            Bars::Lines => {
                state.drawn_at = Some(now);
                self.output.say(&format!("{line}\n"));
            }
            Bars::Drawn if is_last => {
                state.drawn_at = None;
                state.bar_is_shown = false;
                self.output.say(CLEAR_LINE);
            }
            Bars::Drawn => {
                state.drawn_at = Some(now);
                state.bar_is_shown = true;
                let bar = total.map(|total| bar(*done, total)).unwrap_or_default();
                self.output.say(&format!(
                    "{CLEAR_LINE}{}",
                    text::cut(&format!("{bar}{line}"), BAR_LINE)
                ));
            }
        }
    }
}

/// `[#####.....] `.
fn bar(done: u64, total: u64) -> String {
    let filled =
        (u128::from(done.min(total)) * u128::from(BAR_CELLS) / u128::from(total.max(1))) as usize;
    let empty = BAR_CELLS as usize - filled;
    format!("[{}{}] ", "#".repeat(filled), ".".repeat(empty))
}

impl EventSink for TerminalReporter {
    fn emit(&self, event: Event) {
        match event {
            Event::Progress { .. } => self.progress(&event),
            event => {
                let mut rendered = lines::render(&event, self.style);
                if self.goes_on(&event) {
                    rendered.remove(0);
                }
                self.lines(rendered);
            }
        }
    }
}

impl Reporter for TerminalReporter {
    fn finish(&self, outcome: &Outcome, run: &RunSummary) {
        for found in outcome.diagnostics() {
            self.lines([String::new(), diagnostic::render(found, self.style)]);
        }
        let mut closing = vec![
            String::new(),
            self.style
                .bold(&text::one_line(&summary::headline(outcome, run))),
        ];
        if let Outcome::Promoted { url, .. }
        | Outcome::UpToDate { url, .. }
        | Outcome::RolledBack { url, .. } = outcome
        {
            closing.push(format!("  {}", text::one_line(url)));
        }
        if let (Outcome::Waiting { .. }, Some(url)) = (outcome, &run.candidate_url) {
            closing.push(format!("  {}", text::one_line(url)));
        }
        self.lines(closing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::Written;
    use delivery::event::Unit;

    fn progress(done: u64) -> Event {
        Event::Progress {
            what: "push".to_owned(),
            done,
            total: Some(100),
            unit: Unit::Items,
        }
    }

    #[test]
    fn a_bar_is_cleared_before_other_lines() {
        let written = Written::default();
        let reporter = TerminalReporter::new(written.output(), Style::plain(), Bars::Drawn);
        reporter.emit(progress(50));
        reporter.emit(Event::Note("x".to_owned()));
        let drawn = "[############............] push: 50 of 100 (50 %)";
        assert_eq!(
            written.text(),
            format!("{CLEAR_LINE}{drawn}{CLEAR_LINE}x\n")
        );
    }

    #[test]
    fn without_a_terminal_there_is_no_sequence_at_all() {
        let written = Written::default();
        let reporter = TerminalReporter::new(written.output(), Style::plain(), Bars::Lines);
        for done in 0..=100 {
            reporter.emit(progress(done));
        }
        reporter.emit(Event::ForeignText {
            source: "build".to_owned(),
            text: "\u{1b}[2Jgone\rback".to_owned(),
        });
        reporter.emit(Event::ForeignText {
            source: "build".to_owned(),
            text: "more".to_owned(),
        });
        reporter.emit(Event::Note("ours".to_owned()));
        reporter.emit(Event::ForeignText {
            source: "build".to_owned(),
            text: "again".to_owned(),
        });
        assert_eq!(
            written.text(),
            "build:\n  | gone\n  | back\n  | more\nours\nbuild:\n  | again\n"
        );
    }
}
