//! The world: everything that exists in the local cloud, as one value.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::admin::{Clock, Faults, Requests};
use crate::github::GitHub;
use crate::registry::Registry;
use crate::run::Run;
use crate::runtime::Runtime;
use crate::server::StartError;
use crate::tokens::Tokens;

/// How the world is set up. Nothing in it changes afterwards.
#[derive(Clone)]
pub struct Config {
    /// Where the control plane, the registry, the token services and GitHub listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address on which each service and each tag gets a port of its own.
    pub data_plane: IpAddr,
    /// Seed of everything that is random: names, identifiers, propagation delays.
    pub seed: u64,
    /// Longest time, in milliseconds, for which a new address answers 404 and an old traffic split
    /// lingers after its operation is done. Each delay is drawn from the seed. 0 switches it off.
    pub propagation_ms: u64,
    /// Where containers run.
    pub runtime: Arc<dyn Runtime>,
}

impl Config {
    /// A world on a free loopback port with the given runtime.
    pub fn loopback(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            data_plane: IpAddr::V4(Ipv4Addr::LOCALHOST),
            seed: 1,
            propagation_ms: 0,
            runtime,
        }
    }
}

/// Everything that exists. Each part guards its own state; no part locks another's.
pub struct World {
    /// How it was set up; `listen` holds the real port.
    pub config: Config,
    /// What time it is.
    pub clock: Clock,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// What was asked.
    pub requests: Requests,
    /// Cloud Run.
    pub run: Run,
    /// The OCI registry.
    pub registry: Registry,
    /// The token services.
    pub tokens: Tokens,
    /// GitHub.
    pub github: GitHub,
}

impl World {
    /// An empty world. `config.listen` must hold the port that is really bound.
    ///
    /// # Errors
    /// When the system gives no randomness for keys or no directory for blobs.
    pub fn new(config: Config) -> Result<Self, StartError> {
        let clock = Clock::default();
        Ok(Self {
            faults: Faults::default(),
            requests: Requests::default(),
            run: Run::new(&config),
            registry: Registry::new(&config).map_err(StartError::Storage)?,
            tokens: Tokens::new(&config, clock.clone())?,
            github: GitHub::default(),
            clock,
            config,
        })
    }

    /// `http://ADDRESS:PORT` of the control plane.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.config.listen)
    }
}
