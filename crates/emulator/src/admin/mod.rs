//! `/_emulator/…`: faults, clock, what happened.

mod clock;
mod faults;
mod layer;
mod requests;

use std::sync::Arc;

use axum::Router;

pub use clock::Clock;
pub use faults::{Fault, Faults, Rule};
pub use layer::layer;
pub use requests::{Requests, Seen};

use crate::world::World;

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
}
