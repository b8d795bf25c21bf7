//! An OCI registry.

use std::sync::Arc;

use axum::Router;

use crate::world::{Config, World};

/// Repositories, manifests, blobs.
pub struct Registry {}

impl Registry {
    /// No repository exists.
    pub fn new(_config: &Config) -> Self {
        Self {}
    }
}

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
}
