//! Registries that list no referrers: an index under the tag `sha256-<hex>` of the image lists them
//! instead. Where tags cannot move, each artifact gets a tag of its own beside it.
//!
//! Source: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, "Referrers tag
//! schema". Nothing guards a tag against two writers: what is written is read again.

use std::time::Duration;

use delivery::release::ImageDigest;
use serde_json::{Value, json};

use super::store::{ARTIFACT_TYPE, ENVIRONMENT, MANIFEST};
use crate::gcp::registry::{Client, RegistryError, descriptors};

/// Media type of an index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// How often the index is written before it is given up: each time, somebody else wrote meanwhile.
const MOST_WRITES: u32 = 6;
/// Pause before it is written again; longer each time.
const PAUSE: Duration = Duration::from_millis(150);
/// Most tags of its own that an environment's evidence has for one image.
const MOST_TAGS: u32 = 50;

/// `sha256-<hex>`.
fn tag_of(digest: &ImageDigest) -> String {
    digest.as_str().replace(':', "-")
}

/// The descriptors of our artifacts beside an image.
pub(super) async fn list(
    client: &Client,
    digest: &ImageDigest,
) -> Result<Vec<Value>, RegistryError> {
    let tag = tag_of(digest);
    let mut found = read(client, &tag).await?;
    found.retain(|one| one["artifactType"] == ARTIFACT_TYPE);
    let own = format!("{tag}.");
    let tags = client.all_tags().await?;
    for tag in tags.iter().filter(|it| it.starts_with(&own)) {
        let Some(manifest) = client.raw_manifest(tag).await? else {
            continue;
        };
        // Other tools have tags of this form too.
        let of = manifest
            .json()
            .filter(|it| it["artifactType"] == ARTIFACT_TYPE);
        if let Some(of) = of {
            found.push(json!({"digest": manifest.digest, "annotations": of["annotations"]}));
        }
    }
    Ok(found)
}

/// Lists an artifact, whose manifest these bytes are.
pub(super) async fn add(
    client: &Client,
    digest: &ImageDigest,
    descriptor: &Value,
    manifest: &[u8],
) -> Result<(), RegistryError> {
    let tag = tag_of(digest);
    for attempt in 1..=MOST_WRITES {
        let mut all = read(client, &tag).await?;
        if all.iter().any(|it| it["digest"] == descriptor["digest"]) {
            return Ok(());
        }
        all.push(descriptor.clone());
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": all});
        let bytes = serde_json::to_vec(&index).unwrap_or_default();
        match client.put_manifest(&tag, INDEX, &bytes).await {
            Ok(_) => {}
            Err(error) if error.is_immutable_tag() => {
                return add_tag(client, &tag, descriptor, manifest).await;
            }
            Err(error) => return Err(error),
        }
        // The loop reads it again: another writer may have replaced it in between.
        tokio::time::sleep(PAUSE * (attempt - 1)).await;
    }
    let all = read(client, &tag).await?;
    if all.iter().any(|it| it["digest"] == descriptor["digest"]) {
        return Ok(());
    }
    Err(RegistryError::Unexpected(format!(
        "the index `{tag}` was written {MOST_WRITES} times and does not list the evidence: another tool replaces it"
    )))
}

/// The descriptors of the index; none when there is no such tag.
async fn read(client: &Client, tag: &str) -> Result<Vec<Value>, RegistryError> {
    let Some(found) = client.raw_manifest(tag).await? else {
        return Ok(Vec::new());
    };
    let list = (found.media_type == INDEX)
        .then(|| descriptors(&found.bytes))
        .flatten();
    list.ok_or_else(|| {
        RegistryError::Unexpected(format!(
            "the tag `{tag}` should be an index of referrers, and is {}",
            found.media_type
        ))
    })
}

/// Gives the artifact a tag of its own: `sha256-<hex>.<environment>`, numbered from the second on.
async fn add_tag(
    client: &Client,
    tag: &str,
    descriptor: &Value,
    manifest: &[u8],
) -> Result<(), RegistryError> {
    let environment = descriptor["annotations"][ENVIRONMENT].as_str();
    let environment = environment.unwrap_or("evidence");
    for number in 1..=MOST_TAGS {
        let own = match number {
            1 => format!("{tag}.{environment}"),
            number => format!("{tag}.{environment}.{number}"),
        };
        match client.raw_manifest(&own).await? {
            Some(found) if found.digest == descriptor["digest"] => return Ok(()),
            Some(_) => continue,
            None => {}
        }
        match client.put_manifest(&own, MANIFEST, manifest).await {
            Ok(_) => return Ok(()),
            // Another writer took it meanwhile.
            Err(error) if error.is_immutable_tag() => {}
            Err(error) => return Err(error),
        }
    }
    Err(RegistryError::Unexpected(format!(
        "there are {MOST_TAGS} tags `{tag}.{environment}` already"
    )))
}
