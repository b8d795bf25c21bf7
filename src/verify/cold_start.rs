//! How long a revision without an instance takes to its first right answer.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::gate::COLD_START;
use delivery::verdict::{CaseEnd, Evidence, Measurement};
use serde_json::Value;

use super::caller::Answer;
use super::figure::shown;
use super::gate::{Gate, GateContext, case};
use super::run::read_json;
use super::sample::{Sample, Samples};

/// How much longer than the limit an answer is awaited, to tell by how much it was too late.
const MARGIN: Duration = Duration::from_secs(60);
/// Longest time for the front ends to know a new address, which is not the candidate's.
const GRACE: Duration = Duration::from_secs(120);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Measures the first right answer. Runs before every other gate: they would start an instance.
pub struct ColdStartGate {
    /// Longest time that is allowed.
    pub limit: Duration,
    /// The first of them is asked.
    pub samples: Box<dyn Samples>,
}

/// What was seen.
enum Seen {
    /// The time from the first request that reached the revision to the first right answer, and how
    /// many there were before.
    Right(Duration, u32),
    /// No right answer; what came last.
    Never(Duration, String),
    /// The revision could not be reached at all.
    NotReached(String),
}

#[async_trait]
impl Gate for ColdStartGate {
    fn name(&self) -> &'static str {
        COLD_START
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        let sample = match self.samples.read().next() {
            Some(Ok(sample)) => sample,
            Some(Err(why)) => return vec![undecided(at, why)],
            None => return vec![undecided(at, "there is no request to send".to_owned())],
        };
        let (end, took) = match first_answer(&sample, at, self.limit + MARGIN).await {
            Seen::Right(took, _) if took <= self.limit => (CaseEnd::Passed, took),
            Seen::Right(took, before) => {
                let line = format!(
                    "at most {} is allowed; the first right answer came after {} and {before} wrong ones",
                    seconds(self.limit),
                    seconds(took)
                );
                (CaseEnd::Failed(vec![line]), took)
            }
            Seen::Never(waited, last) => {
                let line = format!(
                    "no right answer within {}; the last was: {last}",
                    seconds(waited)
                );
                (CaseEnd::Failed(vec![line]), waited)
            }
            Seen::NotReached(why) => return vec![undecided(at, why)],
        };
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut evidence = Evidence::new(
            COLD_START,
            vec![case(at.sink, "first right answer", end, millis)],
        );
        evidence.measurements.push(
            Measurement::new("first right answer", took.as_secs_f64(), "s")
                .limit(Some(self.limit.as_secs_f64())),
        );
        vec![evidence]
    }
}

/// The clock starts with the first request that reaches the revision: until the front ends know a new
/// address they answer 404, and 401 or 403 until they know who may call.
async fn first_answer(sample: &Sample, at: &GateContext<'_>, longest: Duration) -> Seen {
    let begin = Instant::now();
    let mut reached: Option<Instant> = None;
    let mut before = 0;
    loop {
        let sent = Instant::now();
        let waited = reached.map_or(Duration::ZERO, |start| start.elapsed());
        let answered = sample
            .send(at.candidate, longest.saturating_sub(waited))
            .await;
        let wrong = match answered {
            Ok(answer)
                if matches!(answer.status.as_u16(), 401 | 403 | 404)
                    && reached.is_none()
                    && !sample.status.allows(answer.status.as_u16()) =>
            {
                let status = answer.status.as_u16();
                if begin.elapsed() > GRACE {
                    return Seen::NotReached(format!(
                        "the address answers {status} for {}",
                        seconds(begin.elapsed())
                    ));
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Ok(answer) => match wrong(sample, &answer) {
                None => return Seen::Right(reached.unwrap_or(sent).elapsed(), before),
                Some(line) => line,
            },
            Err(error) if !error.blames_the_api() => return Seen::NotReached(error.to_string()),
            Err(error) => error.to_string(),
        };
        before += 1;
        let start = *reached.get_or_insert(sent);
        if start.elapsed() + PAUSE >= longest {
            return Seen::Never(start.elapsed(), at.candidate.mask.clip(&wrong));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Why an answer is not right: another status, or a body without what is expected in it.
fn wrong(sample: &Sample, answer: &Answer) -> Option<String> {
    let status = answer.status.as_u16();
    if !sample.status.allows(status) {
        return Some(format!(
            "status {status} where {} was expected",
            sample.status
        ));
    }
    let expected = sample.json.as_ref()?;
    match read_json(answer) {
        Ok(got) => lacks(expected, &got).map(|key| format!("`{key}` is missing")),
        Err(line) => Some(line),
    }
}

/// A key that is expected and not there.
fn lacks<'a>(expected: &'a Value, got: &Value) -> Option<&'a str> {
    let keys = expected.as_object()?.keys();
    keys.map(String::as_str).find(|key| got.get(key).is_none())
}

fn undecided(at: &GateContext<'_>, why: String) -> Evidence {
    Evidence::new(
        COLD_START,
        vec![case(
            at.sink,
            "first right answer",
            CaseEnd::Undecided(why),
            0,
        )],
    )
}

fn seconds(time: Duration) -> String {
    shown(time.as_secs_f64(), "s")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use delivery::event::{Event, EventSink};
    use delivery::verdict::{Verdict, judge};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::verify::Caller;

    struct Quiet;

    impl EventSink for Quiet {
        fn emit(&self, _: Event) {}
    }

    /// Twice 404, as a new address does; then starting for 300 ms, with one 503; then right.
    fn starting() -> Router {
        let calls = Arc::new(AtomicUsize::new(0));
        Router::new().route(
            "/",
            get(move || {
                let call = calls.fetch_add(1, Ordering::SeqCst);
                async move {
                    match call {
                        0 | 1 => StatusCode::NOT_FOUND.into_response(),
                        2 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                        _ => {
                            tokio::time::sleep(Duration::from_millis(300)).await;
                            "ready".into_response()
                        }
                    }
                }
            }),
        )
    }

    async fn run(limit: Duration, router: Router) -> Vec<Evidence> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let candidate = Caller::new(url, None).unwrap();
        let context = GateContext {
            candidate: &candidate,
            serving: None,
            version: None,
            commit: None,
            sink: &Quiet,
            cancelled: CancellationToken::new(),
        };
        let gate = ColdStartGate {
            limit,
            samples: Box::new(vec![Sample::get("c", "/")]),
        };
        let evidence = gate.run(&context).await;
        server.abort();
        evidence
    }

    #[tokio::test]
    async fn the_clock_runs_from_the_first_request_that_reached_it_to_the_first_right_answer() {
        let evidence = run(Duration::from_secs(20), starting()).await;
        assert_eq!(judge(&evidence), Verdict::Pass, "{evidence:?}");
        let took = evidence[0].measurements[0].value;
        // The 503, a pause of 200 ms, and 300 ms; without the two 404s, which took 400 ms more.
        assert!((0.5..5.0).contains(&took), "{took}");

        let evidence = run(Duration::from_millis(100), starting()).await;
        let Verdict::Fail(lines) = judge(&evidence) else {
            panic!("{evidence:?}")
        };
        assert!(
            lines[0].contains("at most 0.1 s is allowed") && lines[0].contains("and 1 wrong ones"),
            "{lines:?}"
        );
    }
}
