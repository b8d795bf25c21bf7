//! The policies: before the build, between build and push, and by hand.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use delivery::policy::Policies;

use super::job::{Job, read_inputs};
use super::recorder::Recorder;
use super::shell::Shell;
use crate::cli::CheckArgs;
use crate::image::policy::{Finding, Judged, Sources, judge};
use crate::image::{BuiltImage, Engine};
use crate::inputs::Inputs;
use crate::report::RunSummary;

/// Checks what a build would take: dependencies, Dockerfile, context. Warnings are told.
///
/// # Errors
/// Every finding of a policy that is an error, or why they could not be checked.
pub(super) async fn sources(job: &Job<'_>) -> Result<(), Vec<Diagnostic>> {
    let policies = &job.inputs.policies;
    let sources = sources_of(&job.inputs, job.root.clone());
    let checking = look(sources, policies.clone());
    let findings = job
        .guarded("check the policies", checking)
        .await
        .map_err(|problem| vec![problem])??;
    settle(policies, findings, job.sink.as_ref(), NOTHING_BUILT)
}

/// Checks what was built, before it is pushed. Warnings are told.
///
/// # Errors
/// Every finding of a policy that is an error, or why they could not be checked.
pub(super) async fn image(
    job: &Job<'_>,
    engine: &Engine,
    image: &BuiltImage,
) -> Result<(), Vec<Diagnostic>> {
    let policies = &job.inputs.policies;
    let checking = engine.check(&image.id, policies);
    let findings = job
        .guarded("check the image", checking)
        .await
        .map_err(|problem| vec![problem])?
        .map_err(|problem| vec![problem.state(NOTHING_PUSHED)])?;
    settle(policies, findings, job.sink.as_ref(), NOTHING_PUSHED)
}

const NOTHING_PUSHED: &str = "the image was built; nothing was pushed or deployed";
const NOTHING_BUILT: &str = "nothing was built, pushed or deployed";

fn sources_of(inputs: &Inputs, root: std::path::PathBuf) -> Sources {
    let build = &inputs.build;
    Sources {
        root,
        context: build.context.clone(),
        dockerfile: build.file.clone(),
        build_args: build.build_args.clone(),
        target: build.target.clone(),
    }
}

/// Reads in a thread of its own: a context may be large.
async fn look(sources: Sources, policies: Policies) -> Result<Vec<Finding>, Vec<Diagnostic>> {
    let reading = tokio::task::spawn_blocking(move || sources.check(&policies));
    reading.await.unwrap_or_else(|error| {
        let defect = Diagnostic::error(Code::Internal, "the check of the policies stopped");
        Err(vec![defect.cause(error.to_string())])
    })
}

/// Tells warnings; errors end the run.
fn settle(
    policies: &Policies,
    findings: Vec<Finding>,
    sink: &dyn EventSink,
    state: &str,
) -> Result<(), Vec<Diagnostic>> {
    let Judged { errors, warnings } = judge(policies, findings);
    for warning in warnings {
        sink.emit(Event::Warning(warning));
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(errors.into_iter().map(|error| error.state(state)).collect())
}

/// `ml-deploy check`: gives the exit code.
pub(super) async fn run(shell: &Shell, arguments: CheckArgs) -> u8 {
    let recorder = Recorder::new(shell.sink());
    let checked = by_hand(shell, arguments, &recorder).await;
    let summary = RunSummary {
        release_label: Some("the policies".to_owned()),
        warnings: recorder.warnings(),
        ..RunSummary::default()
    };
    let outcome = match checked {
        Ok(()) => Outcome::Verified,
        Err(problems) => Outcome::Stopped(problems),
    };
    shell.finish(&outcome, &summary)
}

async fn by_hand(
    shell: &Shell,
    arguments: CheckArgs,
    sink: &Recorder,
) -> Result<(), Vec<Diagnostic>> {
    let CheckArgs { path, image, flags } = arguments;
    let mut said = flags.0;
    if let Some(path) = path {
        said.insert("context", path);
    }
    let (inputs, problems) = read_inputs(shell, &said);
    if !problems.is_empty() {
        return Err(problems);
    }
    let policies = &inputs.policies;
    let checking = look_by_hand(shell, &inputs, image.as_deref());
    let findings = tokio::select! {
        findings = checking => findings?,
        () = shell.stop.cancelled() => {
            return Err(vec![Diagnostic::error(Code::Interrupted, "interrupted")]);
        }
    };
    settle(policies, findings, sink, "nothing was changed")
}

async fn look_by_hand(
    shell: &Shell,
    inputs: &Inputs,
    image: Option<&str>,
) -> Result<Vec<Finding>, Vec<Diagnostic>> {
    let policies = &inputs.policies;
    let mut findings = look(sources_of(inputs, shell.root()), policies.clone()).await?;
    if let Some(image) = image {
        let one = |problem| vec![problem];
        let engine = Engine::connect().await.map_err(one)?;
        findings.extend(engine.check(image, policies).await.map_err(one)?);
    }
    Ok(findings)
}
