//! Cloud Run Admin API v2.

use std::sync::Arc;

use axum::Router;

use crate::world::{Config, World};

/// Services, revisions, operations.
pub struct Run {}

impl Run {
    /// No service exists.
    pub fn new(_config: &Config) -> Self {
        Self {}
    }
}

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
}
