//! GitHub: what triggered this run, the approval gate, and the few API calls that it needs.
//!
//! A job with `environment:` gets its deployment and statuses from GitHub itself; writing them again
//! would only double them, so this room reads and never writes.

pub mod client;
pub mod context;
pub mod gate;

pub use client::GitHub;
pub use context::Context;
