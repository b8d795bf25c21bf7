//! The cases of the suite files, as a gate.

use async_trait::async_trait;
use delivery::gate::API_TESTS;
use delivery::verdict::Evidence;

use super::gate::{Gate, GateContext};
use super::run::run_suite;
use super::suite::Suite;

/// Sends the cases of a suite.
pub struct SuiteGate {
    /// The cases.
    pub suite: Suite,
}

#[async_trait]
impl Gate for SuiteGate {
    fn name(&self) -> &'static str {
        API_TESTS
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        vec![run_suite(&self.suite, at.candidate, at.sink).await]
    }
}
