//! API tests against a URL → evidence.
//!
//! A suite ([`Suite`]) is read from YAML or JSON and checked as a whole, against the JSON Schema of
//! its own types; [`run_suite`] sends its cases and writes down every difference;
//! [`wait_until_answers`] waits, within a stated grace, for an address to answer as our release.

mod caller;
mod compare;
mod document;
mod gate;
mod identity;
mod identity_gate;
pub mod load;
pub mod openapi;
mod run;
mod sample;
mod schema_check;
mod suite;
mod suite_gate;

#[cfg(test)]
mod tests;

pub use caller::{Caller, MOST_ANSWER_BYTES};
pub use compare::{Tolerance, compare_json};
pub use gate::{Gate, GateContext, case, run_gates};
pub use identity::{Awaited, Identity, NoIdentity, identity, is_forbidden, wait_until_answers};
pub use identity_gate::IdentityGate;
pub use run::run_suite;
pub use suite::{
    Case, DEFAULT_MAX_LATENCY_MS, Defaults, Expect, Method, Request, Suite, ToleranceSpec, schema,
};
pub use suite_gate::SuiteGate;
