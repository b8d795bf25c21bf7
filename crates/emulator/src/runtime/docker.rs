//! Instances as containers of a Docker engine.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bollard::Docker;
use bollard::errors::Error as DockerError;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::StreamExt;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::docker_container::{Container, archive, body, published_port};
use super::{Instance, InstanceSpec, LogSink, Runtime, Source, StartFailure};

/// Label that holds the emulator's identifier: what carries it is removed when it stops.
const OWNER: &str = "ml-deploy.emulator";

/// Why the engine cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("no Docker engine answers; is it running, and does DOCKER_HOST (if set) name it?")]
pub struct ConnectError(#[source] DockerError);

/// Runs instances as containers.
pub struct DockerRuntime {
    docker: Docker,
    /// Value of [`OWNER`] on all that this runtime starts.
    owner: String,
    started: AtomicU64,
    /// True while containers may be left over.
    dirty: AtomicBool,
}

impl DockerRuntime {
    /// Connects to the engine that `DOCKER_HOST` names, or to the local one.
    ///
    /// # Errors
    /// [`ConnectError`] when no engine answers.
    pub async fn connect() -> Result<Arc<Self>, ConnectError> {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self::connect_as(format!("{:x}-{:x}", std::process::id(), time.as_micros())).await
    }

    /// Connects for a world that is kept in a directory. What an earlier process with the same
    /// directory has left running is removed before this one starts anything.
    ///
    /// # Errors
    /// [`ConnectError`] when no engine answers.
    pub async fn connect_for(data_dir: &Path) -> Result<Arc<Self>, ConnectError> {
        let path = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
        let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
        Self::connect_as(hex::encode(&digest[..8])).await
    }

    async fn connect_as(owner: String) -> Result<Arc<Self>, ConnectError> {
        let docker = connect().await.map_err(ConnectError)?;
        Ok(Arc::new(Self {
            docker,
            owner,
            started: AtomicU64::new(0),
            dirty: AtomicBool::new(false),
        }))
    }

    /// Value of the label `ml-deploy.emulator` on each container that this runtime starts.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Pulls the image unless the engine has it.
    async fn ensure_image(&self, pull: &str) -> Result<(), StartFailure> {
        if self.docker.inspect_image(pull).await.is_ok() {
            return Ok(());
        }
        let options = CreateImageOptionsBuilder::new().from_image(pull).build();
        let mut progress = self.docker.create_image(Some(options), None, None);
        while let Some(step) = progress.next().await {
            step.map_err(|error| pull_failure(pull, &error))?;
        }
        Ok(())
    }

    async fn create(&self, spec: &InstanceSpec) -> Result<String, StartFailure> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let (_, unique) = self.owner.split_at(self.owner.len().saturating_sub(5));
        let name = format!("{}-{unique}-{number}", spec.name);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let mut labels: HashMap<String, String> = spec.labels.iter().cloned().collect();
        labels.insert(OWNER.to_owned(), self.owner.clone());
        self.dirty.store(true, Ordering::Release);
        let created = self
            .docker
            .create_container(Some(options), body(spec, labels))
            .await
            .map_err(|error| engine(&error))?;
        Ok(created.id)
    }

    async fn put_files(&self, id: &str, files: &[(String, Vec<u8>)]) -> Result<(), StartFailure> {
        if files.is_empty() {
            return Ok(());
        }
        let tar = archive(files).map_err(|error| StartFailure::Engine(error.to_string()))?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        self.docker
            .upload_to_container(id, Some(options), bollard::body_full(Bytes::from(tar)))
            .await
            .map_err(|error| engine(&error))
    }

    async fn remove(&self, id: &str) {
        let options = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        if let Err(error) = self.docker.remove_container(id, Some(options)).await {
            tracing::warn!(%error, container = id, "a container was not removed");
        }
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    async fn start(
        &self,
        spec: &InstanceSpec,
        logs: LogSink,
        closing: &CancellationToken,
    ) -> Result<Box<dyn Instance>, StartFailure> {
        // A pull may take minutes, and leaves nothing behind that has to be removed.
        tokio::select! {
            biased;
            () = closing.cancelled() => {
                return Err(StartFailure::Engine("the local cloud stops".to_owned()));
            }
            pulled = self.ensure_image(&spec.image.pull) => pulled?,
        }
        let id = self.create(spec).await?;
        let started = async {
            self.put_files(&id, &spec.files).await?;
            self.docker
                .start_container(&id, None)
                .await
                .map_err(|error| start_failure(&error))?;
            let details = self.docker.inspect_container(&id, None).await;
            let details = details.map_err(|error| engine(&error))?;
            Ok(published_port(&details, spec.port))
        };
        match started.await {
            // A container that has ended already has no port; its exit is what counts.
            Ok(port) => Ok(Box::new(Container::follow(
                self.docker.clone(),
                id,
                port,
                logs,
            ))),
            Err(failure) => {
                if let StartFailure::NotExecutable(text) = &failure {
                    logs(Source::Stderr, text);
                }
                self.remove(&id).await;
                Err(failure)
            }
        }
    }

    async fn clean(&self) {
        if let Err(error) = remove_all(&self.docker, &self.owner).await {
            tracing::warn!(%error, owner = self.owner, "old containers were not removed");
        }
    }

    async fn shutdown(&self) {
        match remove_all(&self.docker, &self.owner).await {
            Ok(()) => self.dirty.store(false, Ordering::Release),
            Err(error) => tracing::warn!(%error, owner = self.owner, "containers were not removed"),
        }
    }
}

/// Removes what is left when nobody called [`Runtime::shutdown`], with a connection of its own: the
/// old one may belong to an executor that ends at this moment.
impl Drop for DockerRuntime {
    fn drop(&mut self) {
        if !*self.dirty.get_mut() {
            return;
        }
        let owner = self.owner.clone();
        let cleaner = std::thread::spawn(move || {
            let executor = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let Ok(executor) = executor else {
                return;
            };
            executor.block_on(async {
                let cleaning = async {
                    let docker = connect().await?;
                    remove_all(&docker, &owner).await
                };
                let limit = Duration::from_secs(20);
                if !matches!(tokio::time::timeout(limit, cleaning).await, Ok(Ok(()))) {
                    tracing::warn!(owner, "containers may be left over");
                }
            });
        });
        if cleaner.join().is_err() {
            tracing::warn!("containers may be left over");
        }
    }
}

async fn connect() -> Result<Docker, DockerError> {
    let docker = Docker::connect_with_defaults()?.negotiate_version().await?;
    docker.ping().await?;
    Ok(docker)
}

/// Removes every container of one emulator.
async fn remove_all(docker: &Docker, owner: &str) -> Result<(), DockerError> {
    let filters = HashMap::from([("label", vec![format!("{OWNER}={owner}")])]);
    let list = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    let containers = docker.list_containers(Some(list)).await?;
    let removals = containers
        .iter()
        .filter_map(|container| container.id.as_deref())
        .map(|id| {
            let options = RemoveContainerOptionsBuilder::new()
                .force(true)
                .v(true)
                .build();
            docker.remove_container(id, Some(options))
        });
    for removed in futures_util::future::join_all(removals).await {
        match removed {
            // Somebody else was faster, or is at it.
            Err(DockerError::DockerResponseServerError {
                status_code: 404 | 409,
                ..
            }) => {}
            other => other?,
        }
    }
    Ok(())
}

fn pull_failure(pull: &str, error: &DockerError) -> StartFailure {
    let text = error.to_string();
    let missing = ["not found", "manifest unknown", "does not exist", "404"];
    if missing.iter().any(|sign| text.contains(sign)) {
        StartFailure::ImageNotFound(pull.to_owned())
    } else {
        StartFailure::Engine(text)
    }
}

/// The engine answers 400 or 500 with the text of its container runtime when a command cannot be
/// executed: that is the container's fault, not the engine's.
fn start_failure(error: &DockerError) -> StartFailure {
    let text = error.to_string();
    let signs = [
        "exec format error",
        "executable file not found",
        "no such file or directory",
        "permission denied",
        "starting container process caused",
        "no command specified",
    ];
    if signs.iter().any(|sign| text.contains(sign)) {
        StartFailure::NotExecutable(text)
    } else {
        StartFailure::Engine(text)
    }
}

fn engine(error: &DockerError) -> StartFailure {
    let text = error.to_string();
    if text.to_ascii_lowercase().contains("no command specified") {
        return StartFailure::NotExecutable(text);
    }
    StartFailure::Engine(text)
}
