//! Where containers run.
//!
//! A [`Runtime`] starts an instance of an image and gives its address; what a started instance is
//! good for (the startup probe, traffic) is decided elsewhere, the same way for each runtime.

mod docker;
mod docker_container;
mod probe;
mod scripted;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use docker::{ConnectError, DockerRuntime};
pub use probe::{Check, ProbeOutcome, ProbePlan, probe};
pub use scripted::{Answer, App, Behaviour, Call, ScriptedRuntime};

use crate::registry::Resolved;

/// What to start.
#[derive(Debug, Clone)]
pub struct InstanceSpec {
    /// Name that people recognise; the runtime may add to it.
    pub name: String,
    /// The image, resolved to a digest.
    pub image: Resolved,
    /// Environment, `PORT` and `K_…` among it. Later entries win.
    pub env: Vec<(String, String)>,
    /// Port on which the container must listen.
    pub port: u16,
    /// Thousandths of a CPU.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Replaces the image's entry point, unless empty.
    pub command: Vec<String>,
    /// Replaces the image's arguments, unless empty.
    pub args: Vec<String>,
    /// Replaces the image's working directory, unless empty.
    pub working_directory: String,
    /// Files to put in place before the start: absolute path and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Directories in memory, by absolute path.
    pub scratch: Vec<String>,
    /// Labels for people and scripts that look at the engine.
    pub labels: Vec<(String, String)>,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes each line that an instance writes.
pub type LogSink = Arc<dyn Fn(Source, &str) + Send + Sync>;

/// How an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit status of the process.
    pub code: i64,
    /// Bytes of memory that it used when it was ended for using more than it has.
    pub memory_used: Option<u64>,
}

impl Exit {
    /// It ended by itself, or because it was told to.
    pub fn with(code: i64) -> Self {
        Self {
            code,
            memory_used: None,
        }
    }

    /// It was killed for using more memory than it has.
    pub fn out_of_memory(used: u64) -> Self {
        Self {
            code: 137,
            memory_used: Some(used),
        }
    }
}

/// Why no instance was started.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartFailure {
    /// The registry answered that there is no such image.
    #[error("image {0} not found")]
    ImageNotFound(String),
    /// The container could not even execute its command.
    #[error("the container could not be started: {0}")]
    NotExecutable(String),
    /// The engine failed.
    #[error("the container engine failed: {0}")]
    Engine(String),
}

/// A started instance.
#[async_trait]
pub trait Instance: Send + Sync {
    /// Where it answers once it listens.
    fn address(&self) -> SocketAddr;

    /// Holds the exit as soon as the instance has ended and all its lines were taken.
    fn exit(&self) -> watch::Receiver<Option<Exit>>;

    /// Asks it to end (SIGTERM), kills it after ten seconds as Cloud Run does, and removes it.
    async fn stop(&self);
}

/// Starts and stops instances.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Starts an instance; it may not listen yet, and may have ended already. Gives up what takes
    /// long when the local cloud closes.
    ///
    /// # Errors
    /// [`StartFailure`] when nothing was started.
    async fn start(
        &self,
        spec: &InstanceSpec,
        logs: LogSink,
        closing: &CancellationToken,
    ) -> Result<Box<dyn Instance>, StartFailure>;

    /// Removes what an earlier process with the same directory has left running.
    async fn clean(&self) {}

    /// Ends and removes everything that this runtime started, at once.
    async fn shutdown(&self);
}
