//! A key pair that signs digests: ECDSA on P-256 with SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey as Pair};

use crate::tokens::{KeyError, random_bytes};

/// `SubjectPublicKeyInfo` (RFC 5480) of a key on P-256, up to the point itself.
const INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Characters of a line in PEM.
const LINE: usize = 64;
/// How often random bytes are drawn: nearly all of them are a private key.
const DRAWS: usize = 8;

/// A key pair.
pub(super) struct SigningKey(Pair);

impl SigningKey {
    /// A fresh one.
    pub(super) fn generate() -> Result<Self, KeyError> {
        for _ in 0..DRAWS {
            if let Ok(pair) = Pair::from_slice(&random_bytes()?) {
                return Ok(Self(pair));
            }
        }
        Err(KeyError)
    }

    /// The one that was kept.
    pub(super) fn from_secret(secret: &str) -> Result<Self, KeyError> {
        let bytes = hex::decode(secret).map_err(|_| KeyError)?;
        Pair::from_slice(&bytes).map(Self).map_err(|_| KeyError)
    }

    /// The private scalar, hexadecimal.
    pub(super) fn secret(&self) -> String {
        hex::encode(self.0.to_bytes())
    }

    /// The public half as PEM.
    pub(super) fn public_pem(&self) -> String {
        let point = self.0.verifying_key().to_sec1_point(false);
        let text = STANDARD.encode([&INFO[..], point.as_bytes()].concat());
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        pem
    }

    /// The signature over a SHA-256, in DER.
    pub(super) fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature: Signature = self.0.sign_prehash(digest).map_err(|_| KeyError)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
