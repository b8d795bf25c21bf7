//! Builds an image.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink, Unit};
use delivery::release::Commit;
use futures_util::StreamExt;
use semver::Version;

use super::context::{Context, Sending};
use super::engine::{Builder, Engine};
use super::error::{LAST_LINES, disk_full, engine_failed, names_full_disk, text_of};
use super::progress::BuildLog;
use crate::secret::Secret;

/// The only platform that Cloud Run runs.
pub const PLATFORM: &str = "linux/amd64";
/// How often the sending of the context is reported.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// A context below this many bytes is sent at once.
const WORTH_TELLING: u64 = 1 << 20;

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The directory that is sent.
    pub context: PathBuf,
    /// The Dockerfile, from the working directory; `Dockerfile` in the context if not given.
    pub dockerfile: Option<PathBuf>,
    /// Values for `ARG`. They end up in the image's history: no secrets.
    pub build_args: BTreeMap<String, String>,
    /// The stage to build; the last one if not given.
    pub target: Option<String>,
    /// Such as [`PLATFORM`].
    pub platform: String,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Images whose layers may be used again.
    pub cache_from: Vec<String>,
    /// Writes into the image what `cache_from` of a later build needs. BuildKit only.
    pub inline_cache: bool,
    /// Looks for newer base images.
    pub pull: bool,
    /// Uses no layer again.
    pub no_cache: bool,
    /// For base images that are not public.
    pub logins: Vec<RegistryLogin>,
}

/// A credential for a registry of base images.
#[derive(Debug, Clone)]
pub struct RegistryLogin {
    /// Such as `us-central1-docker.pkg.dev`.
    pub host: String,
    /// An access token.
    pub token: Secret,
}

impl BuildRequest {
    /// Builds `Dockerfile` in a directory, for [`PLATFORM`].
    pub fn new(context: impl Into<PathBuf>) -> Self {
        Self {
            context: context.into(),
            dockerfile: None,
            build_args: BTreeMap::new(),
            target: None,
            platform: PLATFORM.to_owned(),
            labels: BTreeMap::new(),
            cache_from: Vec::new(),
            inline_cache: false,
            pull: false,
            no_cache: false,
            logins: Vec::new(),
        }
    }
}

/// Where an image comes from.
#[derive(Debug, Clone)]
pub struct ImageOrigin<'a> {
    /// Such as the repository's name.
    pub title: &'a str,
    /// The repository's address.
    pub source: &'a str,
    /// The commit.
    pub commit: &'a Commit,
    /// The version, where it is a release.
    pub version: Option<&'a Version>,
    /// The commit's time as RFC 3339, so that the same commit gives the same label.
    pub committed_at: Option<&'a str>,
}

impl ImageOrigin<'_> {
    /// The labels of the OCI image specification ("Annotations", pre-defined keys).
    pub fn labels(&self) -> BTreeMap<String, String> {
        let key = |name: &str| format!("org.opencontainers.image.{name}");
        let mut labels = BTreeMap::from([
            (key("title"), self.title.to_owned()),
            (key("source"), self.source.to_owned()),
            (key("revision"), self.commit.to_string()),
        ]);
        let version = self.version.map(ToString::to_string);
        labels.extend(version.map(|version| (key("version"), version)));
        labels.extend(
            self.committed_at
                .map(|time| (key("created"), time.to_owned())),
        );
        labels
    }
}

/// An image in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// The engine's identifier, `sha256:…`; not the digest at a registry.
    pub id: String,
    /// Sum of its layers, uncompressed, in bytes.
    pub bytes: u64,
    /// Such as `linux/amd64`.
    pub platform: String,
}

impl Engine {
    /// Builds an image. It has no name in the engine; push or run it by what is returned.
    /// Dropping the future stops the build.
    ///
    /// No provenance attestation is made: it would turn the image into an index, which Cloud Run
    /// answers with "Image not found".
    ///
    /// # Errors
    /// What is wrong with context, Dockerfile and ignore file, all at once; or one diagnostic of
    /// [`Code::BuildFailed`] with the last log lines, [`Code::DiskFull`], [`Code::DockerUnavailable`].
    pub async fn build(
        &self,
        request: &BuildRequest,
        sink: &dyn EventSink,
    ) -> Result<BuiltImage, Vec<Diagnostic>> {
        let context = Context::open(&request.context, request.dockerfile.as_deref())?;
        let mut log = BuildLog::new(sink);
        if let Err(error) = self.follow(request, &context, &mut log).await {
            return Err(vec![*error]);
        }
        let Some(id) = log.image_id.clone() else {
            let error = Diagnostic::error(Code::BuildFailed, "the image could not be built")
                .cause("the engine ended the build without an image")
                .logs(log.last_lines(LAST_LINES));
            return Err(vec![error]);
        };
        let image = self.inspect(&id).await.map_err(|error| vec![error])?;
        if image.platform != request.platform {
            let (wanted, is) = (&request.platform, &image.platform);
            let warning = Diagnostic::warning(Code::BuildFailed, format!("the image is for {is}, not for {wanted}"))
                .help("a `FROM --platform=…` in the Dockerfile, or a base image for one platform only, may be the cause");
            sink.emit(Event::Warning(warning));
        }
        Ok(image)
    }

    async fn follow(
        &self,
        request: &BuildRequest,
        context: &Context,
        log: &mut BuildLog<'_>,
    ) -> Result<(), Box<Diagnostic>> {
        let (stream, sending) = context.stream();
        let options = self.options(request, context)?;
        let body = bollard::body_try_stream(stream);
        let logins = (!request.logins.is_empty()).then(|| credentials(&request.logins));
        let mut answers = std::pin::pin!(self.patient.build_image(options, logins, Some(body)));
        let mut ticks = tokio::time::interval(REPORT_EVERY);
        ticks.tick().await;
        let mut reported = 0;
        loop {
            let answer = tokio::select! {
                answer = answers.next() => answer,
                _ = ticks.tick() => {
                    reported = log.report_sending(&sending, reported);
                    continue;
                }
            };
            match answer {
                None => return Ok(()),
                Some(Ok(info)) => log.take(info),
                Some(Err(error)) => return Err(Box::new(failed(&error, &sending, log))),
            }
        }
    }

    fn options(
        &self,
        request: &BuildRequest,
        context: &Context,
    ) -> Result<BuildImageOptions, Box<Diagnostic>> {
        let mut build_args: HashMap<String, String> =
            request.build_args.clone().into_iter().collect();
        if request.inline_cache && self.builder == Builder::BuildKit {
            build_args.insert("BUILDKIT_INLINE_CACHE".to_owned(), "1".to_owned());
        }
        let (version, session) = match self.builder {
            Builder::BuildKit => (BuilderVersion::BuilderBuildKit, Some(session_id()?)),
            Builder::Classic => (BuilderVersion::BuilderV1, None),
        };
        Ok(BuildImageOptions {
            dockerfile: context.dockerfile_name().to_owned(),
            buildargs: Some(build_args),
            labels: Some(request.labels.clone().into_iter().collect()),
            target: request.target.clone().unwrap_or_default(),
            platform: request.platform.clone(),
            cachefrom: (!request.cache_from.is_empty()).then(|| request.cache_from.clone()),
            pull: request.pull.then(|| "1".to_owned()),
            nocache: request.no_cache,
            rm: true,
            forcerm: true,
            version,
            session,
            ..BuildImageOptions::default()
        })
    }

    /// Looks at an image of the engine, by identifier or name.
    ///
    /// # Errors
    /// [`Code::BuildFailed`] when it is not there.
    pub async fn inspect(&self, image: &str) -> Result<BuiltImage, Diagnostic> {
        let found = self.docker.inspect_image(image).await;
        let found = found.map_err(|error| {
            engine_failed(
                Code::BuildFailed,
                format!("the engine has no image `{image}`"),
                &error,
            )
        })?;
        let (os, architecture) = (
            found.os.unwrap_or_default(),
            found.architecture.unwrap_or_default(),
        );
        Ok(BuiltImage {
            id: found.id.unwrap_or_else(|| image.to_owned()),
            bytes: found
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
            platform: format!("{os}/{architecture}"),
        })
    }
}

impl BuildLog<'_> {
    /// Tells how much of the context was sent, if more than before.
    fn report_sending(&self, sending: &Sending, before: u64) -> u64 {
        let done = sending.bytes.load(Ordering::Relaxed);
        if done > before.max(WORTH_TELLING) {
            self.sink().emit(Event::Progress {
                what: "send the build context".to_owned(),
                done,
                total: None,
                unit: Unit::Bytes,
            });
        }
        done
    }
}

fn credentials(logins: &[RegistryLogin]) -> HashMap<String, DockerCredentials> {
    let one = |login: &RegistryLogin| {
        let credentials = super::push::credentials(&login.token, &login.host);
        (login.host.clone(), credentials)
    };
    logins.iter().map(one).collect()
}

/// Ties the engine's questions during the build to this build.
fn session_id() -> Result<String, Box<Diagnostic>> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0_u8; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| {
            Box::new(Diagnostic::error(
                Code::Internal,
                "the system gives no random numbers",
            ))
        })?;
    Ok(hex::encode(bytes))
}

fn failed(error: &bollard::errors::Error, sending: &Sending, log: &BuildLog<'_>) -> Diagnostic {
    let title = "the image could not be built";
    if let Some(error) = sending.take_error() {
        let mut diagnostic = Diagnostic::error(Code::BuildFailed, title).cause(error.to_string());
        diagnostic
            .cause
            .extend(std::error::Error::source(&error).map(ToString::to_string));
        return diagnostic.help("make it readable, or name it in .dockerignore");
    }
    let text = text_of(error);
    let lines = log.last_lines(LAST_LINES);
    if names_full_disk(&text) || lines.iter().any(|line| names_full_disk(line)) {
        return disk_full(title, &text).logs(lines);
    }
    let mut diagnostic = engine_failed(Code::BuildFailed, title, error);
    if let Some(step) = &log.step_error {
        diagnostic = diagnostic.at(format!("Dockerfile step {step}"));
    }
    if let Some(help) = help_for(&text) {
        diagnostic = diagnostic.help(help);
    }
    diagnostic.logs(lines)
}

fn help_for(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["toomanyrequests", "rate limit"]) {
        return Some(
            "the registry of the base image limits pulls: log in before this step, or mirror the base image",
        );
    }
    if says(&[
        "pull access denied",
        "failed to resolve source metadata",
        "manifest unknown",
        "failed to do request",
        "not found: manifest",
    ]) {
        return Some(
            "the base image cannot be pulled: check its name and tag after FROM, the network, and whether it needs a login",
        );
    }
    if says(&["target stage", "failed to reach build target"]) {
        return Some("name a stage of the Dockerfile: FROM … AS name");
    }
    if says(&["exec format error"]) {
        return Some(
            "a base image is for another platform than this machine's: use images for linux/amd64",
        );
    }
    None
}
