//! Starts a built image beside us, as Cloud Run would start it, and finds the way to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::{ContainerInspectResponse, ContainerState};
use bollard::query_parameters::{
    InspectContainerOptions, LogsOptions, RemoveContainerOptions, StopContainerOptions,
};
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink, Unit};
use futures_util::StreamExt;

use super::error::{LAST_LINES, engine_failed};
use crate::verify::Caller;

mod start;

/// Label of the containers that are started here, so that what a killed run left can be found:
/// `docker ps --filter label=ml-deploy.trial`.
const LABEL: &str = "ml-deploy.trial";
/// Seconds between SIGTERM and SIGKILL. Cloud Run gives 10; a cancelled job must be gone in 7.
const STOP_SECONDS: i32 = 3;
/// First pause between two tries to reach the container.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// For one try.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the wait is reported.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How to start an image.
#[derive(Debug, Clone)]
pub struct TrialRequest {
    /// Name of the service, for `K_SERVICE`.
    pub service: String,
    /// Port that the container is told in `PORT`; Cloud Run's default is 8080.
    pub port: u16,
    /// Plain environment variables. Secrets are not there in a trial.
    pub env: BTreeMap<String, String>,
    /// Memory limit in bytes; Cloud Run's default is 512 MiB.
    pub memory_bytes: u64,
    /// CPUs; Cloud Run's default is 1.
    pub cpus: f64,
}

impl TrialRequest {
    /// With Cloud Run's defaults.
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            port: 8080,
            env: BTreeMap::new(),
            memory_bytes: 512 << 20,
            cpus: 1.0,
        }
    }
}

/// A container that was started. [`RunningTrial::stop`] removes it and waits for that; dropping it
/// removes it in the background, which needs the runtime to live on.
#[derive(Debug)]
pub struct RunningTrial {
    docker: Docker,
    id: String,
    /// Where it may answer.
    addresses: Vec<String>,
    memory_bytes: u64,
    port: u16,
    is_removed: bool,
}

impl RunningTrial {
    /// The engine's identifier of the container.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits until the container answers HTTP, whatever it answers, by any of its addresses; gives
    /// the address that did. Which answer is right is for the tests to say.
    ///
    /// # Errors
    /// [`Code::LocalTestsFailed`] with the container's last log lines, at once when it exited, else
    /// when the grace is over.
    pub async fn reach(
        &self,
        path: &str,
        grace: Duration,
        sink: &dyn EventSink,
    ) -> Result<String, Diagnostic> {
        let mut callers = Vec::new();
        for address in &self.addresses {
            callers.push(Caller::new(address, None)?);
        }
        let start = Instant::now();
        let mut reported = Duration::ZERO;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(address) = first_to_answer(&callers, path).await {
                return Ok(address);
            }
            let state = self.inspect().await?.state.unwrap_or_default();
            if state.running != Some(true) {
                return Err(self.exited(&state).await);
            }
            let waited = start.elapsed();
            if waited + pause > grace {
                return Err(self.silent(grace).await);
            }
            if waited >= reported + REPORT_EVERY {
                reported = waited;
                sink.emit(Event::Progress {
                    what: format!("waiting for the container to answer on port {}", self.port),
                    done: waited.as_secs(),
                    total: Some(grace.as_secs()),
                    unit: Unit::Seconds,
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// The last lines that the container wrote, oldest first. Text of others.
    ///
    /// # Errors
    /// [`Code::DockerUnavailable`] when the engine does not answer.
    pub async fn logs(&self, most: usize) -> Result<Vec<String>, Diagnostic> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: most.to_string(),
            ..LogsOptions::default()
        };
        let mut pieces = std::pin::pin!(self.docker.logs(&self.id, Some(options)));
        let mut text = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                engine_failed(
                    Code::DockerUnavailable,
                    "the container's log cannot be read",
                    &error,
                )
            })?;
            text.extend_from_slice(match &piece {
                LogOutput::StdErr { message } | LogOutput::StdOut { message } => message,
                LogOutput::StdIn { message } | LogOutput::Console { message } => message,
            });
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        let skip = lines.len().saturating_sub(most);
        Ok(lines.into_iter().skip(skip).collect())
    }

    /// Stops the container (SIGTERM, then SIGKILL) and removes it.
    ///
    /// # Errors
    /// [`Code::DockerUnavailable`] when it could not be removed; says how to do it by hand.
    pub async fn stop(mut self) -> Result<(), Diagnostic> {
        self.is_removed = true;
        let options = StopContainerOptions {
            t: Some(STOP_SECONDS),
            ..StopContainerOptions::default()
        };
        // Removal by force does the rest, also where this fails.
        let _ = self.docker.stop_container(&self.id, Some(options)).await;
        let removed = self
            .docker
            .remove_container(&self.id, Some(by_force()))
            .await;
        removed.map_err(|error| {
            engine_failed(
                Code::DockerUnavailable,
                "the container of the trial could not be removed",
                &error,
            )
            .help(format!(
                "remove it: docker rm --force --volumes {}",
                self.id
            ))
        })
    }

    async fn inspect(&self) -> Result<ContainerInspectResponse, Diagnostic> {
        let found = self
            .docker
            .inspect_container(&self.id, None::<InspectContainerOptions>)
            .await;
        found.map_err(|error| {
            engine_failed(
                Code::LocalTestsFailed,
                "the container of the trial cannot be looked at",
                &error,
            )
        })
    }

    async fn last_lines(&self) -> Vec<String> {
        self.logs(LAST_LINES).await.unwrap_or_default()
    }

    async fn exited(&self, state: &ContainerState) -> Diagnostic {
        let code = state.exit_code.unwrap_or_default();
        let diagnostic = Diagnostic::error(
            Code::LocalTestsFailed,
            "the container exited before it answered",
        )
        .cause(format!("exit code {code}"))
        .logs(self.last_lines().await);
        // A process that the kernel kills for memory ends with 128 + SIGKILL.
        if state.oom_killed == Some(true) || code == 137 {
            let mebibytes = self.memory_bytes >> 20;
            return diagnostic
                .cause(format!(
                    "it needed more than its memory limit of {mebibytes} MiB"
                ))
                .help("set a larger `memory`, or load a smaller model");
        }
        diagnostic.help(
            "read the log below; run it yourself: docker run --rm -e PORT=8080 -p 8080:8080 IMAGE",
        )
    }

    async fn silent(&self, grace: Duration) -> Diagnostic {
        let port = self.port;
        Diagnostic::error(
            Code::LocalTestsFailed,
            format!("the container did not answer on port {port}"),
        )
        .cause(format!(
            "no HTTP answer within {} s, and it is still running",
            grace.as_secs()
        ))
        .cause(format!("tried {}", self.addresses.join(", ")))
        .help("bind the server to 0.0.0.0:$PORT, not to 127.0.0.1, or set `port`")
        .help("a model that takes longer to load: allow a longer start")
        .logs(self.last_lines().await)
    }
}

impl Drop for RunningTrial {
    fn drop(&mut self) {
        if self.is_removed {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (docker, id) = (self.docker.clone(), self.id.clone());
            runtime.spawn(async move {
                if let Err(error) = docker.remove_container(&id, Some(by_force())).await {
                    tracing::warn!(%error, id, "the container of the trial could not be removed");
                }
            });
        }
    }
}

fn by_force() -> RemoveContainerOptions {
    RemoveContainerOptions {
        force: true,
        v: true,
        ..RemoveContainerOptions::default()
    }
}

/// Asks all addresses at once.
async fn first_to_answer(callers: &[Caller], path: &str) -> Option<String> {
    let mut tries: futures_util::stream::FuturesUnordered<_> = callers
        .iter()
        .map(|caller| async move {
            caller
                .answers(path, TRY_TIMEOUT)
                .await
                .then(|| caller.base_url.clone())
        })
        .collect();
    while let Some(answer) = tries.next().await {
        if answer.is_some() {
            return answer;
        }
    }
    None
}
