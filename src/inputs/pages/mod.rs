//! What is written from the one list of inputs: `action.yml`, the reference, the schema of the
//! configuration file. Pure.

pub mod action;
pub mod reference;
pub mod schema;
