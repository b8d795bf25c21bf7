//! Pushes an image and confirms its digest at the registry.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bollard::auth::DockerCredentials;
use bollard::models::PushImageInfo;
use bollard::query_parameters::{PushImageOptions, TagImageOptions};
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink, Unit};
use delivery::release::ImageDigest;
use futures_util::StreamExt;

use super::build::BuiltImage;
use super::engine::Engine;
use super::error::{engine_failed, text_of};
use crate::gcp::registry::{
    Client, RegistryAddress, TOKEN_USER, explain_refusal, names_immutability,
};
use crate::secret::Secret;

/// How often the push is reported.
const REPORT_EVERY: Duration = Duration::from_secs(2);

impl Engine {
    /// Pushes an image under a tag, such as `sha-<commit>`, and gives its digest, as the engine
    /// told it and the registry confirmed it. The credential is an access token; mint it after the
    /// build, for it lives for minutes.
    ///
    /// Where tags of the repository cannot move and the tag exists, the digest that it stands for
    /// is used: an image with this tag was pushed before.
    ///
    /// # Errors
    /// [`Code::PushFailed`] and what the registry's refusal means ([`Code::PermissionDenied`],
    /// [`Code::CredentialsRefused`], [`Code::DiskFull`]), or [`Code::DigestMismatch`].
    pub async fn push(
        &self,
        image: &BuiltImage,
        address: &RegistryAddress,
        tag: &str,
        credential: Secret,
        sink: &dyn EventSink,
    ) -> Result<ImageDigest, Diagnostic> {
        let repository = format!("{}/{}", address.host, address.path);
        let title = format!("the image could not be pushed to {repository}:{tag}");
        let name = TagImageOptions {
            repo: Some(repository.clone()),
            tag: Some(tag.to_owned()),
        };
        self.docker
            .tag_image(&image.id, Some(name))
            .await
            .map_err(|error| engine_failed(Code::PushFailed, &title, &error))?;
        let registry = Client::new(address.clone(), Some(credential.clone()))?;
        let told = match self
            .send(&repository, tag, address, &credential, sink)
            .await
        {
            Ok(told) => told,
            Err(error) if names_immutability(&text_of(&error)) => {
                return existing(&registry, tag, &title, &error, sink).await;
            }
            Err(error) => return Err(refused(&title, &error, address)),
        };
        confirm(&registry, tag, told, &title, sink).await
    }

    /// Pushes; the digest is the one in the engine's last line.
    async fn send(
        &self,
        repository: &str,
        tag: &str,
        address: &RegistryAddress,
        credential: &Secret,
        sink: &dyn EventSink,
    ) -> Result<Option<String>, bollard::errors::Error> {
        let options = PushImageOptions {
            tag: Some(tag.to_owned()),
            ..PushImageOptions::default()
        };
        let login = credentials(credential, &address.host);
        let mut answers = std::pin::pin!(self.patient.push_image(
            repository,
            Some(options),
            Some(login)
        ));
        let mut layers = Layers::new(format!("push {}:{tag}", address.path));
        let mut digest = None;
        while let Some(answer) = answers.next().await {
            let info = answer?;
            digest = info.status.as_deref().and_then(digest_in).or(digest);
            layers.take(&info, sink);
        }
        layers.finish(sink);
        Ok(digest)
    }
}

/// Credentials in the form that Artifact Registry takes an access token.
pub(super) fn credentials(token: &Secret, host: &str) -> DockerCredentials {
    DockerCredentials {
        username: Some(TOKEN_USER.to_owned()),
        password: Some(token.expose().to_owned()),
        serveraddress: Some(host.to_owned()),
        ..DockerCredentials::default()
    }
}

/// The digest in `TAG: digest: sha256:… size: N`.
fn digest_in(status: &str) -> Option<String> {
    let (_, rest) = status.split_once("digest: ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

fn refused(title: &str, error: &bollard::errors::Error, address: &RegistryAddress) -> Diagnostic {
    let engine = engine_failed(Code::PushFailed, title, error);
    if engine.code != Code::PushFailed {
        return engine;
    }
    let text = text_of(error);
    explain_refusal(Code::PushFailed, title, &text, address).cause(text)
}

async fn existing(
    registry: &Client,
    tag: &str,
    title: &str,
    error: &bollard::errors::Error,
    sink: &dyn EventSink,
) -> Result<ImageDigest, Diagnostic> {
    let found = registry.resolve(tag).await?;
    let digest = found.ok_or_else(|| {
        Diagnostic::error(Code::PushFailed, title)
            .cause(text_of(error))
            .cause(format!("the registry answers no digest for `{tag}`"))
    })?;
    sink.emit(Event::Note(format!(
        "`{tag}` exists and cannot move; the image it stands for is used: {digest}"
    )));
    Ok(digest)
}

/// Compares what the engine told with what the registry holds.
async fn confirm(
    registry: &Client,
    tag: &str,
    told: Option<String>,
    title: &str,
    sink: &dyn EventSink,
) -> Result<ImageDigest, Diagnostic> {
    let told = told.ok_or_else(|| {
        Diagnostic::error(Code::PushFailed, title)
            .cause("the engine ended the push without a digest")
    })?;
    let told = ImageDigest::parse(told)
        .map_err(|error| Diagnostic::error(Code::PushFailed, title).cause(error.to_string()))?;
    let mismatch = |got: String| {
        Diagnostic::error(Code::DigestMismatch, title)
            .cause(format!(
                "the engine pushed {told}, the registry has {got} under `{tag}`"
            ))
            .help("another run may push to the same tag: see that only one does, then run again")
    };
    let Some(info) = registry.head(&told).await? else {
        return Err(mismatch("no such image".to_owned()));
    };
    match registry.resolve(tag).await? {
        Some(digest) if digest == told => {}
        other => {
            return Err(mismatch(
                other.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string()),
            ));
        }
    }
    if info.is_index() {
        let warning = Diagnostic::warning(Code::PushFailed, "an index was pushed, not one image")
            .cause("the engine's image store adds attestations or other platforms")
            .help(
                "Cloud Run may answer \"Image not found\": build without provenance attestations",
            );
        sink.emit(Event::Warning(warning));
    }
    Ok(told)
}

/// Sums the progress of all layers. The client's type does not carry the layer's identifier, so
/// layers are told apart by their size; two of the very same size count as one.
struct Layers {
    what: String,
    done_by_total: BTreeMap<u64, u64>,
    reported: Option<Instant>,
}

impl Layers {
    fn new(what: String) -> Self {
        Self {
            what,
            done_by_total: BTreeMap::new(),
            reported: None,
        }
    }

    fn take(&mut self, info: &PushImageInfo, sink: &dyn EventSink) {
        let Some(detail) = &info.progress_detail else {
            return;
        };
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        let (Some(current), Some(total)) = (number(detail.current), number(detail.total)) else {
            return;
        };
        let done = self.done_by_total.entry(total).or_default();
        // The engine estimates the total; the count can pass it.
        *done = (*done).max(current.min(total));
        if self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            self.reported = Some(Instant::now());
            self.report(sink, self.done_by_total.values().sum());
        }
    }

    fn finish(&self, sink: &dyn EventSink) {
        if !self.done_by_total.is_empty() {
            self.report(sink, self.done_by_total.keys().sum());
        }
    }

    fn report(&self, sink: &dyn EventSink, done: u64) {
        let total = Some(self.done_by_total.keys().sum());
        sink.emit(Event::Progress {
            what: self.what.clone(),
            done,
            total,
            unit: Unit::Bytes,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_found_in_the_engines_last_line() {
        let line = "sha-abc: digest: sha256:11aa size: 1234";
        assert_eq!(digest_in(line).as_deref(), Some("sha256:11aa"));
        assert_eq!(digest_in("Pushed"), None);
    }
}
