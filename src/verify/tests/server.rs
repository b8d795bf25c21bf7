//! Servers that answer well, and servers that do not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use delivery::event::{Event, EventSink};
use delivery::verdict::{CaseEnd, Evidence};
use futures_util::stream;

use crate::secret::Secret;
use crate::verify::{Caller, LoadedSuite, Suite, identity, run_suites};

#[derive(Default)]
pub(in crate::verify) struct Events(pub(in crate::verify) Mutex<Vec<Event>>);

impl EventSink for Events {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// Ends with the test that started it.
pub(in crate::verify) struct Server {
    pub(in crate::verify) url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(in crate::verify) async fn serve(router: Router) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        axum::serve(listener, router).await.unwrap();
    });
    Server { url, task }
}

fn json_text(text: &'static str) -> impl IntoResponse {
    ([("content-type", "application/json")], text)
}

async fn run(server_url: &str, cases: &str) -> Evidence {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let suite = Suite::parse(&format!("cases:\n{cases}"), "tests.yaml").unwrap();
    run_loaded(server_url, suite.into()).await
}

pub(super) async fn run_loaded(server_url: &str, suite: LoadedSuite) -> Evidence {
    let caller = Caller::new(server_url, Some(Secret::new("the-token"))).unwrap();
    run_suites(&[suite], &caller, &Events::default()).await
}

/// The only case's difference lines.
pub(super) async fn failure(server_url: &str, cases: &str) -> String {
    let evidence = run(server_url, cases).await;
    match &evidence.cases[0].end {
        CaseEnd::Failed(lines) => lines.join("\n"),
        other => panic!("expected a failure, got {other:?}"),
    }
}

fn bad_routes() -> Router {
    let endless = || async {
        let chunks =
            stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 65536])));
        Body::from_stream(chunks)
    };
    let drip = || async {
        let chunks = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), ()))
        });
        Body::from_stream(chunks)
    };
    let broken = || async {
        let chunks = stream::iter([
            Ok(Bytes::from_static(b"{\"a\":")),
            Err(std::io::Error::other("x")),
        ]);
        (
            [("content-type", "application/json")],
            Body::from_stream(chunks),
        )
    };
    Router::new()
        .route("/endless", get(endless))
        .route("/drip", get(drip))
        .route("/broken", get(broken))
        .route("/nan", get(|| async { json_text("{\"p\": NaN}") }))
        .route("/cut", get(|| async { json_text("{\"p\": ") }))
        .route(
            "/html",
            get(|| async { ([("content-type", "text/html")], "<h1>hello</h1>") }),
        )
        .route(
            "/untyped-json",
            get(|| async { ([("content-type", "text/plain")], "{}") }),
        )
        .route(
            "/away",
            get(|| async { Redirect::temporary("https://elsewhere.invalid/login?token=abc") }),
        )
        .route(
            "/fails",
            get(|| async {
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "model not loaded\n::error::x",
                )
            }),
        )
        .route("/private", get(|| async { StatusCode::FORBIDDEN }))
        .route(
            "/cookie",
            get(|| async { ([("set-cookie", "session=hunter2"), ("x-kind", "b")], "") }),
        )
}

#[tokio::test]
async fn each_bad_answer_gets_a_clear_line() {
    let server = serve(bad_routes()).await;
    let rows = [
        ("/endless", "", "larger than 1048576 bytes"),
        (
            "/drip",
            "max_latency_ms: 1",
            "latency: expected at most 1 ms, got no complete answer within 2001 ms",
        ),
        (
            "/broken",
            "json: {a: 1}",
            "the connection broke before the end of the answer",
        ),
        (
            "/nan",
            "json: {p: 1}",
            "the answer holds NaN, which JSON does not have",
        ),
        ("/cut", "json: {p: 1}", "ends in the middle of its JSON"),
        (
            "/html",
            "json: {}",
            "content-type: expected JSON, got text/html; the answer was: <h1>hello</h1>",
        ),
        (
            "/untyped-json",
            "json: {}",
            "content-type: expected JSON, got text/plain",
        ),
        (
            "/away",
            "",
            "status: expected 200, got 307, a redirect to https://elsewhere.invalid/login",
        ),
        (
            "/fails",
            "",
            "status: expected 200, got 500\n  request: GET /fails\n  answer: 500 text/plain model not loaded ::error::x",
        ),
        ("/private", "", "the ID token was not accepted"),
        ("/nowhere", "", "status: expected 200, got 404"),
        (
            "/cookie",
            "headers: {set-cookie: session=other}",
            "header set-cookie: the value differs; it is not shown",
        ),
        (
            "/cookie",
            "headers: {x-kind: a}",
            "header x-kind: expected `a`, got `b`",
        ),
        (
            "/cookie",
            "headers: {x-token: t0p}",
            "header x-token: expected a value that is not shown, got nothing",
        ),
    ];
    for (path, expect, wanted) in rows {
        let cases = format!("- name: c\n  request: {{path: {path}}}\n  expect: {{{expect}}}\n");
        let lines = failure(&server.url, &cases).await;
        assert!(lines.contains(wanted), "{path}: {lines}");
        for secret in ["hunter2", "session=", "t0p", "token=abc", "the-token"] {
            assert!(!lines.contains(secret), "{path} shows `{secret}`: {lines}");
        }
    }
}

#[tokio::test]
async fn a_redirect_can_be_what_is_expected() {
    let server = serve(bad_routes()).await;
    let evidence = run(
        &server.url,
        "- name: c\n  request: {path: /away}\n  expect: {status: 307}\n",
    )
    .await;
    assert_eq!(evidence.cases[0].end, CaseEnd::Passed);
}

#[tokio::test]
async fn the_request_is_sent_as_written_with_the_token() {
    let echo = |headers: HeaderMap, body: String| async move {
        let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        axum::Json(serde_json::json!({
            "authorization": text("authorization"), "kind": text("content-type"),
            "extra": text("x-extra"), "body": body,
        }))
    };
    let server = serve(Router::new().route("/echo", post(echo))).await;
    let cases = "- name: json\n  request: {method: POST, path: '/echo?a=b', headers: {x-extra: e}, json: {a: 1}}\n  \
                 expect: {json: {authorization: Bearer the-token, kind: application/json, extra: e, body: '{\"a\":1}'}}\n\
                 - name: text\n  request: {method: POST, path: /echo, headers: {content-type: text/csv}, body: 'a,b'}\n  \
                 expect: {json: {kind: text/csv, body: 'a,b'}}\n";
    let evidence = run(&server.url, cases).await;
    for case in &evidence.cases {
        assert_eq!(case.end, CaseEnd::Passed, "{}", case.name);
    }
}

#[tokio::test]
async fn a_slow_answer_fails_with_its_latency() {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        "late"
    };
    let server = serve(Router::new().route("/", get(slow))).await;
    let lines = failure(
        &server.url,
        "- name: c\n  request: {path: /}\n  expect: {max_latency_ms: 20}\n",
    )
    .await;
    assert!(
        lines.starts_with("latency: expected at most 20 ms, got 1"),
        "{lines}"
    );
}

#[tokio::test]
async fn at_most_eight_requests_run_at_once_and_the_order_stays() {
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (seen, peak) = (now.clone(), most.clone());
    let handler = move || {
        let (seen, peak) = (seen.clone(), peak.clone());
        async move {
            peak.fetch_max(seen.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            seen.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let server = serve(Router::new().route("/", get(handler))).await;
    let cases: String = (0..40)
        .map(|i| format!("- name: c{i}\n  request: {{path: /}}\n"))
        .collect();
    let evidence = run(&server.url, &cases).await;
    let peak = most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&peak), "{peak} requests at once");
    let names: Vec<&str> = evidence
        .cases
        .iter()
        .map(|case| case.name.as_str())
        .collect();
    let wanted: Vec<String> = (0..40).map(|i| format!("c{i}")).collect();
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn what_fails_before_the_api_is_undecided_and_a_refused_connection_is_a_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let case = "- name: c\n  request: {path: /}\n";
    assert!(failure(&closed, case).await.contains("was refused"));

    let unknown = run("http://no-such-host.invalid", case).await;
    assert!(
        matches!(&unknown.cases[0].end, CaseEnd::Undecided(why) if why.contains("cannot be reached")),
        "{unknown:?}"
    );

    let plain = serve(bad_routes()).await;
    let tls = run(&plain.url.replace("http:", "https:"), case).await;
    assert!(
        matches!(&tls.cases[0].end, CaseEnd::Undecided(why) if why.contains("no TLS connection")),
        "{tls:?}"
    );
}

#[tokio::test]
async fn the_identity_is_read_or_its_absence_explained() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let router = Router::new()
        .route(
            "/version",
            get(|| async { json_text("{\"commit\": \"abc\", \"version\": \"1.2.3\"}") }),
        )
        .route("/other", get(|| async { json_text("{}") }));
    let server = serve(router).await;
    let caller = Caller::new(&server.url, None).unwrap();
    let found = identity(&caller, "/version").await.unwrap();
    assert_eq!(
        (found.commit.as_deref(), found.version.as_deref()),
        (Some("abc"), Some("1.2.3"))
    );
    let other = identity(&caller, "/other").await.unwrap_err().to_string();
    assert!(other.contains("neither `commit` nor `version`"), "{other}");
    let missing = identity(&caller, "/nowhere").await.unwrap_err().to_string();
    assert!(missing.contains("/nowhere answers 404"), "{missing}");
}
