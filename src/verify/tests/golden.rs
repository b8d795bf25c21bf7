//! Golden files against a server: right, drifted, broken, silent; batches; recording.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use delivery::verdict::{CaseEnd, Evidence};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::server::{Events, serve};
use crate::verify::{
    Caller, Gate, GateContext, GoldenGate, GoldenRequest, GoldenSpec, Recording, load_suites,
    record,
};

/// The score is twice `x`, plus `drift`; every `flip`th row gets the other label.
fn model(drift: f64, flip: u64) -> Router {
    let predict = move |input: &Value| {
        let x = input["x"].as_f64().unwrap();
        let flips = flip > 0 && (x as u64).is_multiple_of(flip);
        let label = if (x >= 50.0) != flips { "high" } else { "low" };
        json!({"label": label, "score": 2.0 * x + drift, "debug": "ignored"})
    };
    let one = move |body: axum::Json<Value>| async move { axum::Json(predict(&body)) };
    let many = move |body: axum::Json<Value>| async move {
        let inputs = body["instances"].as_array().unwrap();
        let outputs: Vec<Value> = inputs.iter().map(predict).collect();
        axum::Json(json!({"predictions": outputs}))
    };
    Router::new()
        .route("/predict", post(one))
        .route("/batch", post(many))
}

fn golden_rows(count: u32) -> String {
    (0..count)
        .map(|x| {
            let label = if x >= 50 { "high" } else { "low" };
            format!(
                "{}\n",
                json!({"input": {"x": x}, "expected": {"label": label, "score": 2 * x}})
            )
        })
        .collect()
}

/// Runs a suite whose golden entries have these further keys.
async fn run(folder: &Path, url: &str, keys: &str) -> Evidence {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = format!("golden:\n- file: rows.jsonl\n  {keys}\n");
    std::fs::write(folder.join("suite.yaml"), text).unwrap();
    let suites = load_suites(folder, &["suite.yaml".to_owned()], &|_| None).unwrap();
    let candidate = Caller::new(url, None).unwrap();
    let context = GateContext {
        candidate: &candidate,
        serving: None,
        version: None,
        commit: None,
        sink: &Events::default(),
        cancelled: CancellationToken::new(),
    };
    GoldenGate { suites }.run(&context).await.remove(0)
}

fn failure(evidence: &Evidence) -> &[String] {
    match &evidence.cases[0].end {
        CaseEnd::Failed(lines) => lines,
        other => panic!("{other:?}"),
    }
}

const PREDICT: &str = "request: {path: /predict}";

#[tokio::test]
async fn right_predictions_pass_with_their_figures() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.jsonl"), golden_rows(300)).unwrap();
    let server = serve(model(1e-9, 0)).await;
    for keys in [
        PREDICT,
        "request: {path: /batch}\n  batch: {size: 7, request_key: instances, answer_key: predictions}",
    ] {
        let evidence = run(folder.path(), &server.url, keys).await;
        assert_eq!(evidence.cases[0].end, CaseEnd::Passed, "{keys}");
        let names: Vec<&str> = evidence
            .measurements
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "rows that differ",
                "label: labels that flipped",
                "score: largest difference",
                "score: mean difference",
                "rows compared",
            ]
        );
    }
}

#[tokio::test]
async fn a_drifted_model_fails_with_the_worst_rows_and_an_allowed_rate_lets_few_through() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.jsonl"), golden_rows(100)).unwrap();
    let server = serve(model(0.0, 25)).await;
    let evidence = run(folder.path(), &server.url, PREDICT).await;
    let lines = failure(&evidence);
    assert_eq!(
        lines[0],
        "4 of 100 rows differ (4 %), none may; the worst follow"
    );
    assert_eq!(lines[1], "  line 1: label: expected \"low\", got \"high\"");
    assert_eq!(lines[2], "    input: {\"x\":0}");
    assert_eq!(lines.len(), 9, "four rows: {lines:#?}");
    for (rate, passes) in [("0.04", true), ("0.039", false)] {
        let keys = format!("{PREDICT}\n  max_mismatch_rate: {rate}");
        let evidence = run(folder.path(), &server.url, &keys).await;
        assert_eq!(evidence.cases[0].end == CaseEnd::Passed, passes, "{rate}");
    }
    let server = serve(model(0.5, 0)).await;
    for (keys, passes) in [
        ("tolerance: {absolute: 0.4}", false),
        ("tolerance: {absolute: 0.6}", true),
        ("columns: {score: {absolute: 0.6}}", true),
        ("columns: {score: {ignore: true}}", true),
        ("columns: {score: {relative: 0.01}}", false),
    ] {
        let keys = format!("{PREDICT}\n  {keys}");
        let evidence = run(folder.path(), &server.url, &keys).await;
        assert_eq!(evidence.cases[0].end == CaseEnd::Passed, passes, "{keys}");
    }
}

#[tokio::test]
async fn bad_answers_are_rows_that_differ_and_a_dead_api_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.jsonl"), golden_rows(400)).unwrap();
    let answers: [(&str, axum::response::Response); 4] = [
        (
            "status: expected 2xx, got 500: boom",
            (StatusCode::INTERNAL_SERVER_ERROR, "boom").into_response(),
        ),
        ("the answer holds NaN", "{\"label\": NaN}".into_response()),
        ("the answer is not JSON", "<html>".into_response()),
        (
            "got 307, a redirect to /login",
            axum::response::Redirect::temporary("/login?token=x").into_response(),
        ),
    ];
    for (wanted, answer) in answers {
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 1000).await.unwrap();
        let handler = move || {
            let answer = (parts.status, parts.headers.clone(), body.clone());
            async move { answer.into_response() }
        };
        let server = serve(Router::new().route("/predict", post(handler))).await;
        let evidence = run(folder.path(), &server.url, PREDICT).await;
        let lines = failure(&evidence).join("\n");
        assert!(lines.contains("400 of 400 rows differ"), "{lines}");
        assert!(lines.contains(wanted), "{wanted}: {lines}");
        assert!(!lines.contains("token"), "{lines}");
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let evidence = run(folder.path(), &closed, PREDICT).await;
    let lines = failure(&evidence).join("\n");
    assert!(lines.contains("was refused"), "{lines}");
    let rows = lines
        .split(' ')
        .nth(2)
        .and_then(|text| text.parse::<u32>().ok());
    assert!(rows.is_some_and(|rows| rows < 200), "given up: {lines}");
}

#[tokio::test]
async fn a_batch_of_another_length_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rows.jsonl"), golden_rows(10)).unwrap();
    let short = || async { axum::Json(json!({"predictions": [1]})) };
    let server = serve(Router::new().route("/batch", post(short))).await;
    let keys = "request: {path: /batch}\n  batch: {size: 5, request_key: instances, answer_key: predictions}";
    let evidence = run(folder.path(), &server.url, keys).await;
    let lines = failure(&evidence).join("\n");
    assert!(
        lines.contains("expected 5 outputs for 5 inputs, got 1"),
        "{lines}"
    );
}

#[test]
fn a_bad_file_is_bad_input_with_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "rows.jsonl",
        "{\"input\": 1, \"expected\": {\"score\": 1}}\n{\"input\": 2}\nnonsense\n",
    );
    write(
        "suite.yaml",
        "golden:\n- file: rows.jsonl\n  request: {path: /p}\n  columns: {scor: {absolute: 1}}\n",
    );
    let problems = load_suites(folder.path(), &["suite.yaml".to_owned()], &|_| None).unwrap_err();
    let lines: Vec<String> = problems
        .into_iter()
        .map(|one| format!("{} {}", one.at.unwrap_or_default(), one.title))
        .collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, wanted) in lines.iter().zip([
        "rows.jsonl:2 golden file: it has no `expected`",
        "rows.jsonl:3 golden file: no JSON at column",
        "rows.jsonl:1 golden file: no expected column is called `scor`; did you mean `score`?",
    ]) {
        assert!(line.contains(wanted), "{line}");
    }
}

#[tokio::test]
async fn what_is_recorded_passes_and_a_recording_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let inputs: String = (0..50).map(|x| format!("{x}\n")).collect();
    let file = folder.path().join("inputs.csv");
    std::fs::write(&file, format!("x\n{inputs}")).unwrap();
    let server = serve(model(0.25, 7)).await;
    let caller = Caller::new(&server.url, None).unwrap();
    let recording = Recording {
        spec: GoldenSpec {
            file: file.display().to_string(),
            request: GoldenRequest {
                path: "/predict".to_owned(),
                ..GoldenRequest::default()
            },
            ..GoldenSpec::default()
        },
        to: folder.path().join("rows.jsonl"),
    };
    let done = record(&recording, &caller, &Events::default())
        .await
        .unwrap();
    assert_eq!(done.rows, 50);
    let text = std::fs::read_to_string(&recording.to).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["input"], json!({"x": 0}), "in the order of the file");
    let evidence = run(folder.path(), &server.url, PREDICT).await;
    assert_eq!(evidence.cases[0].end, CaseEnd::Passed);

    let calls = Arc::new(AtomicUsize::new(0));
    let failing = move || {
        let fails = calls.fetch_add(1, Ordering::SeqCst) >= 5;
        async move {
            if fails {
                (StatusCode::BAD_GATEWAY, "no").into_response()
            } else {
                axum::Json(json!(1)).into_response()
            }
        }
    };
    let broken = serve(Router::new().route("/predict", post(failing))).await;
    let caller = Caller::new(&broken.url, None).unwrap();
    let why = record(&recording, &caller, &Events::default())
        .await
        .unwrap_err();
    assert!(why.contains("the API answers 502"), "{why}");
    let after = std::fs::read_to_string(&recording.to).unwrap();
    assert_eq!(after, text, "the old recording stays");
    assert!(!folder.path().join("rows.jsonl.part").exists());
}
