//! A pull request: the image is built, started beside the action, and tested. Nothing is pushed, and
//! no credential is needed.

use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use delivery::verdict::{Verdict, judge};
use tokio_util::sync::CancellationToken;

use super::build;
use super::job::Job;
use crate::image::{Engine, RunningTrial, TrialRequest};
use crate::inputs::value;
use crate::verify::{self, Caller, Gate, GateContext, SuiteGate};

/// How long the container may take to answer: the longest that a startup probe of Cloud Run waits.
const START_GRACE: Duration = Duration::from_secs(240);
/// Lines of the container's log that a failure shows.
const LOG_LINES: usize = 30;

/// Builds, starts, tests, removes.
///
/// # Errors
/// What went wrong.
pub(super) async fn try_image(job: &Job<'_>) -> Result<Outcome, Vec<Diagnostic>> {
    let one = |diagnostic| vec![diagnostic];
    let engine = Engine::connect().await.map_err(one)?;
    let image = build::build(job, &engine, Vec::new()).await?;
    job.sink.emit(Event::GroupStarted {
        title: "Test the image locally".to_owned(),
    });
    let trial = engine
        .try_locally(&image, &request(job))
        .await
        .map_err(one)?;
    let tested = job
        .guarded("test the image locally", test(job, &trial))
        .await;
    let stopped = trial.stop().await;
    job.sink.emit(Event::GroupEnded);
    tested.map_err(one)?.map_err(one)?;
    if let Err(problem) = stopped {
        // The image passed; a container that is left over is told, and fails nobody's pull request.
        job.sink.emit(Event::Warning(problem.as_warning()));
    }
    Ok(Outcome::Verified)
}

fn request(job: &Job<'_>) -> TrialRequest {
    let spec = &job.environment.spec;
    let mut request = TrialRequest::new(
        job.environment
            .service
            .as_ref()
            .map_or("ml-api", |name| name.as_str()),
    );
    request.env.clone_from(&spec.env_vars);
    if let Some(commit) = &job.context.commit {
        request
            .env
            .insert("ML_DEPLOY_COMMIT".to_owned(), commit.to_string());
        request.env.insert(
            "ML_DEPLOY_VERSION".to_owned(),
            format!("sha-{}", commit.short()),
        );
    }
    if let Some(port) = spec.port {
        request.port = port;
    }
    if let Some((mib, _)) = spec
        .memory
        .as_deref()
        .and_then(|text| value::parse_memory(text).ok())
    {
        request.memory_bytes = mib << 20;
    }
    if let Some(milli) = spec
        .cpu
        .as_deref()
        .and_then(|text| value::parse_cpu(text).ok())
    {
        request.cpus = f64::from(milli) / 1000.0;
    }
    request
}

async fn test(job: &Job<'_>, trial: &RunningTrial) -> Result<(), Diagnostic> {
    let health_path = &job.environment.health_path;
    let address = trial
        .reach(health_path, START_GRACE, job.sink.as_ref())
        .await?;
    let caller = Caller::new(address, None)?.keeping(&job.suites);
    let gates: Vec<Box<dyn Gate>> = vec![Box::new(SuiteGate {
        suites: job.suites.clone(),
    })];
    let cancelled = CancellationToken::new();
    let _stop = cancelled.clone().drop_guard();
    let context = GateContext {
        candidate: &caller,
        serving: None,
        version: None,
        commit: job.context.commit.as_ref(),
        sink: job.sink.as_ref(),
        cancelled,
    };
    let evidence = verify::run_gates(&gates, &context).await;
    let failed = |title: &str, why: Vec<String>| {
        let mut diagnostic =
            Diagnostic::error(Code::LocalTestsFailed, title).at("the image, started locally");
        diagnostic.cause = why;
        diagnostic.state("nothing was pushed or deployed")
    };
    let diagnostic = match judge(&evidence) {
        Verdict::Pass => return Ok(()),
        Verdict::Fail(why) => failed("the API tests failed against the image", why),
        Verdict::Inconclusive(why) => {
            failed("the API tests against the image could not be decided", why)
        }
    };
    let logs = trial.logs(LOG_LINES).await.unwrap_or_default();
    Err(diagnostic.logs(logs))
}
