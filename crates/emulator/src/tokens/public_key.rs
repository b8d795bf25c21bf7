//! RSA public keys from PEM: what signs the assertions of service-account keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

/// The algorithm identifier of RSA keys: OID 1.2.840.113549.1.1.1 and a null (RFC 3279).
const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The text is no RSA public key in PEM.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("public_key_pem is no RSA public key in PEM (PUBLIC KEY or RSA PUBLIC KEY)")]
pub struct PublicKeyError;

/// An RSA public key in the form that ring takes (`RSAPublicKey` of RFC 8017, in DER).
#[derive(Debug, Clone)]
pub(super) struct PublicKey(Vec<u8>);

impl PublicKey {
    pub(super) fn from_pem(pem: &str) -> Result<Self, PublicKeyError> {
        let lines = pem.lines().map(str::trim);
        let body: String = lines.filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(body).map_err(|_| PublicKeyError)?;
        if pem.contains("-----BEGIN RSA PUBLIC KEY-----") {
            return Ok(Self(der));
        }
        subject_public_key(&der)
            .map(|key| Self(key.to_vec()))
            .ok_or(PublicKeyError)
    }

    /// True when the private half of this key made the signature (RS256).
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0)
            .verify(message, signature)
            .is_ok()
    }
}

/// The key inside a `SubjectPublicKeyInfo` (RFC 5280), if it is one of RSA.
fn subject_public_key(der: &[u8]) -> Option<&[u8]> {
    let (info, _) = value(SEQUENCE, der)?;
    let (algorithm, rest) = value(SEQUENCE, info)?;
    let (bits, _) = value(BIT_STRING, rest)?;
    // The first byte of a bit string counts the unused bits of its last.
    let (unused, key) = bits.split_first()?;
    (algorithm == RSA && *unused == 0).then_some(key)
}

/// The value of a DER element with this tag, and what comes after it.
fn value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(*short), rest),
        // A long length has at most two bytes here: keys are smaller than 64 KiB.
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => {
            let bytes = [*rest.first()?, *rest.get(1)?];
            (usize::from(u16::from_be_bytes(bytes)), rest.get(2..)?)
        }
        _ => return None,
    };
    (*found == tag)
        .then(|| rest.split_at_checked(length))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_key_is_refused() {
        for pem in [
            "",
            "hello",
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----",
        ] {
            assert_eq!(
                PublicKey::from_pem(pem).err(),
                Some(PublicKeyError),
                "{pem}"
            );
        }
    }
}
