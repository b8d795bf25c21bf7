//! The log of a GitHub job: groups, sparse progress, annotations.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use delivery::diagnostic::{Diagnostic, Level};
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;

use super::style::Style;
use super::token::Words;
use super::{Output, Reporter, RunSummary, command, diagnostic, lines, summary, text};

/// A log is no terminal: a progress line is written at most this often for one thing.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Reports to a GitHub job.
pub struct GithubReporter {
    output: Output,
    words: Words,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    group_is_open: bool,
    progress: HashMap<String, Seen>,
    /// Whose text came last: its name is not told again for each piece.
    source: Option<String>,
}

/// When a progress was told last, or seen first.
struct Seen {
    at: Instant,
    is_told: bool,
}

impl GithubReporter {
    /// Writes to the job's log.
    pub fn new(output: Output, words: Words) -> Self {
        Self::with_clock(output, words, Instant::now)
    }

    /// As [`Self::new`], with the given clock.
    pub fn with_clock(
        output: Output,
        words: Words,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self {
            output,
            words,
            clock: Box::new(clock),
            state: Mutex::default(),
        }
    }

    /// Lines that can be no command. A name may hold a line's end: each part is made harmless.
    fn lines(&self, lines: impl IntoIterator<Item = String>) {
        let block: String = lines
            .into_iter()
            .flat_map(|line| text::plain_lines(&line))
            .map(|line| format!("{}\n", command::inert(&line)))
            .collect();
        self.output.say(&block);
    }

    /// A block of text that is not ours. The runner is told to read no command until a word comes
    /// that nobody can guess; and each line is made harmless besides, for readers that do not obey.
    fn foreign(&self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let word = self.words.next();
        let body: String = lines
            .iter()
            .map(|line| format!("  | {}\n", command::inert(line)))
            .collect();
        self.output
            .say(&format!("::stop-commands::{word}\n{body}::{word}::\n"));
    }

    fn group(&self, title: Option<&str>) {
        let mut state = self.state();
        if std::mem::take(&mut state.group_is_open) {
            self.output.say("::endgroup::\n");
        }
        if let Some(title) = title {
            state.group_is_open = true;
            let title = command::inert(&text::one_line(title));
            self.output
                .say(&format!("::group::{}\n", command::escape_data(&title)));
        }
    }

    fn annotate(&self, found: &Diagnostic) {
        let level = match found.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let title = format!("{}: {}", found.code.id(), found.code.meaning());
        self.output.say(&format!(
            "{}\n",
            command::annotation(
                level,
                &title,
                &diagnostic::message(found),
                found.file.as_ref()
            )
        ));
    }

    /// A thing that is done within [`PROGRESS_EVERY`] gets no line at all.
    fn progress_is_due(&self, what: &str, is_last: bool) -> bool {
        let now = (self.clock)();
        let mut state = self.state();
        if is_last {
            return state.progress.remove(what).is_some_and(|seen| seen.is_told);
        }
        let seen = state.progress.entry(what.to_owned()).or_insert(Seen {
            at: now,
            is_told: false,
        });
        let due = now.duration_since(seen.at) >= PROGRESS_EVERY;
        if due {
            *seen = Seen {
                at: now,
                is_told: true,
            };
        }
        due
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for GithubReporter {
    fn emit(&self, event: Event) {
        if !matches!(event, Event::ForeignText { .. } | Event::Progress { .. }) {
            self.state().source = None;
        }
        match event {
            Event::GroupStarted { title } => self.group(Some(&title)),
            Event::GroupEnded => self.group(None),
            Event::Progress {
                ref what,
                done,
                total,
                unit,
            } => {
                if self.progress_is_due(what, total == Some(done)) {
                    self.lines([lines::progress(what, done, total, unit)]);
                }
            }
            Event::ForeignText { source, text } => {
                let is_new = self.state().source.replace(source.clone()).as_ref() != Some(&source);
                if is_new {
                    self.lines([format!("{}:", text::one_line(&source))]);
                }
                self.foreign(&text::plain_lines(&text));
            }
            Event::Warning(warning) => self.annotate(&warning),
            ours @ (Event::StepStarted { .. }
            | Event::StepFinished { .. }
            | Event::GateStarted { .. }
            | Event::CaseFinished(_)
            | Event::GateFinished(_)
            | Event::Note(_)) => {
                self.lines(lines::render(&ours, Style::plain()));
            }
        }
    }
}

impl Reporter for GithubReporter {
    fn finish(&self, outcome: &Outcome, run: &RunSummary) {
        self.group(None);
        for found in outcome.diagnostics() {
            let form = diagnostic::render(found, Style::plain());
            self.foreign(&form.lines().map(str::to_owned).collect::<Vec<_>>());
            self.annotate(found);
        }
        self.lines([summary::headline(outcome, run)]);
    }
}

#[cfg(test)]
#[path = "github_tests.rs"]
mod tests;
