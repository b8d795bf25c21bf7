//! Reading and deleting blobs.

use std::io::SeekFrom;

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::Registry;
use super::error::RegistryError;
use super::upload::DIGEST;

/// `GET` and `HEAD NAME/blobs/DIGEST`, whole or a single range.
pub(super) async fn read(
    registry: &Registry,
    method: &Method,
    name: &str,
    digest: &str,
    headers: &HeaderMap,
) -> Result<Response, RegistryError> {
    {
        let store = registry.lock();
        let image = store
            .images
            .get(name)
            .ok_or_else(|| RegistryError::name_unknown(name))?;
        if !image.blobs.contains(digest) {
            return Err(RegistryError::blob_unknown(digest));
        }
    }
    let mut file = File::open(registry.blob_file(digest)).await?;
    let size = file.metadata().await?.len();
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let (first, last) = match range.map(|range| parse_range(range, size)) {
        None | Some(Range::Ignored) => (0, size),
        Some(Range::Part(first, last)) => (first, last + 1),
        Some(Range::Beyond) => {
            return Err(RegistryError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "BLOB_UNKNOWN",
                format!("the blob has {size} bytes"),
            )
            .with_header(CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let length = last - first;
    let mut response = if method == Method::HEAD {
        Response::new(Body::empty())
    } else {
        file.seek(SeekFrom::Start(first)).await?;
        Response::new(Body::from_stream(ReaderStream::with_capacity(
            file.take(length),
            64 * 1024,
        )))
    };
    let mut set = |name, value: String| {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    };
    set(CONTENT_TYPE, "application/octet-stream".to_owned());
    set(CONTENT_LENGTH, length.to_string());
    set(ACCEPT_RANGES, "bytes".to_owned());
    set(ETAG, format!("\"{digest}\""));
    set(DIGEST, digest.to_owned());
    if length < size {
        set(CONTENT_RANGE, format!("bytes {first}-{}/{size}", last - 1));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

#[derive(Debug, PartialEq)]
enum Range {
    /// Not of the form that is served: the whole is sent, as RFC 9110 allows.
    Ignored,
    /// First and last byte.
    Part(u64, u64),
    /// Begins after the end.
    Beyond,
}

/// Reads `bytes=FIRST-[LAST]`.
fn parse_range(range: &str, size: u64) -> Range {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|it| it.split_once('-'))
    else {
        return Range::Ignored;
    };
    let Ok(first) = first.parse::<u64>() else {
        return Range::Ignored;
    };
    if first >= size {
        return Range::Beyond;
    }
    let end = size - 1;
    match last.parse::<u64>() {
        Ok(last) if last < first => Range::Ignored,
        Ok(last) => Range::Part(first, last.min(end)),
        Err(_) if last.is_empty() => Range::Part(first, end),
        Err(_) => Range::Ignored,
    }
}

/// `DELETE NAME/blobs/DIGEST`: refused while a manifest of the image needs it.
pub(super) fn delete(
    registry: &Registry,
    name: &str,
    digest: &str,
) -> Result<Response, RegistryError> {
    let mut store = registry.lock();
    let image = store
        .images
        .get_mut(name)
        .ok_or_else(|| RegistryError::name_unknown(name))?;
    if image
        .manifests
        .values()
        .any(|it| it.blobs.iter().any(|blob| blob == digest))
    {
        return Err(RegistryError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED",
            format!("blob {digest} is in use"),
        ));
    }
    if !image.blobs.remove(digest) {
        return Err(RegistryError::blob_unknown(digest));
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_blob() {
        for (range, expected) in [
            ("bytes=0-", Range::Part(0, 9)),
            ("bytes=3-5", Range::Part(3, 5)),
            ("bytes=3-50", Range::Part(3, 9)),
            ("bytes=10-", Range::Beyond),
            ("bytes=5-3", Range::Ignored),
            ("bytes=-5", Range::Ignored),
            ("lines=1-2", Range::Ignored),
        ] {
            assert_eq!(parse_range(range, 10), expected, "{range}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Range::Beyond);
    }
}
