//! An OCI registry that answers for every `*-docker.pkg.dev` path.

mod name;
mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use tempfile::TempDir;

use store::Store;

use crate::world::{Config, World};

/// An image that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// `sha256:…`.
    pub digest: String,
    /// `127.0.0.1:PORT/P/R/I@sha256:…`: what an engine on this machine can pull.
    pub pull: String,
}

/// Repositories, manifests, blobs.
pub struct Registry {
    address: SocketAddr,
    /// Holds the blobs; removed with the registry.
    #[allow(dead_code)]
    directory: TempDir,
    store: Mutex<Store>,
}

impl Registry {
    /// No repository exists.
    ///
    /// # Errors
    /// When the directory for blobs cannot be made.
    pub fn new(config: &Config) -> std::io::Result<Self> {
        Ok(Self {
            address: config.listen,
            directory: TempDir::with_prefix("ml-deploy-registry-")?,
            store: Mutex::new(Store::default()),
        })
    }

    /// Finds an image, named `REGION-docker.pkg.dev/P/R/I[:tag|@digest]` or with this registry's
    /// own address in the host's place. The region does not matter.
    pub fn resolve(&self, image: &str) -> Option<Resolved> {
        let (name, reference) = name::parse_image(image)?;
        let digest = self.lock().images.get(&name)?.digest(&reference)?;
        let pull = format!("127.0.0.1:{}/{name}@{digest}", self.address.port());
        Some(Resolved { digest, pull })
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
}
