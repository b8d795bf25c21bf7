//! The way of one request to an instance and back.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HOST, HeaderName};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use serde_json::json;

use super::access::{Refusal, admit, refuse};
use super::backend::{Backend, Lease, NoInstance};
use super::door::Door;
use crate::logging::Severity;
use crate::world::World;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Headers that belong to one connection (RFC 9110 section 7.6.1), beside those that `Connection`
/// itself names.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What the log says when a request finds no room and there can be no more instances.
const NO_INSTANCE: &str = "The request was aborted because there was no available instance.";

/// What the handler of one address needs.
pub(super) struct Proxy {
    pub(super) world: Arc<World>,
    pub(super) door: Arc<Door>,
    pub(super) client: Client<HttpConnector, Body>,
}

/// Takes one request.
pub(super) async fn serve(
    State(proxy): State<Arc<Proxy>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let uri = request.uri().clone();
    let access = proxy.world.run.access(proxy.door.key());
    let (Some(access), Some(backend)) = (access, proxy.door.choose()) else {
        return refuse(Refusal::NotFound, &uri);
    };
    let started = Instant::now();
    let note = Note::about(&request, peer);
    let response = match admit(
        &proxy.world,
        proxy.door.key(),
        &access,
        request.headers_mut(),
    ) {
        Ok(()) => proxy.forward(&backend, peer, request).await,
        Err(refusal) => refuse(refusal, &uri),
    };
    note.write(&proxy.world, &backend, &response, started);
    response
}

impl Proxy {
    async fn forward(
        &self,
        backend: &Arc<Backend>,
        peer: SocketAddr,
        request: Request,
    ) -> Response {
        let lease = match backend.acquire(&self.world).await {
            Ok(lease) => lease,
            Err(NoInstance::Busy) => {
                let now = self.world.clock.now();
                let logging = &self.world.logging;
                logging.system(backend.labels(), Severity::Error, NO_INSTANCE, now);
                return plain(StatusCode::TOO_MANY_REQUESTS, "Rate exceeded.");
            }
            Err(NoInstance::Failed(failure)) => {
                tracing::debug!(text = failure.text, "no instance for a request");
                return plain(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
            }
        };
        let Some(request) = to_instance(request, lease.address(), peer) else {
            return plain(StatusCode::BAD_REQUEST, "Bad Request");
        };
        let answer = tokio::time::timeout(backend.timeout(), self.send(request));
        match answer.await {
            Err(_too_late) => plain(StatusCode::GATEWAY_TIMEOUT, "upstream request timeout"),
            Ok(Err(error)) => {
                tracing::debug!(%error, "an instance broke a request off");
                plain(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
            }
            Ok(Ok(answer)) => {
                let (mut parts, body) = answer.into_parts();
                strip_hop_by_hop(&mut parts.headers);
                let body = HeldBody {
                    body: Body::new(body),
                    _lease: lease,
                };
                Response::from_parts(parts, Body::new(body))
            }
        }
    }

    /// Sends a request. One without a body that may be repeated is sent once more when the instance
    /// has closed the connection in the same moment.
    async fn send(&self, request: Request) -> Result<http::Response<Incoming>, ClientError> {
        let spare = spare(&request);
        match (self.client.request(request).await, spare) {
            (Err(error), Some(spare)) if !error.is_connect() => self.client.request(spare).await,
            (answer, _) => answer,
        }
    }
}

/// The same request again, if that can be made.
fn spare(request: &Request) -> Option<Request> {
    if !request.method().is_safe() || !request.body().is_end_stream() {
        return None;
    }
    let mut spare = Request::new(Body::empty());
    *spare.method_mut() = request.method().clone();
    *spare.uri_mut() = request.uri().clone();
    *spare.headers_mut() = request.headers().clone();
    Some(spare)
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

/// The request as the instance gets it: its own address, headers of this hop removed and added.
fn to_instance(request: Request, address: SocketAddr, peer: SocketAddr) -> Option<Request> {
    let (mut parts, body) = request.into_parts();
    // An absolute-form target names the host; a Host header may be missing then.
    if let (false, Some(authority)) = (parts.headers.contains_key(HOST), parts.uri.authority()) {
        let host = HeaderValue::from_str(authority.as_str()).ok()?;
        parts.headers.insert(HOST, host);
    }
    let path = parts.uri.path_and_query().cloned();
    let mut uri = Uri::default().into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(Authority::try_from(address.to_string()).ok()?);
    uri.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    parts.uri = Uri::from_parts(uri).ok()?;
    parts.version = Version::HTTP_11;
    strip_hop_by_hop(&mut parts.headers);
    let before = parts
        .headers
        .get(&FORWARDED_FOR)
        .and_then(|value| value.to_str().ok());
    let path_of_hops = match before {
        Some(before) => format!("{before}, {}", peer.ip()),
        None => peer.ip().to_string(),
    };
    let hops = HeaderValue::from_str(&path_of_hops).ok()?;
    parts.headers.insert(FORWARDED_FOR, hops);
    parts
        .headers
        .insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    Some(Request::from_parts(parts, body))
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named
        .iter()
        .map(HeaderName::as_str)
        .chain(HOP_BY_HOP.iter().copied())
    {
        headers.remove(name);
    }
}

/// What the request log says about a request.
struct Note {
    method: String,
    url: String,
    agent: String,
    peer: SocketAddr,
}

impl Note {
    fn about(request: &Request, peer: SocketAddr) -> Self {
        let text = |name: HeaderName| {
            let value = request.headers().get(name);
            let value = value.and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        Self {
            method: request.method().to_string(),
            url: format!("http://{}{}", text(HOST), request.uri()),
            agent: text(header::USER_AGENT),
            peer,
        }
    }

    fn write(self, world: &World, backend: &Backend, response: &Response, started: Instant) {
        let latency = started.elapsed().as_secs_f64();
        let entry = json!({
            "requestMethod": self.method, "requestUrl": self.url, "userAgent": self.agent,
            "remoteIp": self.peer.ip().to_string(), "status": response.status().as_u16(),
            "latency": format!("{latency:.6}s"), "protocol": "HTTP/1.1",
        });
        world
            .logging
            .request(backend.labels(), &entry, world.clock.now());
    }
}

/// A body that holds the instance until its end (or until the client has gone away).
struct HeldBody {
    body: Body,
    _lease: Lease,
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
