//! Holds an API against what it publishes about itself.
//!
//! [`probes`] makes requests from the document: some that it allows, some that it forbids.
//! [`judge`] tells whether an answer keeps to the document: an allowed request is answered with a
//! documented status and a body that fits its schema, a forbidden one with 4xx, none with 5xx.
//! Both are pure, and the same document gives the same requests.

mod answer;
mod checker;
mod generate;
mod probe;

#[cfg(test)]
mod tests;

pub use answer::{Heard, judge};
pub use checker::{Checker, SchemaError};
pub use probe::{Body, Kind, NotProbed, Probe, Probes, probes};
