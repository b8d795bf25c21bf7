//! Against servers in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use super::{Load, Measured, NoLoad, Pace, Prepared, Target, generate};
use crate::secret::Secret;
use crate::verify::{Caller, Sample, Samples, Suite, SuiteSamples};

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

const MS: fn(u64) -> Duration = Duration::from_millis;

fn load(url: &str, cases: &str, pace: Pace, duration: Duration) -> Load {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let suite = Suite::parse(&format!("cases:\n{cases}"), "tests.yaml").unwrap();
    let samples = SuiteSamples {
        suites: vec![suite.into()],
        only: Vec::new(),
    };
    let caller = Caller::new(url, Some(Secret::new("the-token"))).unwrap();
    let target = Target::parse(url).unwrap();
    let prepare =
        |sample: Result<Sample, String>| Prepared::new(&sample.unwrap(), &caller, &target).unwrap();
    Load {
        requests: samples.read().map(prepare).collect(),
        target,
        pace,
        warm_up: Duration::ZERO,
        duration,
        timeout: MS(2000),
    }
}

fn rate(per_second: f64) -> Pace {
    Pace::Rate {
        per_second,
        most_at_once: 256,
    }
}

async fn run(load: Load) -> Measured {
    generate(load, CancellationToken::new()).await.unwrap()
}

const ONE: &str = "- name: one\n  request: {path: /}\n";

#[tokio::test(flavor = "multi_thread")]
async fn as_many_are_sent_as_were_due_and_the_warm_up_is_apart() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let router = Router::new().route(
        "/",
        get(move || {
            count.fetch_add(1, Ordering::SeqCst);
            async { "ok" }
        }),
    );
    let server = serve(router).await;
    let mut load = load(&server.url, ONE, rate(200.0), MS(500));
    load.warm_up = MS(200);
    let measured = run(load).await;
    assert_eq!((measured.latency.total(), measured.warm_up), (100, 40));
    assert_eq!(
        measured.failures.total() + measured.warm_up_failures.total(),
        0
    );
    assert_eq!(seen.load(Ordering::SeqCst), 140);
    assert!(
        (495..2000).contains(&measured.elapsed.as_millis()),
        "{:?}",
        measured.elapsed
    );
    assert!(
        measured.connect.total() >= 1 && measured.connect.total() < 40,
        "{}",
        measured.connect.total()
    );
}

/// One stall of 400 ms, at 200 requests a second: 80 requests should have been answered meanwhile.
/// A generator that waits for its answers sees a single slow one.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_weighs_on_all_that_were_due_during_it() {
    let lock = Arc::new(tokio::sync::Mutex::new(0));
    let stalling = || {
        let lock = lock.clone();
        Router::new().route(
            "/",
            get(move || {
                let lock = lock.clone();
                async move {
                    let mut count = lock.lock().await;
                    *count += 1;
                    if *count == 40 {
                        tokio::time::sleep(MS(400)).await;
                    }
                }
            }),
        )
    };
    let server = serve(stalling()).await;
    let open = run(load(&server.url, ONE, rate(200.0), MS(1000))).await;
    assert_eq!(open.latency.total(), 200);
    let slow = open.latency.above(20_000);
    assert!((60..=160).contains(&slow), "{slow} slow ones");
    let p95 = open.latency.quantile(0.95).unwrap();
    assert!((280_000..900_000).contains(&p95), "{p95}");

    *lock.lock().await = 0;
    let server = serve(stalling()).await;
    let closed = run(load(&server.url, ONE, Pace::Concurrency(1), MS(600))).await;
    assert_eq!(closed.latency.above(100_000), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_of_requests_under_way_makes_the_others_wait_and_none_is_forgotten() {
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (seen, peak) = (now.clone(), most.clone());
    let handler = move || {
        let (seen, peak) = (seen.clone(), peak.clone());
        async move {
            peak.fetch_max(seen.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(MS(50)).await;
            seen.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let server = serve(Router::new().route("/", get(handler))).await;
    // 2 at once and 50 ms each: 40 a second, of 100 that are due.
    let pace = Pace::Rate {
        per_second: 100.0,
        most_at_once: 2,
    };
    let mut slow = load(&server.url, ONE, pace, MS(500));
    slow.timeout = MS(200);
    let measured = run(slow).await;
    assert_eq!((measured.latency.total(), measured.peak), (50, 2));
    assert_eq!(most.load(Ordering::SeqCst), 2);
    // After 500 ms and 200 ms more, 28 were served; the others ran out of time.
    let late = measured.failures.total();
    assert!((18..=28).contains(&late), "{:?}", measured.failures);
    assert!(measured.latency.quantile(0.95).unwrap() >= 200_000);
}

fn bad_routes() -> Router {
    let endless = || async {
        let chunk = || Ok::<_, std::io::Error>(axum::body::Bytes::from(vec![b'x'; 65536]));
        axum::body::Body::from_stream(futures_util::stream::repeat_with(chunk))
    };
    let cut = || async {
        let chunks = [Ok("{\"a\":"), Err(std::io::Error::other("x"))];
        axum::body::Body::from_stream(futures_util::stream::iter(chunks))
    };
    Router::new()
        .route(
            "/fails",
            get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "busy\n::error::x") }),
        )
        .route("/slow", get(|| tokio::time::sleep(MS(5000))))
        .route("/text", get(|| async { "hello" }))
        .route(
            "/other",
            get(|| async { axum::Json(serde_json::json!({"a": "1"})) }),
        )
        .route(
            "/right",
            get(|| async { axum::Json(serde_json::json!({"a": 2, "b": 1})) }),
        )
        .route("/endless", get(endless))
        .route("/cut", get(cut))
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_by_kind() {
    let server = serve(bad_routes()).await;
    for (path, kind, example) in [
        ("/fails", "status 503", "status 503 where 200 was expected"),
        ("/slow", "no answer in time", "no whole answer in time"),
        ("/text", "wrong answer", "the answer is no JSON"),
        (
            "/other",
            "wrong answer",
            "$.a: expected a number, got a text",
        ),
        ("/endless", "answer too large", "too large"),
        ("/cut", "broken connection", "the connection broke"),
        ("/nowhere", "status 404", "status 404"),
    ] {
        let cases =
            format!("- name: c\n  request: {{path: {path}}}\n  expect: {{json: {{a: 1}}}}\n");
        let mut load = load(&server.url, &cases, rate(20.0), MS(200));
        load.timeout = MS(300);
        let measured = run(load).await;
        let kinds = measured.failures.by_kind();
        assert_eq!(
            (kinds[0].0, kinds[0].1, measured.latency.total()),
            (kind, 4, 4),
            "{path}"
        );
        assert!(
            kinds[0].2.starts_with("`c`: ") && kinds[0].2.contains(example),
            "{path}: {}",
            kinds[0].2
        );
        if path == "/slow" {
            assert_eq!(measured.latency.above(299_000), 4);
        }
    }
    let right = "- name: c\n  request: {path: /right}\n  expect: {json: {a: 1}}\n";
    assert_eq!(
        run(load(&server.url, right, rate(20.0), MS(200)))
            .await
            .failures
            .total(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_no_connection_is_a_failure_and_no_name_is_no_load() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let measured = run(load(&closed, ONE, rate(50.0), MS(100))).await;
    assert_eq!(measured.failures.by_kind()[0].0, "no connection");
    // Nobody would have been answered: it counts as the longest wait, not as a quick answer.
    assert_eq!(measured.latency.above(1_999_000), 5);

    let unknown = load("http://no-such-host.invalid", ONE, rate(1.0), MS(100));
    let error = generate(unknown, CancellationToken::new())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, NoLoad::CannotBegin(why) if why.contains("not known")),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_while_idle_is_no_failure() {
    let router = Router::new().route("/", get(|| async { ([("connection", "close")], "bye") }));
    let server = serve(router).await;
    let measured = run(load(&server.url, ONE, rate(100.0), MS(300))).await;
    assert_eq!(
        (measured.latency.total(), measured.failures.total()),
        (30, 0),
        "{:?}",
        measured.failures
    );
    assert!(
        measured.connect.total() >= 29,
        "{}",
        measured.connect.total()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_out_in_turn_as_written_with_the_token() {
    let echo = |headers: HeaderMap, body: String| async move {
        let right = headers["authorization"] == "Bearer the-token"
            && headers["content-type"] == "application/json"
            && headers["x-extra"] == "e"
            && body == "{\"a\":1}";
        if right {
            StatusCode::OK
        } else {
            StatusCode::BAD_REQUEST
        }
        .into_response()
    };
    let server = serve(
        Router::new()
            .route("/echo", post(echo))
            .route("/", get(|| async {})),
    )
    .await;
    let cases = "- name: json\n  request: {method: POST, path: '/echo?a=b', headers: {x-extra: e}, json: {a: 1}}\n\
                 - name: plain\n  request: {path: /}\n";
    let measured = run(load(&server.url, cases, rate(100.0), MS(200))).await;
    assert_eq!(
        (measured.latency.total(), measured.failures.total()),
        (20, 0),
        "{:?}",
        measured.failures
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_it_at_once_and_closes_its_connections() {
    struct Open(Arc<AtomicUsize>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let open = Arc::new(AtomicUsize::new(0));
    let count = open.clone();
    let handler = move || {
        count.fetch_add(1, Ordering::SeqCst);
        let guard = Open(count.clone());
        async move {
            let _guard = guard;
            tokio::time::sleep(MS(60_000)).await;
        }
    };
    let server = serve(Router::new().route("/", get(handler))).await;
    let mut long = load(&server.url, ONE, rate(100.0), MS(60_000));
    long.timeout = MS(60_000);
    let stop = CancellationToken::new();
    let running = tokio::spawn(generate(long, stop.clone()));
    let deadline = Instant::now() + MS(5000);
    while open.load(Ordering::SeqCst) < 5 && Instant::now() < deadline {
        tokio::time::sleep(MS(5)).await;
    }
    stop.cancel();
    let ended = tokio::time::timeout(MS(2000), running)
        .await
        .expect("it goes on");
    assert_eq!(ended.unwrap().unwrap_err(), NoLoad::Stopped);
    while open.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        tokio::time::sleep(MS(5)).await;
    }
    assert_eq!(open.load(Ordering::SeqCst), 0, "connections stay open");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_closed_model_keeps_as_many_under_way_as_were_asked_for() {
    let server = serve(Router::new().route("/", get(|| tokio::time::sleep(MS(10))))).await;
    let measured = run(load(&server.url, ONE, Pace::Concurrency(7), MS(300))).await;
    assert_eq!((measured.peak, measured.connect.total()), (7, 7));
    assert!(
        (100..=220).contains(&measured.latency.total()),
        "{}",
        measured.latency.total()
    );
    assert!(measured.rate() > 300.0, "{}", measured.rate());
}

/// Answers the first request of each connection, reads the second whole and closes. Gives how many
/// requests were received.
async fn closing() -> (Server, Arc<AtomicUsize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let received = Arc::new(AtomicUsize::new(0));
    let count = received.clone();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                for turn in 0..2 {
                    let mut seen = Vec::new();
                    // The requests of this test end with their body.
                    while !seen.ends_with(b"{\"x\":1}") {
                        match stream.read(&mut buffer).await {
                            Ok(read) if read > 0 => seen.extend_from_slice(&buffer[..read]),
                            _ => return,
                        }
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    if turn == 0 {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        let _ = stream.write_all(answer).await;
                    }
                }
            });
        }
    });
    (Server { url, task }, received)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_may_have_been_received_is_never_sent_again() {
    let (server, received) = closing().await;
    let case = "- name: one\n  request: {method: POST, path: /, json: {x: 1}}\n";
    let measured = run(load(&server.url, case, Pace::Concurrency(1), MS(200))).await;
    let sent = measured.latency.total();
    assert_eq!(received.load(Ordering::SeqCst) as u64, sent);
    // Every second request is lost, and told as such.
    let lost = measured.failures.total();
    assert!(lost > 0 && lost == sent / 2, "{lost} of {sent}");
    assert_eq!(measured.failures.by_kind()[0].0, "broken connection");
}
