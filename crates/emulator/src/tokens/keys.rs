//! Signing keys of a world: ECDSA on P-256, made when the world is made.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::storage::Table;

/// The system's source of randomness failed, or a key was refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a signing key: the system's random source failed, or the kept key is none")]
pub struct KeyError;

/// A key pair and the name under which its public half is published.
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    id: String,
}

impl SigningKey {
    /// The key with this name, or a fresh one that has this name from now on. What is kept is the
    /// PKCS #8 document in base64.
    pub(super) fn obtain(kept: &mut Table<String, String>, name: &str) -> Result<Self, KeyError> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let document = match kept.get(name) {
            Some(text) => STANDARD.decode(text).map_err(|_| KeyError)?,
            None => {
                let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random);
                let document = document.map_err(|_| KeyError)?.as_ref().to_vec();
                kept.insert(name.to_owned(), STANDARD.encode(&document));
                document
            }
        };
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &document, &random).map_err(|_| KeyError)?;
        let digest = hex::encode(Sha256::digest(pair.public_key().as_ref()));
        let id = digest.chars().take(40).collect();
        Ok(Self { pair, id })
    }

    /// The key's name, `kid` in a token's header.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The signature over `message`, in the fixed form that JWS wants.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| KeyError)?;
        Ok(signature.as_ref().to_vec())
    }

    /// True when this key made the signature.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref())
            .verify(message, signature)
            .is_ok()
    }

    /// The public half as a JSON Web Key Set (RFC 7517).
    pub(super) fn key_set(&self) -> Value {
        // An uncompressed point: 0x04, then 32 bytes of x and 32 bytes of y.
        let point = self.pair.public_key().as_ref();
        let coordinate = |range| URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default());
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": coordinate(1..33), "y": coordinate(33..65),
        }]})
    }
}

/// 32 bytes that nobody can guess.
pub(crate) fn random_bytes() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError)?;
    Ok(bytes)
}
