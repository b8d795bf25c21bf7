//! Evidence beside an image: found, signed, attached, copied.
//!
//! | module | holds |
//! |---|---|
//! | [`store`] | evidence as artifacts of an OCI registry |
//! | `index` | the fallback of registries that list no referrers |
//! | [`key`] | public keys |
//! | [`pass`] | a pass, as it is found and as it is attached |
//! | [`signer`] | Cloud KMS as the hand that signs |

mod index;
pub mod key;
pub mod pass;
pub mod signer;
pub mod store;

use async_trait::async_trait;
use delivery::attestation::{DeliveryRecord, Envelope, SeenEvidence};
use delivery::diagnostic::Diagnostic;
use delivery::release::ImageDigest;

pub use key::PublicKey;
pub use pass::{Pass, attach_pass, copy_all, find_pass};
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

/// Where evidence is kept.
#[async_trait]
pub trait EvidenceStore: Send + Sync {
    /// Everything of ours that is attached to a digest. Nothing of it is verified; what cannot be
    /// read is left out.
    ///
    /// # Errors
    /// When the place of evidence refuses or does not answer.
    async fn list(&self, digest: &ImageDigest) -> Result<Vec<SeenEvidence>, Diagnostic>;

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
