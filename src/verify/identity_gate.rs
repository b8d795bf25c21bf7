//! Whether the release answers, and not only something healthy.

use std::time::Duration;

use async_trait::async_trait;
use delivery::gate::IDENTITY;
use delivery::verdict::{CaseEnd, Evidence};

use super::gate::{Gate, GateContext, case};
use super::identity::{Awaited, wait_until_answers};

/// How long a new address may take to answer as the release it belongs to. Cloud Run's front ends
/// learn of a new tag within seconds; a model that loads on its first request takes longer.
const ANSWER_GRACE: Duration = Duration::from_secs(120);

/// Waits for the release to answer.
pub struct IdentityGate {
    /// Answers version and commit; `None` where the API tells neither.
    pub version_path: Option<String>,
    /// Answers 200.
    pub health_path: String,
}

#[async_trait]
impl Gate for IdentityGate {
    fn name(&self) -> &'static str {
        IDENTITY
    }

    fn opens_the_others(&self) -> bool {
        true
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        let awaited = match (&self.version_path, at.commit) {
            (Some(path), Some(commit)) => Awaited::Commit {
                path: path.clone(),
                commit: commit.clone(),
            },
            _ => Awaited::Success {
                path: self.health_path.clone(),
            },
        };
        let (end, took) =
            match wait_until_answers(at.candidate, &awaited, ANSWER_GRACE, at.sink).await {
                Ok(took) => (CaseEnd::Passed, took),
                Err(error) => {
                    let why = [vec![error.title], error.cause].concat();
                    (CaseEnd::Failed(why), ANSWER_GRACE)
                }
            };
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let result = case(at.sink, "answers as the release", end, millis);
        vec![Evidence::new(IDENTITY, vec![result])]
    }
}
