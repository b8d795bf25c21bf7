//! Token services.

use std::sync::Arc;

use axum::Router;

use crate::world::{Config, World};

/// Issuers, keys, identities.
pub struct Tokens {}

impl Tokens {
    /// Fresh keys, no identity.
    pub fn new(_config: &Config) -> Self {
        Self {}
    }
}

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
}
