//! One request to the API under test: bounded in time and size, no redirect followed.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};

use delivery::diagnostic::{Code, Diagnostic};

use super::mask::Mask;
use super::suite::{LoadedSuite, Request};
use crate::gcp::endpoint;
use crate::secret::Secret;

/// Largest answer that is read, in bytes. A prediction is far smaller; an endless answer must not
/// fill the runner.
pub const MOST_ANSWER_BYTES: usize = 1024 * 1024;

/// Longest time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom the requests go to, and as whom.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Scheme, host and port of the service or tag, as the cloud answered it.
    pub base_url: String,
    /// Must not follow redirects: see [`Caller::new`].
    pub client: reqwest::Client,
    /// The ID token for a private service; its audience is the service's own address.
    pub bearer: Option<Secret>,
    /// What is never shown of what comes back: the ID token, and what [`Caller::keeping`] adds.
    pub mask: Mask,
    /// See [`Caller::was_let_in`]; every copy of this caller tells the same.
    pub(super) let_in: Arc<AtomicBool>,
}

/// A request that can be sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: reqwest::Method,
    /// From `/`, with its query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Largest answer that is read, in bytes.
    pub(crate) most_bytes: usize,
}

impl Call {
    /// A request as it is written. What a suite was refused for cannot be in it; what HTTP cannot
    /// carry is left out.
    pub(crate) fn plain(request: &Request) -> Self {
        let mut headers = HeaderMap::new();
        if request.json.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &request.headers {
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            ) {
                headers.insert(name, value);
            }
        }
        let body = match (&request.json, &request.body) {
            (Some(json), _) => json.to_string().into(),
            (None, Some(body)) => body.clone().into(),
            (None, None) => Bytes::new(),
        };
        Self {
            method: request.method.wire(),
            path: request.path.clone(),
            headers,
            body,
            most_bytes: MOST_ANSWER_BYTES,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// From sending the request to the last byte.
    pub(crate) took: Duration,
    /// Where an HTTP client that follows redirects, against the contract, ended up.
    pub(crate) moved_to: Option<String>,
    /// Hides what the caller sent and does not show.
    pub(crate) mask: Mask,
}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The request cannot be made.
    #[error("the address `{0}` is not valid")]
    Address(String),
    /// The name of the host is not known, or the network is down: says nothing about the API.
    #[error("the host of {0} cannot be reached: {1}")]
    Unreachable(String, String),
    /// TLS ends before the API (on Cloud Run at Google's front end): says nothing about it.
    #[error("no TLS connection to {0}: {1}")]
    Tls(String, String),
    /// A candidate that is ready takes connections.
    #[error("the connection to {0} was refused")]
    Refused(String),
    /// No whole answer in time.
    #[error("no complete answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The connection broke before the end of the answer.
    #[error("the connection broke before the end of the answer: {0}")]
    Broken(String),
    /// More than this many bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl NoAnswer {
    /// Whether it tells something about the API. What does not leaves the case undecided.
    pub(crate) fn blames_the_api(&self) -> bool {
        match self {
            Self::Address(_) | Self::Unreachable(..) | Self::Tls(..) => false,
            Self::Refused(_) | Self::TimedOut(_) | Self::Broken(_) | Self::TooLarge(_) => true,
        }
    }
}

impl Caller {
    /// A caller with its own client, which follows no redirect. A loopback or private address is
    /// called directly, past any proxy.
    ///
    /// # Errors
    /// [`Code::Internal`] when the HTTP client cannot be made (no CA certificates, no TLS provider).
    pub fn new(base_url: impl Into<String>, bearer: Option<Secret>) -> Result<Self, Diagnostic> {
        let base_url = base_url.into();
        let builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("ml-deploy/", env!("CARGO_PKG_VERSION")));
        let builder = if is_near(&base_url) {
            builder.no_proxy()
        } else {
            builder
        };
        let client = builder.build().map_err(|error| {
            Diagnostic::error(
                Code::Internal,
                "the HTTP client for the API tests cannot be made",
            )
            .cause(chain(&error))
        })?;
        Ok(Self {
            base_url,
            client,
            mask: Mask::new(&bearer),
            bearer,
            let_in: Arc::default(),
        })
    }

    /// Whether any request so far was answered otherwise than by 401 or 403: then an answer tells
    /// something about the API.
    pub fn was_let_in(&self) -> bool {
        self.let_in.load(Ordering::Relaxed)
    }

    /// The same, which shows none of the secrets of these suites either.
    #[must_use]
    pub fn keeping(mut self, suites: &[LoadedSuite]) -> Self {
        self.mask = self.mask.and_of(suites);
        self
    }

    /// Sends a request as it is written, without variables and files, and reads the whole answer,
    /// within the time limit.
    pub(crate) async fn send(
        &self,
        request: &Request,
        limit: Duration,
    ) -> Result<Answer, NoAnswer> {
        self.call(&Call::plain(request), limit).await
    }

    /// Sends a call and reads the whole answer, within the time limit.
    pub(crate) async fn call(&self, call: &Call, limit: Duration) -> Result<Answer, NoAnswer> {
        let url = self.url(&call.path)?;
        let start = Instant::now();
        let exchange = self.exchange(call, url, start);
        match tokio::time::timeout(limit, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(NoAnswer::TimedOut(limit)),
        }
    }

    /// GET of a path.
    pub(crate) async fn get(&self, path: &str, limit: Duration) -> Result<Answer, NoAnswer> {
        let request = Request {
            path: path.to_owned(),
            ..Request::default()
        };
        self.send(&request, limit).await
    }

    /// Whether a path is answered at all, whatever the answer.
    pub(crate) async fn answers(&self, path: &str, limit: Duration) -> bool {
        self.get(path, limit).await.is_ok()
    }

    fn url(&self, path: &str) -> Result<Url, NoAnswer> {
        let text = format!("{}{path}", self.base_url.trim_end_matches('/'));
        Url::parse(&text).map_err(|_| NoAnswer::Address(text))
    }

    async fn exchange(&self, call: &Call, url: Url, start: Instant) -> Result<Answer, NoAnswer> {
        let mut headers = HeaderMap::new();
        if let Some(bearer) = &self.bearer
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", bearer.expose()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        for (name, value) in &call.headers {
            headers.insert(name, value.clone());
        }
        let mut builder = self
            .client
            .request(call.method.clone(), url.clone())
            .headers(headers);
        if !call.body.is_empty() {
            builder = builder.body(call.body.clone());
        }
        let host = url.host_str().unwrap_or_default();
        let mut response = builder
            .send()
            .await
            .map_err(|error| classify(&error, host))?;
        if !matches!(response.status().as_u16(), 401 | 403) {
            self.let_in.store(true, Ordering::Relaxed);
        }
        let moved_to = (*response.url() != url).then(|| response.url().to_string());
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| classify(&error, host))?
        {
            if body.len() + chunk.len() > call.most_bytes {
                return Err(NoAnswer::TooLarge(call.most_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body,
            took: start.elapsed(),
            moved_to,
            mask: self.mask.clone(),
        })
    }
}

impl Answer {
    /// Where the answer sends the caller, if it is a redirect.
    pub(crate) fn redirect(&self) -> Option<String> {
        if self.moved_to.is_some() {
            return self.moved_to.clone();
        }
        if !self.status.is_redirection() {
            return None;
        }
        let location = self.headers.get(LOCATION)?;
        Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
    }

    /// The content type, without parameters.
    pub(crate) fn content_type(&self) -> Option<String> {
        let value = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next().unwrap_or(value);
        Some(essence.trim().to_ascii_lowercase())
    }
}

fn classify(error: &reqwest::Error, host: &str) -> NoAnswer {
    let text = chain(error);
    let lower = text.to_lowercase();
    if is_refused(error) {
        return NoAnswer::Refused(host.to_owned());
    }
    if error.is_timeout() && error.is_connect() {
        return NoAnswer::Unreachable(host.to_owned(), "no connection in time".to_owned());
    }
    let tls = [
        "certificate",
        "tls",
        "handshake",
        "unknownissuer",
        "corrupt message",
    ];
    if error.is_connect() && tls.iter().any(|word| lower.contains(word)) {
        return NoAnswer::Tls(host.to_owned(), text);
    }
    if error.is_connect() {
        return NoAnswer::Unreachable(host.to_owned(), text);
    }
    NoAnswer::Broken(text)
}

fn is_refused(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        source = inner.source();
    }
    false
}

/// The causes of an error, outermost left out: it only repeats the address, query included.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut parts = Vec::new();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
        source = inner.source();
    }
    if parts.is_empty() {
        error.to_string()
    } else {
        parts.join(": ")
    }
}

/// Whether a URL's host is a loopback or private address, which no proxy can reach.
fn is_near(base_url: &str) -> bool {
    let url = Url::parse(base_url).ok();
    url.is_some_and(|url| url.host_str().is_some_and(endpoint::is_near))
}
