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
    PublicKey::of_algorithm(&found.algorithm, &found.pem).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use delivery::diagnostic::Code;
    use serde_json::json;

    use super::*;
    use crate::evidence::key::ALGORITHMS;
    use crate::gcp::testing::{Answer, TestServer, signed_in};

    const NAME: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";

    #[tokio::test]
    async fn a_key_that_cannot_be_verified_is_refused_when_it_is_read() {
        use rsa::pkcs8::{EncodePublicKey as _, LineEnding};
        let private = rsa::PrivateKey::new(&mut rand::rng(), 2048).unwrap();
        let pem = private.to_public_key().to_public_key_pem(LineEnding::LF);
        let pem = pem.unwrap();
        let key = KeyVersion::parse(NAME).unwrap();
        for (algorithm, fits) in [
            ("RSA_SIGN_PKCS1_2048_SHA256", true),
            ("RSA_SIGN_PSS_2048_SHA256", false),
        ] {
            let answer = json!({
                "name": NAME,
                "pem": pem,
                "pemCrc32c": crc32c::crc32c(pem.as_bytes()).to_string(),
                "algorithm": algorithm,
            });
            let server = TestServer::start(move |_, _| Answer::json(200, &answer)).await;
            let read = public_key(&signed_in(&server), &key).await;
            assert_eq!(read.is_ok(), fits, "{algorithm}");
            let Err(problem) = read else { continue };
            assert_eq!(problem.code, Code::SigningKeyUnfit);
            let told = problem.cause.join(" ");
            assert!(told.contains(algorithm), "{told}");
            assert!(ALGORITHMS.iter().all(|one| told.contains(one)), "{told}");
        }
    }
}
