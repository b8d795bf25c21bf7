//! Listens, routes, and answers 501 with the name of what is not modelled.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

use crate::error::ApiError;
use crate::storage::{Storage, StorageError};
use crate::world::{Config, World};
use crate::{
    admin, github, iam, kms, knative, logging, proxy, registry, run, serviceusage, tokens,
};

/// Why the local cloud did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// No signing key could be made.
    #[error(transparent)]
    Key(#[from] tokens::KeyError),
    /// What is kept cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// How long requests in flight may take to end when the local cloud stops; Cloud Run gives an
/// instance the same time.
const GRACE: Duration = Duration::from_secs(10);

/// A running local cloud. [`Emulator::stop`] ends it in order; dropped without, it stops serving
/// and removes its containers as well as it can.
pub struct Emulator {
    world: Arc<World>,
    stopped: bool,
}

impl Emulator {
    /// Binds the address, brings back what was kept, and starts to serve.
    ///
    /// # Errors
    /// [`StartError::Listen`] when the address cannot be bound, [`StartError::Storage`] when the
    /// directory of the state cannot be used.
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        let storage = match &config.data_dir {
            None => Storage::none(),
            Some(folder) => Storage::open(folder)?,
        };
        // The directory is ours now, and so is what an earlier process has left in the engine.
        config.runtime.clean().await;
        let address = config.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        config.listen = listener.local_addr().map_err(listen)?;
        let world = Arc::new(World::new(config, storage)?);
        run::restore(&world);
        let service = router(Arc::clone(&world));
        let closing = world.closing.clone().cancelled_owned();
        world.spawn_to_end(async move {
            let served = axum::serve(listener, service).with_graceful_shutdown(closing);
            if let Err(error) = served.await {
                tracing::error!(%error, "the local cloud stopped serving");
            }
        });
        Ok(Self {
            world,
            stopped: false,
        })
    }

    /// The world behind the routes.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Stops: requests in flight may end, then every port is closed, every task ended, every
    /// container removed.
    pub async fn stop(mut self) {
        self.stopped = true;
        self.world.close(GRACE).await;
        self.world.config.runtime.shutdown().await;
        self.world.storage.close().await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        self.world.closing.cancel();
        let runtime = Arc::clone(&self.world.config.runtime);
        if let Ok(executor) = tokio::runtime::Handle::try_current() {
            executor.spawn(async move { runtime.shutdown().await });
        }
    }
}

fn router(world: Arc<World>) -> Router {
    let routes = Router::new()
        .merge(run::routes())
        .merge(knative::routes())
        .merge(serviceusage::routes())
        .merge(logging::routes())
        .merge(kms::routes())
        .merge(registry::routes())
        .merge(tokens::routes())
        .merge(github::routes())
        .merge(iam::routes())
        .merge(admin::routes())
        .fallback(not_modelled)
        .with_state(Arc::clone(&world));
    let mut routes = admin::layer(routes, &world);
    if world.storage.is_durable() {
        routes = routes.layer(from_fn_with_state(world, after_the_disk));
    }
    routes.layer(from_fn(proxy::stand_in))
}

/// Answers nothing before the changes behind the answer are on disk.
async fn after_the_disk(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match world.storage.settled().await {
        Ok(()) => response,
        Err(error) => {
            let message = format!("the local cloud cannot keep its state: {error}");
            ApiError::new("INTERNAL", message).into_response()
        }
    }
}

async fn not_modelled(method: axum::http::Method, uri: Uri) -> ApiError {
    ApiError::new(
        "UNIMPLEMENTED",
        format!("the local cloud has no route {method} {}", uri.path()),
    )
}
