use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use delivery::event::{Event, EventSink};
use delivery::gate::Mode;
use delivery::verdict::{CaseEnd, Evidence, Verdict, judge};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{ConformanceGate, DEFAULT_OPENAPI_PATH, SemverGate};
use crate::verify::{Caller, Gate, GateContext};

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl EventSink for Events {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
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

async fn serve(router: Router) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    Server { url, task }
}

fn reply(status: u16, body: Value) -> axum::response::Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, axum::Json(body)).into_response()
}

/// An API with one operation. Its answer always has `label`; `keeps` says whether it checks what it
/// is sent, and whether its label is a text as the document says.
fn api(version: &'static str, properties: Value, keeps: bool) -> Router {
    let document = json!({"openapi": "3.1.0", "paths": {"/predict": {"post": {
        "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object", "required": ["x"], "properties": {"x": {"type": "number", "minimum": 0}}}}}},
        "responses": {
            "200": {"content": {"application/json": {"schema": {"type": "object",
                "properties": properties, "required": ["label"]}}}},
            "422": {}}}}}});
    let predict = move |body: Bytes| async move {
        let sent: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let right = sent["x"].as_f64().is_some_and(|x| x >= 0.0);
        match (right, keeps) {
            (true, true) => reply(200, json!({"label": "a"})),
            (true, false) => reply(200, json!({"label": 1})),
            (false, true) => reply(422, json!({"detail": []})),
            (false, false) => reply(500, json!({})),
        }
    };
    Router::new()
        .route(
            "/openapi.json",
            get(move || async move { axum::Json(document) }),
        )
        .route(
            "/version",
            get(move || async move { reply(200, json!({"version": version, "commit": "c"})) }),
        )
        .route("/predict", post(predict))
}

fn full() -> Value {
    json!({"label": {"type": "string"}, "probability": {"type": "number"}})
}

fn less() -> Value {
    json!({"label": {"type": "string"}})
}

async fn run(
    gate: &dyn Gate,
    candidate: &Server,
    serving: Option<&Server>,
    version: Option<&str>,
) -> (Vec<Evidence>, Vec<Event>) {
    let candidate = Caller::new(candidate.url.clone(), None).unwrap();
    let serving = serving.map(|server| Caller::new(server.url.clone(), None).unwrap());
    let events = Events::default();
    let found = gate
        .run(&GateContext {
            candidate: &candidate,
            serving: serving.as_ref(),
            version,
            commit: None,
            sink: &events,
            cancelled: CancellationToken::new(),
        })
        .await;
    (found, events.0.into_inner().unwrap())
}

fn semver(mode: Mode) -> SemverGate {
    SemverGate {
        mode,
        openapi_path: DEFAULT_OPENAPI_PATH.to_owned(),
        version_path: Some("/version".to_owned()),
    }
}

/// How the only case ended, in words.
fn end(found: &[Evidence]) -> String {
    match &found[0].cases[0].end {
        CaseEnd::Passed => "passed".to_owned(),
        CaseEnd::Failed(lines) => lines.join("\n"),
        CaseEnd::Undecided(why) => format!("undecided: {why}"),
        CaseEnd::Skipped(why) => format!("skipped: {why}"),
    }
}

#[tokio::test]
async fn a_removed_field_needs_a_new_major() {
    let serving = serve(api("1.4.2", full(), true)).await;
    let candidate = serve(api("unset", less(), true)).await;
    let (found, _) = run(
        &semver(Mode::Require),
        &candidate,
        Some(&serving),
        Some("1.4.3"),
    )
    .await;
    let said = end(&found);
    assert!(
        said.contains("1.4.3 does not allow what changed since 1.4.2: release it as 1.5.0"),
        "{said}"
    );
    assert!(
        said.contains("the property `probability` is gone"),
        "{said}"
    );
    assert_eq!(found[0].cases[0].name, "1.4.2 → 1.4.3");
    let figures: Vec<_> = found[0]
        .measurements
        .iter()
        .map(|it| it.value as u64)
        .collect();
    assert_eq!(figures, [0, 1, 0]);

    let gone = serve(api(
        "unset",
        json!({"probability": {"type": "number"}}),
        true,
    ))
    .await;
    let (found, _) = run(&semver(Mode::Require), &gone, Some(&serving), Some("1.5.0")).await;
    assert!(
        end(&found).contains("release it as 2.0.0"),
        "{}",
        end(&found)
    );
    let (found, _) = run(
        &semver(Mode::Require),
        &gone,
        Some(&serving),
        Some("2.0.0-rc.1"),
    )
    .await;
    assert_eq!(end(&found), "passed");
}

#[tokio::test]
async fn warn_tells_and_goes_on() {
    let serving = serve(api("1.4.2", full(), true)).await;
    let candidate = serve(api("1.4.3", less(), true)).await;
    let (found, events) = run(&semver(Mode::Warn), &candidate, Some(&serving), None).await;
    assert!(
        end(&found).starts_with("skipped: warns only: 1.4.3 does not allow"),
        "{}",
        end(&found)
    );
    let warned = events.iter().any(|event| {
        matches!(event, Event::Warning(warning)
        if warning.cause.iter().any(|cause| cause.contains("`probability` is gone")))
    });
    assert!(warned, "{events:?}");
}

#[tokio::test]
async fn what_cannot_be_compared_says_why() {
    let api_142 = serve(api("1.4.2", full(), true)).await;
    let api_141 = serve(api("1.4.1", less(), true)).await;
    let unversioned = serve(api("0.0.0-dev", less(), true)).await;
    let without = serve(Router::new().route("/version", get(|| async { "{}" }))).await;
    let broken = serve(Router::new().route("/openapi.json", get(|| async { "<html>" }))).await;
    for (candidate, serving, version, says) in [
        (
            &api_142,
            None,
            Some("1.5.0"),
            "skipped: no other release serves",
        ),
        (
            &api_142,
            Some(&without),
            Some("1.5.0"),
            "skipped: what serves publishes no",
        ),
        (
            &api_142,
            Some(&broken),
            Some("1.5.0"),
            "skipped: the document of what serves cannot be read",
        ),
        (
            &without,
            Some(&api_142),
            Some("1.5.0"),
            "undecided: the candidate publishes no",
        ),
        (
            &broken,
            Some(&api_142),
            Some("1.5.0"),
            "undecided: the candidate's document cannot be read: /openapi.json: it is not JSON",
        ),
        (
            &api_141,
            Some(&api_142),
            None,
            "skipped: 1.4.1 is older than 1.4.2",
        ),
        (
            &unversioned,
            Some(&api_142),
            None,
            "skipped: no versions to judge by; a release of this needs the next MINOR",
        ),
    ] {
        let (found, _) = run(&semver(Mode::Require), candidate, serving, version).await;
        assert!(end(&found).starts_with(says), "{says}: {}", end(&found));
    }
}

#[tokio::test]
async fn an_api_that_keeps_to_its_document_passes() {
    let gate = ConformanceGate {
        mode: Mode::Require,
        openapi_path: DEFAULT_OPENAPI_PATH.to_owned(),
    };
    let good = serve(api("1.0.0", full(), true)).await;
    let (found, _) = run(&gate, &good, None, None).await;
    assert_eq!(judge(&found), Verdict::Pass, "{found:?}");
    assert!(
        found[0].cases[0].name.starts_with("POST /predict ("),
        "{found:?}"
    );

    let bad = serve(api("1.0.0", full(), false)).await;
    let (found, _) = run(&gate, &bad, None, None).await;
    let said = end(&found);
    assert!(
        said.contains("the plain request: 200: the body does not fit"),
        "{said}"
    );
    assert!(
        said.contains("without `x`: 500: no request may be answered with 5xx; sent {}"),
        "{said}"
    );
}

#[tokio::test]
async fn a_locked_api_is_not_called_conforming() {
    let gate = ConformanceGate {
        mode: Mode::Require,
        openapi_path: DEFAULT_OPENAPI_PATH.to_owned(),
    };
    let document =
        json!({"openapi": "3.1.0", "paths": {"/a": {"get": {"responses": {"200": {}}}}}});
    let locked = serve(
        Router::new()
            .route(
                "/openapi.json",
                get(move || async move { axum::Json(document) }),
            )
            .route("/a", get(|| async { StatusCode::FORBIDDEN })),
    )
    .await;
    let (found, _) = run(&gate, &locked, None, None).await;
    assert_eq!(
        end(&found),
        "undecided: it answers 403: it needs credentials of its own"
    );
}
