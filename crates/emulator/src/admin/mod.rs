//! `/_emulator/…`: faults, clock, what happened.

use std::sync::Arc;

use axum::Router;

use crate::world::World;

/// What time it is.
#[derive(Default)]
pub struct Clock {}

/// What goes wrong on purpose.
#[derive(Default)]
pub struct Faults {}

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
}
