//! Whole exchanges, bodies included, for those who judge what was said: off until asked for.
//!
//! Bodies may hold tokens of this world, so nothing is recorded unless a test asks for it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use crate::error::ApiError;

/// Largest body that is recorded, in bytes. What passes it is no API's JSON.
const LARGEST_BODY: usize = 4 << 20;
/// Most bytes of bodies that are kept together; the oldest exchanges make room.
const KEPT_BYTES: usize = 128 << 20;
/// Most exchanges that are kept.
const KEPT: usize = 50_000;

/// One request with its answer. Bodies are kept as text where their type is JSON or a form; blobs
/// and other streams pass by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exchange {
    /// Method.
    pub method: String,
    /// Host that was asked for, by an absolute target or the `Host` header.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Absolute path, without the query.
    pub path: String,
    /// Query as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// `User-Agent` of who asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent: String,
    /// Content type of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_type: Option<String>,
    /// Body of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// HTTP status; 0 when the connection was dropped on purpose.
    pub status: u16,
    /// Content type of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_type: Option<String>,
    /// Body of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

impl Exchange {
    fn bytes(&self) -> usize {
        [&self.request, &self.response]
            .into_iter()
            .flatten()
            .map(String::len)
            .sum()
    }
}

#[derive(Default)]
struct State {
    is_recording: bool,
    kept: VecDeque<Exchange>,
    bytes: usize,
    dropped: usize,
}

/// The recorder.
#[derive(Default)]
pub struct Exchanges {
    state: Mutex<State>,
}

impl Exchanges {
    /// Starts, or ends, recording. What was recorded stays.
    pub fn record(&self, is_recording: bool) {
        self.lock().is_recording = is_recording;
    }

    /// Whether exchanges are recorded now.
    pub fn is_recording(&self) -> bool {
        self.lock().is_recording
    }

    /// What is kept, oldest first.
    pub fn all(&self) -> Vec<Exchange> {
        self.lock().kept.iter().cloned().collect()
    }

    /// How many were recorded and had to make room since the last [`Exchanges::clear`].
    pub fn dropped(&self) -> usize {
        self.lock().dropped
    }

    /// Forgets what is kept; recording goes on.
    pub fn clear(&self) {
        let mut state = self.lock();
        *state = State {
            is_recording: state.is_recording,
            ..State::default()
        };
    }

    /// Writes what is kept, one JSON object a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let mut lines = Vec::new();
        for exchange in self.all() {
            serde_json::to_writer(&mut lines, &exchange)?;
            lines.push(b'\n');
        }
        io::BufWriter::new(std::fs::File::create(file)?).write_all(&lines)
    }

    /// Notes the request, and gives it back to be answered.
    ///
    /// # Errors
    /// An answer for who sent a body that cannot be read.
    pub(super) async fn begin(
        &self,
        request: Request,
    ) -> Result<(Request, Option<Exchange>), Response> {
        if !self.is_recording() {
            return Ok((request, None));
        }
        let (parts, body) = request.into_parts();
        let header = |name| text(&parts.headers, name);
        let target = parts.uri.host().map(str::to_owned);
        let mut exchange = Exchange {
            method: parts.method.to_string(),
            host: target.or_else(|| header(header::HOST)).unwrap_or_default(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            agent: header(header::USER_AGENT).unwrap_or_default(),
            request_type: header(header::CONTENT_TYPE),
            ..Exchange::default()
        };
        let (body, recorded) = match read(&parts.headers, body).await {
            Ok(read) => read,
            Err(error) => {
                let message = format!("the body cannot be read: {error}");
                return Err(ApiError::new("INVALID_ARGUMENT", message).into_response());
            }
        };
        exchange.request = recorded;
        Ok((Request::from_parts(parts, body), Some(exchange)))
    }

    /// Notes the answer, and gives it back to be sent. `was_dropped`: it will never arrive.
    pub(super) async fn end(
        &self,
        exchange: Option<Exchange>,
        response: Response,
        was_dropped: bool,
    ) -> Response {
        let Some(mut exchange) = exchange else {
            return response;
        };
        if was_dropped {
            self.keep(exchange);
            return response;
        }
        let (parts, body) = response.into_parts();
        exchange.status = parts.status.as_u16();
        exchange.response_type = text(&parts.headers, header::CONTENT_TYPE);
        let body = match read(&parts.headers, body).await {
            Ok((body, recorded)) => {
                exchange.response = recorded;
                body
            }
            Err(error) => {
                Body::from_stream(futures_util::stream::once(async { Err::<Bytes, _>(error) }))
            }
        };
        self.keep(exchange);
        Response::from_parts(parts, body)
    }

    fn keep(&self, exchange: Exchange) {
        let mut state = self.lock();
        state.bytes += exchange.bytes();
        state.kept.push_back(exchange);
        while state.kept.len() > KEPT || state.bytes > KEPT_BYTES {
            let Some(oldest) = state.kept.pop_front() else {
                break;
            };
            state.bytes -= oldest.bytes();
            state.dropped += 1;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

/// Reads a body that is text of an API; others go on as the streams that they are.
async fn read(headers: &HeaderMap, body: Body) -> Result<(Body, Option<String>), axum::Error> {
    let is_text = text(headers, header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        matches!(
            kind,
            "application/json" | "application/x-www-form-urlencoded"
        ) || (kind.ends_with("+json") && !is_of_registry(kind))
    });
    if !is_text {
        return Ok((body, None));
    }
    let bytes = body.collect().await?.to_bytes();
    let recorded = (!bytes.is_empty() && bytes.len() <= LARGEST_BODY)
        .then(|| String::from_utf8_lossy(&bytes).into_owned());
    Ok((Body::from(bytes), recorded))
}

/// Manifests of images: the registry's business.
fn is_of_registry(kind: &str) -> bool {
    kind.starts_with("application/vnd.") && !kind.starts_with("application/vnd.github")
}
