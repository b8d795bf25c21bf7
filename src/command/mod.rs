//! Wires the rooms together, one command a file.
pub mod generate;
