//! Wire types of the Google Cloud APIs in use: serde structs, no logic.
//!
//! Every resource keeps the fields that are not named here in `rest`, so that what was read can be
//! written back without a loss. Enumerations stay strings on the wire (see the constants beside
//! each type): a value that a newer API version adds must not break a read.

pub mod regions;
pub mod rpc;
pub mod run;
pub mod token;

/// Fields of a resource that this crate does not name, kept as they were received.
pub type Rest = serde_json::Map<String, serde_json::Value>;
