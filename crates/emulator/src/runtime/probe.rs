//! The startup probe: when a started instance may get requests.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Exit;
use crate::admin::Clock;

/// Pause between two tries within one check.
const RETRY: Duration = Duration::from_millis(50);
/// How long a connection must stay open to count as accepted: the engine's port proxy accepts
/// for a container that does not listen, and closes at once.
const STAYS_OPEN: Duration = Duration::from_millis(100);

/// What one check does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Opens a connection.
    Tcp,
    /// Asks a path; 200 to 399 passes.
    Http {
        /// Path and query.
        path: String,
        /// Headers to send.
        headers: Vec<(String, String)>,
    },
}

/// A startup probe. Times are the world's, so that a test can move them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePlan {
    /// What one check does.
    pub check: Check,
    /// Before the first check.
    pub initial_delay: Duration,
    /// How long one check may take; it tries again within this time.
    pub timeout: Duration,
    /// From the start of one check to the next.
    pub period: Duration,
    /// How many failed checks in a row end the start.
    pub failure_threshold: u32,
    /// False for the probe that the platform adds itself.
    pub configured: bool,
}

/// How a start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// Ready after this number of checks.
    Passed {
        /// 1 or more.
        attempts: u32,
    },
    /// No check passed.
    Failed {
        /// As many as the threshold says.
        attempts: u32,
    },
    /// The instance ended first.
    Exited(Exit),
}

/// Checks an instance until it passes, has failed, or has ended.
pub async fn probe(
    plan: &ProbePlan,
    address: SocketAddr,
    mut exit: watch::Receiver<Option<Exit>>,
    clock: &Clock,
) -> ProbeOutcome {
    let ended = async move {
        let ended = exit
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|exit| *exit);
        match ended {
            Some(exit) => exit,
            // Nobody will tell: the checks decide.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // An exit is looked at first: it says more than a failed connection.
        biased;
        exit = ended => ProbeOutcome::Exited(exit),
        outcome = checks(plan, address, clock) => outcome,
    }
}

async fn checks(plan: &ProbePlan, address: SocketAddr, clock: &Clock) -> ProbeOutcome {
    if !plan.initial_delay.is_zero() {
        clock.sleep(plan.initial_delay).await;
    }
    for attempt in 1.. {
        let started = clock.now();
        if check(plan, address, clock).await {
            return ProbeOutcome::Passed { attempts: attempt };
        }
        if attempt >= plan.failure_threshold {
            return ProbeOutcome::Failed { attempts: attempt };
        }
        let spent = (clock.now() - started).to_std().unwrap_or_default();
        clock.sleep(plan.period.saturating_sub(spent)).await;
    }
    ProbeOutcome::Failed { attempts: u32::MAX }
}

/// One check: tries until it passes or its time is over.
async fn check(plan: &ProbePlan, address: SocketAddr, clock: &Clock) -> bool {
    let tries = async {
        while !passes(&plan.check, address).await {
            tokio::time::sleep(RETRY).await;
        }
    };
    tokio::select! {
        biased;
        () = tries => true,
        () = clock.sleep(plan.timeout) => false,
    }
}

async fn passes(check: &Check, address: SocketAddr) -> bool {
    match check {
        Check::Tcp => accepts(address).await,
        Check::Http { path, headers } => answers(address, path, headers).await.unwrap_or(false),
    }
}

async fn accepts(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return false;
    };
    let mut byte = [0];
    match tokio::time::timeout(STAYS_OPEN, stream.read(&mut byte)).await {
        Err(_still_open) => true,
        Ok(read) => read.is_ok_and(|count| count > 0),
    }
}

async fn answers(address: SocketAddr, path: &str, headers: &[(String, String)]) -> Option<bool> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .ok()?;
    let mut request = http::Request::get(path)
        .header(http::header::HOST, address.to_string())
        .header(http::header::USER_AGENT, "GoogleHC/1.0");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).ok()?;
    tokio::select! {
        answer = sender.send_request(request) => {
            let status = answer.ok()?.status().as_u16();
            Some((200..400).contains(&status))
        }
        _ = connection => None,
    }
}
