use serde_json::{Value, json};

use super::*;
use crate::gcp::testing::{Answer, TestServer, quick_transport};

fn error(status: u16) -> Answer {
    Answer::json(
        status,
        &json!({"error": {"code": status, "message": "later"}}),
    )
}

#[tokio::test]
async fn a_read_is_repeated_and_each_repeat_is_told() {
    let server = TestServer::start(|_, number| match number {
        0 => error(503),
        1 => Answer {
            retry_after: Some(0),
            ..error(429)
        },
        _ => Answer::json(200, &json!({"ok": true})),
    })
    .await;
    let (transport, events) = quick_transport();
    let call = Call::new(Method::GET, format!("{}/v2/x?key=hidden", server.base));
    let answer: Value = transport.json(call).await.unwrap();
    assert_eq!(answer, json!({"ok": true}));
    assert_eq!(server.seen().len(), 3);
    let events = events.0.lock().unwrap();
    assert_eq!(events.len(), 2);
    let Event::Note(text) = &events[0] else {
        panic!("{events:?}");
    };
    let host = server.base.trim_start_matches("http://");
    let told = format!("GET {host}/v2/x: answered 503; try 2 of 3 in 0.0 s");
    assert_eq!(*text, told, "with its port: locally every host is the same");
    assert!(!text.contains("hidden"), "{text}");
}

#[tokio::test]
async fn a_read_is_not_repeated_for_ever() {
    let server = TestServer::start(|_, _| error(500)).await;
    let (transport, _) = quick_transport();
    let call = Call::new(Method::GET, server.base.clone());
    let failed = transport.json::<Value>(call).await.unwrap_err();
    assert_eq!(failed.http(), Some(500));
    assert_eq!(server.seen().len(), 3);
    let cause = &failed.into_diagnostic("try").cause[0];
    assert!(cause.contains(" (asked 3 times within "), "{cause}");
}

#[tokio::test]
async fn a_write_is_repeated_only_when_it_was_turned_away() {
    let server = TestServer::start(|_, number| error(if number == 0 { 429 } else { 503 })).await;
    let (transport, _) = quick_transport();
    let call = Call::new(Method::PATCH, server.base.clone());
    let failed = transport.json::<Value>(call).await.unwrap_err();
    assert!(failed.outcome_is_unknown());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let server = TestServer::start(|_, _| error(403)).await;
    let (transport, _) = quick_transport();
    let call = Call::new(Method::GET, server.base.clone());
    assert!(transport.json::<Value>(call).await.is_err());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_port_of_this_machine_where_nothing_listens_is_asked_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (transport, events) = quick_transport();
    let call = Call::new(Method::GET, format!("http://{address}/x?token=hidden"));
    let failed = transport.json::<Value>(call).await.unwrap_err();
    assert!(!failed.outcome_is_unknown());
    assert!(events.0.lock().unwrap().is_empty());
    let diagnostic = failed.into_diagnostic("try");
    assert!(diagnostic.cause[0].ends_with("nothing listens there"));
    assert!(diagnostic.help[0].contains("`ml-deploy emulator`"));
    assert!(!format!("{diagnostic:?}").contains("hidden"));
}

#[tokio::test]
async fn no_connection_is_repeated_and_told_without_the_url() {
    // Plain HTTP where TLS is wanted: there is somebody, but no connection.
    let server = TestServer::start(|_, _| error(200)).await;
    let (transport, events) = quick_transport();
    let base = server.base.replace("http://", "https://");
    let call = Call::new(Method::POST, format!("{base}/x?token=hidden"));
    let failed = transport.json::<Value>(call).await.unwrap_err();
    assert!(!failed.outcome_is_unknown());
    assert_eq!(events.0.lock().unwrap().len(), 2);
    let diagnostic = failed.into_diagnostic("try");
    let text = format!("{diagnostic:?}");
    assert!(
        text.contains("no connection could be made (asked 3 times within"),
        "{text}"
    );
    assert!(!text.contains("hidden"), "{text}");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_unknown_for_a_write() {
    let server = TestServer::start(|_, _| Answer {
        delay: Duration::from_secs(30),
        ..error(200)
    })
    .await;
    let (transport, _) = quick_transport();
    let call = Call::new(Method::PATCH, server.base.clone()).timeout(Duration::from_millis(50));
    let failed = transport.json::<Value>(call).await.unwrap_err();
    assert!(failed.outcome_is_unknown());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn token_and_body_arrive_and_are_not_in_debug() {
    let server = TestServer::start(|_, _| Answer::json(200, &json!({}))).await;
    let (transport, _) = quick_transport();
    let call = Call::new(Method::POST, server.base.clone())
        .body(Body::form(&[("assertion", "a b&c"), ("x", "ü")]))
        .bearer(Secret::new("top-secret"));
    let shown = format!("{call:?}");
    assert!(
        !shown.contains("top-secret") && !shown.contains("a b"),
        "{shown}"
    );
    let _: Value = transport.json(call).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.authorization, "Bearer top-secret");
    assert_eq!(seen.body, "assertion=a+b%26c&x=%C3%BC");
}
