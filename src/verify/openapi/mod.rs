//! What an API says about itself, compared and held against it.
//!
//! [`compare`] tells how one OpenAPI document differs from another, [`semver`] which version number
//! such a difference calls for. Both are pure. `docs/semver-gate.md` states the rules.

mod change;
pub mod conformance;
mod diff;
mod document;
mod gates;
pub mod semver;
mod view;

#[cfg(test)]
mod tests;

pub use change::{Change, Direction, Level};
pub use diff::compare;
pub use document::{Document, DocumentError};
pub use gates::{ConformanceGate, DEFAULT_OPENAPI_PATH, SemverGate};
