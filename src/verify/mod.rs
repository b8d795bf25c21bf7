//! API tests against a URL → evidence.
//!
//! A suite ([`Suite`]) is read from YAML or JSON and checked as a whole, against the JSON Schema of
//! its own types; [`run_suite`] sends its cases and writes down every difference;
//! [`wait_until_answers`] waits, within a stated grace, for an address to answer as our release.

mod caller;
mod compare;
mod document;
mod identity;
mod run;
mod schema_check;
mod suite;

#[cfg(test)]
mod tests;

pub use caller::{Caller, MOST_ANSWER_BYTES};
pub use compare::{Tolerance, compare_json};
pub use identity::{Awaited, Identity, NoIdentity, identity, is_forbidden, wait_until_answers};
pub use run::{GATE, run_suite};
pub use suite::{
    Case, DEFAULT_MAX_LATENCY_MS, Defaults, Expect, Method, Request, Suite, ToleranceSpec, schema,
};
