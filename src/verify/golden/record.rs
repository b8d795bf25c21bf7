//! A golden file from a live API: inputs are sent, and what comes back is written beside them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use delivery::event::{Event, EventSink, Unit};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;

use super::rows::{Row, Rows};
use super::spec::GoldenSpec;
use crate::verify::caller::{Call, Caller};
use crate::verify::run::read_json;
use crate::verify::suite::LoadedSuite;

/// Requests at the same time.
const AT_ONCE: usize = 8;
/// Longest time for one answer.
const LIMIT: Duration = Duration::from_secs(60);

/// What is sent, and where the answers go.
#[derive(Debug, Clone)]
pub struct Recording {
    /// How rows are sent; its `file` has the inputs.
    pub spec: GoldenSpec,
    /// The file that is written: JSON lines, `{"input": …, "expected": …}`.
    pub to: PathBuf,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Rows.
    pub rows: u64,
}

/// Records every row, in the order of the file. The file appears when all is well: a recording that
/// ends early leaves none, and what was there before stays.
///
/// # Errors
/// One line, for the first row that cannot be read, sent or written, or is not answered well.
pub async fn record(
    recording: &Recording,
    caller: &Caller,
    sink: &dyn EventSink,
) -> Result<Recorded, String> {
    let Recording { spec, to } = recording;
    let mut rows = Rows::open(Path::new(&spec.file), spec)
        .map_err(|bad| format!("{}:{}: {}", spec.file, bad.line, bad.message))?;
    let mut unfinished = to.clone().into_os_string();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let written = write_rows(spec, &mut rows, &unfinished, caller, sink).await;
    let finished = written.and_then(|recorded| {
        std::fs::rename(&unfinished, to)
            .map_err(|error| format!("{}: {error}", to.display()))
            .map(|()| recorded)
    });
    if finished.is_err() {
        // What is left of it helps nobody; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(&unfinished);
    }
    finished
}

async fn write_rows(
    spec: &GoldenSpec,
    rows: &mut Rows,
    to: &Path,
    caller: &Caller,
    sink: &dyn EventSink,
) -> Result<Recorded, String> {
    let cannot = |error: std::io::Error| format!("{}: {error}", to.display());
    let mut file = std::io::BufWriter::new(std::fs::File::create(to).map_err(cannot)?);
    let base = spec.call(&LoadedSuite::default(), &caller.base_url)?;
    let answers = std::iter::from_fn(|| rows.next()).map(|row| {
        let base = base.clone();
        async move {
            let row = row.map_err(|bad| (bad.line, bad.message))?;
            let got = answer(&base, &row, caller)
                .await
                .map_err(|why| (row.line, why))?;
            Ok::<_, (u64, String)>((row.input, got))
        }
    });
    let mut answers = stream::iter(answers).buffered(AT_ONCE);
    let mut count = 0;
    while let Some(answered) = answers.next().await {
        let (input, expected) =
            answered.map_err(|(line, why)| format!("{}:{line}: {why}", spec.file))?;
        let row = serde_json::json!({"input": input, "expected": expected});
        writeln!(file, "{row}").map_err(cannot)?;
        count += 1;
        sink.emit(Event::Progress {
            what: "record".to_owned(),
            done: count,
            total: None,
            unit: Unit::Items,
        });
    }
    file.flush().map_err(cannot)?;
    if count == 0 {
        return Err(format!("{} has no rows", spec.file));
    }
    Ok(Recorded { rows: count })
}

async fn answer(base: &Call, row: &Row, caller: &Caller) -> Result<Value, String> {
    let call = Call {
        body: row.input.to_string().into(),
        ..base.clone()
    };
    let answer = caller
        .call(&call, LIMIT)
        .await
        .map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        let text = answer.mask.clip(&String::from_utf8_lossy(&answer.body));
        return Err(format!(
            "the API answers {}: {text}",
            answer.status.as_u16()
        ));
    }
    read_json(&answer)
}
