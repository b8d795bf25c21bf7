//! The world: everything that exists in the local cloud, as one value.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{Clock, Exchanges, Faults, Requests};
use crate::dataplane::DataPlane;
use crate::github::GitHub;
use crate::iam::Iam;
use crate::kms::Kms;
use crate::logging::Logging;
use crate::registry::Registry;
use crate::run::Run;
use crate::runtime::Runtime;
use crate::server::StartError;
use crate::storage::Storage;
use crate::tokens::Tokens;

/// How long Cloud Run keeps an idle instance, at most, unless it is one of the minimum.
pub const DEFAULT_IDLE: Duration = Duration::from_secs(15 * 60);
/// What a laptop can carry of one revision.
pub const DEFAULT_MAX_INSTANCES: usize = 10;

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
    /// How long an instance is kept without a request, by the world's clock.
    pub idle: Duration,
    /// Instances of one revision at most, whatever its template allows: all of them run on one
    /// machine.
    pub max_instances: usize,
    /// Directory in which the world survives the process; `None`: it is gone with the process.
    pub data_dir: Option<PathBuf>,
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
            idle: DEFAULT_IDLE,
            max_instances: DEFAULT_MAX_INSTANCES,
            data_dir: None,
        }
    }
}

/// Everything that exists. Each part guards its own state. Cloud Run may look things up in the
/// registry and in the data plane while it holds its own lock; none of them asks Cloud Run back.
pub struct World {
    /// How it was set up; `listen` holds the real port.
    pub config: Config,
    /// Where it survives the process.
    pub storage: Storage,
    /// What time it is.
    pub clock: Clock,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// What was asked.
    pub requests: Requests,
    /// What was said, when somebody asked to have it recorded.
    pub exchanges: Exchanges,
    /// Cloud Run.
    pub run: Run,
    /// The addresses of services and tags.
    pub data_plane: DataPlane,
    /// Cloud Logging.
    pub logging: Logging,
    /// The OCI registry.
    pub registry: Registry,
    /// Cloud KMS.
    pub kms: Kms,
    /// Who may do what.
    pub iam: Iam,
    /// The token services.
    pub tokens: Tokens,
    /// GitHub.
    pub github: GitHub,
    /// Cancelled when the local cloud stops.
    pub(crate) closing: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
}

impl World {
    /// The world as it was kept; an empty one where nothing is. `config.listen` must hold the port
    /// that is really bound.
    ///
    /// # Errors
    /// When the system gives no randomness for keys or no directory for blobs, or what was kept
    /// cannot be read.
    pub(crate) fn new(mut config: Config, storage: Storage) -> Result<Self, StartError> {
        let clock = Clock::new(&storage)?;
        config.seed = storage.vary(config.seed)?;
        Ok(Self {
            faults: Faults::default(),
            requests: Requests::default(),
            exchanges: Exchanges::default(),
            run: Run::new(&config, &storage)?,
            data_plane: DataPlane::new(&config, &storage)?,
            logging: Logging::new(&storage),
            registry: Registry::new(&config, &storage)?,
            tokens: Tokens::new(&config, &storage, clock.clone())?,
            github: GitHub::new(&storage)?,
            iam: Iam::new(&storage)?,
            kms: Kms::new(&storage)?,
            closing: CancellationToken::new(),
            tasks: Mutex::default(),
            clock,
            config,
            storage,
        })
    }

    /// `http://ADDRESS:PORT` of the control plane.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.config.listen)
    }

    /// Runs work in the background; it is dropped when the local cloud stops.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.spawn_to_end(async move {
            tokio::select! {
                biased;
                () = closing.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Runs work in the background that ends by itself when the local cloud stops.
    pub(crate) fn spawn_to_end(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended need no place any more.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// Ends all background work: what has not ended by itself within `grace` is dropped.
    pub(crate) async fn close(&self, grace: Duration) {
        self.closing.cancel();
        let mut tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            tasks.shutdown().await;
        }
    }
}
