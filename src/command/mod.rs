//! Wires the rooms together, one command a file.

#[cfg(feature = "local-cloud")]
pub mod demo;
pub mod generate;
