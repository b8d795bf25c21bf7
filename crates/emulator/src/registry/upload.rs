//! Uploads of blobs: streamed to a file and hashed on the way, never whole in memory.

use std::collections::HashMap;
use std::path::Path;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use ring::digest::{Context, SHA256};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::Registry;
use super::error::RegistryError;
use super::name::is_digest;
use super::store::finish;

/// Names an upload in answers, beside its address.
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// Names the digest of what was stored or read.
pub(super) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A blob that is not complete yet. Its file goes away with it.
pub(super) struct Upload {
    /// Image under which it was begun.
    name: String,
    file: File,
    path: TempPath,
    hash: Context,
    size: u64,
}

impl Upload {
    fn begin(name: &str, directory: &Path) -> std::io::Result<Self> {
        let (file, path) = tempfile::NamedTempFile::new_in(directory)?.into_parts();
        Ok(Self {
            name: name.to_owned(),
            file: File::from_std(file),
            path,
            hash: Context::new(&SHA256),
            size: 0,
        })
    }

    /// Takes in the body, piece by piece. What came before a broken connection stays.
    async fn append(&mut self, body: Body) -> Result<(), RegistryError> {
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                let message = format!("the body ended early: {error}");
                RegistryError::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message)
            })?;
            self.file.write_all(&piece).await?;
            self.hash.update(&piece);
            self.size += piece.len() as u64;
        }
        self.file.flush().await?;
        Ok(())
    }

    /// `0-LAST`, the range of bytes that are here (`0-0` when there are none).
    fn range(&self) -> String {
        format!("0-{}", self.size.saturating_sub(1))
    }
}

/// `POST NAME/blobs/uploads/`: begins an upload, takes a whole blob, or mounts one.
pub(super) async fn begin(
    registry: &Registry,
    name: &str,
    query: &HashMap<String, String>,
    body: Body,
) -> Result<Response, RegistryError> {
    if let Some(digest) = query.get("mount")
        && mount(
            registry,
            name,
            digest,
            query.get("from").map(String::as_str),
        )
    {
        return Ok(created(name, digest));
    }
    let mut upload = Upload::begin(name, registry.uploads())?;
    if let Some(digest) = query.get("digest") {
        upload.append(body).await?;
        return complete(registry, upload, digest).await;
    }
    let id = registry.next_upload_id();
    let response = progress(StatusCode::ACCEPTED, name, &id, &upload);
    registry.lock().uploads.insert(id, upload);
    Ok(response)
}

/// True when `from` has the blob; then `name` has it too.
fn mount(registry: &Registry, name: &str, digest: &str, from: Option<&str>) -> bool {
    let mut store = registry.lock();
    let exists = match from {
        Some(from) => store
            .images
            .get(from)
            .is_some_and(|it| it.blobs.contains(digest)),
        // Without `from` the registry may look everywhere.
        None => store.images.values().any(|it| it.blobs.contains(digest)),
    };
    if exists {
        store.image_mut(name).blobs.insert(digest.to_owned());
    }
    exists
}

/// `PATCH NAME/blobs/uploads/ID`: more bytes.
pub(super) async fn append(
    registry: &Registry,
    name: &str,
    id: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, RegistryError> {
    let mut upload = take(registry, name, id)?;
    let appended = match check_range(&upload, name, id, headers) {
        Ok(()) => upload.append(body).await,
        Err(error) => Err(error),
    };
    let response = progress(StatusCode::ACCEPTED, name, id, &upload);
    registry.lock().uploads.insert(id.to_owned(), upload);
    appended.map(|()| response)
}

/// A chunk must begin where the last one ended.
fn check_range(
    upload: &Upload,
    name: &str,
    id: &str,
    headers: &HeaderMap,
) -> Result<(), RegistryError> {
    let Some(range) = headers.get(CONTENT_RANGE) else {
        return Ok(());
    };
    let start = range.to_str().ok().and_then(|range| {
        range
            .trim_start_matches("bytes ")
            .split_once('-')?
            .0
            .parse()
            .ok()
    });
    if start == Some(upload.size) {
        return Ok(());
    }
    let message = format!("the next chunk must begin at {}", upload.size);
    Err(RegistryError::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "BLOB_UPLOAD_INVALID",
        message,
    )
    .with_header(RANGE, &upload.range())
    .with_header(LOCATION, &location(name, id)))
}

/// `PUT NAME/blobs/uploads/ID?digest=…`: the last bytes, if any, and the end.
pub(super) async fn finish_upload(
    registry: &Registry,
    name: &str,
    id: &str,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, RegistryError> {
    let Some(digest) = query.get("digest") else {
        return Err(RegistryError::digest_invalid("the query has no digest"));
    };
    let mut upload = take(registry, name, id)?;
    check_range(&upload, name, id, headers)?;
    upload.append(body).await?;
    complete(registry, upload, digest).await
}

/// `GET NAME/blobs/uploads/ID`: how far it got.
pub(super) fn status(registry: &Registry, name: &str, id: &str) -> Result<Response, RegistryError> {
    let store = registry.lock();
    let upload = store.uploads.get(id).filter(|upload| upload.name == name);
    let upload = upload.ok_or_else(RegistryError::upload_unknown)?;
    Ok(progress(StatusCode::NO_CONTENT, name, id, upload))
}

/// `DELETE NAME/blobs/uploads/ID`: gives it up.
pub(super) fn cancel(registry: &Registry, name: &str, id: &str) -> Result<Response, RegistryError> {
    take(registry, name, id)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn take(registry: &Registry, name: &str, id: &str) -> Result<Upload, RegistryError> {
    let mut store = registry.lock();
    let is_here = store
        .uploads
        .get(id)
        .is_some_and(|upload| upload.name == name);
    let upload = if is_here {
        store.uploads.remove(id)
    } else {
        None
    };
    upload.ok_or_else(RegistryError::upload_unknown)
}

/// Keeps the blob under its digest, if it has that digest.
async fn complete(
    registry: &Registry,
    upload: Upload,
    digest: &str,
) -> Result<Response, RegistryError> {
    if !is_digest(digest) {
        return Err(RegistryError::digest_invalid(format!(
            "\"{digest}\" is no sha256 digest"
        )));
    }
    let found = finish(&upload.hash);
    if found != digest {
        return Err(RegistryError::digest_invalid(format!(
            "provided digest did not match uploaded content: got {found}, expected {digest}"
        )));
    }
    let Upload { name, path, .. } = upload;
    path.persist(registry.blob_file(digest))
        .map_err(|error| error.error)?;
    registry.make_durable(digest).await?;
    registry
        .lock()
        .image_mut(&name)
        .blobs
        .insert(digest.to_owned());
    Ok(created(&name, digest))
}

fn location(name: &str, id: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

fn created(name: &str, digest: &str) -> Response {
    let headers = [
        (LOCATION, format!("/v2/{name}/blobs/{digest}")),
        (DIGEST, digest.to_owned()),
        (CONTENT_LENGTH, "0".to_owned()),
    ];
    (StatusCode::CREATED, headers).into_response()
}

fn progress(status: StatusCode, name: &str, id: &str, upload: &Upload) -> Response {
    let headers = [
        (LOCATION, location(name, id)),
        (RANGE, upload.range()),
        (UPLOAD_ID, id.to_owned()),
    ];
    (status, headers).into_response()
}
