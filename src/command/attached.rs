//! `evidence`: what is attached to an image, environment by environment.

use std::sync::Arc;

use delivery::attestation::Finding;
use delivery::diagnostic::{Code, Diagnostic};
use delivery::release::ImageDigest;
use serde_json::{Value, json};

use super::build::commit_tag;
use super::evidence::{Registries, in_words};
use super::job::{read_context, read_inputs, take_reference};
use super::look::{finish, write};
use super::session::Session;
use super::shell::Shell;
use crate::cli::EvidenceArgs;
use crate::evidence::rule::finding_of;
use crate::inputs::{EnvironmentInputs, Inputs};

/// Shows what is attached, in each environment or in the one that is named. Reads only.
pub(super) async fn run(shell: &Shell, arguments: EvidenceArgs) -> u8 {
    finish(shell, show(shell, arguments)).await
}

async fn show(shell: &Shell, arguments: EvidenceArgs) -> Result<(), Vec<Diagnostic>> {
    let one = |problem| vec![problem];
    let EvidenceArgs {
        reference,
        commit,
        digest,
        flags,
    } = arguments;
    let (inputs, mut problems) = read_inputs(shell, &flags.0);
    let is_wanted = |it: &&EnvironmentInputs| {
        let chosen = inputs.chosen.name();
        chosen.is_none_or(|chosen| *chosen == it.environment.name)
    };
    let wanted: Vec<&EnvironmentInputs> = inputs.environments.iter().filter(is_wanted).collect();
    for environment in &wanted {
        let missing = environment.repository().err();
        environment.tell_missing(missing.into_iter().collect(), &mut problems);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let sessions = Session::open_all(shell, &inputs, wanted.iter().copied(), shell.sink());
    let sessions = sessions.await.map_err(one)?;
    let sessions: Vec<_> = wanted.into_iter().zip(sessions).collect();
    let digest = match digest {
        Some(text) => ImageDigest::parse(text).map_err(|error| {
            let error = Diagnostic::error(Code::InputInvalid, error.to_string());
            vec![error.at("flag `--digest`")]
        })?,
        None => {
            let mut context = read_context(shell);
            take_reference(&mut context, &shell.root(), reference, commit)
                .await
                .map_err(one)?;
            let tag = commit_tag(context.commit().map_err(one)?);
            image_of(&sessions, &tag).await.map_err(one)?
        }
    };
    let mut problems = Vec::new();
    for (environment, session) in &sessions {
        match look(&inputs, environment, session, &digest).await {
            Ok(finding) => {
                let name = environment.environment.name.as_str();
                let json = in_json(name, &digest, &finding);
                write(shell, &in_words(name, &finding), &json);
            }
            Err(problem) if problems.contains(&problem) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

async fn look(
    inputs: &Inputs,
    environment: &EnvironmentInputs,
    session: &Session,
    digest: &ImageDigest,
) -> Result<Finding, Diagnostic> {
    let archive = Registries {
        inputs,
        session,
        repository: environment.repository()?,
    };
    finding_of(&archive, digest, &environment.environment.name).await
}

/// The image with this tag: environments with repositories of their own have the same digest.
async fn image_of(
    sessions: &[(&EnvironmentInputs, Arc<Session>)],
    tag: &str,
) -> Result<ImageDigest, Diagnostic> {
    let mut asked: Vec<&str> = Vec::new();
    for (environment, session) in sessions {
        let repository = environment.repository()?;
        if asked.contains(&repository) {
            continue;
        }
        let (registry, _) = session.registry(repository).await?;
        if let Some(digest) = registry.resolve(tag).await? {
            return Ok(digest);
        }
        asked.push(repository);
    }
    let places = asked.join(", ");
    Err(
        Diagnostic::error(Code::NoImageForCommit, "there is no image of this commit")
            .cause(format!("no image is tagged `{tag}` in {places}"))
            .help("name the image itself: `--digest sha256:…`"),
    )
}

fn in_json(environment: &str, digest: &ImageDigest, finding: &Finding) -> Value {
    let state = match finding {
        Finding::Counts(_) | Finding::Unsigned(_) => "passed",
        Finding::Failed { .. } => "failed",
        Finding::NotSigned => "not-signed",
        Finding::BadSignature => "not-signed-by-its-key",
        Finding::WrongSubject => "about-another-image",
        Finding::WrongEnvironment { .. } | Finding::Missing => "none",
    };
    let mut told = json!({"environment": environment, "digest": digest, "evidence": state});
    if let Finding::Counts(passed) | Finding::Unsigned(passed) = finding {
        told["signed"] = json!(matches!(finding, Finding::Counts(_)));
        told["passed_tests"] = json!(passed.passed);
        told["warned_tests"] = json!(passed.warned);
        told["url"] = json!(passed.url);
    }
    if let Finding::Failed { tests } = finding {
        told["failed_tests"] = json!(tests);
    }
    told
}
