//! Evidence of this job's environments: where it lies, whose key counts, and who speaks.

use async_trait::async_trait;
use delivery::approval;
use delivery::attestation::admit::line;
use delivery::attestation::record::ApprovalRecord;
use delivery::attestation::{Finding, TrustedKey};
use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::gate::Mode;
use delivery::name::EnvironmentName;
use delivery::outcome::Outcome;
use delivery::plan::Intent;
use delivery::release::Release;
use delivery::target::Approval;

use super::build::commit_tag;
use super::deliver::{Mode as Doing, deliver};
use super::job::Job;
use super::session::Session;
use crate::evidence::rule::{Archive, Author, Next, Proven, Rule, Shelf, Tests, finding_of};
use crate::evidence::{KmsSigner, RegistryStore, Signer, copy_all, signer};
use crate::inputs::{EnvironmentInputs, Inputs, Wish, typed};
use crate::report::RunSummary;
use crate::report::text::one_line;

/// Evidence in the registries of the environments, signed by their keys.
pub(super) struct Registries<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) session: &'a Session,
    /// Where the images of an environment lie that names no repository of its own.
    pub(super) repository: &'a str,
}

#[async_trait]
impl Archive for Registries<'_> {
    async fn open(&self, environment: &EnvironmentName) -> Result<Shelf, Diagnostic> {
        let missing = || typed::missing("environment");
        let environment = self.inputs.environment(environment).ok_or_else(missing)?;
        let api = self.session.api();
        let key: Option<Box<dyn TrustedKey>> = match &environment.evidence_kms_key {
            Some(key) => Some(Box::new(signer::public_key(&api, key).await?)),
            None => None,
        };
        let signs =
            |key: &_| -> Box<dyn Signer> { Box::new(KmsSigner::new(api, Clone::clone(key))) };
        let signer = environment.evidence_kms_key.as_ref().map(signs);
        let repository = environment.image.as_deref().unwrap_or(self.repository);
        let (client, _) = self.session.registry(repository).await?;
        Ok(Shelf {
            store: Box::new(RegistryStore::new(client)),
            key,
            signer,
        })
    }
}

/// Carries out a promotion with the evidence that it needs and leaves; or shows both.
///
/// # Errors
/// The release must not go on, or serves without its evidence.
pub(super) async fn promote(
    job: &Job<'_>,
    session: &Session,
    release: &Release,
    doing: Doing,
    run: &mut RunSummary,
) -> Result<Outcome, Diagnostic> {
    let archive = Registries {
        inputs: &job.inputs,
        session,
        repository: job.repository()?,
    };
    let reader = session.reader();
    let measured = || job.sink.evidence();
    let name = &job.environment.environment.name;
    let before = job.inputs.before(name).map(|one| &one.environment.name);
    let last = job.inputs.environments.last();
    let is_last = last.is_some_and(|last| last.environment.name == *name);
    let proven = Proven {
        rule: Rule {
            environment: name,
            before,
            mode: job.environment.evidence,
            next: if is_last { Next::None } else { Next::Asks },
        },
        archive: &archive,
        cloud: &reader,
        targets: &job.targets,
        release,
        configuration: job.environment.spec.hash(),
        started: job.guard.clock.now(),
        tests: match job.inputs.command {
            Wish::Promote => Tests::Before,
            Wish::Auto | Wish::Deploy | Wish::Plan | Wish::Status => Tests::Here,
        },
        author: author(job, session, run.approval.as_ref()),
        measured: &measured,
        sink: job.sink.as_ref(),
        guard: &job.guard,
    };
    let intent = Intent::Promote {
        release: release.clone(),
        spec: Box::new(job.environment.spec.clone()),
    };
    if doing == Doing::Show {
        let way = way(job, &archive, release);
        run.passes = job.guarded("look at the evidence", way).await?;
        for line in &run.passes {
            job.sink.emit(Event::Note(format!("evidence: {line}")));
        }
        proven.ask().await?;
        return Ok(deliver(job, session, intent, doing, run).await.0);
    }
    let bring = bring(job, session, release);
    let ended = {
        let deliver = deliver(job, session, intent, doing, run);
        proven.carry_out(bring, deliver).await
    };
    run.passes = ended.admitted.into_iter().collect();
    ended.outcome
}

/// Who speaks.
fn author(job: &Job<'_>, session: &Session, approval: Option<&approval::ApprovalRecord>) -> Author {
    let git_ref = Some(job.context.git_ref.clone());
    Author {
        run: job.context.run.clone(),
        repository: job.context.repository.clone(),
        repository_url: job.context.repository_url(),
        git_ref: git_ref.filter(|text| !text.is_empty()),
        identity: session.tokens.member(),
        approval: ApprovalRecord {
            policy: policy(job.environment.environment.approval).to_owned(),
            approvers: approval
                .map(|known| known.approvers.clone())
                .unwrap_or_default(),
            attempt: match approval.and_then(|known| known.attempt) {
                Some(approval::ApprovedAttempt::First) => "first".to_owned(),
                Some(approval::ApprovedAttempt::Unknown) | None => "unknown".to_owned(),
            },
        },
    }
}

fn policy(approval: Approval) -> &'static str {
    match approval {
        Approval::Required => "required",
        Approval::External => "external",
        Approval::None => "none",
    }
}

/// Brings image and evidence into the repository of this environment, from that of the one before,
/// where they are two.
async fn bring(job: &Job<'_>, session: &Session, release: &Release) -> Result<(), Diagnostic> {
    let name = &job.environment.environment.name;
    let (own, Some(before)) = (job.repository()?, job.inputs.before(name)) else {
        return Ok(());
    };
    let Some(source) = before.image.as_deref().filter(|it| *it != own) else {
        return Ok(());
    };
    let digest = &release.image.digest;
    let (from, _) = session.registry(source).await?;
    let (to, _) = session.registry(own).await?;
    if to.head(digest).await?.is_none() {
        let note = format!("copy {digest} from {source} to {own}");
        job.sink.emit(Event::Note(note));
        to.copy_from(&from, digest).await?;
    }
    to.put_tag(digest, &commit_tag(&release.commit)).await?;
    if job.environment.evidence != Mode::Off {
        let (from, to) = (RegistryStore::new(from), RegistryStore::new(to));
        let all = job.inputs.environments.iter();
        let later = all.map(|one| one.environment.name.clone());
        let later: Vec<_> = later.skip_while(|one| one != name).collect();
        copy_all(&from, &to, digest, &later).await?;
    }
    Ok(())
}

/// One line for each earlier environment: for who approves.
async fn way(job: &Job<'_>, archive: &dyn Archive, release: &Release) -> Vec<String> {
    let name = &job.environment.environment.name;
    let is_earlier = |it: &&EnvironmentInputs| it.environment.name != *name;
    let mut lines = Vec::new();
    for environment in job.inputs.environments.iter().take_while(is_earlier) {
        let name = &environment.environment.name;
        let found = finding_of(archive, &release.image.digest, name).await;
        lines.push(match found {
            Ok(finding) => in_words(name.as_str(), &finding),
            Err(problem) => format!("{name}: not known, {}", problem.title),
        });
    }
    lines
}

/// A finding in one line.
pub(super) fn in_words(environment: &str, finding: &Finding) -> String {
    let words = match finding {
        Finding::Counts(passed) => format!("{}, signed by its key", line(passed)),
        Finding::Unsigned(passed) => format!("{}, UNSIGNED", line(passed)),
        Finding::NotSigned => format!("{environment}: not signed, although it has a key"),
        Finding::BadSignature => format!("{environment}: not signed by its key"),
        Finding::Failed { .. } => format!("{environment}: failed with this image"),
        Finding::WrongSubject => format!("{environment}: what is attached is about another image"),
        Finding::WrongEnvironment { .. } | Finding::Missing => {
            format!("{environment}: no evidence")
        }
    };
    // Whoever may push can have written what is not signed.
    one_line(&words)
}
