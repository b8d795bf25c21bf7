//! The one HTTP seam: JSON in, JSON out, one client, timeouts, retries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::endpoint::is_near;
use super::error::{Failure, GcpError, Refusal, Tries, chain};
use crate::secret::Secret;

mod retry;
pub use retry::RetryPolicy;

/// Longest time to a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time to the whole answer, unless the call says another.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes: a page of revisions has a few hundred KiB at most.
const LARGEST_ANSWER: usize = 32 << 20;

/// HTTP with retries. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Transport {
    client: Client,
    /// For loopback and private hosts: a proxy for the internet cannot reach them.
    near: Client,
    policy: RetryPolicy,
    sink: Arc<dyn EventSink>,
}

/// What is sent.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// JSON. Its `Debug` is not ours to print: bodies may hold tokens.
    Json(Arc<Sealed>),
    /// `application/x-www-form-urlencoded`.
    Form(Arc<Sealed>),
}

/// Encoded bytes without a telling `Debug`.
pub struct Sealed(Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Body {
    /// Encodes JSON.
    ///
    /// # Errors
    /// [`GcpError::Unreadable`] when the value has no JSON form.
    pub fn json<B: Serialize>(value: &B) -> Result<Self, GcpError> {
        serde_json::to_vec(value)
            .map(|bytes| Self::Json(Arc::new(Sealed(bytes))))
            .map_err(|source| GcpError::Unreadable {
                call: "the request".to_owned(),
                source,
            })
    }

    /// Encodes a form.
    pub fn form(pairs: &[(&str, &str)]) -> Self {
        let mut url = Url::parse("http://form").ok();
        let encoded = url.as_mut().and_then(|url| {
            url.query_pairs_mut().extend_pairs(pairs);
            url.query().map(|query| query.as_bytes().to_vec())
        });
        Self::Form(Arc::new(Sealed(encoded.unwrap_or_default())))
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    url: String,
    query: Vec<(&'static str, String)>,
    bearer: Option<Secret>,
    headers: Vec<(String, Secret)>,
    body: Body,
    repeatable: bool,
    timeout: Duration,
}

impl Call {
    /// GET, PUT and DELETE may be repeated; POST and PATCH only while surely not received.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        let repeatable = method.is_idempotent();
        Self {
            method,
            url: url.into(),
            query: Vec::new(),
            bearer: None,
            headers: Vec::new(),
            body: Body::Empty,
            repeatable,
            timeout: ANSWER_TIMEOUT,
        }
    }

    /// Adds parameters.
    #[must_use]
    pub fn query(mut self, query: Vec<(&'static str, String)>) -> Self {
        self.query.extend(query);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sends `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(mut self, token: Secret) -> Self {
        self.bearer = Some(token);
        self
    }

    /// Sends a header, whose value is never shown.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.headers.push((name.into(), value));
        self
    }

    /// Says that sending it twice does no harm.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Longest time to the whole answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Method, host and path: no query, which may hold what is not for logs.
    fn name(&self) -> String {
        let place = Url::parse(&self.url)
            .map(|url| format!("{}{}", url.host_str().unwrap_or_default(), url.path()))
            .unwrap_or_default();
        format!("{} {place}", self.method)
    }
}

impl Transport {
    /// One client for everything, with the proxy that the environment names.
    ///
    /// # Errors
    /// A [`Diagnostic`] when TLS cannot be set up, as without CA certificates.
    pub fn new(sink: Arc<dyn EventSink>) -> Result<Self, Diagnostic> {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("ml-deploy/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
        };
        let broken = |error: reqwest::Error| {
            let mut diagnostic =
                Diagnostic::error(Code::CloudFailed, "the HTTP client cannot be set up")
                    .help("check the CA certificates of this machine and the proxy variables");
            diagnostic.cause.extend(chain(&error));
            diagnostic
        };
        Ok(Self {
            client: builder().build().map_err(broken)?,
            near: builder().no_proxy().build().map_err(broken)?,
            policy: RetryPolicy::default(),
            sink,
        })
    }

    /// Says something that does not end the run.
    pub fn note(&self, text: String) {
        self.sink.emit(Event::Note(text));
    }

    /// The same with another policy.
    #[must_use]
    pub fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The client that fits the URL: direct for loopback and private hosts, else through the proxy
    /// that the environment names. It follows no redirects and has no overall timeout.
    pub fn client_for(&self, url: &str) -> &Client {
        let near = Url::parse(url)
            .ok()
            .and_then(|url| url.host_str().map(is_near))
            .unwrap_or(false);
        if near { &self.near } else { &self.client }
    }

    /// Who is told of each repetition.
    pub fn sink(&self) -> Arc<dyn EventSink> {
        Arc::clone(&self.sink)
    }

    /// Makes the call and reads the answer as JSON; an empty answer reads as `{}`.
    ///
    /// # Errors
    /// [`GcpError`], after the retries that the policy allows.
    pub async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, GcpError> {
        let body = self.bytes(call.clone()).await?;
        let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(text).map_err(|source| GcpError::Unreadable {
            call: call.name(),
            source,
        })
    }

    /// Makes the call and gives the answer's body.
    ///
    /// # Errors
    /// [`GcpError`], after the retries that the policy allows.
    pub async fn bytes(&self, call: Call) -> Result<Vec<u8>, GcpError> {
        let started = Instant::now();
        let mut attempt = 1;
        loop {
            let (error, retry_after) = match self.once(&call).await {
                Ok(body) => return Ok(body),
                Err(failed) => failed,
            };
            let allowed = retry::may_repeat(&error, call.repeatable);
            let pause = self.policy.pause(attempt, retry_after, started.elapsed());
            let (true, Some(pause)) = (allowed, pause) else {
                return Err(error.after(Tries {
                    count: attempt,
                    elapsed: started.elapsed(),
                }));
            };
            self.sink.emit(Event::Note(format!(
                "{}: {}; try {} of {} in {:.1} s",
                call.name(),
                retry::reason(&error),
                attempt + 1,
                self.policy.attempts,
                pause.as_secs_f64()
            )));
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Makes the call without any retry and gives the answer's body.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn once_only(&self, call: Call) -> Result<Vec<u8>, GcpError> {
        self.once(&call).await.map_err(|(error, _)| error)
    }

    async fn once(&self, call: &Call) -> Result<Vec<u8>, (GcpError, Option<Duration>)> {
        let mut request = self
            .client_for(&call.url)
            .request(call.method.clone(), &call.url)
            .timeout(call.timeout)
            .query(&call.query);
        if let Some(token) = &call.bearer {
            request = request.bearer_auth(token.expose());
        }
        for (name, value) in &call.headers {
            request = request.header(name, value.expose());
        }
        request = match &call.body {
            Body::Empty => request,
            Body::Json(sealed) => request
                .header("content-type", "application/json")
                .body(sealed.0.clone()),
            Body::Form(sealed) => request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(sealed.0.clone()),
        };
        let unanswered = |error| (unanswered(call, error), None);
        let mut response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        let refusal = Box::new(Refusal::parse(status.as_u16(), &body));
        let call = call.name();
        Err((GcpError::Refused { call, refusal }, retry_after))
    }
}

fn unanswered(call: &Call, error: reqwest::Error) -> GcpError {
    let failure = if nobody_listens(&call.url, &error) {
        Failure::NobodyListens
    } else if error.is_connect() || error.is_builder() {
        Failure::NotConnected
    } else if error.is_timeout() {
        Failure::TimedOut
    } else {
        Failure::Lost
    };
    GcpError::Unanswered {
        call: call.name(),
        failure,
        tries: Tries::default(),
        source: error.without_url(),
    }
}

/// A refused connection on this machine or in its network: trying again does not help, as no load
/// balancer stands there. Elsewhere it may.
pub(crate) fn nobody_listens(url: &str, error: &reqwest::Error) -> bool {
    let near = Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(is_near));
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let io = inner.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return near;
        }
        source = inner.source();
    }
    false
}

/// `Retry-After` in seconds; the date form is not used by the APIs in question.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
#[path = "transport/tests.rs"]
mod tests;
