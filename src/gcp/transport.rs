//! The one HTTP seam: JSON in, JSON out, timeouts, retries, over whatever sends and answers.

use std::sync::Arc;
use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Client, Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::error::{Failure, GcpError, Refusal, Tries, chain};
use crate::secret::Secret;

mod exchange;
mod retry;
pub(crate) use exchange::nobody_listens;
pub use exchange::{Answer, Exchange, Request, Unanswered};
pub use retry::RetryPolicy;

use exchange::Network;

/// Longest time to a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time to the whole answer, unless the call says another.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes: a page of revisions has a few hundred KiB at most.
const LARGEST_ANSWER: usize = 32 << 20;

/// HTTP with retries. Cloning is cheap and shares the connections.
#[derive(Clone)]
pub struct Transport {
    network: Arc<Network>,
    /// What the calls go through: the network, unless another stands in its place.
    exchange: Arc<dyn Exchange>,
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

    /// What is sent.
    fn request(&self) -> Result<Request, Unanswered> {
        let mut url = Url::parse(&self.url).map_err(not_sent)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.bearer {
            headers.insert(
                AUTHORIZATION,
                secret(&format!("Bearer {}", token.expose()))?,
            );
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(not_sent)?;
            headers.insert(name, secret(value.expose())?);
        }
        let (kind, body) = match &self.body {
            Body::Empty => (None, None),
            Body::Json(sealed) => (Some("application/json"), Some(sealed.0.clone())),
            Body::Form(sealed) => (
                Some("application/x-www-form-urlencoded"),
                Some(sealed.0.clone()),
            ),
        };
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        Ok(Request {
            method: self.method.clone(),
            url,
            headers,
            body,
            timeout: self.timeout,
        })
    }

    /// Method, host, port unless it is the usual one, and path: no query, which may hold what is not for
    /// logs, and no user.
    fn name(&self) -> String {
        let place = Url::parse(&self.url)
            .map(|url| {
                let port = url
                    .port()
                    .map_or_else(String::new, |port| format!(":{port}"));
                let host = url.host_str().unwrap_or_default();
                format!("{host}{port}{}", url.path())
            })
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
        let network = Network::new().map_err(|error| {
            let mut diagnostic =
                Diagnostic::error(Code::CloudFailed, "the HTTP client cannot be set up")
                    .help("check the CA certificates of this machine and the proxy variables");
            diagnostic.cause.extend(chain(&error));
            diagnostic
        })?;
        let network = Arc::new(network);
        Ok(Self {
            exchange: network.clone(),
            network,
            policy: RetryPolicy::default(),
            sink,
        })
    }

    /// The same calls, retries among them, over another network, telling somebody else.
    #[must_use]
    pub fn over(&self, exchange: Arc<dyn Exchange>, sink: Arc<dyn EventSink>) -> Self {
        Self {
            network: Arc::clone(&self.network),
            exchange,
            policy: self.policy,
            sink,
        }
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
        self.network.client_for(url)
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
            let chance = self.exchange.chance();
            let elapsed = started.elapsed();
            let pause = self.policy.pause(attempt, retry_after, elapsed, chance);
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
        let unanswered = |Unanswered { failure, source }| {
            let error = GcpError::Unanswered {
                call: call.name(),
                failure,
                tries: Tries::default(),
                source,
            };
            (error, None)
        };
        let request = call.request().map_err(unanswered)?;
        let answer = self.exchange.exchange(request).await;
        let Answer {
            status,
            headers,
            body,
        } = answer.map_err(unanswered)?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let refusal = Box::new(Refusal::parse(status, &body));
        let call = call.name();
        Err((GcpError::Refused { call, refusal }, retry_after(&headers)))
    }
}

/// A header's value that no log shows.
fn secret(text: &str) -> Result<HeaderValue, Unanswered> {
    let mut value = HeaderValue::from_str(text).map_err(not_sent)?;
    value.set_sensitive(true);
    Ok(value)
}

fn not_sent(error: impl std::error::Error + Send + Sync + 'static) -> Unanswered {
    Unanswered {
        failure: Failure::NotSent,
        source: Arc::new(error),
    }
}

/// `Retry-After` in seconds; the date form is not used by the APIs in question.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
#[path = "transport/tests.rs"]
mod tests;
