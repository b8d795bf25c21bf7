//! From a version tag to the digest that was built from its commit.

use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::release::{Commit, ImageDigest};
use delivery::stage::Stage;
use semver::Version;

use super::build::{self, commit_tag};
use super::job::Job;
use super::session::Session;
use crate::gcp::artifacts;
use crate::gcp::registry::TagPut;

/// Finds the digest, waiting for a build under way; the version's tag must be free, or on it.
///
/// # Errors
/// [`Code::NoImageForCommit`] with the ways out, or what the registry answers.
pub(super) async fn resolve(
    job: &Job<'_>,
    session: &Session,
    version: &Version,
) -> Result<ImageDigest, Vec<Diagnostic>> {
    let one = |diagnostic| vec![diagnostic];
    let repository = job.repository().map_err(one)?;
    let tag = commit_tag(job.commit().map_err(one)?);
    let repository = lies_in(session, job, repository, &tag).await.map_err(one)?;
    let (registry, _) = session.registry(repository).await.map_err(one)?;
    let is_first = job
        .inputs
        .environments
        .first()
        .is_some_and(|first| first.environment.name == job.environment.environment.name);
    let builds_itself = job.inputs.build.build_on_tag && is_first;
    let digest = if builds_itself {
        build::build_and_push(job, session).await?
    } else {
        if registry.resolve(&tag).await.map_err(one)?.is_none() {
            elsewhere(session, repository, &tag).await.map_err(one)?;
        }
        let wait = registry.wait_for_tag(&tag, job.inputs.build.wait_for_build, job.sink.as_ref());
        let found = job
            .guarded("find the image of the commit", wait)
            .await
            .map_err(one)?
            .map_err(one)?;
        found.ok_or_else(|| {
            vec![no_image(
                job,
                repository,
                &tag,
                job.inputs.build.wait_for_build,
            )]
        })?
    };
    job.sink
        .emit(Event::Note(format!("{repository}:{tag} is {digest}")));
    let own = job.repository().map_err(one)?;
    let (registry, _) = session.registry(own).await.map_err(one)?;
    let version_tag = version_tag(version);
    let taken = registry.resolve(&version_tag).await.map_err(one)?;
    if taken.is_some_and(|other| other != digest) {
        // Refused, naming both digests: before anything is deployed.
        registry.put_tag(&digest, &version_tag).await.map_err(one)?;
    }
    Ok(digest)
}

/// Puts the version's tag on the digest, once it serves: what a gate refuses leaves no tag behind.
/// Asked again in each environment, for the first may have been left out.
///
/// # Errors
/// What the registry answers.
pub(super) async fn tag(
    job: &Job<'_>,
    session: &Session,
    version: &Version,
    digest: &ImageDigest,
) -> Result<(), Diagnostic> {
    let repository = job.repository()?;
    let (registry, _) = session.registry(repository).await?;
    let version_tag = version_tag(version);
    if registry.put_tag(digest, &version_tag).await? == TagPut::Created {
        job.sink
            .emit(Event::Note(format!("tagged {repository}:{version_tag}")));
    }
    Ok(())
}

/// Finds the digest that was built from the commit, without waiting for a build.
///
/// # Errors
/// As [`resolve`].
pub(super) async fn find(job: &Job<'_>, session: &Session) -> Result<ImageDigest, Vec<Diagnostic>> {
    let one = |diagnostic| vec![diagnostic];
    let repository = job.repository().map_err(one)?;
    let tag = commit_tag(job.commit().map_err(one)?);
    let repository = lies_in(session, job, repository, &tag).await.map_err(one)?;
    let (registry, _) = session.registry(repository).await.map_err(one)?;
    let found = registry.resolve(&tag).await.map_err(one)?;
    if found.is_none() {
        elsewhere(session, repository, &tag).await.map_err(one)?;
    }
    found.ok_or_else(|| vec![no_image(job, repository, &tag, Duration::ZERO)])
}

/// The repository that the commit's image is looked for in: this environment's own where it is there
/// already, otherwise that of the environment before, from which it is copied.
async fn lies_in<'j>(
    session: &Session,
    job: &'j Job<'_>,
    own: &'j str,
    tag: &str,
) -> Result<&'j str, Diagnostic> {
    let before = job.inputs.before(&job.environment.environment.name);
    let before = before.and_then(|it| it.image.as_deref());
    let Some(before) = before.filter(|it| *it != own) else {
        return Ok(own);
    };
    let (registry, _) = session.registry(own).await?;
    Ok(match registry.resolve(tag).await? {
        Some(_) => own,
        None => before,
    })
}

/// Looks for the tag under another name in the same repository: then the path is wrong, and no wait
/// brings the image. What the registry does not tell is passed over, for the question is a courtesy.
///
/// # Errors
/// [`Code::NoImageForCommit`] with the path that was pushed to.
async fn elsewhere(session: &Session, repository: &str, tag: &str) -> Result<(), Diagnostic> {
    let found = artifacts::images_with_tag(&session.api(), repository, tag).await;
    let others = found.unwrap_or_default();
    let Some(other) = others.iter().find(|other| *other != repository) else {
        return Ok(());
    };
    Err(Diagnostic::error(
        Code::NoImageForCommit,
        format!("there is no image `{repository}:{tag}` of this commit"),
    )
    .at("input `image`")
    .cause(format!(
        "incorrect image path: the image of this commit was pushed to `{other}`"
    ))
    .help(format!("set input `image` to `{other}`")))
}

/// The version as an image's tag, without `v`, as docker/metadata-action writes it; a `+` is not
/// allowed there.
fn version_tag(version: &Version) -> String {
    version.to_string().replace('+', "-")
}

fn no_image(job: &Job<'_>, repository: &str, tag: &str, waited: Duration) -> Diagnostic {
    let asked = match waited.as_secs() / 60 {
        0 => "the registry has no such tag; a push to the branch builds it".to_owned(),
        minutes => {
            format!("it did not appear within {minutes} min; a push to the branch builds it")
        }
    };
    let wish = Wish {
        branches: &job.inputs.branches,
        commit: job.commit().ok(),
        first: job.inputs.names().first().copied().unwrap_or_default(),
        is_release: matches!(job.stage, Stage::Release { .. }),
        on_terminal: !job.shell.on_github,
        build_on_tag: job.inputs.build.build_on_tag,
    };
    let mut diagnostic = Diagnostic::error(
        Code::NoImageForCommit,
        format!("there is no image `{repository}:{tag}` of this commit"),
    )
    .at(job.context.git_ref.clone())
    .cause(asked)
    .state("nothing was changed");
    diagnostic.help = wish.ways_to_an_image();
    diagnostic
}

/// What decides how an image can come to be.
struct Wish<'a> {
    branches: &'a [String],
    /// The one without an image; not what happens to be checked out.
    commit: Option<&'a Commit>,
    /// The first environment.
    first: &'a str,
    is_release: bool,
    on_terminal: bool,
    build_on_tag: bool,
}

impl Wish<'_> {
    fn ways_to_an_image(&self) -> Vec<String> {
        let Self {
            branches,
            commit,
            first,
            is_release,
            on_terminal,
            build_on_tag,
        } = self;
        let mut ways = vec![format!(
            "push the commit to {} first, let its run end well, then run this again",
            branches.join(" or ")
        )];
        if let Some(commit) = commit.filter(|_| *on_terminal) {
            let branch = branches.first().map_or("main", String::as_str);
            ways.push(format!(
                "or build and push it: `git checkout {commit}`, then `ml-deploy promote {branch} --commit {commit} --build`, which deploys it to `{first}`"
            ));
        }
        match (is_release, build_on_tag) {
            (false, _) => {}
            (true, true) => ways.push(format!(
                "or run this for `{first}` first: with `build_on_tag` it builds the image"
            )),
            (true, false) => ways.push(
                "or say `build_on_tag: true`, so that the tag's first environment builds it"
                    .to_owned(),
            ),
        }
        ways
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_image_has_the_ways_out_of_where_it_is_missing() {
        let branches = ["main".to_owned(), "next".to_owned()];
        let commit = Commit::parse("c".repeat(40)).unwrap();
        let ways = |is_release, on_terminal, build_on_tag| {
            let wish = Wish {
                branches: &branches,
                commit: Some(&commit),
                first: "dev",
                is_release,
                on_terminal,
                build_on_tag,
            };
            wish.ways_to_an_image()
        };
        let push =
            "push the commit to main or next first, let its run end well, then run this again";
        // Whatever is checked out: built is the commit without an image.
        let build = "or build and push it: `git checkout cccccccccccccccccccccccccccccccccccccccc`, then `ml-deploy promote main --commit cccccccccccccccccccccccccccccccccccccccc --build`, which deploys it to `dev`";
        let on_tag = "or say `build_on_tag: true`, so that the tag's first environment builds it";
        let first = "or run this for `dev` first: with `build_on_tag` it builds the image";
        assert_eq!(ways(true, false, false), [push, on_tag]);
        assert_eq!(ways(true, false, true), [push, first]);
        assert_eq!(ways(true, true, false), [push, build, on_tag]);
        // `build_on_tag` says nothing about a branch.
        assert_eq!(ways(false, true, false), [push, build]);
        assert_eq!(ways(false, false, true), [push]);
    }

    #[test]
    fn a_version_is_a_valid_image_tag() {
        assert_eq!(
            version_tag(&Version::parse("1.2.3-rc.1+build.5").unwrap()),
            "1.2.3-rc.1-build.5"
        );
    }
}
