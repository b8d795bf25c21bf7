//! What evidence needs of a registry: manifests byte for byte, small blobs, and what refers to an
//! image.
//!
//! Source: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, "Pushing blobs",
//! "Listing referrers", "Pushing manifests with subject".

use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use super::client::{Client, digest_of, media_type, next_page};
use super::error::RegistryError;
use super::http::{Answer, Ask};

/// Most pages of a list of referrers that are read: a registry that links in a circle ends here, and
/// says so. A list that was cut silently could hide what counts.
const MOST_PAGES: usize = 2_000;

/// A manifest as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawManifest {
    pub(crate) media_type: String,
    /// `sha256:…` of the bytes.
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

impl RawManifest {
    /// The bytes as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.bytes).ok()
    }
}

/// What a registry says of its referrers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Referrers {
    /// Descriptors of manifests.
    Listed(Vec<Value>),
    /// It has no such endpoint.
    Unsupported,
}

/// What a registry did with a manifest that names a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubjectSeen {
    /// It says that it took note.
    Noted,
    /// It says nothing.
    Ignored,
}

impl Client {
    /// A manifest by tag or digest; `None` when there is none. A digest is verified.
    pub(crate) async fn raw_manifest(
        &self,
        reference: &str,
    ) -> Result<Option<RawManifest>, RegistryError> {
        let answer = self
            .ask(Method::GET, &format!("manifests/{reference}"))
            .await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = good(answer)?;
        let digest = digest_of(&answer.body);
        if reference.starts_with("sha256:") && reference != digest {
            return Err(RegistryError::Unexpected(format!(
                "the manifest {reference} has the digest {digest}"
            )));
        }
        Ok(Some(RawManifest {
            media_type: media_type(&answer),
            digest,
            bytes: answer.body,
        }))
    }

    /// Puts a manifest under a tag or its digest.
    pub(crate) async fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<SubjectSeen, RegistryError> {
        let answer = self
            .http
            .send(&Ask {
                method: Method::PUT,
                path: self.path(&format!("manifests/{reference}")),
                body: Some((media_type, bytes)),
            })
            .await?;
        let answer = good(answer)?;
        Ok(match answer.header("oci-subject") {
            Some(_) => SubjectSeen::Noted,
            None => SubjectSeen::Ignored,
        })
    }

    /// A small blob, verified. A registry may send elsewhere for it; the credential stays here.
    pub(crate) async fn blob(&self, digest: &str, most: usize) -> Result<Vec<u8>, RegistryError> {
        let answer = self.ask(Method::GET, &format!("blobs/{digest}")).await?;
        let answer = match redirect(&answer) {
            Some(target) => self.http.fetch_elsewhere(target).await?,
            None => answer,
        };
        let answer = good(answer)?;
        if answer.body.len() > most {
            return Err(RegistryError::Unexpected(format!(
                "the blob {digest} has more than {most} bytes"
            )));
        }
        let got = digest_of(&answer.body);
        if got != digest {
            return Err(RegistryError::Unexpected(format!(
                "the blob {digest} has the digest {got}"
            )));
        }
        Ok(answer.body)
    }

    /// Whether the repository has a blob.
    pub(crate) async fn has_blob(&self, digest: &str) -> Result<bool, RegistryError> {
        let answer = self.ask(Method::HEAD, &format!("blobs/{digest}")).await?;
        // A redirect says that it is there, elsewhere.
        Ok(answer.status.is_success() || answer.status.is_redirection())
    }

    /// Pushes a small blob, unless it is there; gives its digest.
    pub(crate) async fn put_blob(&self, bytes: &[u8]) -> Result<String, RegistryError> {
        let digest = digest_of(bytes);
        if self.has_blob(&digest).await? {
            return Ok(digest);
        }
        let begun = good(self.ask(Method::POST, "blobs/uploads/").await?)?;
        let place = self.upload_place(&begun, &digest)?;
        let put = self
            .http
            .send(&Ask {
                method: Method::PUT,
                path: place,
                body: Some(("application/octet-stream", bytes)),
            })
            .await?;
        good(put)?;
        Ok(digest)
    }

    /// Where an upload that was begun is finished.
    pub(super) fn upload_place(
        &self,
        begun: &Answer,
        digest: &str,
    ) -> Result<String, RegistryError> {
        let location = begun.header("location").unwrap_or_default();
        let base = Url::parse(&self.address.base_url);
        let mut url = base
            .and_then(|base| base.join(location))
            .map_err(|error| RegistryError::Unexpected(format!("a place to upload to: {error}")))?;
        url.query_pairs_mut().append_pair("digest", digest);
        Ok(url.to_string())
    }

    /// What refers to a digest, all pages, of one artifact type. The registry filters only if it
    /// says so; otherwise it is done here.
    pub(crate) async fn referrers(
        &self,
        digest: &str,
        artifact_type: &str,
    ) -> Result<Referrers, RegistryError> {
        let mut query = url_query("artifactType", artifact_type);
        query.insert_str(0, &self.path(&format!("referrers/{digest}?")));
        let mut next = Some(query);
        let mut all = Vec::new();
        for page in 0..MOST_PAGES {
            let Some(path) = next.take() else { break };
            let answer = self
                .http
                .send(&Ask {
                    method: Method::GET,
                    path,
                    body: None,
                })
                .await?;
            // Registries without the endpoint answer 404; some that route strictly, 400 or 405.
            if page == 0 && matches!(answer.status.as_u16(), 400 | 404 | 405) {
                return Ok(Referrers::Unsupported);
            }
            let answer = good(answer)?;
            let filtered = answer
                .header("oci-filters-applied")
                .is_some_and(|applied| applied.split(',').any(|it| it.trim() == "artifactType"));
            let found = descriptors(&answer.body).ok_or_else(|| {
                RegistryError::Unexpected("the list of referrers is no index".to_owned())
            })?;
            let wanted =
                |one: &Value| filtered || one["artifactType"].as_str() == Some(artifact_type);
            all.extend(found.into_iter().filter(wanted));
            next = answer.header("link").and_then(next_page);
        }
        if next.is_some() {
            return Err(RegistryError::Unexpected(format!(
                "the list of what refers to {digest} does not end after {MOST_PAGES} pages"
            )));
        }
        Ok(Referrers::Listed(all))
    }

    pub(super) fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.address.path)
    }
}

/// The `manifests` of an index.
pub(crate) fn descriptors(index: &[u8]) -> Option<Vec<Value>> {
    let mut index: Value = serde_json::from_slice(index).ok()?;
    match index.get_mut("manifests")?.take() {
        Value::Array(list) => Some(list),
        // Some write an empty list so.
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

fn url_query(name: &str, value: &str) -> String {
    let mut url = Url::parse("http://query").ok();
    url.as_mut()
        .and_then(|url| {
            url.query_pairs_mut().append_pair(name, value);
            url.query().map(str::to_owned)
        })
        .unwrap_or_default()
}

fn redirect(answer: &Answer) -> Option<&str> {
    answer
        .status
        .is_redirection()
        .then(|| answer.header("location"))
        .flatten()
}

fn good(answer: Answer) -> Result<Answer, RegistryError> {
    if answer.status.is_success() {
        Ok(answer)
    } else {
        Err(answer.refusal())
    }
}
