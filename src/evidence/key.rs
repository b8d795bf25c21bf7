//! Public keys that evidence is verified with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use delivery::attestation::TrustedKey;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use sha2::{Digest, Sha256};
use spki::der::{Decode, Encode};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

/// `id-ecPublicKey` (RFC 5480).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp256r1` (RFC 5480).
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// `rsaEncryption` (RFC 3279).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A public key: ECDSA on P-256 with SHA-256, or RSA (PKCS #1 v1.5) with SHA-256.
pub struct PublicKey {
    id: String,
    algorithm: &'static dyn VerificationAlgorithm,
    bytes: Vec<u8>,
}

/// The text is no public key that is understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// No PEM of a public key.
    #[error("it is no public key in PEM (PUBLIC KEY)")]
    Form,
    /// A key of another kind.
    #[error(
        "its algorithm is not supported: make a key of EC_SIGN_P256_SHA256 or RSA_SIGN_PKCS1_2048_SHA256 (3072 and 4096 too)"
    )]
    Algorithm,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` in PEM.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn from_pem(pem: &str) -> Result<Self, PublicKeyError> {
        let (label, document) =
            spki::der::Document::from_pem(pem).map_err(|_| PublicKeyError::Form)?;
        if label != "PUBLIC KEY" {
            return Err(PublicKeyError::Form);
        }
        let der = document.as_bytes();
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| PublicKeyError::Form)?;
        let algorithm: &'static dyn VerificationAlgorithm = match info.algorithm.oid {
            EC => {
                let curve = info.algorithm.parameters_oid();
                if curve != Ok(P256) {
                    return Err(PublicKeyError::Algorithm);
                }
                &ECDSA_P256_SHA256_ASN1
            }
            RSA => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(PublicKeyError::Algorithm),
        };
        let bytes = info.subject_public_key.as_bytes();
        let bytes = bytes.ok_or(PublicKeyError::Form)?.to_vec();
        let whole = info.to_der().map_err(|_| PublicKeyError::Form)?;
        Ok(Self {
            id: STANDARD.encode(Sha256::digest(whole)),
            algorithm,
            bytes,
        })
    }
}

impl TrustedKey for PublicKey {
    /// SHA-256 of the key in DER, base64: what `cosign` writes as the hint of a key.
    fn id(&self) -> &str {
        &self.id
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm, &self.bytes)
            .verify(message, signature)
            .is_ok()
    }
}
