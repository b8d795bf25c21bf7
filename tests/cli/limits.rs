//! The gates that measure, by hand: `ml-deploy verify` with limits, against models in this process.

use std::fmt::Write as _;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Json, Router};
use predicates::prelude::*;
use serde_json::{Value, json};

use super::program;

/// Ends with the test that started it.
struct Model {
    url: String,
    _runtime: tokio::runtime::Runtime,
}

/// Yes above one half of x; `wrong` says where it answers the other, `delay` how slowly.
fn model(version: &'static str, wrong: fn(u64) -> bool, delay: Duration) -> Model {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let predict = move |Json(body): Json<Value>| async move {
        tokio::time::sleep(delay).await;
        let x = body["x"].as_u64().unwrap();
        let label = if (x > 50) != wrong(x) {
            "yes"
        } else {
            "::error::no"
        };
        Json(json!({"label": label, "score": x as f64 / 100.0, "model_version": version}))
    };
    let router = Router::new()
        .route("/health", get(|| async { "ok" }))
        .route("/predict", post(predict));
    runtime.spawn(async move { axum::serve(listener, router).await });
    Model {
        url,
        _runtime: runtime,
    }
}

/// 100 inputs; the answers are not expected in detail, so that only the replay judges them.
fn inputs(folder: &std::path::Path) {
    let mut text = "cases:\n- name: health answers\n  request: {path: /health}\n".to_owned();
    for x in 0..100 {
        writeln!(
            text,
            "- name: row {x}\n  request: {{method: POST, path: /predict, json: {{x: {x}}}}}"
        )
        .unwrap();
    }
    std::fs::write(folder.join("tests.yaml"), text).unwrap();
}

const NONE: fn(u64) -> bool = |_| false;

#[test]
fn a_model_that_flips_labels_is_stopped_by_the_replay_and_an_equal_one_passes() {
    let folder = tempfile::tempdir().unwrap();
    inputs(folder.path());
    let serving = model("a", NONE, Duration::ZERO);
    let flipping = model("b", |x| x % 6 == 0, Duration::ZERO);
    let verify = |candidate: &Model| {
        let mut command = program(folder.path());
        command.args(["verify", &candidate.url, "--tests", "tests.yaml"]);
        command.args([
            "--replay",
            "--serving",
            &serving.url,
            "--replay-ignore",
            "/model_version",
        ]);
        command
    };
    verify(&flipping)
        .assert()
        .code(4)
        .stderr(predicate::str::contains("flips of /label: 17 %"))
        .stderr(predicate::str::contains(
            "flips of /label, serving → candidate:",
        ))
        .stderr(predicate::str::contains("error[D0642]"))
        .stderr(predicate::str::contains(
            "at most 5 % is allowed; measured 17 %",
        ));
    verify(&model("c", NONE, Duration::ZERO))
        .assert()
        .code(0)
        .stderr(predicate::str::contains(
            "distribution of /score over the same inputs",
        ));
}

#[test]
fn a_slow_model_is_stopped_by_the_load_and_a_quick_one_passes() {
    let folder = tempfile::tempdir().unwrap();
    inputs(folder.path());
    let verify = |candidate: &Model| {
        let mut command = program(folder.path());
        command.args([
            "verify",
            &candidate.url,
            "--tests",
            "tests.yaml",
            "--load-request",
            "row 1",
        ]);
        command.args([
            "--slo-p95",
            "150ms",
            "--max-error-rate",
            "5%",
            "--load-rate",
            "50",
            "--load-duration",
            "2s",
        ]);
        command
    };
    verify(&model("a", NONE, Duration::from_millis(200)))
        .assert()
        .code(4)
        .stderr(predicate::str::contains("latency, requests by time:"))
        .stderr(predicate::str::contains("error[D0641]"))
        .stderr(predicate::str::contains(
            "at most 150 ms is allowed; measured 20",
        ));
    verify(&model("a", NONE, Duration::ZERO))
        .assert()
        .code(0)
        .stderr(predicate::str::contains("error rate: 0 %"));
}

#[test]
fn what_can_never_be_decided_is_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    inputs(folder.path());
    program(folder.path())
        .args(["verify", "http://127.0.0.1:9", "--tests", "tests.yaml"])
        .args([
            "--slo-p99",
            "100ms",
            "--load-rate",
            "5",
            "--load-request",
            "no such case",
            "--max-psi",
            "x",
        ])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("use `77s`, or raise `load_rate`"))
        .stderr(predicate::str::contains(
            "`max_psi` must be a number above 0",
        ))
        .stderr(predicate::str::contains(
            "`load_request` names `no such case`",
        ));
}
