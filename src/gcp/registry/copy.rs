//! An image from one repository to another, by digest: manifests byte for byte, layers mounted where
//! the registry can, otherwise sent through as a stream.
//!
//! Source: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>, "Mounting a blob
//! from another repository".

use delivery::diagnostic::{Code, Diagnostic};
use delivery::release::ImageDigest;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::client::Client;
use super::error::RegistryError;

/// How often the stream of one blob is begun.
const TRIES: u32 = 3;
/// Most manifests of one image: an index of platforms, each with its provenance.
const MOST_MANIFESTS: usize = 64;

impl Client {
    /// Copies an image from another repository into this one; what is here already stays.
    ///
    /// # Errors
    /// [`Code::ImageNotCopied`], with what the registry answered.
    pub async fn copy_from(&self, source: &Self, digest: &ImageDigest) -> Result<(), Diagnostic> {
        let (from, to) = (&source.address, &self.address);
        let copied = self.try_copy(source, digest).await;
        copied.map_err(|error| {
            let doing = format!(
                "copy the image {} from {}/{} to {}/{}",
                digest.short(),
                from.named_host,
                from.path,
                to.named_host,
                to.path
            );
            let told = self.failed(error, &doing);
            match told.code {
                Code::RegistryFailed => Diagnostic {
                    code: Code::ImageNotCopied,
                    ..told
                },
                _ => told,
            }
        })
    }

    async fn try_copy(&self, source: &Self, digest: &ImageDigest) -> Result<(), RegistryError> {
        // Parents before children here; they are put the other way round.
        let mut wanted = vec![digest.to_string()];
        let mut manifests = Vec::new();
        while let Some(next) = wanted.pop() {
            if manifests.len() == MOST_MANIFESTS {
                let text = format!("it has more than {MOST_MANIFESTS} manifests");
                return Err(RegistryError::Unexpected(text));
            }
            let found = source.raw_manifest(&next).await?;
            let found = found.ok_or_else(|| RegistryError::NoSuchImage(digest.clone()))?;
            let body = found.json().unwrap_or(Value::Null);
            wanted.extend(digests(&body, &["manifests"]));
            manifests.push((found, body));
        }
        for (manifest, body) in manifests.iter().rev() {
            for blob in digests(body, &["config", "layers"]) {
                self.copy_blob(source, &blob).await?;
            }
            self.put_manifest(&manifest.digest, &manifest.media_type, &manifest.bytes)
                .await?;
        }
        Ok(())
    }

    async fn copy_blob(&self, source: &Self, digest: &str) -> Result<(), RegistryError> {
        if self.has_blob(digest).await? {
            return Ok(());
        }
        let same_registry = self.address.base_url == source.address.base_url;
        let query = match same_registry {
            true => format!("?mount={digest}&from={}", source.address.path),
            false => String::new(),
        };
        let mut tried = 1;
        loop {
            let begun = self
                .ask(Method::POST, &format!("blobs/uploads/{query}"))
                .await?;
            match begun.status {
                StatusCode::CREATED => return Ok(()),
                status if status.is_success() => {}
                _ => return Err(begun.refusal()),
            }
            let place = self.upload_place(&begun, digest)?;
            let path = source.path(&format!("blobs/{digest}"));
            let content = source.http.open(&path).await?;
            match self.http.put_stream(&place, content).await {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) if !answer.status.is_server_error() || tried == TRIES => {
                    return Err(answer.refusal());
                }
                Err(error) if tried == TRIES => return Err(error),
                Ok(_) | Err(_) => tried += 1,
            }
        }
    }
}

/// Digests of the descriptors in these fields; layers that are fetched from elsewhere are left out.
fn digests(manifest: &Value, fields: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for field in fields {
        let descriptors: &[Value] = match manifest.get(*field) {
            Some(Value::Array(list)) => list,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        found.extend(
            descriptors
                .iter()
                .filter(|one| one.get("urls").is_none())
                .filter_map(|one| Some(one.get("digest")?.as_str()?.to_owned()))
                .filter(|text| ImageDigest::parse(text.as_str()).is_ok()),
        );
    }
    found
}
