//! Evidence beside an image: found, signed, attached, copied.
//!
//! | module | holds |
//! |---|---|
//! | [`store`] | evidence as artifacts of an OCI registry |
//! | `index` | the fallback of registries that list no referrers |
//! | [`key`] | public keys |
//! | [`pass`] | a pass, as it is found and as it is attached |
//! | [`rule`] | what evidence asks of a delivery: before it, after it, and when nothing was to do |
//! | `served` | what serves after it, and how it is known that it passed |
//! | `waiting` | what a step leaves of a candidate for the step that promotes it |
//! | [`signer`] | Cloud KMS as the hand that signs |

mod index;
pub mod key;
pub mod pass;
pub mod rule;
mod served;
pub mod signer;
pub mod store;
mod waiting;

use async_trait::async_trait;
use delivery::attestation::{DeliveryRecord, Envelope, SeenEvidence};
use delivery::diagnostic::Diagnostic;
use delivery::release::ImageDigest;

pub use key::PublicKey;
pub use pass::{Pass, attach_pass, copy_all, find_pass, read_all};
pub use signer::KmsSigner;
pub use store::RegistryStore;

/// The JSON Schema of the record, for `docs/schema/evidence.schema.json`.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(DeliveryRecord).to_value()
}

/// Something to attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvidence {
    /// The statement, signed or not.
    pub envelope: Envelope,
    /// The environment that it speaks of: for who lists, nothing rests on it.
    pub environment: String,
    /// What kind of statement it is: for who lists.
    pub predicate_type: String,
    /// When it was made, RFC 3339.
    pub created: String,
}

/// Something that is attached. Nothing vouches for what is said beside it: it decides what is read
/// first, never what counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// What the store calls it, such as the digest of the artifact; unique.
    pub reference: String,
    /// The environment that it is said to speak of.
    pub environment: Option<String>,
    /// What kind of statement it is said to be.
    pub predicate_type: Option<String>,
    /// When it is said to have been made, RFC 3339.
    pub created: Option<String>,
}

/// Where evidence is kept.
#[async_trait]
pub trait EvidenceStore: Send + Sync {
    /// Everything of ours that is attached to a digest, in any order, each once.
    ///
    /// # Errors
    /// When the place of evidence refuses, does not answer, or has no end.
    async fn list(&self, digest: &ImageDigest) -> Result<Vec<Listed>, Diagnostic>;

    /// One of those that are attached to a digest. Nothing of it is verified; `None` when it cannot be
    /// read as evidence about something.
    ///
    /// # Errors
    /// When the place of evidence refuses or does not answer.
    async fn read(
        &self,
        digest: &ImageDigest,
        listed: &Listed,
    ) -> Result<Option<SeenEvidence>, Diagnostic>;

    /// Attaches evidence to a digest. Attaching the same twice leaves one.
    ///
    /// # Errors
    /// When it cannot be attached.
    async fn attach(&self, digest: &ImageDigest, evidence: &NewEvidence) -> Result<(), Diagnostic>;
}

/// Signs statements.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The same statement with a signature.
    ///
    /// # Errors
    /// When it cannot be signed.
    async fn sign(&self, envelope: Envelope) -> Result<Envelope, Diagnostic>;
}
