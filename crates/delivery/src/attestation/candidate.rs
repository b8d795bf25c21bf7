//! What was measured of a candidate that waits for its promotion: no pass, and never read as one.
//!
//! `command: deploy` leaves it at the image, `command: promote` of the same run takes it into the pass.
//! Its form is not for others: both steps are of one job, and of one version of this program.

use serde::{Deserialize, Serialize};

use crate::attestation::envelope::PAYLOAD_TYPE;
use crate::attestation::judge::{SeenEvidence, TrustedKey};
use crate::attestation::statement::Statement;
use crate::name::EnvironmentName;
use crate::release::ImageDigest;
use crate::state::RunRef;
use crate::verdict::Evidence;

/// URI of the predicate.
pub const CANDIDATE_RECORD: &str =
    "https://github.com/org/ml-deploy-action/attestation/candidate-record/v1";

/// The predicate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidateRecord {
    /// The environment.
    pub environment: String,
    /// The candidates, one a region.
    pub candidates: Vec<Waiting>,
    /// The run that tested them.
    pub run: RunRef,
    /// When they had passed, RFC 3339 in UTC.
    pub passed_at: String,
    /// What was measured.
    pub evidence: Vec<Evidence>,
}

/// A candidate that has passed its tests and waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// `projects/P/locations/L/services/S`.
    pub service: String,
    /// The revision.
    pub revision: String,
}

impl CandidateRecord {
    /// What an envelope says of candidates of this image in this environment; `None` where it says
    /// nothing of it, and where the environment has a key that did not sign it.
    pub fn read(
        seen: &SeenEvidence,
        digest: &ImageDigest,
        environment: &EnvironmentName,
        key: Option<&dyn TrustedKey>,
    ) -> Option<Self> {
        let envelope = &seen.envelope;
        if envelope.payload_type != PAYLOAD_TYPE {
            return None;
        }
        let payload = match key {
            Some(key) => envelope.verified_by(key)?,
            None => envelope.payload.as_slice(),
        };
        let statement = Statement::parse(payload).filter(|it| it.is_about(digest))?;
        let record: Self = statement.predicate_as(CANDIDATE_RECORD)?;
        (record.environment == environment.as_str()).then_some(record)
    }

    /// True when `run` goes on with what this one left: it is the same run, or a later attempt of it,
    /// and every one of `promoted` was tested.
    pub fn is_of(&self, run: &RunRef, promoted: &[Waiting]) -> bool {
        run.continues(&self.run) && promoted.iter().all(|one| self.candidates.contains(one))
    }
}
