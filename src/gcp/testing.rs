//! A small server that answers as told and remembers what it was asked; lists of events and masks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::api::Api;
use super::auth::TokenSource;
use super::endpoint::Endpoints;
use super::transport::{RetryPolicy, Transport};
use crate::secret::{Masker, Secret};

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// One answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<u64>,
    /// Waits before it answers.
    pub(crate) delay: Duration,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            body: body.to_string(),
            retry_after: None,
            delay: Duration::ZERO,
        }
    }
}

/// Stops when dropped.
pub(crate) struct TestServer {
    pub(crate) base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl TestServer {
    /// `answer` is given the request and how many came before it.
    pub(crate) async fn start(
        answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let answer = Arc::new(answer);
        let handler = {
            let seen = Arc::clone(&seen);
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                async move {
                    let header = headers.get("authorization");
                    let request = Seen {
                        method: method.to_string(),
                        path: uri.path().to_owned(),
                        query: uri.query().unwrap_or_default().to_owned(),
                        authorization: header
                            .and_then(|value| value.to_str().ok())
                            .unwrap_or_default()
                            .to_owned(),
                        body: String::from_utf8_lossy(&body).into_owned(),
                    };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    let answer = answer(&request, number);
                    tokio::time::sleep(answer.delay).await;
                    let mut headers = HeaderMap::new();
                    if let Some(seconds) = answer.retry_after {
                        headers.insert(
                            HeaderName::from_static("retry-after"),
                            HeaderValue::from(seconds),
                        );
                    }
                    let status = StatusCode::from_u16(answer.status).unwrap();
                    (status, headers, answer.body)
                }
            }
        };
        let router = Router::new().fallback(handler);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { base, seen, task }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps events.
#[derive(Default)]
pub(crate) struct EventList(pub(crate) Mutex<Vec<Event>>);

impl EventSink for EventList {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// Keeps what was masked.
#[derive(Default)]
pub(crate) struct MaskList(pub(crate) Mutex<Vec<String>>);

impl Masker for MaskList {
    fn mask(&self, secret: &Secret) {
        self.0.lock().unwrap().push(secret.expose().to_owned());
    }
}

/// A transport that repeats quickly.
pub(crate) fn quick_transport() -> (Transport, Arc<EventList>) {
    let events = Arc::new(EventList::default());
    let transport = Transport::new(events.clone()).unwrap();
    let policy = RetryPolicy {
        attempts: 3,
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_secs(1),
        longest_total: Duration::from_secs(5),
    };
    (transport.with_policy(policy), events)
}

struct OneToken;

#[async_trait::async_trait]
impl TokenSource for OneToken {
    async fn access_token(&self) -> Result<Secret, Diagnostic> {
        Ok(Secret::new("token"))
    }

    async fn id_token(&self, _audience: &str) -> Result<Secret, Diagnostic> {
        Ok(Secret::new("id"))
    }

    fn describe(&self) -> String {
        "nobody".to_owned()
    }
}

/// Calls the server as somebody.
pub(crate) fn signed_in(server: &TestServer) -> Api {
    let endpoints = Endpoints::local(&server.base).unwrap();
    Api::new(quick_transport().0, endpoints, Arc::new(OneToken))
}
