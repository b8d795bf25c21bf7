//! Cloud Logging: keeps what revisions write and what happens to their requests; answers queries.

mod entry;
mod filter;
mod list;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

pub use entry::{Entry, RevisionLabels, Severity, Stream};

use filter::Filter;

use crate::runtime::Source;
use crate::storage::Storage;

/// Entries kept of each revision; the oldest give way.
const PER_REVISION: usize = 5_000;

/// All logs.
pub struct Logging {
    storage: Storage,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<RevisionLabels, VecDeque<Entry>>,
    written: u64,
}

impl State {
    fn push(&mut self, labels: RevisionLabels, entry: Entry) {
        let entries = self.entries.entry(labels).or_default();
        entries.push_back(entry);
        if entries.len() > PER_REVISION {
            entries.pop_front();
        }
    }
}

impl Logging {
    /// The entries that were kept. Of a line that was being written when the process ended there
    /// may be a half, which is no entry.
    pub(crate) fn new(storage: &Storage) -> Self {
        let mut state = State::default();
        for line in storage.take_log_lines() {
            if let Ok((labels, entry)) = serde_json::from_str::<(RevisionLabels, Entry)>(&line) {
                state.written = state.written.max(entry.number);
                state.push(labels, entry);
            }
        }
        Self {
            storage: storage.clone(),
            state: Mutex::new(state),
        }
    }

    /// Keeps a line that a container wrote.
    pub fn line(&self, labels: &RevisionLabels, source: Source, line: &str, now: DateTime<Utc>) {
        let stream = match source {
            Source::Stdout => Stream::Stdout,
            Source::Stderr => Stream::Stderr,
        };
        self.write(labels, entry::from_line(stream, line, now));
    }

    /// Keeps a line that the platform itself writes about a revision.
    pub fn system(
        &self,
        labels: &RevisionLabels,
        severity: Severity,
        text: &str,
        now: DateTime<Utc>,
    ) {
        let payload = json!({ "textPayload": text });
        self.write(labels, Entry::new(Stream::System, severity, payload, now));
    }

    /// Keeps an entry of the request log; `request` is the `httpRequest` object.
    pub fn request(&self, labels: &RevisionLabels, request: &Value, now: DateTime<Utc>) {
        let severity = match request["status"].as_u64() {
            Some(500..) => Severity::Error,
            Some(400..) => Severity::Warning,
            _ => Severity::Info,
        };
        let payload = json!({ "httpRequest": request });
        self.write(labels, Entry::new(Stream::Requests, severity, payload, now));
    }

    /// The newest lines of one revision that its container wrote, oldest first.
    pub fn last_lines(&self, labels: &RevisionLabels, count: usize) -> Vec<String> {
        let state = self.lock();
        let entries = state.entries.get(labels).into_iter().flatten();
        let mut lines: Vec<String> = entries
            .rev()
            .filter(|entry| matches!(entry.stream, Stream::Stdout | Stream::Stderr))
            .take(count)
            .map(Entry::text)
            .collect();
        lines.reverse();
        lines
    }

    /// Forgets every entry.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.entries.clear();
        self.storage.clear_logs();
    }

    fn write(&self, labels: &RevisionLabels, mut entry: Entry) {
        let mut state = self.lock();
        state.written += 1;
        entry.number = state.written;
        self.storage
            .append_log(|| serde_json::to_string(&(labels, &entry)).unwrap_or_default());
        state.push(labels.clone(), entry);
    }

    /// Every entry of a project that a filter can mean, as JSON with the time and number that order
    /// it.
    fn of_project(&self, project: &str, filter: &Filter) -> Vec<(DateTime<Utc>, u64, Value)> {
        let state = self.lock();
        state
            .entries
            .iter()
            .filter(|(labels, _)| labels.project == project && filter.may_match(labels))
            .flat_map(|(labels, entries)| {
                entries
                    .iter()
                    .map(|entry| (entry.time, entry.number, entry.view(labels)))
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub use list::routes;
