//! Sends the rows of one file and compares, as a stream: workers take a few rows at a time, so that
//! memory does not grow with the file.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use delivery::event::{Event, EventSink, Unit};
use serde_json::Value;
use tokio::task::JoinSet;

use super::columns::Rules;
use super::rows::{Row, Rows};
use super::spec::{Batch, GoldenSpec};
use super::tally::Tally;
use crate::verify::caller::{Answer, Call, Caller};
use crate::verify::run::answer::parse_json;
use crate::verify::suite::{DEFAULT_CONCURRENCY, LoadedSuite};

/// Rows that a worker takes at once where rows are sent one by one: few enough for the last rows to be
/// spread, enough for the lock not to be felt.
const ROWS_AT_ONCE: usize = 8;
/// Rows in a row without an answer after which the rest is not sent any more.
const MOST_SILENT: u32 = 50;
/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(500);
/// Rows that are shown where nothing else is said.
const DEFAULT_WORST: u16 = 5;
/// Largest answer, in bytes, per row of a batch beyond the first.
const BYTES_PER_ROW: usize = 64 * 1024;

/// One file.
pub(crate) struct Run<'a> {
    pub(crate) loaded: &'a LoadedSuite,
    pub(crate) spec: &'a GoldenSpec,
    /// Its name in reports.
    pub(crate) name: &'a str,
}

/// What workers share.
struct Shared {
    rows: Mutex<Rows>,
    rules: Rules,
    caller: Caller,
    call: Call,
    batch: Option<Batch>,
    limit: Duration,
    worst: usize,
    done: AtomicU64,
    /// Requests without an answer, since the last answer.
    silent: AtomicU32,
}

/// Sends every row. The error is a line, when nothing could be sent at all.
pub(crate) async fn run_file(
    run: &Run<'_>,
    caller: &Caller,
    sink: &dyn EventSink,
) -> Result<Tally, String> {
    let Run { loaded, spec, name } = run;
    let path = loaded.folder.join(&spec.file);
    let rows = Rows::open(&path, spec).map_err(|bad| format!("{}: {}", spec.file, bad.message))?;
    let call = spec.call(loaded, &caller.base_url)?;
    let worst = usize::from(spec.worst.unwrap_or(DEFAULT_WORST));
    let shared = Arc::new(Shared {
        rows: Mutex::new(rows),
        rules: Rules::new(
            spec,
            loaded.suite.tolerance(spec.tolerance),
            caller.mask.clone(),
        ),
        caller: caller.clone(),
        call,
        batch: spec.batch.clone(),
        limit: Duration::from_millis(loaded.suite.max_latency(spec.max_latency_ms)),
        worst,
        done: AtomicU64::new(0),
        silent: AtomicU32::new(0),
    });
    let at_once = spec
        .concurrency
        .or(loaded.suite.concurrency)
        .unwrap_or(DEFAULT_CONCURRENCY);
    // Dropped with this future: the workers end with it.
    let mut workers = JoinSet::new();
    for _ in 0..at_once {
        workers.spawn(work(Arc::clone(&shared)));
    }
    let mut tally = Tally::new(worst);
    let mut ticks = tokio::time::interval(PROGRESS);
    loop {
        tokio::select! {
            ended = workers.join_next() => match ended {
                Some(Ok(part)) => tally.merge(part),
                Some(Err(error)) => return Err(format!("a worker ended early: {error}")),
                None => break,
            },
            _ = ticks.tick() => sink.emit(Event::Progress {
                what: (*name).to_owned(),
                done: shared.done.load(Ordering::Relaxed),
                total: None,
                unit: Unit::Items,
            }),
        }
    }
    if shared.gave_up() {
        tally.open(format!(
            "{MOST_SILENT} requests in a row were not answered; the rest of the file was not sent"
        ));
    }
    Ok(tally)
}

async fn work(shared: Arc<Shared>) -> Tally {
    let mut tally = Tally::new(shared.worst);
    loop {
        let rows = shared.take();
        if rows.is_empty() || shared.gave_up() {
            return tally;
        }
        let count = rows.len() as u64;
        match &shared.batch {
            Some(batch) => shared.send_batch(batch, rows, &mut tally).await,
            None => {
                for row in rows {
                    shared.send_row(row, &mut tally).await;
                }
            }
        }
        shared.done.fetch_add(count, Ordering::Relaxed);
    }
}

impl Shared {
    fn take(&self) -> Vec<Row> {
        let most = match &self.batch {
            Some(batch) => usize::from(batch.size),
            None => ROWS_AT_ONCE,
        };
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        // Bad rows were reported before anything was sent.
        std::iter::from_fn(|| rows.next())
            .flatten()
            .take(most)
            .collect()
    }

    fn gave_up(&self) -> bool {
        self.silent.load(Ordering::Relaxed) >= MOST_SILENT
    }

    async fn send_row(&self, row: Row, tally: &mut Tally) {
        let body = Bytes::from(row.input.to_string());
        let shown = || self.caller.mask.clip(&String::from_utf8_lossy(&body));
        match self.ask(body.clone(), 1).await {
            Err(NotCompared::Open(why)) => tally.open(why),
            Err(NotCompared::Failed(why)) => tally.failed(row.line, why, shown),
            Ok(got) => {
                let expected = row.expected.unwrap_or_default();
                tally.compared(row.line, self.rules.compare(&expected, &got), shown);
            }
        }
    }

    async fn send_batch(&self, batch: &Batch, rows: Vec<Row>, tally: &mut Tally) {
        let inputs: Vec<&Value> = rows.iter().map(|row| &row.input).collect();
        let body = match &batch.request_key {
            Some(key) => serde_json::json!({ key: inputs }),
            None => serde_json::json!(inputs),
        };
        let answered = self.ask(body.to_string().into(), rows.len()).await;
        let outputs = answered.and_then(|got| outputs(batch, got, rows.len()));
        match outputs {
            Ok(outputs) => {
                for (row, got) in rows.into_iter().zip(outputs) {
                    let nothing = Value::Null;
                    let expected = row.expected.as_ref().unwrap_or(&nothing);
                    let result = self.rules.compare(expected, &got);
                    tally.compared(row.line, result, || self.input(&row));
                }
            }
            Err(NotCompared::Open(why)) => rows.iter().for_each(|_| tally.open(why.clone())),
            Err(NotCompared::Failed(why)) => {
                for row in rows {
                    tally.failed(row.line, why.clone(), || self.input(&row));
                }
            }
        }
    }

    fn input(&self, row: &Row) -> String {
        self.caller.mask.clip(&row.input.to_string())
    }

    async fn ask(&self, body: Bytes, rows: usize) -> Result<Value, NotCompared> {
        let call = Call {
            body,
            most_bytes: self.call.most_bytes + BYTES_PER_ROW * (rows - 1),
            ..self.call.clone()
        };
        let answer = match self.caller.call(&call, self.limit).await {
            Ok(answer) => answer,
            Err(error) => {
                self.silent.fetch_add(1, Ordering::Relaxed);
                let line = error.to_string();
                return Err(if error.blames_the_api() {
                    NotCompared::Failed(line)
                } else {
                    NotCompared::Open(line)
                });
            }
        };
        // Once given up, it stays so: rows that were taken meanwhile are not sent any more.
        let _ = self
            .silent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |silent| {
                (silent < MOST_SILENT).then_some(0)
            });
        json_of(&answer).map_err(NotCompared::Failed)
    }
}

/// Why a row was not compared.
enum NotCompared {
    Failed(String),
    Open(String),
}

fn json_of(answer: &Answer) -> Result<Value, String> {
    if !answer.status.is_success() {
        let status = answer.status.as_u16();
        if let Some(target) = answer.redirect() {
            let target = target.split(['?', '#']).next().unwrap_or_default();
            return Err(format!(
                "status: expected 2xx, got {status}, a redirect to {}",
                answer.mask.clip(target)
            ));
        }
        let text = answer.mask.clip(&String::from_utf8_lossy(&answer.body));
        return Err(format!("status: expected 2xx, got {status}: {text}"));
    }
    parse_json(&answer.body, &answer.mask)
}

fn outputs(batch: &Batch, got: Value, rows: usize) -> Result<Vec<Value>, NotCompared> {
    let failed = |line: String| Err(NotCompared::Failed(line));
    let list = match (&batch.answer_key, got) {
        (None, got) => got,
        (Some(key), Value::Object(mut entries)) => match entries.remove(key) {
            Some(list) => list,
            None => return failed(format!("the answer has no `{key}`")),
        },
        (Some(key), _) => return failed(format!("the answer is no mapping with `{key}`")),
    };
    match list {
        Value::Array(items) if items.len() == rows => Ok(items),
        Value::Array(items) => failed(format!(
            "expected {rows} outputs for {rows} inputs, got {}",
            items.len()
        )),
        _ => failed("the outputs are no list".to_owned()),
    }
}
