//! API tests against a URL → evidence.
//!
//! A suite ([`Suite`]) is read from YAML or JSON and checked as a whole, against the JSON Schema of
//! its own types; [`run_suites`] sends its cases and writes down every difference;
//! [`run_gates`] runs each gate of an environment in turn, [`IdentityGate`] first: it waits, within a
//! stated grace, for the address to answer as our release.

mod caller;
pub mod canary;
mod cold_start;
mod compare;
mod document;
mod figure;
mod gate;
mod golden;
mod identity;
mod identity_gate;
pub mod load;
mod mask;
mod obstacle;
pub mod openapi;
pub mod replay;
mod run;
mod sample;
mod schema_check;
mod suite;
mod suite_gate;

#[cfg(test)]
mod tests;

pub use caller::{Caller, MOST_ANSWER_BYTES};
pub use cold_start::ColdStartGate;
pub use compare::{Tolerance, compare_json};
pub use gate::{Gate, GateContext, case, run_gates};
pub use golden::{
    Batch, ColumnSpec, GoldenGate, GoldenRequest, GoldenSpec, Recorded, Recording, record,
};
pub use identity::{Identity, NoIdentity, identity, is_forbidden};
pub use identity_gate::{Graces, IdentityGate};
pub use mask::Mask;
pub use obstacle::obstacle;
pub use run::run_suites;
pub use sample::{Sample, Samples, SuiteSamples};
pub use suite::{
    Capture, Case, DEFAULT_CONCURRENCY, DEFAULT_MAX_LATENCY_MS, Defaults, Expect, HeaderCapture,
    HeaderChecks, HeaderSpec, JsonKind, LoadedSuite, Method, PathCheck, Request, Retry, StatusItem,
    StatusSpec, Step, Suite, ToleranceSpec, load_suites, schema,
};
pub use suite_gate::SuiteGate;
