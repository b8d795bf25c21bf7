//! Cloud Run Admin API v1, in Knative's form: the API that gcloud uses.
//!
//! It has no state of its own. A write is translated into v2's form and goes the way of every
//! write; an answer is v2's view, translated. What only one of the two forms can say survives a
//! write through the other: v1's own labels and annotations are kept beside the service
//! ([`crate::run`]), v2's own fields are put back by `carry`.
//!
//! The paths under `/apis/` name no region: it comes from the host, see [`crate::proxy`].

mod annotations;
mod carry;
mod condition;
mod container;
mod http;
mod metadata;
mod operation;
mod revision;
mod schema;
mod secrets;
mod selector;
mod service;
mod spelling;
mod template;

#[cfg(test)]
mod mapping_tests;

pub use http::routes;
