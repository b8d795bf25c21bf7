//! The cases of the suite files, as a gate.

use async_trait::async_trait;
use delivery::gate::API_TESTS;
use delivery::verdict::Evidence;

use super::gate::{Gate, GateContext};
use super::run::run_suites;
use super::suite::LoadedSuite;

/// Sends the cases of suites.
pub struct SuiteGate {
    /// The suites.
    pub suites: Vec<LoadedSuite>,
}

#[async_trait]
impl Gate for SuiteGate {
    fn name(&self) -> &'static str {
        API_TESTS
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        vec![run_suites(&self.suites, at.candidate, at.sink).await]
    }
}
