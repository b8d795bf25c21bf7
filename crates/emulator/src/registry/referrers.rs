//! What refers to a manifest: the list that the distribution specification calls referrers.
//!
//! Source: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, "Listing
//! Referrers".

use std::collections::HashMap;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Registry;
use super::error::RegistryError;
use super::store::Manifest;

/// Tells that a manifest's subject was noted.
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// Tells which filters were applied.
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// Descriptors on one page. Small, so that clients meet a second one.
const PAGE: usize = 5;
/// Media type of an index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// `GET NAME/referrers/DIGEST[?artifactType=…]`: an index, also of a digest that is not there.
pub(super) fn list(
    registry: &Registry,
    name: &str,
    digest: &str,
    query: &HashMap<String, String>,
) -> Result<Response, RegistryError> {
    let store = registry.lock();
    if store.has_no_referrers() {
        return Err(RegistryError::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "this registry has no referrers API",
        ));
    }
    let wanted = query.get("artifactType");
    let last = query.get("last").map(String::as_str).unwrap_or_default();
    let image = store.images.get(name);
    let manifests = image.into_iter().flat_map(|image| &image.manifests);
    let mut found = manifests
        .filter(|(own, _)| own.as_str() > last)
        .filter_map(|(own, manifest)| Some((own, descriptor(own, manifest, digest)?)))
        .filter(|(_, it)| wanted.is_none_or(|wanted| it["artifactType"] == wanted.as_str()));
    let page: Vec<(&String, Value)> = found.by_ref().take(PAGE).collect();
    let next = match page.last() {
        Some((last, _)) if found.next().is_some() => {
            let filter = wanted.map_or_else(String::new, |it| {
                format!("&artifactType={}", it.replace('+', "%2B"))
            });
            let path = format!("/v2/{name}/referrers/{digest}?last={last}{filter}");
            HeaderValue::from_str(&format!("<{path}>; rel=\"next\"")).ok()
        }
        _ => None,
    };
    let manifests: Vec<Value> = page.into_iter().map(|(_, it)| it).collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let mut response = Json(index).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(INDEX));
    if wanted.is_some() {
        headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let Some(next) = next {
        headers.insert(LINK, next);
    }
    Ok(response)
}

/// The descriptor of a manifest whose subject this digest is.
fn descriptor(own: &str, manifest: &Manifest, subject: &str) -> Option<Value> {
    // Most manifests name no subject, and an image may have thousands.
    let text = std::str::from_utf8(&manifest.bytes).ok()?;
    if !text.contains(subject) {
        return None;
    }
    let body: Value = serde_json::from_str(text).ok()?;
    if subject_of(&body)? != subject {
        return None;
    }
    let artifact_type = body.get("artifactType").and_then(Value::as_str);
    let config = body.pointer("/config/mediaType").and_then(Value::as_str);
    let mut descriptor = json!({
        "mediaType": manifest.media_type,
        "digest": own,
        "size": manifest.bytes.len(),
    });
    if let Some(artifact_type) = artifact_type.or(config) {
        descriptor["artifactType"] = json!(artifact_type);
    }
    if let Some(annotations) = body.get("annotations") {
        descriptor["annotations"] = annotations.clone();
    }
    Some(descriptor)
}

/// The digest that a manifest refers to.
pub(super) fn subject_of(manifest: &Value) -> Option<&str> {
    manifest.pointer("/subject/digest")?.as_str()
}
