//! What is asked of a registry, for one repository of images.

use std::time::{Duration, Instant};

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink, Unit};
use delivery::release::ImageDigest;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::RegistryAddress;
use super::error::RegistryError;
use super::http::{Answer, Ask, Http};
use crate::secret::Secret;

/// Longest time for a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most pages of a list of tags that are read: a registry that links in a circle ends here.
const MOST_PAGES: usize = 200;
/// First pause between two looks at a tag that is waited for.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// Longest pause between two looks.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// A manifest, seen without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestInfo {
    /// Its digest.
    pub digest: ImageDigest,
    /// Its media type.
    pub media_type: String,
}

impl ManifestInfo {
    /// Whether it lists several images. Cloud Run wants one image; provenance attestations make an
    /// index of it.
    pub fn is_index(&self) -> bool {
        self.media_type.contains("image.index") || self.media_type.contains("manifest.list")
    }
}

/// How a tag came to stand for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagPut {
    /// It was put.
    Created,
    /// It stood for it already.
    Present,
}

/// Reads and tags the images of one repository path.
pub struct Client {
    pub(super) http: Http,
    pub(super) address: RegistryAddress,
}

impl Client {
    /// A client with its own connections. The credential is an access token; without one, what is
    /// public can be read. Make a new client after the token was renewed.
    ///
    /// # Errors
    /// [`Code::RegistryFailed`] when the address is no URL or the HTTP client cannot be made.
    pub fn new(address: RegistryAddress, credential: Option<Secret>) -> Result<Self, Diagnostic> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("ml-deploy/", env!("CARGO_PKG_VERSION")));
        if address.base_url.starts_with("http://") {
            // Plain HTTP is spoken to local registries only, which no proxy can reach.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| {
            Diagnostic::error(
                Code::RegistryFailed,
                "the HTTP client for the registry cannot be made",
            )
            .cause(error.to_string())
        })?;
        Self::with_http(address, credential, client)
    }

    /// A client that shares connections. The HTTP client must not follow redirects.
    ///
    /// # Errors
    /// [`Code::RegistryFailed`] when the address is no URL.
    pub fn with_http(
        address: RegistryAddress,
        credential: Option<Secret>,
        client: reqwest::Client,
    ) -> Result<Self, Diagnostic> {
        let base_url = Url::parse(&address.base_url).map_err(|error| {
            Diagnostic::error(
                Code::RegistryFailed,
                format!("`{}` is no address of a registry", address.base_url),
            )
            .cause(error.to_string())
        })?;
        Ok(Self {
            http: Http::new(client, base_url, credential),
            address,
        })
    }

    /// The same, telling each repetition of a request.
    #[must_use]
    pub fn telling(self, sink: std::sync::Arc<dyn EventSink>) -> Self {
        Self {
            http: self.http.telling(sink),
            ..self
        }
    }

    /// The digest that a tag stands for; `None` when there is no such tag (or repository: a
    /// registry does not tell them apart).
    ///
    /// # Errors
    /// A diagnostic of the registry's refusal or silence.
    pub async fn resolve(&self, tag: &str) -> Result<Option<ImageDigest>, Diagnostic> {
        let info = self
            .look(tag)
            .await
            .map_err(|error| self.failed(error, &format!("look up the tag `{tag}`")))?;
        Ok(info.map(|info| info.digest))
    }

    /// Whether the registry holds this digest, and what kind of manifest it is.
    ///
    /// # Errors
    /// A diagnostic of the registry's refusal or silence.
    pub async fn head(&self, digest: &ImageDigest) -> Result<Option<ManifestInfo>, Diagnostic> {
        let doing = format!("look up the image {}", digest.short());
        self.look(digest.as_str())
            .await
            .map_err(|error| self.failed(error, &doing))
    }

    /// Lets a tag stand for a digest, by putting the manifest again under the tag's name, byte for
    /// byte: no layer is moved and the digest stays. Confirmed at the registry.
    ///
    /// # Errors
    /// A diagnostic: the tag stands for another digest (it is never moved), there is no such
    /// digest, or the registry refuses.
    pub async fn put_tag(&self, digest: &ImageDigest, tag: &str) -> Result<TagPut, Diagnostic> {
        let doing = format!("tag the image {} as `{tag}`", digest.short());
        self.try_put_tag(digest, tag)
            .await
            .map_err(|error| self.failed(error, &doing))
    }

    /// All tags of the repository, sorted; empty when it does not exist.
    ///
    /// # Errors
    /// A diagnostic of the registry's refusal or silence.
    pub async fn tags(&self) -> Result<Vec<String>, Diagnostic> {
        self.all_tags()
            .await
            .map_err(|error| self.failed(error, "list the tags of the image"))
    }

    /// Waits for a build under way to push a tag; `None` when it did not within the timeout.
    ///
    /// # Errors
    /// A diagnostic of the registry's refusal or silence.
    pub async fn wait_for_tag(
        &self,
        tag: &str,
        timeout: Duration,
        sink: &dyn EventSink,
    ) -> Result<Option<ImageDigest>, Diagnostic> {
        let start = Instant::now();
        let mut pause = FIRST_LOOK;
        loop {
            if let Some(digest) = self.resolve(tag).await? {
                return Ok(Some(digest));
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            sink.emit(Event::Progress {
                what: format!("waiting for the image with the tag `{tag}`"),
                done: start.elapsed().as_secs(),
                total: Some(timeout.as_secs()),
                unit: Unit::Seconds,
            });
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(LONGEST_LOOK);
        }
    }

    /// An error as a diagnostic; `doing` completes "cannot …".
    pub(crate) fn failed(&self, error: RegistryError, doing: &str) -> Diagnostic {
        error.into_diagnostic(doing, &self.address)
    }

    pub(super) async fn ask(&self, method: Method, rest: &str) -> Result<Answer, RegistryError> {
        let path = self.path(rest);
        self.http
            .send(&Ask {
                method,
                path,
                body: None,
            })
            .await
    }

    async fn look(&self, reference: &str) -> Result<Option<ManifestInfo>, RegistryError> {
        let answer = self
            .ask(Method::HEAD, &format!("manifests/{reference}"))
            .await?;
        match answer.status {
            StatusCode::NOT_FOUND => return Ok(None),
            status if status.is_success() => {}
            // HEAD brings no text; GET tells what is wrong.
            _ => {
                let answer = self
                    .ask(Method::GET, &format!("manifests/{reference}"))
                    .await?;
                return if answer.status.is_success() {
                    info(&answer, Some(digest_of(&answer.body))).map(Some)
                } else {
                    Err(answer.refusal())
                };
            }
        }
        if answer.header("docker-content-digest").is_some() {
            return info(&answer, None).map(Some);
        }
        // The header is optional in the specification; the digest of the bytes is the same.
        let answer = self
            .ask(Method::GET, &format!("manifests/{reference}"))
            .await?;
        info(&answer, Some(digest_of(&answer.body))).map(Some)
    }

    async fn try_put_tag(&self, digest: &ImageDigest, tag: &str) -> Result<TagPut, RegistryError> {
        if let Some(existing) = self.look(tag).await? {
            return same_or_taken(existing.digest, digest, tag).map(|()| TagPut::Present);
        }
        let manifest = self
            .ask(Method::GET, &format!("manifests/{digest}"))
            .await?;
        if manifest.status == StatusCode::NOT_FOUND {
            return Err(RegistryError::NoSuchImage(digest.clone()));
        }
        if !manifest.status.is_success() {
            return Err(manifest.refusal());
        }
        let got = digest_of(&manifest.body);
        if got != digest.as_str() {
            let reference = digest.to_string();
            return Err(RegistryError::Mismatch {
                reference,
                got,
                wanted: digest.clone(),
            });
        }
        let media_type = media_type(&manifest);
        let path = format!("/v2/{}/manifests/{tag}", self.address.path);
        let body = Some((media_type.as_str(), manifest.body.as_slice()));
        let put = self
            .http
            .send(&Ask {
                method: Method::PUT,
                path,
                body,
            })
            .await?;
        let mut refused = (!put.status.is_success()).then(|| put.refusal());
        if let Some(error) = refused.take_if(|error| !error.is_immutable_tag()) {
            return Err(error);
        }
        // Also after a refusal for immutability: another run may have put the same tag meanwhile.
        match (self.look(tag).await?, refused) {
            (Some(info), _) => same_or_taken(info.digest, digest, tag).map(|()| TagPut::Created),
            (None, Some(error)) => Err(error),
            (None, None) => Err(RegistryError::Unexpected(format!(
                "the tag `{tag}` was put and is not there"
            ))),
        }
    }

    /// All tags of the repository, sorted.
    pub(crate) async fn all_tags(&self) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut next = Some(format!("/v2/{}/tags/list?n=1000", self.address.path));
        for _ in 0..MOST_PAGES {
            let Some(path) = next.take() else { break };
            let answer = self
                .http
                .send(&Ask {
                    method: Method::GET,
                    path,
                    body: None,
                })
                .await?;
            if answer.status == StatusCode::NOT_FOUND {
                break;
            }
            if !answer.status.is_success() {
                return Err(answer.refusal());
            }
            let page: Page = serde_json::from_slice(&answer.body)
                .map_err(|error| RegistryError::Unexpected(format!("the list of tags: {error}")))?;
            tags.extend(page.tags.unwrap_or_default());
            next = answer.header("link").and_then(next_page);
        }
        if next.is_some() {
            return Err(RegistryError::Unexpected(format!(
                "the list of tags does not end after {MOST_PAGES} pages"
            )));
        }
        tags.sort();
        tags.dedup();
        Ok(tags)
    }
}

fn same_or_taken(
    existing: ImageDigest,
    wanted: &ImageDigest,
    tag: &str,
) -> Result<(), RegistryError> {
    if existing == *wanted {
        return Ok(());
    }
    Err(RegistryError::TagTaken {
        tag: tag.to_owned(),
        existing,
        wanted: wanted.clone(),
    })
}

/// The target of `Link: <…>; rel="next"`.
pub(super) fn next_page(link: &str) -> Option<String> {
    let (target, relation) = link.strip_prefix('<')?.split_once('>')?;
    relation.contains("next").then(|| target.to_owned())
}

pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn info(answer: &Answer, computed: Option<String>) -> Result<ManifestInfo, RegistryError> {
    let text = match computed {
        Some(text) => text,
        None => answer
            .header("docker-content-digest")
            .unwrap_or_default()
            .to_owned(),
    };
    let digest =
        ImageDigest::parse(text).map_err(|error| RegistryError::Unexpected(error.to_string()))?;
    Ok(ManifestInfo {
        digest,
        media_type: media_type(answer),
    })
}

pub(super) fn media_type(answer: &Answer) -> String {
    let value = answer
        .header("content-type")
        .unwrap_or("application/vnd.oci.image.manifest.v1+json");
    value.split(';').next().unwrap_or(value).trim().to_owned()
}
