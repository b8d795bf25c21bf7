//! Verdicts without sockets, then two servers in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use delivery::diagnostic::Diagnostic;
use delivery::event::Event;
use delivery::statistics::random::Random;
use delivery::verdict::{CaseEnd, Verdict, judge};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::verify::load::{Failure, Measured, Slo};
use crate::verify::tests::server::{Events, Server, serve};
use crate::verify::{Caller, Sample};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn limits() -> CanaryLimits {
    CanaryLimits {
        slo: None,
        latency_ratio: 1.5,
        error_delta: 0.01,
    }
}

/// A load without sockets: latencies of about so many milliseconds, so many failures.
fn measured(count: u64, failures: u64, millis: f64, seed: u64) -> Measured {
    let mut random = Random::new(seed);
    let mut measured = Measured::default();
    for _ in 0..count {
        let spread = 0.7 + 0.3 * random.exponential();
        measured.latency.add((millis * spread * 1000.0) as u64);
    }
    for _ in 0..failures {
        let failure = Failure::Status {
            got: 503,
            expected: "200".to_owned(),
        };
        measured.failures.add("predict", &failure);
    }
    measured
}

fn word(end: &CaseEnd) -> &'static str {
    match end {
        CaseEnd::Passed => "passed",
        CaseEnd::Failed(_) => "failed",
        CaseEnd::Undecided(_) => "open",
        CaseEnd::Skipped(_) => "skipped",
    }
}

/// p50, p95, p99 and errors against what serves.
fn compared(candidate: &Measured, serving: &Measured) -> Vec<&'static str> {
    let (ends, evidence) = judge_canary(&limits(), 25, candidate, serving);
    assert!(
        evidence
            .measurements
            .iter()
            .all(|one| one.value.is_finite())
    );
    ends.iter().map(|(_, end)| word(end)).collect()
}

#[test]
fn three_states_against_what_serves() {
    let serving = measured(2000, 0, 50.0, 1);
    let same = measured(2000, 0, 50.0, 2);
    assert_eq!(compared(&same, &serving), ["passed"; 4]);
    let slow = measured(2000, 0, 100.0, 2);
    assert_eq!(
        compared(&slow, &serving),
        ["failed", "failed", "failed", "passed"]
    );
    let failing = measured(2000, 60, 50.0, 2);
    assert_eq!(
        compared(&failing, &serving),
        ["passed", "passed", "passed", "failed"]
    );
    // Both fail alike.
    assert_eq!(compared(&failing, &measured(2000, 60, 50.0, 1))[3], "open");
    let many = (
        measured(20_000, 200, 50.0, 1),
        measured(20_000, 200, 50.0, 2),
    );
    assert_eq!(compared(&many.0, &many.1)[3], "passed");
    let few = (measured(60, 0, 50.0, 1), measured(60, 0, 50.0, 2));
    assert_eq!(compared(&few.0, &few.1), ["passed", "open", "open", "open"]);
    let nothing = Measured::default();
    assert_eq!(compared(&nothing, &nothing), ["open"; 4]);
}

#[test]
fn what_is_open_says_how_many_more_requests_it_takes() {
    let (candidate, serving) = (measured(100, 0, 50.0, 1), measured(100, 0, 50.0, 2));
    let (ends, _) = judge_canary(&limits(), 5, &candidate, &serving);
    let open = |name: &str| match ends.iter().find(|(found, _)| found == name) {
        Some((_, CaseEnd::Undecided(why))) => why.clone(),
        other => panic!("{name}: {other:?}"),
    };
    let why = open("p99 ratio at 5 %");
    assert!(
        why.contains("about 268 more requests to each can: raise `soak` or `load_rate`"),
        "{why}"
    );
    let why = open("errors beyond what serves at 5 %");
    assert!(why.contains("about 281 more requests to each can"), "{why}");
    assert!(
        why.contains("0 of 100 requests, and 0 of 100 beside it"),
        "{why}"
    );
}

#[test]
fn quick_answers_are_not_told_apart_and_an_outage_is_nothing_to_compare_with() {
    // Three times as slow, and nobody notices: both are below 10 ms.
    let quick = (measured(2000, 0, 3.0, 1), measured(2000, 0, 1.0, 2));
    assert_eq!(compared(&quick.0, &quick.1), ["passed"; 4]);
    // What serves answers 503 at once: the mend is slower than the outage, and passes.
    let outage = measured(2000, 1900, 1.0, 1);
    assert_eq!(
        compared(&measured(2000, 0, 300.0, 2), &outage),
        ["skipped", "skipped", "skipped", "passed"]
    );
}

#[test]
fn what_was_promised_is_judged_at_each_share() {
    let slo = Slo {
        p95: Some(MS(60)),
        p99: Some(MS(500)),
        max_error_rate: 0.01,
    };
    let limits = CanaryLimits {
        slo: Some(slo),
        ..limits()
    };
    let (serving, candidate) = (measured(2000, 0, 50.0, 1), measured(2000, 60, 50.0, 2));
    let (ends, evidence) = judge_canary(&limits, 50, &candidate, &serving);
    let told: Vec<_> = ends
        .iter()
        .map(|(name, end)| (name.as_str(), word(end)))
        .collect();
    assert_eq!(
        told[..3],
        [
            ("p95 at 50 %", "failed"),
            ("p99 at 50 %", "passed"),
            ("error rate at 50 %", "failed"),
        ]
    );
    let CaseEnd::Failed(lines) = &ends[2].1 else {
        panic!("{ends:?}")
    };
    assert!(lines[1].contains("status 503: 60"), "{lines:?}");
    let names: std::collections::BTreeSet<_> =
        evidence.measurements.iter().map(|one| &one.name).collect();
    assert_eq!(names.len(), evidence.measurements.len(), "names are unique");
    let p95 = &evidence.measurements[1];
    assert_eq!((p95.name.as_str(), p95.limit), ("p95 at 50 %", Some(60.0)));
    assert!(p95.low.unwrap() < p95.value && p95.value < p95.high.unwrap());
    for name in [
        "p99 of what serves at 50 %",
        "requests to what serves at 50 %",
    ] {
        assert!(names.contains(&name.to_owned()), "{name}: {names:?}");
    }
}

struct Two {
    candidate: Server,
    serving: Server,
    /// Requests to each.
    seen: [Arc<AtomicU64>; 2],
}

#[async_trait]
impl Callers for Two {
    async fn both(&self) -> Result<(Caller, Caller), Diagnostic> {
        Ok((
            Caller::new(&self.candidate.url, None)?,
            Caller::new(&self.serving.url, None)?,
        ))
    }
}

/// `status` tells the candidate's answer to its n-th request.
async fn two(status: fn(u64) -> StatusCode) -> Two {
    let seen: [Arc<AtomicU64>; 2] = Default::default();
    let router = |count: Arc<AtomicU64>, status: fn(u64) -> StatusCode| {
        let answer = move || {
            let number = count.fetch_add(1, Ordering::SeqCst);
            async move { status(number) }
        };
        Router::new().route("/", get(answer))
    };
    Two {
        candidate: serve(router(seen[0].clone(), status)).await,
        serving: serve(router(seen[1].clone(), |_| StatusCode::OK)).await,
        seen,
    }
}

fn canary(rate: f64) -> Canary {
    let limits = CanaryLimits {
        // Two servers in a busy test process: only errors are judged here.
        latency_ratio: 1e6,
        error_delta: 0.05,
        ..limits()
    };
    Canary::new(limits, rate, Box::new(vec![Sample::get("root", "/")]))
}

fn watch<'a>(two: &'a Two, soak: Duration, held: u32, sink: &'a Events) -> Watch<'a> {
    Watch {
        callers: two,
        percent: 5,
        soak,
        held,
        sink,
        cancelled: CancellationToken::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_get_the_same_load_and_a_held_share_pools_what_was_measured() {
    let two = two(|_| StatusCode::OK).await;
    let canary = canary(100.0);
    let events = Events::default();
    let first = canary
        .watch(&watch(&two, MS(400), 0, &events))
        .await
        .unwrap();
    // 40 of each are too few for a p99.
    assert!(matches!(judge(&[first]), Verdict::Inconclusive(_)));
    let again = canary
        .watch(&watch(&two, MS(400), 1, &events))
        .await
        .unwrap();
    let requests = |name: &str| {
        let name = format!("requests to {name} at 5 %");
        let found = again.measurements.iter().find(|one| one.name == name);
        found.unwrap().value as u64
    };
    assert_eq!(
        (requests("the candidate"), requests("what serves")),
        (80, 80)
    );
    for seen in &two.seen {
        // Two windows with a quarter of warm-up each, and one look each whether it answers.
        assert_eq!(seen.load(Ordering::SeqCst), 80 + 20 + 2);
    }
    let fresh = canary
        .watch(&watch(&two, MS(400), 0, &events))
        .await
        .unwrap();
    let measured = fresh
        .measurements
        .iter()
        .rev()
        .find(|one| one.name.starts_with("requests"));
    assert_eq!(
        measured.unwrap().value as u64,
        40,
        "another share begins anew"
    );
    let ended = events.0.lock().unwrap();
    let ended = ended
        .iter()
        .filter(|event| matches!(event, Event::GateFinished(_)));
    assert_eq!(ended.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_fails_under_load_fails() {
    // The first answers, while nobody else asks, are right.
    let failing = |number| match number {
        0..20 => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let two = two(failing).await;
    let events = Events::default();
    let evidence = canary(200.0)
        .watch(&watch(&two, MS(400), 0, &events))
        .await
        .unwrap();
    let Verdict::Fail(lines) = judge(&[evidence]) else {
        panic!("not failed")
    };
    assert!(
        lines[0].contains("errors beyond what serves at 5 %"),
        "{lines:?}"
    );
}

/// The window is ten minutes, the test is not: nearly everything fails, which ends it at its first
/// slice.
#[test]
fn what_nearly_always_fails_is_not_watched_to_the_end() {
    let serving = measured(600, 0, 50.0, 1);
    for (failures, hopeless) in [(600, true), (400, true), (310, false), (0, false)] {
        let candidate = measured(600, failures, 50.0, 2);
        assert_eq!(
            judge::is_hopeless(&candidate, &serving),
            hopeless,
            "{failures}"
        );
    }
    let outage = measured(600, 600, 1.0, 1);
    assert!(!judge::is_hopeless(&measured(600, 600, 1.0, 2), &outage));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_stops_the_load() {
    let two = two(|_| StatusCode::OK).await;
    let events = Events::default();
    let canary = canary(50.0);
    let at = watch(&two, Duration::from_secs(600), 0, &events);
    let stop = at.cancelled.clone();
    let (evidence, ()) = tokio::join!(canary.watch(&at), async {
        while two.seen[1].load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(MS(5)).await;
        }
        stop.cancel();
    });
    let evidence = evidence.unwrap();
    assert!(
        matches!(evidence.cases[0].end, CaseEnd::Skipped(_)),
        "{evidence:?}"
    );
}
