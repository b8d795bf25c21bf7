//! From event and ref to what this run is about.

use semver::Version;

use crate::diagnostic::{Code, Diagnostic};
use crate::name::RevisionName;
use crate::nearest::nearest;

const BRANCH_REF: &str = "refs/heads/";
const TAG_REF: &str = "refs/tags/";
const PULL_REF: &str = "refs/pull/";
/// Events of GitHub whose ref is what is to be deployed; empty on a terminal.
const DEPLOYING_EVENTS: [&str; 7] = [
    "",
    "push",
    "release",
    "workflow_dispatch",
    "repository_dispatch",
    "schedule",
    "workflow_run",
];

/// What this run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// A pull request: build, start the container beside the action, test it; push nothing.
    PullRequest,
    /// A push to a configured branch: build, push, deploy to the first environment.
    Branch {
        /// The branch.
        branch: String,
    },
    /// A version tag: the digest of that commit goes to the environment of this job.
    Release {
        /// The tag as it is written, such as `v1.2.3`.
        tag: String,
        /// The version.
        version: Version,
    },
    /// A manual run that moves traffic back.
    Rollback {
        /// To what.
        to: RollbackTo,
    },
}

/// Where a rollback goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackTo {
    /// The last revision recorded healthy before the one that serves.
    Previous,
    /// The newest healthy revision of this version.
    Version(Version),
    /// This revision.
    Revision(RevisionName),
}

/// What is known about the trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// `push`, `pull_request`, `workflow_dispatch`, `release`, …; empty on a terminal.
    pub event: String,
    /// The full ref, such as `refs/heads/main`; empty on a terminal.
    pub git_ref: String,
    /// Branches whose pushes are deployed.
    pub branches: Vec<String>,
    /// The input `rollback_to`, if given.
    pub rollback_to: Option<String>,
}

/// Says what this run is about. A rollback that is asked for comes before everything else; whatever
/// the event. Never guesses: what is neither a configured branch nor a version tag is an error that
/// names the nearest valid value.
///
/// # Errors
/// Everything that is wrong with the trigger.
pub fn parse_stage(trigger: &Trigger) -> Result<Stage, Vec<Diagnostic>> {
    let Trigger {
        event,
        git_ref,
        branches,
        rollback_to,
    } = trigger;
    if let Some(text) = rollback_to
        .as_deref()
        .filter(|text| !text.trim().is_empty())
    {
        let to = parse_rollback_to(text).map_err(|diagnostic| vec![diagnostic])?;
        return Ok(Stage::Rollback { to });
    }
    let stage = match event.as_str() {
        "pull_request" => parse_pull_request(git_ref, branches),
        "pull_request_target" => Err(not_deployable(
            "event `pull_request_target` is refused".to_owned(),
            git_ref,
        )
        .cause("it would run a stranger's code with this repository's secrets")
        .help("use `on: pull_request`: the image is built and tested without credentials")),
        event if DEPLOYING_EVENTS.contains(&event) => parse_ref(git_ref, branches),
        event => Err(
            not_deployable(format!("event `{event}` deploys nothing"), git_ref)
                .help("use `on: push` (branches and tags), `pull_request`, `release` or `workflow_dispatch`"),
        ),
    };
    stage.map_err(|diagnostic| vec![diagnostic])
}

/// A pull request that is open has a ref of its own. One that was merged or closed has its base's,
/// and a build of it would not be what the pull request is.
fn parse_pull_request(git_ref: &str, branches: &[String]) -> Result<Stage, Diagnostic> {
    if git_ref.starts_with(PULL_REF) {
        return Ok(Stage::PullRequest);
    }
    Err(not_deployable(
        "the pull request is closed: there is nothing to try".to_owned(),
        git_ref,
    )
    .cause(format!(
        "its ref is `{git_ref}`, not `{PULL_REF}NUMBER/merge`"
    ))
    .help(format!(
        "deploy what was merged with `on: push` of {}",
        in_words(branches)
    )))
}

fn parse_ref(git_ref: &str, branches: &[String]) -> Result<Stage, Diagnostic> {
    if let Some(tag) = git_ref.strip_prefix(TAG_REF) {
        return parse_tag(tag, git_ref);
    }
    if let Some(branch) = git_ref.strip_prefix(BRANCH_REF) {
        return parse_branch(branch, branches, git_ref);
    }
    if git_ref.is_empty() {
        return Err(not_deployable(
            "no Git ref is given: what is to be deployed?".to_owned(),
            git_ref,
        )
        .help(format!(
            "name {}, or a version tag such as `v1.0.0`",
            in_words(branches)
        )));
    }
    if git_ref.starts_with(PULL_REF) {
        return Err(not_deployable(
            format!("`{git_ref}` is a pull request, and only its own event tries it"),
            git_ref,
        )
        .help("use `on: pull_request`"));
    }
    let near = match version_of(git_ref) {
        Some(version) => format!("{TAG_REF}v{version}"),
        None => format!("{BRANCH_REF}{}", git_ref.trim_start_matches("refs/")),
    };
    Err(
        not_deployable(format!("`{git_ref}` is no full Git ref"), git_ref)
            .help(format!("write it in full, such as `{near}`")),
    )
}

fn parse_branch(branch: &str, branches: &[String], git_ref: &str) -> Result<Stage, Diagnostic> {
    if branches.iter().any(|known| known == branch) {
        return Ok(Stage::Branch {
            branch: branch.to_owned(),
        });
    }
    let near = nearest(branch, branches.iter().map(String::as_str));
    let mut diagnostic = not_deployable(
        format!("branch `{branch}` is not configured to be deployed"),
        git_ref,
    )
    .cause(format!("configured: {}", in_words(branches)));
    if let Some(near) = near {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    Err(diagnostic.help(format!(
        "add `{branch}` to the input `branches`, or push a version tag"
    )))
}

fn parse_tag(tag: &str, git_ref: &str) -> Result<Stage, Diagnostic> {
    let parsed = tag.strip_prefix('v').map(Version::parse);
    if let Some(Ok(version)) = parsed {
        return Ok(Stage::Release {
            tag: tag.to_owned(),
            version,
        });
    }
    let near = version_of(tag).unwrap_or(Version::new(1, 0, 0));
    let diagnostic = if Version::parse(tag).is_ok() {
        not_deployable(
            format!("tag `{tag}` lacks the `v` of a version tag"),
            git_ref,
        )
    } else {
        let diagnostic = not_deployable(format!("tag `{tag}` is no semantic version"), git_ref);
        match parsed {
            Some(Err(error)) => diagnostic.cause(error.to_string()),
            _ => diagnostic,
        }
    };
    Err(diagnostic.help(format!(
        "tag the commit as `v{near}` (form vMAJOR.MINOR.PATCH, https://semver.org)"
    )))
}

/// Reads the input `rollback_to`: `previous`, a version (`v1.2.3` or `1.2.3`) or a revision's name.
///
/// # Errors
/// A diagnostic with the nearest valid value when it is none of them.
pub fn parse_rollback_to(text: &str) -> Result<RollbackTo, Diagnostic> {
    const PREVIOUS: &str = "previous";
    let text = text.trim();
    if text == PREVIOUS {
        return Ok(RollbackTo::Previous);
    }
    if let Ok(version) = Version::parse(text.strip_prefix('v').unwrap_or(text)) {
        return Ok(RollbackTo::Version(version));
    }
    let invalid = Diagnostic::error(
        Code::InputInvalid,
        format!("`{text}` is neither `{PREVIOUS}` nor a version nor the name of a revision"),
    )
    .at("rollback_to");
    if nearest(text, [PREVIOUS]).is_some() {
        return Err(invalid.help(format!("did you mean `{PREVIOUS}`?")));
    }
    // `v1-4-0` has the letters of a revision's name, but a version is meant.
    let numbers = text.strip_prefix('v').unwrap_or(text);
    let looks_like_version = numbers.starts_with(|c: char| c.is_ascii_digit())
        && numbers
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_'));
    if looks_like_version && let Some(version) = version_of(text) {
        return Err(invalid.help(format!("did you mean `v{version}`?")));
    }
    // A revision's name begins with its service's name and a hyphen.
    match RevisionName::parse(text) {
        Ok(name) if text.contains('-') => Ok(RollbackTo::Revision(name)),
        Ok(_) => Err(invalid.cause("a revision's name is SERVICE-SUFFIX").help(
            "write `previous`, a version such as `v1.2.3`, or a revision as `ml-deploy revisions` lists them",
        )),
        Err(error) => Err(invalid.cause(error.to_string()).help(
            "write `previous`, a version such as `v1.2.3`, or a revision as `ml-deploy revisions` lists them",
        )),
    }
}

fn not_deployable(title: String, git_ref: &str) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::RefNotDeployable, title);
    if git_ref.is_empty() {
        diagnostic
    } else {
        diagnostic.at(git_ref)
    }
}

fn in_words(branches: &[String]) -> String {
    match branches {
        [] => "a branch (none is configured)".to_owned(),
        [one] => format!("branch `{one}`"),
        many => {
            let names: Vec<String> = many.iter().map(|name| format!("`{name}`")).collect();
            format!("one of the branches {}", names.join(", "))
        }
    }
}

/// The version that a text is likely to mean: its first three numbers, missing ones are 0.
fn version_of(text: &str) -> Option<Version> {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse::<u64>().ok());
    let major = numbers.next()??;
    let mut next = || numbers.next().flatten().unwrap_or(0);
    Some(Version::new(major, next(), next()))
}

#[cfg(test)]
mod tests;
