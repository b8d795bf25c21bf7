//! Cloud KMS: signatures by a key that nobody can take away, and its public half.
//!
//! Every answer is checked as Google asks: the name of the key that answered, and CRC32C of what was
//! sent and of what came.
//!
//! Source: <https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions>
//! and <https://cloud.google.com/kms/docs/data-integrity-guidelines>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use delivery::diagnostic::{Code, Diagnostic};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::api::Api;

/// A key version: `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVersion(String);

/// The text names no key version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyNameError {
    /// It names a key without its version.
    #[error("names no version of the key")]
    NoVersion,
    /// It is something else.
    #[error(
        "must be `projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N`, as `gcloud kms keys versions list` prints it"
    )]
    Form,
}

impl KeyVersion {
    /// Checks the form.
    ///
    /// # Errors
    /// [`KeyNameError`].
    pub fn parse(text: &str) -> Result<Self, KeyNameError> {
        let text = text.trim();
        let text = text
            .strip_prefix("//cloudkms.googleapis.com/v1/")
            .or_else(|| text.strip_prefix("gcpkms://"))
            .unwrap_or(text);
        let parts: Vec<&str> = text.split('/').collect();
        let named = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
        };
        match parts.as_slice() {
            [
                "projects",
                p,
                "locations",
                l,
                "keyRings",
                r,
                "cryptoKeys",
                k,
            ] if [p, l, r, k].into_iter().all(|part| named(part)) => Err(KeyNameError::NoVersion),
            [
                "projects",
                p,
                "locations",
                l,
                "keyRings",
                r,
                "cryptoKeys",
                k,
                "cryptoKeyVersions",
                n,
            ] if [p, l, r, k].into_iter().all(|part| named(part))
                && n.parse::<u32>().is_ok_and(|number| number > 0) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(KeyNameError::Form),
        }
    }

    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A public key as Cloud KMS gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsPublicKey {
    /// `SubjectPublicKeyInfo` in PEM.
    pub pem: String,
    /// Such as `EC_SIGN_P256_SHA256`.
    pub algorithm: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct PublicKeyAnswer {
    pem: String,
    algorithm: String,
    pem_crc32c: Option<String>,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignRequest {
    digest: Hashed,
    digest_crc32c: String,
}

#[derive(Serialize)]
struct Hashed {
    sha256: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SignAnswer {
    signature: String,
    signature_crc32c: Option<String>,
    verified_digest_crc32c: bool,
    name: String,
}

/// The public half of a key.
///
/// # Errors
/// A refusal, or an answer that is damaged or about another key.
pub async fn public_key(api: &Api, key: &KeyVersion) -> Result<KmsPublicKey, Diagnostic> {
    let url = format!("{}/v1/{}/publicKey", api.endpoints().kms(), key.0);
    let answer = api.get(url, Vec::new()).await;
    let PublicKeyAnswer {
        pem,
        algorithm,
        pem_crc32c,
        name,
    } = answer.map_err(|error| {
        let diagnostic = error.into_diagnostic("read the public key for evidence");
        with_roles(diagnostic, key, "roles/cloudkms.publicKeyViewer")
    })?;
    check_name(key, &name)?;
    check_sum(key, "the public key", pem.as_bytes(), pem_crc32c.as_deref())?;
    Ok(KmsPublicKey { pem, algorithm })
}

/// Signs the SHA-256 of a message; gives the signature in the form of the key's algorithm.
///
/// # Errors
/// A refusal, or an answer that is damaged or about another key.
pub async fn sign(api: &Api, key: &KeyVersion, message: &[u8]) -> Result<Vec<u8>, Diagnostic> {
    let digest = Sha256::digest(message);
    let request = SignRequest {
        digest: Hashed {
            sha256: STANDARD.encode(digest),
        },
        digest_crc32c: crc32c::crc32c(&digest).to_string(),
    };
    let url = format!("{}/v1/{}:asymmetricSign", api.endpoints().kms(), key.0);
    let answer = api.ask(url, &request).await;
    let SignAnswer {
        signature,
        signature_crc32c,
        verified_digest_crc32c,
        name,
    } = answer.map_err(|error| {
        let diagnostic = error.into_diagnostic("sign the evidence");
        with_roles(diagnostic, key, "roles/cloudkms.signerVerifier")
    })?;
    check_name(key, &name)?;
    if !verified_digest_crc32c {
        return Err(unfit(
            key,
            "Cloud KMS did not verify the digest that it was sent",
        ));
    }
    let signature = STANDARD
        .decode(&signature)
        .map_err(|_| unfit(key, "the signature is not base64"))?;
    check_sum(
        key,
        "the signature",
        &signature,
        signature_crc32c.as_deref(),
    )?;
    Ok(signature)
}

/// A key that cannot be used, or an answer that is not what was asked for.
pub fn unfit(key: &KeyVersion, why: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::SigningKeyUnfit, "the key for evidence cannot be used")
        .at(format!("`evidence_kms_key` {}", key.0))
        .cause(why)
}

fn check_name(key: &KeyVersion, name: &str) -> Result<(), Diagnostic> {
    if name == key.0 {
        return Ok(());
    }
    // The answer may spell the project by its number.
    let tail = |text: &str| text.split('/').skip(2).collect::<Vec<_>>().join("/");
    if name.starts_with("projects/") && tail(name) == tail(&key.0) {
        return Ok(());
    }
    Err(unfit(key, format!("another key answered: `{name}`")).help("run again"))
}

fn check_sum(
    key: &KeyVersion,
    what: &str,
    bytes: &[u8],
    told: Option<&str>,
) -> Result<(), Diagnostic> {
    let got = crc32c::crc32c(bytes).to_string();
    match told {
        Some(told) if told == got => Ok(()),
        Some(told) => Err(unfit(
            key,
            format!("{what} was damaged on its way: its CRC32C is {got}, not {told}"),
        )
        .help("run again")),
        None => Err(unfit(key, format!("{what} came without its CRC32C")).help(
            "a proxy may answer in Cloud KMS's place: check the address and the proxy variables",
        )),
    }
}

/// The role that lets the caller use the key, where it was refused.
fn with_roles(mut diagnostic: Diagnostic, key: &KeyVersion, role: &str) -> Diagnostic {
    let place = format!("`evidence_kms_key` {}", key.0);
    diagnostic.at.get_or_insert(place);
    if diagnostic.code != Code::PermissionDenied {
        return diagnostic;
    }
    let parts: Vec<&str> = key.0.split('/').collect();
    let [_, project, _, location, _, ring, _, name, ..] = parts.as_slice() else {
        return diagnostic;
    };
    diagnostic.help(format!(
        "grant the deploying identity the role on that key alone: `gcloud kms keys add-iam-policy-binding {name} --keyring={ring} --location={location} --project={project} --member=MEMBER --role={role}`"
    ))
}

#[cfg(test)]
#[path = "kms_tests.rs"]
mod tests;
