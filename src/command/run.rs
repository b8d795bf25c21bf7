//! What each stage does.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use delivery::plan::Intent;
use delivery::plan::render::{place, serving_in_words};
use delivery::release::{ImageDigest, ImageReference, Release};
use delivery::stage::Stage;
use delivery::target::Target;
use semver::Version;

use super::deliver::{Mode, deliver};
use super::job::{Ask, Job};
use super::post::{self, MainEnd};
use super::session::Session;
use super::shell::Shell;
use super::{build, evidence, gate, look, release, trial};
use crate::github::gate::Purpose;
use crate::inputs::Wish;
use crate::report::RunSummary;

/// How an image comes to be, when somebody on a terminal says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A branch's image is built unless the registry has it.
    Built,
    /// The registry must have it.
    Existing,
}

/// A step of a GitHub job.
pub(super) async fn run_job(shell: &Shell) -> u8 {
    let prepared = Job::prepare(shell, BTreeMap::new(), Ask::Event).await;
    if let Ok(job) = &prepared
        && job.inputs.command == Wish::Status
    {
        // A rollout of the same run, in another job, is none of this step's.
        post::save_end(shell, MainEnd::Closed);
        return look::status(shell, &BTreeMap::new()).await;
    }
    let mode = match &prepared {
        Ok(job) if job.inputs.command == Wish::Plan => Mode::Show,
        _ => Mode::CarryOut,
    };
    let source = match &prepared {
        // The step before has built it.
        Ok(job) if job.inputs.command == Wish::Promote => Source::Existing,
        _ => Source::Built,
    };
    run(shell, prepared, mode, source).await
}

/// Runs a prepared job, or tells why there is none; gives the exit code.
pub(super) async fn run(
    shell: &Shell,
    prepared: Result<Job<'_>, Vec<Diagnostic>>,
    mode: Mode,
    source: Source,
) -> u8 {
    let mut summary = RunSummary::default();
    let outcome = match prepared {
        Err(problems) => Outcome::Stopped(problems),
        Ok(job) => {
            summary.reports = job.reports();
            let outcome = go(&job, mode, source, &mut summary)
                .await
                .unwrap_or_else(Outcome::Stopped);
            summary.evidence = job.sink.evidence();
            summary.warnings = job.sink.warnings();
            outcome
        }
    };
    if shell.on_github {
        post::save_end(
            shell,
            if summary.left_open {
                MainEnd::Open
            } else {
                MainEnd::Closed
            },
        );
    }
    shell.finish(&outcome, &summary)
}

async fn go(
    job: &Job<'_>,
    mode: Mode,
    source: Source,
    run: &mut RunSummary,
) -> Result<Outcome, Vec<Diagnostic>> {
    let commit = job.context.commit.clone();
    // A rollback brings another commit than the job's own.
    if !matches!(job.stage, Stage::Rollback { .. }) {
        run.commit = commit.as_ref().map(ToString::to_string);
    }
    let Some(target) = &job.target else {
        run.release_label = commit
            .as_ref()
            .map(|commit| format!("sha-{}", commit.short()));
        return trial::try_image(job).await;
    };
    run.environment = Some(target.environment.name.to_string());
    for warning in &job.inputs.warnings {
        job.sink.emit(Event::Warning(warning.clone()));
    }
    let places: Vec<String> = job.targets.iter().map(place).collect();
    run.service = Some(places.join(", "));
    let session = Session::open(job.shell, &job.inputs, &job.environment, job.sink.clone());
    let session = job
        .guarded("find the credentials", session)
        .await
        .map_err(one)?
        .map_err(|problem| {
            let state = problem.state.clone().or(Some(UNCHANGED.to_owned()));
            one(Diagnostic { state, ..problem })
        })?;
    job.sink.emit(Event::Note(format!(
        "{} as {}",
        places.join(", "),
        session.tokens.describe()
    )));
    if mode == Mode::CarryOut {
        post::save_rollout(job.shell, &job.targets);
    }
    match stage(job, &session, (mode, source), run).await {
        Err(problems) => Err(with_state(problems, &session, &job.targets).await),
        Ok(Outcome::Stopped(problems)) => Ok(Outcome::Stopped(
            with_state(problems, &session, &job.targets).await,
        )),
        Ok(outcome) => Ok(outcome),
    }
}

/// What is said of the service where nothing was written and it cannot be looked at.
const UNCHANGED: &str = "the service is unchanged";
/// Longest time to look at it once more.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// Says what serves now, where a problem does not say it: one that came before the first write.
async fn with_state(
    mut problems: Vec<Diagnostic>,
    session: &Session,
    targets: &[Target],
) -> Vec<Diagnostic> {
    if problems.iter().all(|problem| problem.state.is_some()) {
        return problems;
    }
    let looks = targets.iter().map(|target| state_of(session, target));
    let state = match &futures_util::future::join_all(looks).await[..] {
        [one] => one.clone(),
        several => {
            let regions = targets.iter().map(|target| &target.region);
            let named = regions
                .zip(several)
                .map(|(region, state)| format!("{region}: {state}"));
            named.collect::<Vec<_>>().join("; ")
        }
    };
    for problem in &mut problems {
        problem.state.get_or_insert_with(|| state.clone());
    }
    problems
}

async fn state_of(session: &Session, target: &Target) -> String {
    let writer = session.writer(target);
    match tokio::time::timeout(LOOK_TIME, writer.read()).await {
        Ok(Ok(Some(live))) => format!("{UNCHANGED}: {}", serving_in_words(&live.serving)),
        Ok(Ok(None)) => "nothing was deployed: the service does not exist".to_owned(),
        Ok(Err(_)) | Err(_) => UNCHANGED.to_owned(),
    }
}

async fn stage(
    job: &Job<'_>,
    session: &Session,
    (mode, source): (Mode, Source),
    run: &mut RunSummary,
) -> Result<Outcome, Vec<Diagnostic>> {
    match &job.stage {
        Stage::PullRequest => trial::try_image(job).await,
        Stage::Rollback { to } => {
            run.release_label = Some("the rollback".to_owned());
            check_gate(job, session, mode.purpose(Purpose::RollBack), run).await?;
            let intent = Intent::Rollback { to: to.clone() };
            Ok(deliver(job, session, intent, mode, run).await.0)
        }
        Stage::Branch { .. } => {
            check_gate(job, session, mode.purpose(Purpose::Promote), run).await?;
            let digest = match (mode, source) {
                (Mode::CarryOut, Source::Built) => build::build_and_push(job, session).await?,
                _ => find(job, session).await?,
            };
            promote(job, session, (digest, None), mode, run).await
        }
        Stage::Release { version, .. } => {
            // What stops before there is an image names its version as well.
            run.release_label = Some(format!("v{version}"));
            check_gate(job, session, mode.purpose(Purpose::Promote), run).await?;
            let digest = match mode {
                Mode::CarryOut => release::resolve(job, session, version).await?,
                Mode::Show => find(job, session).await?,
            };
            let release = (digest.clone(), Some(version.clone()));
            let outcome = promote(job, session, release, mode, run).await?;
            if matches!(outcome, Outcome::Promoted { .. } | Outcome::UpToDate { .. })
                && mode == Mode::CarryOut
                && let Err(untagged) = release::tag(job, session, version, &digest).await
            {
                // The release serves: a tag that is missing is told, and the next environment tries again.
                let untagged = untagged.state("the release serves; only the tag is missing");
                job.sink.emit(Event::Warning(untagged.as_warning()));
            }
            Ok(outcome)
        }
    }
}

async fn find(job: &Job<'_>, session: &Session) -> Result<ImageDigest, Vec<Diagnostic>> {
    job.guarded("find the image of the commit", release::find(job, session))
        .await
        .map_err(one)?
}

async fn check_gate(
    job: &Job<'_>,
    session: &Session,
    purpose: Purpose,
    run: &mut RunSummary,
) -> Result<(), Vec<Diagnostic>> {
    let check = gate::check(job, session, purpose, run);
    job.guarded("check the approval", check)
        .await
        .map_err(one)?
}

async fn promote(
    job: &Job<'_>,
    session: &Session,
    (digest, version): (ImageDigest, Option<Version>),
    mode: Mode,
    run: &mut RunSummary,
) -> Result<Outcome, Vec<Diagnostic>> {
    let image = ImageReference {
        repository: job.repository().map_err(one)?.to_owned(),
        digest,
    };
    run.image = Some(image.to_string());
    run.digest = Some(image.digest.to_string());
    run.version = version.as_ref().map(ToString::to_string);
    let release = Release {
        image,
        commit: job.commit().map_err(one)?.clone(),
        version,
    };
    run.release_label = Some(release.label());
    evidence::promote(job, session, &release, mode, run)
        .await
        .map_err(one)
}

fn one(problem: Diagnostic) -> Vec<Diagnostic> {
    vec![problem]
}
