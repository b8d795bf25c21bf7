//! Manifests: kept byte for byte, whatever their media type.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Registry;
use super::error::RegistryError;
use super::name::Reference;
use super::referrers::{OCI_SUBJECT, subject_of};
use super::store::{Image, Manifest, digest_of};
use super::upload::DIGEST;

/// Largest manifest in bytes: 4 MiB, what the distribution specification asks registries to take.
const LARGEST: usize = 4 * 1024 * 1024;

/// `GET` and `HEAD NAME/manifests/REFERENCE`.
pub(super) fn read(
    registry: &Registry,
    method: &Method,
    name: &str,
    reference: &Reference,
) -> Result<Response, RegistryError> {
    let store = registry.lock();
    let image = store
        .images
        .get(name)
        .ok_or_else(|| RegistryError::name_unknown(name))?;
    let unknown = || RegistryError::manifest_unknown(reference);
    let digest = image.digest(reference).ok_or_else(unknown)?;
    let manifest = image.manifests.get(&digest).ok_or_else(unknown)?;
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(manifest.bytes.clone())
    };
    let headers = [
        (CONTENT_TYPE, manifest.media_type.clone()),
        (CONTENT_LENGTH, manifest.bytes.len().to_string()),
        (DIGEST, digest),
    ];
    Ok((headers, body).into_response())
}

/// `PUT NAME/manifests/REFERENCE`.
pub(super) async fn write(
    registry: &Registry,
    name: &str,
    reference: &Reference,
    headers: &HeaderMap,
    body: Body,
    now: DateTime<Utc>,
) -> Result<Response, RegistryError> {
    let bytes = to_bytes(body, LARGEST).await.map_err(|_| {
        RegistryError::manifest_invalid(format!("a manifest has at most {LARGEST} bytes"))
    })?;
    let mut manifest = parse(headers, bytes, now)?;
    let subject: Option<String> = serde_json::from_slice::<Value>(&manifest.bytes)
        .ok()
        .and_then(|body| subject_of(&body).map(str::to_owned));
    let digest = digest_of(&manifest.bytes);
    registry.keep_manifest(&digest, &manifest.bytes).await?;
    let mut store = registry.lock();
    let is_immutable = store.is_immutable(name);
    let image = store.image_mut(name);
    check_references(image, &manifest)?;
    match reference {
        Reference::Digest(wanted) if *wanted != digest => {
            return Err(RegistryError::digest_invalid(format!(
                "provided digest did not match uploaded content: got {digest}, expected {wanted}"
            )));
        }
        Reference::Digest(_) => {}
        Reference::Tag(tag) => {
            let is_taken = image.tags.get(tag).is_some_and(|at| *at != digest);
            if is_immutable && is_taken {
                return Err(immutable("update", tag));
            }
            image.tags.insert(tag.clone(), digest.clone());
        }
    }
    // The same once more keeps its time.
    if let Some(known) = image.manifests.get(&digest) {
        manifest.uploaded = known.uploaded;
    }
    image.manifests.insert(digest.clone(), manifest);
    let headers = [
        (LOCATION, format!("/v2/{name}/manifests/{digest}")),
        (DIGEST, digest),
        (CONTENT_LENGTH, "0".to_owned()),
    ];
    let mut response = (StatusCode::CREATED, headers).into_response();
    if let Some(subject) = subject.filter(|_| !store.has_no_referrers())
        && let Ok(value) = subject.parse()
    {
        response.headers_mut().insert(OCI_SUBJECT, value);
    }
    Ok(response)
}

fn immutable(verb: &str, tag: &str) -> RegistryError {
    RegistryError::manifest_invalid(format!(
        "cannot {verb} tag {tag}. The repository has enabled tag immutability"
    ))
}

/// Reads what a manifest refers to; its bytes stay as they are.
fn parse(headers: &HeaderMap, bytes: Bytes, now: DateTime<Utc>) -> Result<Manifest, RegistryError> {
    let body: Value = serde_json::from_slice(&bytes)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| RegistryError::manifest_invalid("the manifest is no JSON object"))?;
    let said = body.get("mediaType").and_then(Value::as_str);
    let sent = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let sent = sent.and_then(|it| it.split(';').next()).map(str::trim);
    let media_type = match (sent, said) {
        (Some(sent), Some(said)) if sent != said => {
            return Err(RegistryError::manifest_invalid(format!(
                "the manifest's mediaType is {said}, the Content-Type {sent}"
            )));
        }
        (Some(media_type), _) | (None, Some(media_type)) => media_type.to_owned(),
        (None, None) => return Err(RegistryError::manifest_invalid("no media type is given")),
    };
    let mut blobs = Vec::new();
    let mut content_bytes = 0;
    let config = body.get("config").into_iter();
    for descriptor in config
        .chain(list(&body, "layers"))
        .chain(list(&body, "blobs"))
    {
        // A layer with addresses of its own (Windows base layers) is fetched from there.
        if descriptor.get("urls").is_none() {
            blobs.push(digest_field(descriptor)?);
        }
        content_bytes += descriptor.get("size").and_then(Value::as_u64).unwrap_or(0);
    }
    let children: Result<_, _> = list(&body, "manifests").map(digest_field).collect();
    Ok(Manifest {
        media_type,
        blobs,
        children: children?,
        content_bytes,
        uploaded: now,
        bytes,
    })
}

fn list<'v>(body: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    body.get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn digest_field(descriptor: &Value) -> Result<String, RegistryError> {
    let digest = descriptor.get("digest").and_then(Value::as_str);
    let digest =
        digest.ok_or_else(|| RegistryError::manifest_invalid("a descriptor has no digest"))?;
    Ok(digest.to_owned())
}

fn check_references(image: &Image, manifest: &Manifest) -> Result<(), RegistryError> {
    let unknown = |digest: &String| {
        let message = format!("manifest references unknown blob {digest}");
        RegistryError::new(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", message)
    };
    let no_blob = manifest.blobs.iter().find(|it| !image.blobs.contains(*it));
    let no_child = manifest
        .children
        .iter()
        .find(|it| !image.manifests.contains_key(*it));
    no_blob
        .or(no_child)
        .map_or(Ok(()), |digest| Err(unknown(digest)))
}

/// `DELETE NAME/manifests/REFERENCE`: a tag, or a manifest that no tag and no index names.
pub(super) fn delete(
    registry: &Registry,
    name: &str,
    reference: &Reference,
) -> Result<Response, RegistryError> {
    let mut store = registry.lock();
    let is_immutable = store.is_immutable(name);
    let image = store
        .images
        .get_mut(name)
        .ok_or_else(|| RegistryError::name_unknown(name))?;
    match reference {
        Reference::Tag(tag) if !image.tags.contains_key(tag) => {
            return Err(RegistryError::manifest_unknown(reference));
        }
        Reference::Tag(tag) if is_immutable => return Err(immutable("delete", tag)),
        Reference::Tag(tag) => {
            image.tags.remove(tag);
        }
        Reference::Digest(digest) => {
            if let Some((tag, _)) = image.tags.iter().find(|(_, at)| *at == digest) {
                return Err(RegistryError::new(
                    StatusCode::BAD_REQUEST,
                    "GOOGLE_MANIFEST_DANGLING_TAG",
                    format!("Manifest is still referenced by tag: {tag}"),
                ));
            }
            let is_parent = |it: &Manifest| it.children.iter().any(|child| child == digest);
            if let Some((parent, _)) = image.manifests.iter().find(|(_, it)| is_parent(it)) {
                return Err(RegistryError::new(
                    StatusCode::BAD_REQUEST,
                    "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE",
                    format!("Manifest is still referenced by a parent image: {parent}"),
                ));
            }
            if image.manifests.remove(digest).is_none() {
                return Err(RegistryError::manifest_unknown(reference));
            }
        }
    }
    Ok(StatusCode::ACCEPTED.into_response())
}
