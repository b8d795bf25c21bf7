//! Evidence as artifacts of an OCI registry: one manifest a statement, with the image as its
//! subject.
//!
//! Source: <https://github.com/opencontainers/image-spec/blob/main/manifest.md> (`subject`,
//! `artifactType`, the empty descriptor).

use std::collections::BTreeMap;

use async_trait::async_trait;
use delivery::attestation::stored::{BUNDLE, parse_stored};
use delivery::attestation::{LARGEST_ENVELOPE, SeenEvidence, Stored};
use delivery::diagnostic::Diagnostic;
use delivery::release::ImageDigest;
use serde_json::{Value, json};

use super::{EvidenceStore, Listed, NewEvidence, index};
use crate::gcp::registry::{Client, RawManifest, Referrers, RegistryError, SubjectSeen};

/// Type of our artifacts, signed or not: the registry's list is filtered by it.
pub const ARTIFACT_TYPE: &str = "application/vnd.ml-deploy.evidence.v1";
/// Media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the content that says nothing.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// That content.
const EMPTY_BYTES: &[u8] = b"{}";
/// Annotation that names the environment.
pub(super) const ENVIRONMENT: &str = "ml-deploy/environment";
/// Annotation that names the predicate; Sigstore's own name for it.
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
/// Annotation that tells when it was made.
const CREATED: &str = "org.opencontainers.image.created";

/// Evidence in one repository.
pub struct RegistryStore {
    client: Client,
}

impl RegistryStore {
    /// The evidence beside the images of the client's repository.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The registry's own list and the index beside it: evidence may be older than the list, and may
    /// have been copied from a registry that has none.
    async fn try_list(&self, digest: &ImageDigest) -> Result<Vec<Listed>, RegistryError> {
        let (listed, indexed) = futures_util::future::join(
            self.client.referrers(digest.as_str(), ARTIFACT_TYPE),
            index::list(&self.client, digest),
        )
        .await;
        let found = match (listed?, indexed) {
            (Referrers::Listed(mut found), Ok(more)) => {
                found.extend(more);
                found
            }
            // The tag is somebody else's, or tags may not be listed: where the registry lists what
            // refers to the image, nobody needs them.
            (
                Referrers::Listed(found),
                Err(
                    RegistryError::Unexpected(_)
                    | RegistryError::Refused {
                        status: 401 | 403 | 404 | 405 | 501,
                        ..
                    },
                ),
            ) => found,
            (Referrers::Unsupported, Ok(found)) => found,
            (_, Err(error)) => return Err(error),
        };
        let mut by_reference = BTreeMap::new();
        for one in found.iter().filter_map(listed_as) {
            by_reference.entry(one.reference.clone()).or_insert(one);
        }
        Ok(by_reference.into_values().collect())
    }

    /// One artifact; `None` when it is none of ours, or damaged.
    async fn try_read(
        &self,
        artifact: &str,
        subject: &ImageDigest,
    ) -> Result<Option<SeenEvidence>, RegistryError> {
        let Some(manifest) = self.client.raw_manifest(artifact).await? else {
            return Ok(None);
        };
        let Some(layer) = manifest.json().as_ref().and_then(|it| layer(it, subject)) else {
            return Ok(None);
        };
        let bytes = match self.client.blob(&layer.digest, LARGEST_ENVELOPE).await {
            Ok(bytes) => bytes,
            // It is not there, or not what its name says: then it proves nothing.
            Err(RegistryError::Unexpected(_) | RegistryError::Refused { status: 404, .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        Ok(parse_stored(&layer.media_type, &bytes)
            .ok()
            .map(|envelope| SeenEvidence {
                envelope,
                environment: layer.environment,
                predicate_type: layer.predicate_type,
                created: layer.created,
            }))
    }

    fn not_read(&self, error: RegistryError, digest: &ImageDigest) -> Diagnostic {
        let doing = format!("read the evidence of the image {}", digest.short());
        self.client.failed(error, &doing)
    }

    async fn try_attach(
        &self,
        digest: &ImageDigest,
        evidence: &NewEvidence,
    ) -> Result<(), RegistryError> {
        let subject = self.client.raw_manifest(digest.as_str()).await?;
        let subject = subject.ok_or_else(|| RegistryError::NoSuchImage(digest.clone()))?;
        let stored = Stored::of(&evidence.envelope);
        self.client.put_blob(EMPTY_BYTES).await?;
        self.client.put_blob(&stored.bytes).await?;
        let manifest = manifest(&subject, &stored, evidence);
        let bytes = serde_json::to_vec(&manifest).unwrap_or_default();
        let name = digest_of(&bytes);
        let seen = self.client.put_manifest(&name, MANIFEST, &bytes).await?;
        // A registry that says it took note may still list nothing.
        let listed = self
            .client
            .referrers(digest.as_str(), ARTIFACT_TYPE)
            .await?;
        if let Referrers::Listed(found) = &listed
            && (seen == SubjectSeen::Noted || found.iter().any(|it| it["digest"] == name.as_str()))
        {
            return Ok(());
        }
        let descriptor = json!({
            "mediaType": MANIFEST,
            "digest": name,
            "size": bytes.len(),
            "artifactType": ARTIFACT_TYPE,
            "annotations": manifest["annotations"],
        });
        index::add(&self.client, digest, &descriptor, &bytes).await
    }
}

#[async_trait]
impl EvidenceStore for RegistryStore {
    async fn list(&self, digest: &ImageDigest) -> Result<Vec<Listed>, Diagnostic> {
        let found = self.try_list(digest).await;
        found.map_err(|error| self.not_read(error, digest))
    }

    async fn read(
        &self,
        digest: &ImageDigest,
        listed: &Listed,
    ) -> Result<Option<SeenEvidence>, Diagnostic> {
        let read = self.try_read(&listed.reference, digest).await;
        read.map_err(|error| self.not_read(error, digest))
    }

    async fn attach(&self, digest: &ImageDigest, evidence: &NewEvidence) -> Result<(), Diagnostic> {
        let attached = self.try_attach(digest, evidence).await;
        attached.map_err(|error| {
            let doing = format!("attach evidence to the image {}", digest.short());
            self.client.failed(error, &doing)
        })
    }
}

/// A descriptor in a list, with the hints beside it.
fn listed_as(descriptor: &Value) -> Option<Listed> {
    let reference = descriptor.get("digest")?.as_str()?;
    ImageDigest::parse(reference).ok()?;
    let annotation = |name: &str| {
        let value = descriptor.get("annotations")?.get(name)?.as_str()?;
        Some(value.to_owned())
    };
    Some(Listed {
        reference: reference.to_owned(),
        environment: annotation(ENVIRONMENT),
        predicate_type: annotation(PREDICATE_TYPE),
        created: annotation(CREATED),
    })
}

/// The one layer of an artifact, and the hints beside it.
struct Layer {
    digest: String,
    media_type: String,
    environment: Option<String>,
    predicate_type: Option<String>,
    created: Option<String>,
}

fn layer(manifest: &Value, subject: &ImageDigest) -> Option<Layer> {
    if manifest.pointer("/subject/digest")?.as_str()? != subject.as_str() {
        return None;
    }
    let [layer] = manifest.get("layers")?.as_array()?.as_slice() else {
        return None;
    };
    let small = layer.get("size")?.as_u64()? <= LARGEST_ENVELOPE as u64;
    let digest = layer.get("digest")?.as_str()?;
    let annotation = |name: &str| {
        let value = manifest.get("annotations")?.get(name)?.as_str()?;
        Some(value.to_owned())
    };
    (small && ImageDigest::parse(digest).is_ok()).then_some(Layer {
        digest: digest.to_owned(),
        media_type: layer.get("mediaType")?.as_str()?.to_owned(),
        environment: annotation(ENVIRONMENT),
        predicate_type: annotation(PREDICATE_TYPE),
        created: annotation(CREATED),
    })
}

fn manifest(subject: &RawManifest, stored: &Stored, evidence: &NewEvidence) -> Value {
    let NewEvidence {
        envelope: _,
        environment,
        predicate_type,
        created,
    } = evidence;
    let mut annotations = json!({
        CREATED: created,
        ENVIRONMENT: environment,
        PREDICATE_TYPE: predicate_type,
    });
    if stored.media_type == BUNDLE {
        annotations["dev.sigstore.bundle.content"] = json!("dsse-envelope");
    }
    let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len()});
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": descriptor(EMPTY, EMPTY_BYTES),
        "layers": [descriptor(stored.media_type, &stored.bytes)],
        "subject": descriptor(&subject.media_type, &subject.bytes),
        "annotations": annotations,
    })
}

fn digest_of(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
