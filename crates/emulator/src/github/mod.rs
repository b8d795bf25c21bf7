//! The GitHub endpoints in use.

pub mod identifiers;

use std::sync::Arc;

use axum::Router;

use crate::world::World;

/// Repositories with environments, approvals, deployments.
#[derive(Default)]
pub struct GitHub {}

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
}
