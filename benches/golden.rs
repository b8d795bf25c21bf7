//! Golden predictions, compared row by row, beside `hey`, which compares nothing: turn by turn, against
//! one server, at equal concurrency, in one run on one machine.
//!
//! Figures differ from machine to machine; the ratio counts. `hey` is Debian's package, unpacked by
//! `scripts/setup load-tools`.

mod hey;

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::routing::post;
use delivery::event::{Event, EventSink};
use delivery::verdict::CaseEnd;
use ml_deploy::verify::{Caller, Gate, GateContext, GoldenGate, load_suites};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use hey::{Failure, find, median, watch};

/// Turns of each program.
const TURNS: usize = 5;
/// Rows, and requests of `hey`.
const ROWS: u32 = 50_000;
/// Requests under way at once.
const CONCURRENCY: usize = 50;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let _ = rustls::crypto::ring::default_provider().install_default();
    match words.as_slice() {
        ["serve"] => serve(),
        ["rows", folder, url] => write(&format!("{:.0}", rows(Path::new(folder), url)?)),
        _ => write(&compare()?),
    }
    Ok(())
}

fn compare() -> Result<String, Failure> {
    let Some(program) = find() else {
        return Ok(
            "hey: not found, so nothing is compared: run `scripts/setup load-tools`".to_owned(),
        );
    };
    let folder = tempfile::tempdir()?;
    write_suite(folder.path())?;
    let server = Server::start()?;
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    let mut memory: u64 = 0;
    for _ in 0..TURNS {
        let url = format!("{}/predict", server.url);
        let (count, body) = (ROWS.to_string(), input(1).to_string());
        theirs.push(hey::turn(&program, ["-n", &count], CONCURRENCY, &body, &url)?.0);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("rows").arg(folder.path()).arg(&server.url);
        let (said, bytes) = watch(&mut command)?;
        ours.push(said.trim().parse::<f64>()?);
        memory = memory.max(bytes);
    }
    let (their_rate, our_rate) = (median(theirs), median(ours));
    Ok(format!(
        "{CONCURRENCY} at once, {ROWS} rows a turn, median of {TURNS} turns each:\n\
         golden: {our_rate:>8.0} rows/s, each compared, at most {:.1} MB\n\
         hey:    {their_rate:>8.0} requests/s\n\
         ratio:  {:.2} (goal: at least 0.6)",
        memory as f64 / 1e6,
        our_rate / their_rate
    ))
}

/// Compares every row; gives rows a second.
#[tokio::main]
async fn rows(folder: &Path, url: &str) -> Result<f64, Failure> {
    let suites = load_suites(folder, &["suite.yaml".to_owned()], &|_| None)
        .map_err(|problems| format!("{problems:?}"))?;
    let candidate = Caller::new(url, None).map_err(|problem| problem.title)?;
    let context = GateContext {
        candidate: &candidate,
        serving: None,
        version: None,
        commit: None,
        sink: &Silent,
        cancelled: CancellationToken::new(),
    };
    let evidence = GoldenGate { suites }.run(&context).await;
    let evidence = evidence.first().ok_or("no evidence")?;
    if evidence
        .cases
        .iter()
        .any(|case| case.end != CaseEnd::Passed)
    {
        return Err(format!("{:?}", evidence.cases).into());
    }
    let figures = &evidence.measurements;
    let rate = figures.iter().find(|one| one.name == "rows compared");
    Ok(rate.ok_or("no rate")?.value)
}

struct Silent;

impl EventSink for Silent {
    fn emit(&self, _event: Event) {}
}

fn input(number: u32) -> serde_json::Value {
    let x = f64::from(number % 1000) / 100.0;
    json!({"sepal_length": x, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2})
}

fn write_suite(folder: &Path) -> Result<(), Failure> {
    let suite = format!(
        "golden:\n- file: rows.jsonl\n  request: {{path: /predict}}\n  concurrency: {CONCURRENCY}\n"
    );
    std::fs::write(folder.join("suite.yaml"), suite)?;
    let mut file = BufWriter::new(std::fs::File::create(folder.join("rows.jsonl"))?);
    let expected: serde_json::Value = serde_json::from_str(ANSWER)?;
    for number in 0..ROWS {
        let row = json!({"input": input(number), "expected": expected});
        writeln!(file, "{row}")?;
    }
    Ok(file.flush()?)
}

/// The server, in a process of its own.
struct Server {
    url: String,
    child: Child,
}

impl Server {
    fn start() -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self {
            url: line.trim().to_owned(),
            child,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ANSWER: &str =
    r#"{"label":"setosa","probabilities":{"setosa":0.98,"versicolor":0.02,"virginica":0.0}}"#;

#[tokio::main]
async fn serve() {
    let answer = || async { ([("content-type", "application/json")], ANSWER) };
    let router = Router::new().route("/predict", post(answer));
    if let Ok(listener) = tokio::net::TcpListener::bind("127.0.0.1:0").await
        && let Ok(address) = listener.local_addr()
    {
        write(&format!("http://{address}"));
        let _ = axum::serve(listener, router).await;
    }
}

#[expect(clippy::print_stdout, reason = "the figures are the bench's result")]
fn write(report: &str) {
    println!("{report}");
}
