//! The list of tags, in pages.

use std::collections::HashMap;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LINK;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Registry;
use super::error::RegistryError;

/// `GET NAME/tags/list?n=…&last=…`: in lexical order, after `last`, at most `n`.
pub(super) fn list(
    registry: &Registry,
    name: &str,
    query: &HashMap<String, String>,
) -> Result<Response, RegistryError> {
    let limit = match query.get("n") {
        None => usize::MAX,
        Some(n) => n.parse().map_err(|_| {
            let message = format!("n must be a whole number, not \"{n}\"");
            RegistryError::new(
                StatusCode::BAD_REQUEST,
                "PAGINATION_NUMBER_INVALID",
                message,
            )
        })?,
    };
    let last = query.get("last").map(String::as_str).unwrap_or_default();
    let store = registry.lock();
    let image = store
        .images
        .get(name)
        .ok_or_else(|| RegistryError::name_unknown(name))?;
    let mut rest = image.tags.keys().filter(|tag| tag.as_str() > last);
    let page: Vec<&String> = rest.by_ref().take(limit).collect();
    let next = match page.last() {
        Some(last) if rest.next().is_some() => Some(format!(
            "</v2/{name}/tags/list?n={limit}&last={last}>; rel=\"next\""
        )),
        _ => None,
    };
    let mut response = Json(json!({"name": name, "tags": page})).into_response();
    if let Some(next) = next.and_then(|next| next.parse().ok()) {
        response.headers_mut().insert(LINK, next);
    }
    Ok(response)
}
