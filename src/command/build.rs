//! Builds the image of this commit, once, and pushes it.

use std::path::Path;

use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::release::{Commit, ImageDigest};

use super::check;
use super::checkout::must_be_checked_out;
use super::job::Job;
use super::session::Session;
use crate::image::{BuildRequest, BuiltImage, Engine, ImageOrigin, RegistryLogin};

/// The tag of the image that was built from a commit.
pub(super) fn commit_tag(commit: &Commit) -> String {
    format!("sha-{commit}")
}

/// Builds the image and pushes it under its commit's tag, unless the registry has it: an image is
/// built once, and a run that is started again promotes what the first one built.
///
/// # Errors
/// Whatever goes wrong with build or push.
pub(super) async fn build_and_push(
    job: &Job<'_>,
    session: &Session,
) -> Result<ImageDigest, Vec<Diagnostic>> {
    let repository = job.repository().map_err(one)?;
    let commit = job.commit().map_err(one)?;
    let tag = commit_tag(commit);
    let (registry, address) = session.registry(repository).await.map_err(one)?;
    if let Some(digest) = registry.resolve(&tag).await.map_err(one)? {
        job.sink.emit(Event::Note(format!(
            "{repository}:{tag} was built before: {digest}"
        )));
        return Ok(digest);
    }
    // A job's checkout is its commit's; files that the workflow made are its own business.
    if !job.shell.on_github {
        must_be_checked_out(&job.root, commit).await.map_err(one)?;
    }
    let logins = if job.inputs.build.cache_from.is_empty() {
        Vec::new()
    } else {
        let token = session.tokens.access_token().await.map_err(one)?;
        vec![RegistryLogin {
            host: address.host.clone(),
            token,
        }]
    };
    let engine = Engine::connect().await.map_err(one)?;
    let image = build(job, &engine, logins).await?;
    job.sink.emit(Event::GroupStarted {
        title: format!("Push {repository}:{tag}"),
    });
    // Only now: a token lives for minutes, and a build may take longer.
    let token = session.tokens.access_token().await.map_err(one)?;
    let push = engine.push(&image, &address, &tag, token, job.sink.as_ref());
    let digest = job
        .guarded("push the image", push)
        .await
        .map_err(one)?
        .map_err(one)?;
    job.sink
        .emit(Event::Note(format!("pushed {repository}@{digest}")));
    job.sink.emit(Event::GroupEnded);
    Ok(digest)
}

/// Builds the image.
///
/// # Errors
/// Everything that is wrong with context and Dockerfile, or why the build failed.
pub(super) async fn build(
    job: &Job<'_>,
    engine: &Engine,
    logins: Vec<RegistryLogin>,
) -> Result<BuiltImage, Vec<Diagnostic>> {
    let request = request(job, logins)?;
    check::sources(job).await?;
    job.sink.emit(Event::GroupStarted {
        title: format!("Build {}", job.inputs.build.context),
    });
    let building = engine.build(&request, job.sink.as_ref());
    let image = job
        .guarded("build the image", building)
        .await
        .map_err(one)??;
    job.sink.emit(Event::GroupEnded);
    check::image(job, engine, &image).await?;
    Ok(image)
}

fn request(job: &Job<'_>, logins: Vec<RegistryLogin>) -> Result<BuildRequest, Vec<Diagnostic>> {
    let build = &job.inputs.build;
    let source = job.context.repository_url().unwrap_or_default();
    let title = job
        .context
        .owner_and_name()
        .map_or("ml-api", |(_, name)| name);
    let origin = ImageOrigin {
        title,
        source: &source,
        commit: job.commit().map_err(one)?,
        version: None,
        committed_at: None,
    };
    Ok(BuildRequest {
        dockerfile: build.file.as_ref().map(|file| within(&job.root, file)),
        build_args: build.build_args.clone(),
        target: build.target.clone(),
        platform: build.platform.clone(),
        labels: origin.labels(),
        cache_from: build.cache_from.clone(),
        inline_cache: !build.cache_from.is_empty(),
        no_cache: build.no_cache,
        logins,
        ..BuildRequest::new(within(&job.root, &build.context))
    })
}

/// `ROOT/path`; `.` is the root itself.
fn within(root: &Path, path: &str) -> std::path::PathBuf {
    if path == "." {
        root.to_owned()
    } else {
        root.join(path)
    }
}

fn one(diagnostic: Diagnostic) -> Vec<Diagnostic> {
    vec![diagnostic]
}
