//! Comparisons without sockets, in seeded runs; and the gate against servers in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::post;
use delivery::event::{Event, EventSink};
use delivery::statistics::random::Random;
use delivery::verdict::{CaseEnd, Evidence, Verdict, judge};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Comparison, Ignore, Limits, Pair, ReplayGate, judge_replay};
use crate::verify::{Caller, Gate, GateContext, Sample};

const LIMITS: Limits = Limits {
    flip_rate: 0.05,
    delta: None,
    psi: None,
    latency_ratio: None,
};

fn answer(label: bool, p: f64) -> Value {
    json!({"label": if label { "yes" } else { "no" }, "p": p})
}

/// So many inputs, of which a part flips; the probability moves by `delta`.
fn compared(inputs: u32, flip: f64, delta: f64, seed: u64) -> Comparison {
    let mut random = Random::new(seed);
    let mut seen = Comparison::new(Ignore::default(), seed);
    for _ in 0..inputs {
        let p = random.unit();
        let label = p > 0.5;
        let flipped = random.unit() < flip;
        let (serving, candidate) = (answer(label, p), answer(label != flipped, p + delta));
        seen.pair(&Pair {
            wanted: None,
            serving: &serving,
            candidate: &candidate,
            again: Some(&serving),
        });
        // Latencies of both sides: 30 ms and an exponential tail.
        seen.took(
            30.0 + 10.0 * random.exponential(),
            30.0 + 10.0 * random.exponential(),
        );
    }
    seen
}

fn ends(limits: &Limits, seen: &Comparison) -> BTreeMap<String, CaseEnd> {
    judge_replay(limits, seen, 1).0.into_iter().collect()
}

#[test]
fn flipped_labels_are_stopped_and_tell_what_became_what() {
    let found = ends(&LIMITS, &compared(500, 0.08, 0.0, 3));
    let CaseEnd::Failed(lines) = &found["flips of /label"] else {
        panic!("{found:?}")
    };
    assert!(lines[0].contains("at most 5 % is allowed"), "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("times `yes` became `no`")),
        "{lines:?}"
    );
    assert_eq!(found["answers"], CaseEnd::Passed);
}

#[test]
fn equal_candidates_pass_in_nearly_all_runs_and_flipping_ones_in_none() {
    let limits = Limits {
        delta: Some(0.2),
        psi: Some(0.25),
        latency_ratio: Some(1.5),
        ..LIMITS
    };
    let (mut passed, mut flipping) = (0, 0);
    for seed in 0..100 {
        // Half a percent of the labels lies on the border.
        let passes = |seen: &Comparison| {
            ends(&limits, seen)
                .values()
                .all(|end| *end == CaseEnd::Passed)
        };
        passed += u32::from(passes(&compared(400, 0.005, 0.001, seed)));
        flipping += u32::from(passes(&compared(400, 0.08, 0.001, seed)));
    }
    assert!(passed >= 95, "{passed} of 100 equal ones passed");
    assert_eq!(flipping, 0);
}

#[test]
fn too_few_inputs_leave_it_open_and_say_how_many_more() {
    let limits = Limits {
        psi: Some(0.25),
        latency_ratio: Some(1.5),
        ..LIMITS
    };
    let found = ends(&limits, &compared(20, 0.0, 0.0, 1));
    let open = |case: &str| match &found[case] {
        CaseEnd::Undecided(why) => why.clone(),
        other => panic!("{case}: {other:?}"),
    };
    assert!(
        open("flips of /label").contains("about 53 more inputs"),
        "{}",
        open("flips of /label")
    );
    assert!(
        open("PSI of /p").contains("more inputs"),
        "{}",
        open("PSI of /p")
    );
    assert!(
        open("p95 ratio").contains("about 52 more inputs"),
        "{}",
        open("p95 ratio")
    );
    assert!(matches!(
        &ends(&LIMITS, &Comparison::new(Ignore::default(), 1))["answers"],
        CaseEnd::Undecided(_)
    ));
}

#[test]
fn numbers_are_held_to_the_largest_difference_and_to_their_distribution() {
    let limits = Limits {
        delta: Some(0.05),
        psi: Some(0.25),
        ..LIMITS
    };
    let found = ends(&limits, &compared(400, 0.0, 0.2, 1));
    let CaseEnd::Failed(lines) = &found["difference of /p"] else {
        panic!("{found:?}")
    };
    assert!(
        lines[0].contains("the largest of 400 differences is 0.2"),
        "{lines:?}"
    );
    assert!(
        matches!(found["PSI of /p"], CaseEnd::Failed(_)),
        "{found:?}"
    );
    let (_, evidence) = judge_replay(&limits, &compared(400, 0.0, 0.2, 1), 1);
    let value = |name: &str| {
        evidence
            .measurements
            .iter()
            .find(|one| one.name == name)
            .unwrap()
            .value
    };
    assert!((0.15..0.3).contains(&value("KS distance of /p")));
    assert!((value("mean difference of /p") - 0.2).abs() < 1e-9);
    let plot = evidence
        .plots
        .iter()
        .find(|plot| plot.title.contains("/p"))
        .unwrap();
    assert_eq!(plot.rows.len(), 16);
}

#[test]
fn what_differs_from_itself_blames_no_candidate() {
    let mut seen = Comparison::new(Ignore::default(), 1);
    for i in 0..200 {
        let (a, b, c) = (
            json!({"id": i}),
            json!({"id": i + 1000}),
            json!({"id": i + 2000}),
        );
        let texts = |v: &Value| json!({"id": v["id"].to_string()});
        seen.pair(&Pair {
            wanted: None,
            serving: &texts(&a),
            candidate: &texts(&b),
            again: Some(&texts(&c)),
        });
    }
    let found = ends(&LIMITS, &seen);
    let CaseEnd::Undecided(why) = &found["flips of /id"] else {
        panic!("{found:?}")
    };
    assert!(
        why.contains("200 of 200") && why.contains("replay_ignore"),
        "{why}"
    );
}

#[test]
fn whole_numbers_of_few_values_are_labels_and_absent_outputs_are_flips() {
    let mut seen = Comparison::new(Ignore::default(), 1);
    for i in 0..200 {
        let serving = json!({"class": i % 3, "count": i, "gone": true});
        let candidate = json!({"class": (i + u32::from(i % 4 == 0)) % 3, "count": i});
        seen.pair(&Pair {
            wanted: None,
            serving: &serving,
            candidate: &candidate,
            again: None,
        });
    }
    let found = ends(&LIMITS, &seen);
    assert!(
        matches!(found["flips of /class"], CaseEnd::Failed(_)),
        "{found:?}"
    );
    let CaseEnd::Failed(lines) = &found["flips of /gone"] else {
        panic!("{found:?}")
    };
    assert!(
        lines
            .iter()
            .any(|line| line == "200 times `true` became `(absent)`"),
        "{lines:?}"
    );
    assert!(!found.contains_key("flips of /count"), "{found:?}");
}

#[test]
fn a_number_that_is_gone_or_became_a_text_is_stopped() {
    for candidate in [json!({}), json!({"p": "0.5"}), json!({"p": null})] {
        let mut seen = Comparison::new(Ignore::default(), 1);
        for i in 0..200 {
            seen.pair(&Pair {
                wanted: None,
                serving: &json!({"p": f64::from(i) / 7.0 + 0.01}),
                candidate: &candidate,
                again: None,
            });
        }
        let found = ends(&LIMITS, &seen);
        let CaseEnd::Failed(lines) = &found["/p is told"] else {
            panic!("{found:?}")
        };
        assert!(lines[0].starts_with("200 of 200 numbers"), "{lines:?}");
    }
}

#[test]
fn memory_is_bounded() {
    let mut seen = Comparison::new(Ignore::default(), 1);
    for i in 0..30_000 {
        let answer = json!({"p": f64::from(i) / 7.0, format!("key{i}"): 1});
        seen.pair(&Pair {
            wanted: None,
            serving: &answer,
            candidate: &answer,
            again: None,
        });
        seen.took(1.0, 1.0);
    }
    assert_eq!(seen.outputs.len(), 200);
    assert_eq!(
        seen.outputs["/p"].values.kept().len(),
        super::comparison::KEPT
    );
    assert_eq!(seen.latencies.0.kept().len(), super::comparison::KEPT);
    let found = ends(&LIMITS, &seen);
    assert!(matches!(
        found["all outputs compared"],
        CaseEnd::Undecided(_)
    ));
}

struct Quiet;

impl EventSink for Quiet {
    fn emit(&self, _: Event) {}
}

/// Ends with the test that started it.
struct Server {
    url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A model on x: yes above one half. `wrong` tells which inputs it gets wrong.
async fn model(calls: Arc<AtomicUsize>, wrong: fn(u64) -> bool) -> Server {
    let predict = move |body: axum::Json<Value>| {
        calls.fetch_add(1, Ordering::SeqCst);
        async move {
            let x = body["x"].as_u64().unwrap();
            axum::Json(answer((x % 100 > 50) != wrong(x), (x % 100) as f64 / 100.0))
        }
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/predict", post(predict));
    let task = tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    Server { url, task }
}

fn inputs(count: u64) -> Vec<Sample> {
    let input = |x| Sample::get(format!("row {x}"), "/predict").post(&json!({ "x": x }));
    let health = Sample::get("health", "/health");
    std::iter::once(health)
        .chain((0..count).map(input))
        .collect()
}

async fn run(
    limits: Limits,
    count: u64,
    candidate: &Server,
    serving: Option<&Server>,
) -> Vec<Evidence> {
    let gate = ReplayGate {
        limits,
        ignore: Ignore::default(),
        samples: Box::new(inputs(count)),
    };
    let candidate = Caller::new(&candidate.url, None).unwrap();
    let serving = serving.map(|server| Caller::new(&server.url, None).unwrap());
    let context = GateContext {
        candidate: &candidate,
        serving: serving.as_ref(),
        version: None,
        commit: None,
        sink: &Quiet,
        cancelled: CancellationToken::new(),
    };
    gate.run(&context).await
}

#[tokio::test]
async fn eight_flips_in_a_hundred_are_stopped_and_an_equal_one_passes() {
    let calls = Arc::new(AtomicUsize::new(0));
    let serving = model(calls.clone(), |_| false).await;
    let equal = model(Arc::default(), |_| false).await;
    let flipping = model(Arc::default(), |x| x % 25 < 2).await;

    let evidence = run(LIMITS, 500, &equal, Some(&serving)).await;
    assert_eq!(judge(&evidence), Verdict::Pass, "{evidence:?}");
    // The inputs once, the first 50 twice; the health path predicts nothing.
    assert_eq!(calls.load(Ordering::SeqCst), 550);

    let evidence = run(LIMITS, 500, &flipping, Some(&serving)).await;
    let Verdict::Fail(lines) = judge(&evidence) else {
        panic!("{evidence:?}")
    };
    assert!(
        lines[0].contains("flips of /label: at most 5 % is allowed; measured 8 %"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn few_inputs_are_repeated_for_the_latency_only() {
    let calls = Arc::new(AtomicUsize::new(0));
    let serving = model(calls.clone(), |_| false).await;
    let equal = model(Arc::default(), |_| false).await;
    let limits = Limits {
        latency_ratio: Some(50.0),
        ..LIMITS
    };
    let evidence = run(limits, 100, &equal, Some(&serving)).await;
    assert_eq!(judge(&evidence), Verdict::Pass, "{evidence:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 450);
    let inputs = evidence[0]
        .measurements
        .iter()
        .find(|one| one.name == "inputs")
        .unwrap();
    assert!((inputs.value - 100.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_candidate_that_does_not_answer_is_stopped_and_nothing_serving_is_no_failure() {
    let serving = model(Arc::default(), |_| false).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = Server {
        url: format!("http://{}", listener.local_addr().unwrap()),
        task: tokio::spawn(async {}),
    };
    drop(listener);
    let evidence = run(LIMITS, 100, &dead, Some(&serving)).await;
    let Verdict::Fail(lines) = judge(&evidence) else {
        panic!("{evidence:?}")
    };
    assert!(
        lines[0].contains("did not answer 100 of 100 inputs"),
        "{lines:?}"
    );
    // The other way round nothing can be said.
    let evidence = run(LIMITS, 100, &serving, Some(&dead)).await;
    assert!(
        matches!(judge(&evidence), Verdict::Inconclusive(_)),
        "{evidence:?}"
    );

    let evidence = run(LIMITS, 100, &serving, None).await;
    let CaseEnd::Skipped(why) = &evidence[0].cases[0].end else {
        panic!("{evidence:?}")
    };
    assert!(why.starts_with("no other release serves"), "{why}");
}
