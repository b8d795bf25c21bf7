//! The connection to the Docker engine.

use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use delivery::diagnostic::Diagnostic;

use super::error::{text_of, unavailable};

/// For calls that answer at once.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Until the engine begins to answer a build or push: the whole context is sent before, and an ML
/// context may be large. GitHub ends a job after 6 hours.
const LONG_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// First Engine API version whose build endpoint knows BuildKit outside of experiments
/// (Docker 18.09).
const FIRST_WITH_BUILDKIT: (usize, usize) = (1, 39);

/// A Docker engine that answers.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) docker: Docker,
    /// With a timeout for calls that take long.
    pub(super) patient: Docker,
    pub(super) builder: Builder,
}

/// Which builder the engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// BuildKit.
    BuildKit,
    /// The builder before it; podman's service offers only this one.
    Classic,
}

impl Engine {
    /// Connects to the engine that `DOCKER_HOST` names; without it, to the first socket that
    /// answers among the usual places.
    ///
    /// # Errors
    /// [`delivery::diagnostic::Code::DockerUnavailable`] with what to do.
    pub async fn connect() -> Result<Self, Diagnostic> {
        let mut causes = Vec::new();
        let tried = addresses();
        for address in &tried {
            match Self::open(address).await {
                Ok(engine) => return Ok(engine),
                Err(error) => causes.push(format!("{address}: {}", text_of(&error))),
            }
        }
        Err(unavailable(&tried, causes))
    }

    /// Connects to the engine at one address, such as `unix:///var/run/docker.sock`.
    ///
    /// # Errors
    /// [`delivery::diagnostic::Code::DockerUnavailable`] with what to do.
    pub async fn connect_to(address: &str) -> Result<Self, Diagnostic> {
        let opened = Self::open(address).await;
        opened.map_err(|error| unavailable(&[address.to_owned()], vec![text_of(&error)]))
    }

    async fn open(address: &str) -> Result<Self, bollard::errors::Error> {
        // bollard starts at a version that old engines do not know.
        let docker = Docker::connect_with_host(address)?
            .with_timeout(CALL_TIMEOUT)
            .negotiate_version()
            .await?;
        let version = docker.version().await?;
        let components = version.components.unwrap_or_default();
        let is_podman = components
            .iter()
            .any(|component| component.name.to_lowercase().contains("podman"));
        let api = docker.client_version();
        let api = (api.major_version, api.minor_version);
        let builder =
            if !is_podman && api >= FIRST_WITH_BUILDKIT && version.os.as_deref() != Some("windows")
            {
                Builder::BuildKit
            } else {
                Builder::Classic
            };
        let patient = docker.clone().with_timeout(LONG_TIMEOUT);
        Ok(Self {
            docker,
            patient,
            builder,
        })
    }

    /// Which builder is used.
    pub fn builder(&self) -> Builder {
        self.builder
    }

    /// The same engine with its builder of old, for engines that only claim to have BuildKit.
    #[must_use]
    pub fn with_classic_builder(mut self) -> Self {
        self.builder = Builder::Classic;
        self
    }
}

/// Where an engine may listen, in the order in which they are tried.
fn addresses() -> Vec<String> {
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|value: &String| !value.is_empty())
    };
    if let Some(host) = variable("DOCKER_HOST") {
        return vec![host];
    }
    let standard = "/var/run/docker.sock".to_owned();
    let mut sockets = vec![standard.clone()];
    if let Some(directory) = variable("XDG_RUNTIME_DIR") {
        sockets.push(format!("{directory}/docker.sock"));
        sockets.push(format!("{directory}/podman/podman.sock"));
    }
    if let Some(home) = variable("HOME") {
        sockets.push(format!("{home}/.docker/run/docker.sock"));
        sockets.push(format!("{home}/.colima/default/docker.sock"));
    }
    sockets.retain(|socket| *socket == standard || Path::new(socket).exists());
    sockets
        .into_iter()
        .map(|socket| format!("unix://{socket}"))
        .collect()
}
