//! How an envelope lies in a registry: media type and bytes.
//!
//! A signed one is a Sigstore bundle, so that `cosign` verifies it with the public key alone; an
//! unsigned one is the bare statement, as BuildKit stores its provenance: DSSE has no envelope
//! without a signature.
//!
//! Source: <https://github.com/sigstore/protobuf-specs>, `sigstore_bundle.proto`.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::attestation::LARGEST_ENVELOPE;
use crate::attestation::envelope::{Envelope, PAYLOAD_TYPE, Signature};

/// Media type of a signed statement.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Media type of a statement that nobody signed.
pub const BARE: &str = PAYLOAD_TYPE;

/// An envelope, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// [`BUNDLE`] or [`BARE`].
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What was found is no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// It is too large.
    #[error("it has more than {LARGEST_ENVELOPE} bytes")]
    TooLarge,
    /// Its media type is not known.
    #[error("its media type is neither a Sigstore bundle nor an in-toto statement")]
    Kind,
    /// It is not what its media type says.
    #[error("it is no Sigstore bundle with one DSSE envelope")]
    Malformed,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    #[serde(default)]
    verification_material: VerificationMaterial,
    dsse_envelope: Option<DsseEnvelope>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationMaterial {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKeyHint>,
    /// Of a public transparency log, which private evidence has no place in.
    #[serde(default)]
    tlog_entries: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct PublicKeyHint {
    #[serde(default)]
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DsseEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<DsseSignature>,
}

#[derive(Serialize, Deserialize)]
struct DsseSignature {
    sig: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
}

impl Stored {
    /// The form for a registry.
    pub fn of(envelope: &Envelope) -> Self {
        let Envelope {
            payload_type,
            payload,
            signatures,
        } = envelope;
        if signatures.is_empty() {
            return Self {
                media_type: BARE,
                bytes: payload.clone(),
            };
        }
        let first = signatures.first().and_then(|it| it.key_id.clone());
        let bundle = Bundle {
            media_type: BUNDLE.to_owned(),
            verification_material: VerificationMaterial {
                public_key: first.map(|hint| PublicKeyHint { hint }),
                tlog_entries: Vec::new(),
            },
            dsse_envelope: Some(DsseEnvelope {
                payload: STANDARD.encode(payload),
                payload_type: payload_type.clone(),
                signatures: signatures
                    .iter()
                    .map(|Signature { key_id, bytes }| DsseSignature {
                        sig: STANDARD.encode(bytes),
                        keyid: key_id.clone(),
                    })
                    .collect(),
            }),
        };
        Self {
            media_type: BUNDLE,
            // A struct of texts and lists always has a JSON form.
            bytes: serde_json::to_vec(&bundle).unwrap_or_default(),
        }
    }
}

/// Reads an envelope. The payload stays bytes: nothing of it is read before it is verified.
///
/// # Errors
/// [`StoredError`].
pub fn parse_stored(media_type: &str, bytes: &[u8]) -> Result<Envelope, StoredError> {
    if bytes.len() > LARGEST_ENVELOPE {
        return Err(StoredError::TooLarge);
    }
    match media_type {
        BARE => Ok(Envelope::unsigned(bytes.to_vec())),
        BUNDLE => parse_bundle(bytes).ok_or(StoredError::Malformed),
        _ => Err(StoredError::Kind),
    }
}

fn parse_bundle(bytes: &[u8]) -> Option<Envelope> {
    let bundle: Bundle = serde_json::from_slice(bytes).ok()?;
    let DsseEnvelope {
        payload,
        payload_type,
        signatures,
    } = bundle.dsse_envelope?;
    let signatures: Option<Vec<Signature>> = signatures
        .into_iter()
        .map(|DsseSignature { sig, keyid }| {
            Some(Signature {
                key_id: keyid.filter(|id| !id.is_empty()),
                bytes: decode(&sig)?,
            })
        })
        .collect();
    // An envelope without a signature is none: it must not pass as a bare statement.
    let signatures = signatures.filter(|all| !all.is_empty())?;
    Some(Envelope {
        payload_type,
        payload: decode(&payload)?,
        signatures,
    })
}

/// Base64, in the standard or the URL-safe alphabet, padded or not: DSSE takes both.
fn decode(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) {
        &alphabet::URL_SAFE
    } else {
        &alphabet::STANDARD
    };
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}
