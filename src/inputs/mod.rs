//! Every input, typed, defined once.
//!
//! ```text
//! flags, INPUT_*, variables ─▶ RawInputs ─┐
//! .github/ml-deploy.yml ─▶ yaml ─▶ Config ┴─ layers ─▶ Inputs, and every problem at once
//! ```
//! [`catalogue`] is the one list; the parser, the flags, `action.yml`, the reference and the schema
//! of the configuration file follow from it. Nothing here reads a file or the environment.

pub mod catalogue;
pub mod config;
pub mod environments;
pub mod layers;
pub mod limits;
pub mod origin;
pub mod pages;
pub mod pairs;
pub mod parse;
pub mod raw;
pub mod resource;
pub mod service;
pub mod suggest;
pub mod table;
pub mod traffic;
pub mod typed;
pub mod value;
pub mod yaml;

pub use parse::parse_inputs;
pub use raw::{ConfigFile, RawInputs};
pub use typed::{
    BuildInputs, Chosen, EnvironmentInputs, Inputs, LimitInputs, LoadInputs, ReplayInputs,
    SafetyInputs, TrafficInputs, Wish,
};

#[cfg(test)]
mod tests;
