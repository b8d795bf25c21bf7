//! DSSE: what is signed, and how signatures are kept beside it.
//!
//! Source: <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>.

use crate::attestation::judge::TrustedKey;

/// Media type of a statement in JSON; it is part of what is signed.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Which key made it, as its writer says: a hint, for nothing vouches for it.
    pub key_id: Option<String>,
    /// The signature, in the form of its algorithm (Cloud KMS: DER for ECDSA).
    pub bytes: Vec<u8>,
}

/// A payload and who signed it. Without a signature it is a bare statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// [`PAYLOAD_TYPE`] for what counts here.
    pub payload_type: String,
    /// The bytes.
    pub payload: Vec<u8>,
    /// The signatures.
    pub signatures: Vec<Signature>,
}

/// What a signature is made over: the type and the payload, with their lengths in bytes.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// A statement that nobody signed.
    pub fn unsigned(payload: Vec<u8>) -> Self {
        Self {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload,
            signatures: Vec::new(),
        }
    }

    /// The same with one more signature.
    #[must_use]
    pub fn signed(mut self, key_id: impl Into<String>, signature: Vec<u8>) -> Self {
        self.signatures.push(Signature {
            key_id: Some(key_id.into()),
            bytes: signature,
        });
        self
    }

    /// What its signatures are made over.
    pub fn to_be_signed(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// The payload, if one of the signatures is the key's.
    pub fn verified_by(&self, key: &dyn TrustedKey) -> Option<&[u8]> {
        let message = self.to_be_signed();
        let good = |signature: &Signature| key.verifies(&message, &signature.bytes);
        self.signatures
            .iter()
            .any(good)
            .then_some(self.payload.as_slice())
    }
}
