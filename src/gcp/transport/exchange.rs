//! One request, one answer: all that the transport asks of the network. What is above (retries,
//! `Retry-After`, what an error means) is the same over whatever stands here.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Url};

use super::{CONNECT_TIMEOUT, LARGEST_ANSWER, retry};
use crate::gcp::endpoint::is_near;
use crate::gcp::error::Failure;

/// A request, ready to be sent. Its headers hold tokens: no `Debug`.
pub struct Request {
    /// GET, POST and so on.
    pub method: Method,
    /// With the query.
    pub url: Url,
    /// All that are sent beside those of HTTP itself.
    pub headers: HeaderMap,
    /// Absent where nothing is sent.
    pub body: Option<Vec<u8>>,
    /// Longest time to the whole answer.
    pub timeout: Duration,
}

/// What came back, whatever its status.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, cut where it is too large.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Debug, Clone)]
pub struct Unanswered {
    /// What went wrong on the way: it decides whether the request may be repeated.
    pub failure: Failure,
    /// Why, without the URL.
    pub source: Arc<dyn std::error::Error + Send + Sync>,
}

/// The network below the transport.
#[async_trait]
pub trait Exchange: Send + Sync {
    /// Sends the request and reads the answer.
    async fn exchange(&self, request: Request) -> Result<Answer, Unanswered>;

    /// From 0 to 1: how far a pause between two tries is spread.
    fn chance(&self) -> f64 {
        retry::chance()
    }
}

/// The real network.
pub(super) struct Network {
    client: Client,
    /// For loopback and private hosts: a proxy for the internet cannot reach them.
    near: Client,
}

impl Network {
    /// One client for everything, with the proxy that the environment names.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("ml-deploy/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
        };
        Ok(Self {
            client: builder().build()?,
            near: builder().no_proxy().build()?,
        })
    }

    /// The client that fits the host.
    pub(super) fn client_for(&self, url: &str) -> &Client {
        let near = Url::parse(url)
            .ok()
            .and_then(|url| url.host_str().map(is_near))
            .unwrap_or(false);
        if near { &self.near } else { &self.client }
    }
}

#[async_trait]
impl Exchange for Network {
    async fn exchange(&self, request: Request) -> Result<Answer, Unanswered> {
        let Request {
            method,
            url,
            headers,
            body,
            timeout,
        } = request;
        let place = url.to_string();
        let unanswered = |error| unanswered(&place, error);
        let mut call = self
            .client_for(&place)
            .request(method, url)
            .timeout(timeout)
            .headers(headers);
        if let Some(body) = body {
            call = call.body(body);
        }
        let mut response = call.send().await.map_err(unanswered)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body,
        })
    }
}

fn unanswered(url: &str, error: reqwest::Error) -> Unanswered {
    let failure = if nobody_listens(url, &error) {
        Failure::NobodyListens
    } else if error.is_builder() {
        Failure::NotSent
    } else if error.is_connect() {
        Failure::NotConnected
    } else if error.is_timeout() {
        Failure::TimedOut
    } else {
        Failure::Lost
    };
    Unanswered {
        failure,
        source: Arc::new(error.without_url()),
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
