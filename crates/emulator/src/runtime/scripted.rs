//! Instances without an engine: what an image does is told by the test.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Exit, Instance, InstanceSpec, LogSink, Runtime, Source, StartFailure};

/// What an instance of an image does.
#[derive(Clone)]
pub enum Behaviour {
    /// Serves.
    Serve(App),
    /// Writes lines to standard error and ends.
    Exit {
        /// Exit status.
        code: i64,
        /// The lines.
        lines: Vec<String>,
    },
    /// Runs, but listens on no port (or on another one than it should).
    NeverListens {
        /// What it writes before.
        lines: Vec<String>,
    },
}

impl Behaviour {
    /// Ends at once with status 1.
    pub fn crash(lines: &[&str]) -> Self {
        Self::Exit {
            code: 1,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }
}

/// One request to a scripted instance.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// Query.
    pub query: Option<String>,
    /// Headers as the instance sees them.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Environment of the instance.
    pub env: BTreeMap<String, String>,
}

/// An answer of a scripted instance.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// Body.
    pub body: Bytes,
    /// Time until the head is sent.
    pub delay: Duration,
    /// Bytes of memory that making it takes; an instance that has less is killed.
    pub memory: u64,
    /// What the program writes to standard error while it makes it.
    pub lines: Vec<String>,
}

impl Answer {
    /// 200 with a JSON body.
    pub fn json(body: &Value) -> Self {
        Self::status(200, body)
    }

    /// A status with a JSON body.
    pub fn status(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: "application/json".to_owned(),
            body: body.to_string().into(),
            delay: Duration::ZERO,
            memory: 0,
            lines: Vec::new(),
        }
    }

    /// The same, but making it takes so many bytes of memory.
    #[must_use]
    pub fn taking_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// The same, and the program writes these lines to standard error.
    #[must_use]
    pub fn writing(mut self, lines: &[&str]) -> Self {
        self.lines = lines.iter().map(|line| (*line).to_owned()).collect();
        self
    }

    /// The same, later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Handler = dyn Fn(&Call) -> Answer + Send + Sync;

/// A program that serves.
#[derive(Clone, Default)]
pub struct App {
    answers: BTreeMap<(String, String), Answer>,
    handler: Option<Arc<Handler>>,
    start: Duration,
    lines: Vec<String>,
    port: Option<u16>,
    memory: u64,
}

impl App {
    /// Answers 404 to everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an answer to `GET path`.
    #[must_use]
    pub fn get(self, path: &str, body: &Value) -> Self {
        self.answer("GET", path, Answer::json(body))
    }

    /// Adds an answer to `POST path`.
    #[must_use]
    pub fn post(self, path: &str, body: &Value) -> Self {
        self.answer("POST", path, Answer::json(body))
    }

    /// Adds an answer.
    #[must_use]
    pub fn answer(mut self, method: &str, path: &str, answer: Answer) -> Self {
        self.answers
            .insert((method.to_owned(), path.to_owned()), answer);
        self
    }

    /// Answers everything that has no answer of its own.
    #[must_use]
    pub fn otherwise(mut self, handler: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// Listens on this port whatever `PORT` says.
    #[must_use]
    pub fn listening_on(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Needs so many bytes of memory to start.
    #[must_use]
    pub fn taking_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Listens only after this time.
    #[must_use]
    pub fn slow_start(mut self, delay: Duration) -> Self {
        self.start = delay;
        self
    }

    /// Writes a line to standard output at the start.
    #[must_use]
    pub fn log(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    fn reply(&self, call: &Call) -> Answer {
        let key = (call.method.clone(), call.path.clone());
        match (self.answers.get(&key), &self.handler) {
            (Some(answer), _) => answer.clone(),
            (None, Some(handler)) => handler(call),
            (None, None) => Answer::status(404, &serde_json::json!({"detail": "Not Found"})),
        }
    }
}

/// A runtime whose images are told by digest.
#[derive(Default)]
pub struct ScriptedRuntime {
    images: Mutex<BTreeMap<String, Behaviour>>,
    started: Mutex<Vec<InstanceSpec>>,
    stops: Mutex<Vec<CancellationToken>>,
    all: CancellationToken,
}

impl ScriptedRuntime {
    /// Knows no image.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Says what the image with this digest (`sha256:…`) does, from the next start on.
    pub fn image(&self, digest: &str, behaviour: Behaviour) {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.insert(digest.to_owned(), behaviour);
    }

    /// Every start so far, in order.
    pub fn started(&self) -> Vec<InstanceSpec> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.clone()
    }

    /// How many instances were started and not asked to end.
    pub fn running(&self) -> usize {
        let stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        stops.iter().filter(|stop| !stop.is_cancelled()).count()
    }
}

#[async_trait]
impl Runtime for ScriptedRuntime {
    async fn start(
        &self,
        spec: &InstanceSpec,
        logs: LogSink,
        _closing: &CancellationToken,
    ) -> Result<Box<dyn Instance>, StartFailure> {
        let behaviour = {
            let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            images.get(&spec.image.digest).cloned()
        };
        let behaviour =
            behaviour.ok_or_else(|| StartFailure::ImageNotFound(spec.image.pull.clone()))?;
        self.started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(spec.clone());
        let engine = |error: std::io::Error| StartFailure::Engine(error.to_string());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(engine)?;
        let address = listener.local_addr().map_err(engine)?;
        let (exit, exited) = watch::channel(None);
        let stop = self.all.child_token();
        self.stops
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(stop.clone());
        match behaviour {
            Behaviour::Serve(app) => {
                for line in &app.lines {
                    logs(Source::Stdout, line);
                }
                let program = Arc::new(Program {
                    app,
                    spec: spec.clone(),
                    logs,
                    exit,
                    stop: stop.clone(),
                });
                if program.lacks(program.app.memory) {
                    program.run_out_of_memory(program.app.memory);
                } else if program.app.port.is_some_and(|port| port != spec.port) {
                    drop(listener);
                    tokio::spawn(idle(program));
                } else {
                    tokio::spawn(serve(program, listener, address));
                }
            }
            Behaviour::Exit { code, lines } => {
                drop(listener);
                for line in &lines {
                    logs(Source::Stderr, line);
                }
                exit.send_replace(Some(Exit::with(code)));
            }
            Behaviour::NeverListens { lines } => {
                drop(listener);
                for line in &lines {
                    logs(Source::Stdout, line);
                }
                let stop = stop.clone();
                tokio::spawn(async move {
                    stop.cancelled().await;
                    exit.send_replace(Some(Exit::with(143)));
                });
            }
        }
        Ok(Box::new(ScriptedInstance {
            address,
            exited,
            stop,
        }))
    }

    async fn shutdown(&self) {
        self.all.cancel();
    }
}

/// A program that serves, in one instance.
struct Program {
    app: App,
    spec: InstanceSpec,
    logs: LogSink,
    exit: watch::Sender<Option<Exit>>,
    stop: CancellationToken,
}

impl Program {
    fn lacks(&self, memory: u64) -> bool {
        memory > self.spec.memory_bytes
    }

    fn run_out_of_memory(&self, used: u64) {
        self.exit.send_replace(Some(Exit::out_of_memory(used)));
        self.stop.cancel();
    }

    /// Ends it, unless it has ended in another way.
    fn end(&self, code: i64) {
        self.exit.send_if_modified(|exit| {
            let first = exit.is_none();
            exit.get_or_insert(Exit::with(code));
            first
        });
    }
}

/// Runs without listening where it should.
async fn idle(program: Arc<Program>) {
    program.stop.cancelled().await;
    program.end(143);
}

async fn serve(program: Arc<Program>, listener: TcpListener, address: SocketAddr) {
    let start = program.app.start;
    let listener = if start.is_zero() {
        Ok(listener)
    } else {
        // Until then the port must refuse connections.
        drop(listener);
        tokio::time::sleep(start).await;
        TcpListener::bind(address).await
    };
    if let Ok(listener) = listener {
        let serving = Arc::clone(&program);
        let router = Router::new().fallback(move |request: Request| {
            let program = Arc::clone(&serving);
            async move {
                tokio::select! {
                    answer = respond(&program, request) => answer,
                    // A program without a handler for SIGTERM: what it was at is lost.
                    () = program.stop.cancelled() => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                }
            }
        });
        let stopped = program.stop.clone().cancelled_owned();
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped);
        if let Err(error) = served.await {
            tracing::warn!(%error, "a scripted instance stopped serving");
        }
    }
    program.end(0);
}

async fn respond(program: &Program, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let answer = program.app.reply(&Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
        env: program.spec.env.iter().cloned().collect(),
    });
    for line in &answer.lines {
        (program.logs)(Source::Stderr, line);
    }
    tokio::time::sleep(answer.delay).await;
    if program.lacks(answer.memory) {
        program.run_out_of_memory(answer.memory);
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [(header::CONTENT_TYPE, answer.content_type)];
    (status, headers, answer.body).into_response()
}

struct ScriptedInstance {
    address: SocketAddr,
    exited: watch::Receiver<Option<Exit>>,
    stop: CancellationToken,
}

#[async_trait]
impl Instance for ScriptedInstance {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn exit(&self) -> watch::Receiver<Option<Exit>> {
        self.exited.clone()
    }

    async fn stop(&self) {
        self.stop.cancel();
    }
}
