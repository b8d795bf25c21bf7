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

/// Algorithms of Cloud KMS whose signatures can be verified: SHA-256, and no other padding of RSA.
///
/// Source: <https://cloud.google.com/kms/docs/reference/rest/v1/CryptoKeyVersionAlgorithm>.
pub const ALGORITHMS: [&str; 4] = [
    "EC_SIGN_P256_SHA256",
    "RSA_SIGN_PKCS1_2048_SHA256",
    "RSA_SIGN_PKCS1_3072_SHA256",
    "RSA_SIGN_PKCS1_4096_SHA256",
];

/// A public key: ECDSA on P-256 with SHA-256, or RSA (PKCS #1 v1.5) with SHA-256.
pub struct PublicKey {
    id: String,
    algorithm: &'static dyn VerificationAlgorithm,
    is_elliptic: bool,
    bytes: Vec<u8>,
}

/// The text is no public key that is understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// No PEM of a public key.
    #[error("it is no public key in PEM (PUBLIC KEY)")]
    Form,
    /// A key of another kind.
    #[error("its signatures cannot be verified: the algorithms that work are {}", ALGORITHMS.join(", "))]
    Algorithm,
    /// The key is not of the algorithm that is told of it.
    #[error("it is told to be of {0}, and is a key of another kind")]
    Mixed(String),
}

impl PublicKey {
    /// Reads the public key of a key of Cloud KMS. One public key serves several algorithms, such as
    /// RSA with its two paddings: the name decides.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn of_algorithm(algorithm: &str, pem: &str) -> Result<Self, PublicKeyError> {
        if !ALGORITHMS.contains(&algorithm) {
            return Err(PublicKeyError::Algorithm);
        }
        let key = Self::from_pem(pem)?;
        if key.is_elliptic == algorithm.starts_with("EC_") {
            Ok(key)
        } else {
            Err(PublicKeyError::Mixed(algorithm.to_owned()))
        }
    }

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
            is_elliptic: info.algorithm.oid == EC,
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

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RsaKeyPair,
    };
    use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
    use spki::der::pem::LineEnding as PemEnding;

    use super::*;

    /// `SubjectPublicKeyInfo` of a point, in PEM.
    fn info(point: &[u8], curve: &str) -> String {
        let curve = ObjectIdentifier::new(curve).unwrap();
        let info = spki::SubjectPublicKeyInfo {
            algorithm: spki::AlgorithmIdentifier {
                oid: EC,
                parameters: Some(curve),
            },
            subject_public_key: spki::der::asn1::BitString::from_bytes(point).unwrap(),
        };
        spki::der::Document::encode_msg(&info)
            .unwrap()
            .to_pem("PUBLIC KEY", PemEnding::LF)
            .unwrap()
    }

    #[test]
    fn both_algorithms_verify_what_they_signed_and_nothing_else() {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
        let document = document.unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random)
                .unwrap();
        let pem = info(pair.public_key().as_ref(), "1.2.840.10045.3.1.7");
        let elliptic = PublicKey::from_pem(&pem).unwrap();
        let made = pair.sign(&random, b"message").unwrap();

        let private = rsa::PrivateKey::new(&mut rand::rng(), 2048).unwrap();
        let pem = private.to_public_key().to_public_key_pem(LineEnding::LF);
        let rivest = PublicKey::from_pem(&pem.unwrap()).unwrap();
        let document = private.to_pkcs8_der().unwrap();
        let pair = RsaKeyPair::from_pkcs8(document.as_bytes()).unwrap();
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &random, b"message", &mut signature)
            .unwrap();

        for (key, signature, other) in [
            (&elliptic, made.as_ref(), &rivest),
            (&rivest, signature.as_slice(), &elliptic),
        ] {
            assert!(key.verifies(b"message", signature));
            assert!(!key.verifies(b"massage", signature));
            assert!(!key.verifies(b"message", &signature[1..]));
            assert!(!key.verifies(b"message", b""));
            assert!(!other.verifies(b"message", signature));
            assert_ne!(key.id(), other.id());
            assert_eq!(key.id().len(), 44);
        }
    }

    #[test]
    fn the_algorithm_that_is_told_must_be_one_that_is_verified() {
        let private = rsa::PrivateKey::new(&mut rand::rng(), 2048).unwrap();
        let pem = private.to_public_key().to_public_key_pem(LineEnding::LF);
        let pem = pem.unwrap();
        let read = |algorithm: &str| PublicKey::of_algorithm(algorithm, &pem).err();
        assert_eq!(read("RSA_SIGN_PKCS1_2048_SHA256"), None);
        for other in [
            "RSA_SIGN_PSS_2048_SHA256",
            "RSA_SIGN_PKCS1_4096_SHA512",
            "RSA_SIGN_RAW_PKCS1_2048",
            "EC_SIGN_P384_SHA384",
            "EC_SIGN_ED25519",
            "",
        ] {
            assert_eq!(read(other), Some(PublicKeyError::Algorithm), "{other}");
        }
        let mixed = "EC_SIGN_P256_SHA256";
        assert_eq!(read(mixed), Some(PublicKeyError::Mixed(mixed.to_owned())));
        let told = PublicKeyError::Algorithm.to_string();
        assert!(ALGORITHMS.iter().all(|one| told.contains(one)), "{told}");
    }

    #[test]
    fn other_keys_are_refused() {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &random);
        let document = document.unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, document.as_ref(), &random)
                .unwrap();
        let pem = info(pair.public_key().as_ref(), "1.3.132.0.34");
        assert_eq!(
            PublicKey::from_pem(&pem).err(),
            Some(PublicKeyError::Algorithm)
        );
        for text in [
            "",
            "hello",
            &pem.replace("PUBLIC KEY", "CERTIFICATE"),
            &pem[..60],
        ] {
            assert_eq!(
                PublicKey::from_pem(text).err(),
                Some(PublicKeyError::Form),
                "{text}"
            );
        }
    }
}
