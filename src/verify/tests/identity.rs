//! The right release, the wrong one, and none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use delivery::diagnostic::Code;
use delivery::gate::judge_gates;
use delivery::release::Commit;
use delivery::verdict::{CaseEnd, Evidence};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::server::{Events, serve};
use crate::verify::{Caller, Gate, GateContext, Graces, IdentityGate};

/// First 404, then the release before, then this.
fn settling(ours: Value) -> Router {
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = move || {
        let (calls, ours) = (calls.clone(), ours.clone());
        async move {
            match calls.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => StatusCode::NOT_FOUND.into_response(),
                2 => axum::Json(json!({"commit": "old"})).into_response(),
                _ => axum::Json(ours).into_response(),
            }
        }
    };
    Router::new().route("/version", get(handler))
}

fn gate(model_version: Option<&str>) -> IdentityGate {
    IdentityGate {
        version_path: Some("/version".to_owned()),
        health_path: "/health".to_owned(),
        model_version: model_version.map(str::to_owned),
        graces: Graces {
            answer: Duration::from_millis(1500),
            wrong: Duration::from_millis(400),
        },
    }
}

async fn run(url: &str, gate: &IdentityGate, commit: Option<&Commit>) -> Evidence {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let candidate = Caller::new(url, None).unwrap();
    let context = GateContext {
        candidate: &candidate,
        serving: None,
        version: Some("1.2.0"),
        commit,
        sink: &Events::default(),
        cancelled: CancellationToken::new(),
    };
    gate.run(&context).await.remove(0)
}

fn commit() -> Commit {
    Commit::parse("a".repeat(40)).unwrap()
}

#[tokio::test]
async fn propagation_is_waited_out() {
    let told = json!({"commit": commit().as_str(), "version": "v1.2.0", "model_version": "m-1"});
    let server = serve(settling(told)).await;
    let evidence = run(&server.url, &gate(Some("m-1")), Some(&commit())).await;
    assert_eq!(evidence.cases[0].end, CaseEnd::Passed);
    assert_eq!(evidence.gate, "identity");
}

#[tokio::test]
async fn a_healthy_api_with_the_wrong_model_is_told_as_such_and_soon() {
    let ours = commit();
    for (told, wanted) in [
        (
            json!({"commit": "b".repeat(40), "version": "1.2.0", "model_version": "m-1"}),
            vec![format!(
                "commit: expected `{ours}`, got `{}`",
                "b".repeat(40)
            )],
        ),
        (
            json!({"commit": ours.as_str(), "version": "1.1.9", "model_version": "m-1"}),
            vec!["version: expected `1.2.0`, got `1.1.9`".to_owned()],
        ),
        (
            json!({"commit": ours.as_str(), "model_version": "m-0"}),
            vec!["model_version: expected `m-1`, got `m-0`".to_owned()],
        ),
        (
            json!({}),
            vec![
                format!("commit: expected `{ours}`, got nothing"),
                "model_version: expected `m-1`, got nothing".to_owned(),
            ],
        ),
    ] {
        let server = serve(settling(told)).await;
        let started = Instant::now();
        let evidence = run(&server.url, &gate(Some("m-1")), Some(&ours)).await;
        assert!(started.elapsed() < Duration::from_millis(1400), "not soon");
        assert_eq!(evidence.cases[0].end, CaseEnd::Failed(wanted));
        let problem = judge_gates("rev", &[evidence]).unwrap_err();
        assert_eq!(problem.code, Code::WrongModel);
        assert!(problem.title.contains("healthy"), "{}", problem.title);
    }
}

#[tokio::test]
async fn what_does_not_answer_is_no_wrong_model() {
    let server = serve(Router::new().route("/health", get(|| async { "ok" }))).await;
    let evidence = run(&server.url, &gate(None), Some(&commit())).await;
    let problem = judge_gates("rev", std::slice::from_ref(&evidence)).unwrap_err();
    assert_eq!(problem.code, Code::NotConfirmed);
    assert!(
        problem.cause[0].contains("last seen: /version answers 404"),
        "{problem:?}"
    );
    let without = IdentityGate {
        version_path: None,
        ..gate(None)
    };
    let evidence = run(&server.url, &without, Some(&commit())).await;
    assert_eq!(evidence.cases[0].end, CaseEnd::Passed);

    let unknown = run("http://no-such-host.invalid", &gate(None), None).await;
    assert!(
        matches!(unknown.cases[0].end, CaseEnd::Undecided(_)),
        "{unknown:?}"
    );
}
