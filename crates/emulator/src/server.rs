//! Listens, routes, and answers 501 with the name of what is not modelled.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::Uri;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::ApiError;
use crate::world::{Config, World};
use crate::{admin, github, registry, run, tokens};

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
    /// No directory for the registry's blobs could be made.
    #[error("cannot make a directory for the registry's blobs")]
    Storage(#[source] std::io::Error),
}

/// A running local cloud; it stops when [`Emulator::stop`] is called.
pub struct Emulator {
    world: Arc<World>,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Emulator {
    /// Binds the address and starts to serve.
    ///
    /// # Errors
    /// [`StartError::Listen`] when the address cannot be bound.
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        let address = config.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        config.listen = listener.local_addr().map_err(listen)?;
        let world = Arc::new(World::new(config)?);
        let (shutdown, stopped) = oneshot::channel::<()>();
        let service = router(Arc::clone(&world));
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, service).with_graceful_shutdown(async {
                let _ = stopped.await;
            });
            if let Err(error) = served.await {
                tracing::error!(%error, "the local cloud stopped serving");
            }
        });
        Ok(Self {
            world,
            shutdown: Some(shutdown),
            task,
        })
    }

    /// The world behind the routes.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Stops serving and every container that was started.
    pub async fn stop(mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        self.task.abort();
    }
}

fn router(world: Arc<World>) -> Router {
    let routes = Router::new()
        .merge(run::routes())
        .merge(registry::routes())
        .merge(tokens::routes())
        .merge(github::routes())
        .merge(admin::routes())
        .fallback(not_modelled)
        .with_state(Arc::clone(&world));
    admin::layer(routes, &world)
}

async fn not_modelled(method: axum::http::Method, uri: Uri) -> ApiError {
    ApiError::new(
        "UNIMPLEMENTED",
        format!("the local cloud has no route {method} {}", uri.path()),
    )
}
