//! Cloud KMS as the hand that signs.

use async_trait::async_trait;
use delivery::attestation::{Envelope, TrustedKey};
use delivery::diagnostic::Diagnostic;

use super::Signer;
use super::key::PublicKey;
use crate::gcp::api::Api;
use crate::gcp::kms::{self, KeyVersion};

/// The public half of a key of Cloud KMS.
///
/// # Errors
/// When it cannot be read, or its algorithm is not supported.
pub async fn public_key(api: &Api, key: &KeyVersion) -> Result<PublicKey, Diagnostic> {
    let found = kms::public_key(api, key).await?;
    PublicKey::from_pem(&found.pem).map_err(|error| {
        let why = format!("{}: {error}", found.algorithm);
        kms::unfit(key, why).help("make a key with `--purpose=asymmetric-signing --default-algorithm=ec-sign-p256-sha256`, and name its version in `evidence_kms_key`")
    })
}

/// Signs with a key of Cloud KMS.
pub struct KmsSigner {
    api: Api,
    key: KeyVersion,
}

impl KmsSigner {
    /// Signs with this key, as the identity of `api`.
    pub fn new(api: Api, key: KeyVersion) -> Self {
        Self { api, key }
    }
}

#[async_trait]
impl Signer for KmsSigner {
    /// The signature is verified before it is given away: what nobody could verify must not be
    /// attached.
    async fn sign(&self, envelope: Envelope) -> Result<Envelope, Diagnostic> {
        let public = public_key(&self.api, &self.key).await?;
        let message = envelope.to_be_signed();
        let signature = kms::sign(&self.api, &self.key, &message).await?;
        if !public.verifies(&message, &signature) {
            let why = "the signature that it made does not verify with its public key";
            return Err(kms::unfit(&self.key, why).help("run again"));
        }
        Ok(envelope.signed(public.id(), signature))
    }
}
