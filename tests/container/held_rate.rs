//! A client that keeps its rate, whatever the service does: the users of a test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ml_deploy::verify::load::{Load, Measured, Pace, Prepared, Target, generate};
use ml_deploy::verify::{Caller, Sample};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Requests a second.
pub(crate) const RATE: f64 = 200.0;
/// Longest time for an answer.
const LONGEST: Duration = Duration::from_secs(5);
/// The rate is held in windows of this length, one after the other.
const WINDOW: Duration = Duration::from_secs(4);
/// Requests under way at once at most: five seconds' worth, so that the generator never waits.
const AT_ONCE: usize = 1000;
/// Pause between two looks at the version.
const LOOK: Duration = Duration::from_millis(50);
/// How late 99 of 100 requests may leave: what is above was not sent at that rate.
const LATE: Duration = Duration::from_millis(500);

/// Requests that are being sent.
pub(crate) struct HeldRate {
    done: Arc<AtomicBool>,
    load: JoinHandle<Vec<Measured>>,
    looks: JoinHandle<Looks>,
}

/// What was seen at `/version`.
#[derive(Debug, Default)]
struct Looks {
    commits: BTreeMap<String, u64>,
    failed: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Held {
    /// How many predictions were asked for.
    pub(crate) asked: u64,
    /// How often each commit answered, asked beside them.
    pub(crate) commits: BTreeMap<String, u64>,
}

impl HeldRate {
    /// Asks this public service for predictions until told to end.
    pub(crate) fn start(url: &str) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (ended, base) = (done.clone(), url.to_owned());
        let load = std::thread::spawn(move || {
            let runtime = runtime();
            let mut windows = Vec::new();
            while !ended.load(Ordering::SeqCst) {
                let measured = runtime.block_on(generate(window(&base), CancellationToken::new()));
                windows.push(measured.expect("a load"));
            }
            windows
        });
        let (ended, base) = (done.clone(), url.to_owned());
        let looks = std::thread::spawn(move || runtime().block_on(look(&base, &ended)));
        Self { done, load, looks }
    }

    /// Ends with the window under way. Fails unless each request was sent in time and answered rightly.
    #[track_caller]
    pub(crate) fn end(self) -> Held {
        self.done.store(true, Ordering::SeqCst);
        let windows = self.load.join().expect("the load's thread");
        let looks = self.looks.join().expect("the looks' thread");
        let planned = (RATE * WINDOW.as_secs_f64()).round() as u64;
        let mut asked = 0;
        for measured in &windows {
            let failures = measured.failures.by_kind();
            assert!(failures.is_empty(), "failed requests: {failures:?}");
            assert_eq!(measured.latency.total(), planned, "requests were left out");
            let slowest = Duration::from_micros(measured.latency.greatest());
            assert!(slowest <= LONGEST, "an answer took {slowest:?}");
            let late = measured.lateness.quantile(0.99).unwrap_or_default();
            let late = Duration::from_micros(late);
            assert!(late <= LATE, "the rate was not held: {late:?} late");
            asked += measured.latency.total();
        }
        assert_eq!(looks.failed, Vec::<String>::new());
        Held {
            asked,
            commits: looks.commits,
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn window(base: &str) -> Load {
    let body = json!({
        "sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2
    });
    let right = json!({"label": "", "probabilities": {"setosa": 0.0, "versicolor": 0.0}});
    let sample = Sample::get("predict", "/predict")
        .post(&body)
        .answered(right);
    let target = Target::parse(base).expect("an address");
    let caller = Caller::new(base, None).expect("a caller");
    Load {
        requests: vec![Prepared::new(&sample, &caller, &target).expect("a request")],
        target,
        pace: Pace::Rate {
            per_second: RATE,
            most_at_once: AT_ONCE,
        },
        warm_up: Duration::ZERO,
        duration: WINDOW,
        timeout: LONGEST,
    }
}

async fn look(base: &str, ended: &AtomicBool) -> Looks {
    let client = reqwest::Client::builder().timeout(LONGEST).build();
    let client = client.expect("a client");
    let mut looks = Looks::default();
    while !ended.load(Ordering::SeqCst) {
        match version(&client, base).await {
            Ok(commit) => *looks.commits.entry(commit).or_default() += 1,
            Err(why) => looks.failed.push(why),
        }
        tokio::time::sleep(LOOK).await;
    }
    looks
}

async fn version(client: &reqwest::Client, base: &str) -> Result<String, String> {
    let asked = client.get(format!("{base}/version")).send().await;
    let answer = asked
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| error.to_string())?;
    let told: Value = answer.json().await.map_err(|error| error.to_string())?;
    let commit = told["commit"].as_str();
    commit
        .map(str::to_owned)
        .ok_or_else(|| format!("no commit: {told}"))
}
