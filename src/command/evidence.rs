//! Evidence of the environment before, asked for before a delivery; evidence of this one, attached
//! after it.

use delivery::approval;
use delivery::attestation::admit::{Admission, line};
use delivery::attestation::record::{ApprovalRecord, Basis, Measured, RunRecord, ServiceRecord};
use delivery::attestation::{Asked, DeliveryRecord, Finding, TestResult, TrustedKey, admit};
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::gate::Mode;
use delivery::name::RevisionName;
use delivery::outcome::Outcome;
use delivery::release::{ImageReference, Release};
use delivery::snapshot::StateSeen;
use delivery::spec::ConfigHash;
use delivery::state::{Healthy, RunRef, Timestamp};
use delivery::target::{Approval, Target};
use delivery::verdict::Evidence;

use super::build::commit_tag;
use super::deliver::Mode as Doing;
use super::job::Job;
use super::session::Session;
use crate::evidence::{
    KmsSigner, Pass, PublicKey, RegistryStore, Signer, attach_pass, copy_all, find_pass, signer,
};
use crate::inputs::EnvironmentInputs;
use crate::report::RunSummary;

/// Where the evidence of an environment lies: beside the images of its repository, or of this job's
/// where it has none of its own.
async fn store(
    job: &Job<'_>,
    session: &Session,
    environment: &EnvironmentInputs,
) -> Result<RegistryStore, Diagnostic> {
    let repository = match environment.image.as_deref() {
        Some(repository) => repository,
        None => job.repository()?,
    };
    let (client, _) = session.registry(repository).await?;
    Ok(RegistryStore::new(client))
}

async fn key_of(
    session: &Session,
    environment: &EnvironmentInputs,
) -> Result<Option<PublicKey>, Diagnostic> {
    match &environment.evidence_kms_key {
        Some(key) => signer::public_key(&session.api(), key).await.map(Some),
        None => Ok(None),
    }
}

async fn find(
    job: &Job<'_>,
    session: &Session,
    image: &ImageReference,
    environment: &EnvironmentInputs,
) -> Result<Finding, Diagnostic> {
    let key = key_of(session, environment).await?;
    let key = key.as_ref().map(|key| key as &dyn TrustedKey);
    let store = store(job, session, environment).await?;
    find_pass(&store, &image.digest, &environment.environment.name, key).await
}

/// Asks for the evidence of the environment before this one. Nothing is asked of the first, nor of a
/// build that has no version, which goes to the first only.
///
/// # Errors
/// The release must not go on.
pub(super) async fn check(
    job: &Job<'_>,
    session: &Session,
    release: &Release,
    doing: Doing,
    run: &mut RunSummary,
) -> Result<(), Vec<Diagnostic>> {
    let asking = ask(job, session, release, doing, run);
    job.guarded("check the evidence", asking)
        .await
        .map_err(|problem| vec![problem])?
        .map_err(|problem| vec![problem])
}

async fn ask(
    job: &Job<'_>,
    session: &Session,
    release: &Release,
    doing: Doing,
    run: &mut RunSummary,
) -> Result<(), Diagnostic> {
    let environment = &job.environment;
    if environment.evidence != Mode::Off && doing == Doing::CarryOut {
        // A key that cannot be used is better known now than after the promotion.
        key_of(session, environment).await?;
    }
    if doing == Doing::Show {
        run.passes = earlier(job, session, &release.image).await;
        for line in &run.passes {
            job.sink.emit(Event::Note(format!("evidence: {line}")));
        }
    }
    let Some(before) = job.inputs.before(&environment.environment.name) else {
        return Ok(());
    };
    let mode = environment.evidence;
    let label = release.label();
    let image = release.image.to_string();
    let asked = Asked {
        release: &label,
        image: &image,
        of: &before.environment.name,
        into: &environment.environment.name,
        mode,
    };
    let finding = if mode == Mode::Off {
        Finding::Missing
    } else {
        match find(job, session, &release.image, before).await {
            Ok(finding) => finding,
            Err(problem) if mode == Mode::Warn => {
                job.sink.emit(Event::Warning(problem.as_warning()));
                return Ok(());
            }
            Err(problem) => return Err(problem),
        }
    };
    match admit(&finding, &asked) {
        Admission::Admitted(line) => {
            if doing == Doing::CarryOut {
                job.sink.emit(Event::Note(format!("evidence: {line}")));
                run.passes = vec![line];
            }
            Ok(())
        }
        Admission::Warned(warning) => {
            job.sink.emit(Event::Warning(*warning));
            Ok(())
        }
        Admission::Refused(refusal) => Err(*refusal),
    }
}

/// Brings image and evidence into the repository of this environment, from that of the one before,
/// where they are two.
///
/// # Errors
/// What a registry answers.
pub(super) async fn bring(
    job: &Job<'_>,
    session: &Session,
    release: &Release,
) -> Result<(), Vec<Diagnostic>> {
    let bringing = async {
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
            let here = &job.environment.environment.name;
            let all = job.inputs.environments.iter();
            let later = all.map(|one| one.environment.name.clone());
            let later: Vec<_> = later.skip_while(|name| name != here).collect();
            copy_all(&from, &to, digest, &later).await?;
        }
        Ok(())
    };
    let brought = job.guarded("copy the image", bringing).await;
    brought
        .and_then(|brought| brought)
        .map_err(|problem| vec![problem])
}

/// One line for each earlier environment: for who approves.
async fn earlier(job: &Job<'_>, session: &Session, image: &ImageReference) -> Vec<String> {
    let name = &job.environment.environment.name;
    let is_earlier = |it: &&EnvironmentInputs| it.environment.name != *name;
    let mut lines = Vec::new();
    for environment in job.inputs.environments.iter().take_while(is_earlier) {
        let name = &environment.environment.name;
        lines.push(match find(job, session, image, environment).await {
            Ok(finding) => in_words(name.as_str(), &finding),
            Err(problem) => format!("{name}: not known, {}", problem.title),
        });
    }
    lines
}

/// A finding in one line.
pub(super) fn in_words(environment: &str, finding: &Finding) -> String {
    match finding {
        Finding::Counts(passed) => format!("{}, signed by its key", line(passed)),
        Finding::Unsigned(passed) => format!("{}, UNSIGNED", line(passed)),
        Finding::NotSigned => format!("{environment}: not signed, although it has a key"),
        Finding::BadSignature => format!("{environment}: not signed by its key"),
        Finding::Failed { .. } => format!("{environment}: failed with this image"),
        Finding::WrongSubject => format!("{environment}: what is attached is about another image"),
        Finding::WrongEnvironment { .. } | Finding::Missing => {
            format!("{environment}: no evidence")
        }
    }
}

/// What a delivery came to.
pub(super) struct Delivered<'a> {
    pub(super) target: &'a Target,
    pub(super) release: &'a Release,
    /// When the run began with it.
    pub(super) started: Timestamp,
    /// What is known of its approval.
    pub(super) approval: Option<&'a approval::ApprovalRecord>,
}

/// Attaches the evidence of this environment after it passed: of what this run tested, or, where the
/// release served already and its evidence is missing, of what the service's record says.
///
/// # Errors
/// [`Code::EvidenceNotAttached`]; a warning where no later environment asks for it.
pub(super) async fn attach(
    job: &Job<'_>,
    session: &Session,
    delivered: &Delivered<'_>,
    outcome: &Outcome,
) -> Result<(), Diagnostic> {
    let environment = &job.environment;
    // Only a pass is attached; what stopped a run must not be taken for a failure to attach.
    let passed = matches!(outcome, Outcome::Promoted { .. } | Outcome::UpToDate { .. });
    if environment.evidence == Mode::Off || !passed {
        return Ok(());
    }
    let work = async {
        match outcome {
            Outcome::Promoted { revision, url } => {
                let now = job.guard.clock.now();
                let evidence = job.sink.evidence();
                let tested = Tested {
                    basis: Basis::Tested,
                    revision: revision.clone(),
                    configuration: environment.spec.hash(),
                    run: job.context.run.clone(),
                    times: (delivered.started, now),
                    evidence,
                };
                put(job, session, delivered, &tested, url).await
            }
            Outcome::UpToDate { revision, url } => {
                catch_up(job, session, delivered, revision, url).await
            }
            Outcome::RolledBack { .. }
            | Outcome::Recovered { .. }
            | Outcome::Waiting { .. }
            | Outcome::Verified
            | Outcome::Stopped(_)
            | Outcome::RollbackFailed(_) => Ok(()),
        }
    };
    let attached = job.guarded("attach the evidence", work).await;
    let problem = match attached.and_then(|attached| attached) {
        Ok(()) => return Ok(()),
        Err(problem) => problem,
    };
    let problem = not_attached(job, delivered, problem);
    let is_last = job
        .inputs
        .environments
        .last()
        .is_some_and(|last| last.environment.name == environment.environment.name);
    if is_last || environment.evidence == Mode::Warn {
        job.sink.emit(Event::Warning(problem.as_warning()));
        return Ok(());
    }
    Err(problem)
}

fn not_attached(job: &Job<'_>, delivered: &Delivered<'_>, problem: Diagnostic) -> Diagnostic {
    let label = delivered.release.label();
    let name = &job.environment.environment.name;
    let mut told = Diagnostic::error(
        Code::EvidenceNotAttached,
        format!("{label} serves in {name}, but its evidence could not be attached"),
    )
    .at(format!("environment {name}"))
    .cause(problem.title);
    told.cause.extend(problem.cause);
    told.help = problem.help;
    told.state(format!(
        "{label} serves in {name}; the environment after it will not take it without evidence"
    ))
    .help("run this job again: nothing is deployed anew, the evidence is attached")
}

/// What is to be said.
struct Tested {
    basis: Basis,
    revision: RevisionName,
    configuration: ConfigHash,
    run: RunRef,
    times: (Timestamp, Timestamp),
    evidence: Vec<Evidence>,
}

async fn put(
    job: &Job<'_>,
    session: &Session,
    delivered: &Delivered<'_>,
    tested: &Tested,
    url: &str,
) -> Result<(), Diagnostic> {
    let pass = pass(job, session, delivered, tested, url);
    let signer = job
        .environment
        .evidence_kms_key
        .as_ref()
        .map(|key| KmsSigner::new(session.api(), key.clone()));
    let signer = signer.as_ref().map(|signer| signer as &dyn Signer);
    let store = store(job, session, &job.environment).await?;
    attach_pass(&store, signer, &pass).await?;
    let how = match signer {
        Some(_) => "signed",
        None => "unsigned",
    };
    let (name, image) = (&pass.environment, &pass.image);
    let note = format!("evidence: attached that {name} passed, {how}, to {image}");
    job.sink.emit(Event::Note(note));
    Ok(())
}

/// Attaches what is missing of a release that serves already.
async fn catch_up(
    job: &Job<'_>,
    session: &Session,
    delivered: &Delivered<'_>,
    revision: &RevisionName,
    url: &str,
) -> Result<(), Diagnostic> {
    let Delivered {
        target, release, ..
    } = delivered;
    let found = find(job, session, &release.image, &job.environment).await?;
    if matches!(found, Finding::Counts(_) | Finding::Unsigned(_)) {
        return Ok(());
    }
    let live = session.writer(target).read().await?;
    let state = live.map(|live| live.state);
    let record = match &state {
        Some(StateSeen::Known(record)) => record
            .healthy
            .iter()
            .find(|entry| entry.revision == *revision && entry.digest == release.image.digest),
        _ => None,
    };
    let Some(Healthy {
        revision,
        config,
        at,
        run,
        ..
    }) = record
    else {
        return Err(Diagnostic::error(
            Code::EvidenceNotAttached,
            format!(
                "the record of `{}` does not say that it passed",
                target.service
            ),
        ));
    };
    let tested = Tested {
        basis: Basis::Recorded,
        revision: revision.clone(),
        configuration: config.clone(),
        run: run.clone(),
        times: (*at, *at),
        evidence: Vec::new(),
    };
    put(job, session, delivered, &tested, url).await
}

fn pass(
    job: &Job<'_>,
    session: &Session,
    delivered: &Delivered<'_>,
    tested: &Tested,
    url: &str,
) -> Pass {
    let Delivered {
        target,
        release,
        started: _,
        approval,
    } = delivered;
    // What this job knows of its own run says nothing about the earlier one that had tested it.
    let is_own = tested.basis == Basis::Tested;
    let approval = approval.filter(|_| is_own);
    let Tested {
        basis,
        revision,
        configuration,
        run,
        times: (started, passed),
        evidence,
    } = tested;
    let environment = &job.environment.environment;
    let page = page_of(job, run);
    let Measured {
        gates,
        inconclusive,
        skipped,
    } = Measured::of(evidence);
    let record = DeliveryRecord {
        environment: environment.name.to_string(),
        services: vec![ServiceRecord {
            project: target.project.to_string(),
            region: target.region.to_string(),
            service: target.service.to_string(),
            revision: revision.to_string(),
            url: (!url.is_empty()).then(|| url.to_owned()),
        }],
        image: release.image.to_string(),
        commit: release.commit.to_string(),
        version: release.version.as_ref().map(ToString::to_string),
        configuration: configuration.0.clone(),
        run: RunRecord {
            run: run.0.clone(),
            attempt: run.github().map_or(1, |(_, attempt)| attempt),
            url: page.clone(),
            repository: job.context.repository.clone(),
            git_ref: Some(job.context.git_ref.clone()).filter(|text| is_own && !text.is_empty()),
            identity: session.tokens.member().filter(|_| is_own),
        },
        approval: ApprovalRecord {
            policy: policy(environment.approval).to_owned(),
            approvers: approval
                .map(|known| known.approvers.clone())
                .unwrap_or_default(),
            attempt: match approval.and_then(|known| known.attempt) {
                Some(approval::ApprovedAttempt::First) => "first".to_owned(),
                Some(approval::ApprovedAttempt::Unknown) | None => "unknown".to_owned(),
            },
        },
        basis: *basis,
        started_at: started.to_string(),
        passed_at: passed.to_string(),
        gates,
        inconclusive,
        skipped,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Pass {
        image: release.image.clone(),
        environment: environment.name.clone(),
        result: TestResult::of(&environment.name, configuration, page, evidence),
        record,
    }
}

fn policy(approval: Approval) -> &'static str {
    match approval {
        Approval::Required => "required",
        Approval::External => "external",
        Approval::None => "none",
    }
}

/// The page of a run on GitHub.
fn page_of(job: &Job<'_>, run: &RunRef) -> Option<String> {
    let (id, attempt) = run.github()?;
    let repository = job.context.repository_url()?;
    Some(format!("{repository}/actions/runs/{id}/attempts/{attempt}"))
}
