//! The load generator beside `hey`, in one run on one machine, turn by turn, against one server: how
//! many requests a second at equal concurrency, in how much memory. And whether the latencies that it
//! reports are those that a server is known to have.
//!
//! Figures differ from machine to machine; the ratios count. `hey` is Debian's package, unpacked by
//! `scripts/setup load-tools`.

mod hey;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use delivery::statistics::histogram::Histogram;
use delivery::statistics::random::Random;
use ml_deploy::verify::load::{Load, Measured, Pace, Prepared, Target, generate};
use ml_deploy::verify::{Caller, Sample};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use hey::{Failure, find, median, watch};

/// Turns of each program.
const TURNS: usize = 5;
/// Seconds of one turn.
const SECONDS: u64 = 3;
/// Requests under way at once.
const CONCURRENCY: usize = 50;
/// Of the measurement of known delays.
const DELAYS_RATE: f64 = 200.0;
const DELAYS_SECONDS: u64 = 15;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let _ = rustls::crypto::ring::default_provider().install_default();
    match words.as_slice() {
        ["serve"] => serve(),
        ["generate", url] => write(&format!(
            "{:.0}",
            load(url, Pace::Concurrency(CONCURRENCY), SECONDS)?.rate()
        )),
        _ => {
            let server = Server::start()?;
            write(&compare_with_hey(&server.url)?);
            write(&compare_with_known_delays(&server.url)?);
        }
    }
    Ok(())
}

/// Sends predictions.
#[tokio::main(flavor = "current_thread")]
async fn load(url: &str, pace: Pace, seconds: u64) -> Result<Measured, Failure> {
    let body =
        json!({"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2});
    let (base, path) = url.rsplit_once('/').ok_or("no path")?;
    let sample = Sample::get("predict", format!("/{path}")).post(&body);
    let target = Target::parse(base).ok_or("no address")?;
    let caller = Caller::new(base, None).map_err(|problem| problem.title)?;
    let load = Load {
        requests: vec![Prepared::new(&sample, &caller, &target).ok_or("no request")?],
        target,
        pace,
        warm_up: match pace {
            // What the server injects and what is measured must be the same requests.
            Pace::Rate { .. } => Duration::ZERO,
            Pace::Concurrency(_) => Duration::from_millis(500),
        },
        duration: Duration::from_secs(seconds),
        timeout: Duration::from_secs(10),
    };
    let measured = generate(load, CancellationToken::new()).await?;
    if measured.failures.total() > 0 {
        return Err(format!("{:?}", measured.failures).into());
    }
    Ok(measured)
}

/// A program's requests a second, and the most memory that it held.
struct Turn {
    rate: f64,
    bytes: u64,
}

fn compare_with_hey(url: &str) -> Result<String, Failure> {
    let url = format!("{url}/predict");
    let Some(program) = find() else {
        return Ok(
            "hey: not found, so nothing is compared: run `scripts/setup load-tools`\n".to_owned(),
        );
    };
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        theirs.push(turn_of_hey(&program, &url)?);
        ours.push(turn_of_ours(&url)?);
    }
    let of = |turns: &[Turn], figure: fn(&Turn) -> f64| median(turns.iter().map(figure));
    let (their_rate, our_rate) = (of(&theirs, |turn| turn.rate), of(&ours, |turn| turn.rate));
    let megabytes = |turns: &[Turn]| of(turns, |turn| turn.bytes as f64) / 1e6;
    let (their_memory, our_memory) = (megabytes(&theirs), megabytes(&ours));
    Ok(format!(
        "{CONCURRENCY} at once, {SECONDS} s a turn, median of {TURNS} turns each:\n\
         ml-deploy: {our_rate:>8.0} requests/s in {our_memory:.1} MB\n\
         hey:       {their_rate:>8.0} requests/s in {their_memory:.1} MB\n\
         ratio:     {:.2} of its rate (goal: at least 1), {:.2} of its memory (goal: at most 0.5)\n",
        our_rate / their_rate,
        our_memory / their_memory
    ))
}

fn turn_of_hey(program: &std::path::Path, url: &str) -> Result<Turn, Failure> {
    const BODY: &str =
        r#"{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}"#;
    let time = format!("{SECONDS}s");
    let (rate, bytes) = hey::turn(program, ["-z", &time], CONCURRENCY, BODY, url)?;
    Ok(Turn { rate, bytes })
}

fn turn_of_ours(url: &str) -> Result<Turn, Failure> {
    let (said, bytes) = watch(Command::new(std::env::current_exe()?).args(["generate", url]))?;
    Ok(Turn {
        rate: said.trim().parse()?,
        bytes,
    })
}

fn compare_with_known_delays(url: &str) -> Result<String, Failure> {
    let pace = Pace::Rate {
        per_second: DELAYS_RATE,
        most_at_once: 512,
    };
    let measured = load(&format!("{url}/delayed"), pace, DELAYS_SECONDS)?;
    let injected: Vec<f64> = ask(&format!("{url}/injected"))?;
    let mut report = format!("known delays, {DELAYS_RATE} requests/s for {DELAYS_SECONDS} s:\n");
    for (part, injected) in [0.5, 0.95, 0.99].into_iter().zip(injected) {
        let got = measured.latency.quantile(part).ok_or("no latency")? as f64 / 1000.0;
        report.push_str(&format!(
            "p{:<4} injected {injected:>7.2} ms, measured {got:>7.2} ms, {:+.2} % (goal for p99: within 2 %)\n",
            part * 100.0,
            (got / injected - 1.0) * 100.0
        ));
    }
    Ok(report)
}

#[tokio::main(flavor = "current_thread")]
async fn ask(url: &str) -> Result<Vec<f64>, Failure> {
    Ok(serde_json::from_slice(
        &reqwest::get(url).await?.bytes().await?,
    )?)
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

/// What was injected: the delays as they really were, and where they come from.
struct Delays {
    injected: Histogram,
    random: Random,
}

/// `/predict` answers at once; `/delayed` after 20 ms and an exponential tail with a mean of 40 ms, so
/// that the p99 is near 200 ms; `/injected` tells what the delays were.
#[tokio::main]
async fn serve() {
    const ANSWER: &str =
        r#"{"label":"setosa","probabilities":{"setosa":0.98,"versicolor":0.02,"virginica":0.0}}"#;
    let answer = || async { ([("content-type", "application/json")], ANSWER) };
    let delays = Arc::new(Mutex::new(Delays {
        injected: Histogram::default(),
        random: Random::new(7),
    }));
    let injecting = delays.clone();
    let delayed = move || {
        let delays = injecting.clone();
        async move {
            let start = Instant::now();
            let millis = delays
                .lock()
                .map_or(0.0, |mut delays| 20.0 + 40.0 * delays.random.exponential());
            tokio::time::sleep(Duration::from_secs_f64(millis / 1000.0)).await;
            if let Ok(mut delays) = delays.lock() {
                delays
                    .injected
                    .add(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            ([("content-type", "application/json")], ANSWER)
        }
    };
    let told = move || {
        let figures = delays.lock().map(|delays| {
            let millis = |part| delays.injected.quantile(part).unwrap_or(0) as f64 / 1000.0;
            [millis(0.5), millis(0.95), millis(0.99)]
        });
        // Not across an await: a poisoned lock holds its guard.
        let figures = figures.unwrap_or_default();
        async move { axum::Json(figures) }
    };
    let router = Router::new()
        .route("/predict", post(answer))
        .route("/delayed", post(delayed))
        .route("/injected", get(told));
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
