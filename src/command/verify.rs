//! `ml-deploy verify URL`: the gates against any address; or a golden file recorded from it.

use std::path::Path;
use std::sync::Arc;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::gate::{Mode, judge_gates};
use delivery::outcome::Outcome;
use delivery::release::Commit;
use delivery::verdict::{CaseEnd, Evidence};
use reqwest::Url;

use super::limits;
use super::recorder::Recorder;
use super::shell::Shell;
use crate::cli::VerifyArgs;
use crate::gcp::auth::{self, AuthInputs};
use crate::gcp::endpoint::{CLOUD_URL_VARIABLE, Endpoints};
use crate::gcp::transport::Transport;
use crate::report::{ReportFiles, RunSummary};
use crate::secret::Secret;
use crate::verify::openapi::{ConformanceGate, SemverGate};
use crate::verify::{
    Caller, Gate, GateContext, GoldenGate, GoldenRequest, GoldenSpec, Graces, IdentityGate,
    LoadedSuite, Recording, Suite, SuiteGate, obstacle, record, run_gates,
};

/// An ID token that somebody made already.
const ID_TOKEN_VARIABLE: &str = "ML_DEPLOY_ID_TOKEN";
/// Cases that the last message names; each was told when it ended.
const NAMED_CASES: usize = 20;

/// Runs the tests; gives the exit code.
pub(super) async fn run(shell: &Shell, arguments: &VerifyArgs) -> u8 {
    let recorder = Arc::new(Recorder::new(shell.sink()));
    let url = address(arguments).to_owned();
    let done = tokio::select! {
        done = work(shell, arguments, &recorder) => done,
        () = shell.stop.cancelled() => {
            Err(vec![Diagnostic::error(Code::Interrupted, "interrupted")])
        }
    };
    let run = RunSummary {
        release_label: Some(url),
        evidence: recorder.evidence(),
        reports: ReportFiles {
            junit: arguments.junit.clone(),
            results: arguments.results.clone(),
        },
        ..RunSummary::default()
    };
    shell.finish(&done.unwrap_or_else(Outcome::Stopped), &run)
}

fn address(arguments: &VerifyArgs) -> &str {
    let given = arguments.url.as_deref().or(arguments.url_flag.as_deref());
    given.unwrap_or_default()
}

async fn work(
    shell: &Shell,
    arguments: &VerifyArgs,
    sink: &Arc<Recorder>,
) -> Result<Outcome, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut keep = |result: Result<String, Diagnostic>| {
        result.unwrap_or_else(|problem| {
            problems.push(problem);
            String::new()
        })
    };
    let url = keep(checked(address(arguments), "the address"));
    let serving = arguments
        .serving
        .as_ref()
        .map(|text| keep(checked(text, "flag `--serving`")));
    let commit = match arguments.commit.as_ref().map(Commit::parse) {
        Some(Err(error)) => {
            problems.push(
                Diagnostic::error(Code::InputInvalid, error.to_string()).at("flag `--commit`"),
            );
            None
        }
        Some(Ok(commit)) => Some(commit),
        None => None,
    };
    let suites = suites(shell, arguments);
    let gates = suites
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|suites| gates(arguments, suites, commit.as_ref()));
    let gates = gates.unwrap_or_else(|found| {
        problems.extend(found);
        Vec::new()
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    let one = |problem| vec![problem];
    let bearer = bearer(shell, arguments, sink).await.map_err(one)?;
    let caller = Caller::new(url.as_str(), bearer.clone()).map_err(one)?;
    let caller = caller.keeping(suites.as_deref().unwrap_or_default());
    if let (Some(to), Some(inputs)) = (&arguments.record, &arguments.inputs) {
        let recording = Recording {
            spec: inputs_of(inputs, &arguments.predict_path),
            to: to.clone(),
        };
        return match recorded(&recording, &caller, sink.as_ref()).await {
            Ok(outcome) => Ok(outcome),
            Err(mut problem) => {
                if let Some(obstacle) = obstacle(&caller, &arguments.health_path).await {
                    problem.cause.extend(obstacle.cause);
                    problem.help = obstacle.help;
                }
                Err(vec![problem])
            }
        };
    }
    let serving = match serving {
        Some(url) => Some(Caller::new(url, bearer).map_err(one)?),
        None => None,
    };
    let context = GateContext {
        candidate: &caller,
        serving: serving.as_ref(),
        version: arguments.release.as_deref(),
        commit: commit.as_ref(),
        sink: sink.as_ref(),
        cancelled: shell.stop.clone(),
    };
    let evidence = run_gates(&gates, &context).await;
    match judge_gates(&url, &evidence) {
        Ok(()) => Ok(Outcome::Verified),
        Err(mut problem) => {
            problem.cause = failed_cases(&evidence);
            Err(vec![
                explained(*problem, &evidence, &caller, arguments).await,
            ])
        }
    }
}

/// The failure of the gates by what it comes from: an API that answers nobody, or not this caller, has
/// not failed a test; one that let a single test in has, whatever its health path answers to a caller
/// without that test's key. Where nobody wrote a test, none can be mended.
async fn explained(
    mut problem: Diagnostic,
    evidence: &[Evidence],
    caller: &Caller,
    arguments: &VerifyArgs,
) -> Diagnostic {
    let path = &arguments.health_path;
    let mut cases = evidence.iter().flat_map(|one| &one.cases);
    let none_passed = !cases.any(|case| case.end == CaseEnd::Passed);
    if none_passed
        && !caller.was_let_in()
        && let Some(mut obstacle) = obstacle(caller, path).await
    {
        obstacle.cause.append(&mut problem.cause);
        return obstacle;
    }
    if arguments.tests.is_empty() && problem.code == Code::TestsFailed {
        let way_out = format!("let {path} answer 200, or name a path that does: `--health-path`");
        problem.help = vec![way_out];
    }
    problem
}

fn suites(shell: &Shell, arguments: &VerifyArgs) -> Result<Vec<LoadedSuite>, Vec<Diagnostic>> {
    if arguments.tests.is_empty() {
        return Ok(vec![
            Suite::standard(&arguments.health_path, None, None).into(),
        ]);
    }
    shell.load_suites(Path::new(""), &arguments.tests)
}

fn gates(
    arguments: &VerifyArgs,
    suites: &[LoadedSuite],
    commit: Option<&Commit>,
) -> Result<Vec<Box<dyn Gate>>, Vec<Diagnostic>> {
    let limits = limits::from_flags(&arguments.limits.0, suites)?;
    if limits.replay.is_some() && arguments.serving.is_none() {
        let problem = Diagnostic::error(
            Code::InputInvalid,
            "`--replay` has nothing to compare the candidate with",
        );
        let problem = problem
            .at("flag `--replay`")
            .help("give the address of what serves now: `--serving URL`");
        return Err(vec![problem]);
    }
    let mut gates: Vec<Box<dyn Gate>> = limits::cold_start(&limits, suites);
    if commit.is_some() || arguments.release.is_some() || arguments.model_version.is_some() {
        gates.push(Box::new(IdentityGate {
            version_path: Some(arguments.version_path.clone()),
            health_path: arguments.health_path.clone(),
            model_version: arguments.model_version.clone(),
            graces: Graces::none(),
        }));
    }
    if suites.iter().any(|one| !one.suite.cases.is_empty()) {
        gates.push(Box::new(SuiteGate {
            suites: suites.to_vec(),
        }));
    }
    if GoldenGate::is_wanted(suites) {
        gates.push(Box::new(GoldenGate {
            suites: suites.to_vec(),
        }));
    }
    gates.extend(document_gates(arguments));
    gates.extend(limits::under_load(&limits, suites));
    Ok(gates)
}

/// The gates that read the API's OpenAPI document. By hand, each runs when it is asked for.
fn document_gates(arguments: &VerifyArgs) -> Vec<Box<dyn Gate>> {
    let mut gates: Vec<Box<dyn Gate>> = Vec::new();
    if arguments.semver_gate {
        gates.push(Box::new(SemverGate {
            mode: Mode::Require,
            openapi_path: arguments.openapi_path.clone(),
            version_path: Some(arguments.version_path.clone()),
        }));
    }
    if arguments.conformance {
        gates.push(Box::new(ConformanceGate {
            mode: Mode::Require,
            openapi_path: arguments.openapi_path.clone(),
        }));
    }
    gates
}

/// Which cases did not pass. What is wrong with each was told when it ended.
fn failed_cases(evidence: &[Evidence]) -> Vec<String> {
    let cases = evidence
        .iter()
        .flat_map(|one| one.cases.iter().map(move |case| (&one.gate, case)));
    let mut lines: Vec<String> = cases
        .filter_map(|(gate, case)| match &case.end {
            CaseEnd::Failed(_) => Some(format!("{gate}/{} failed", case.name)),
            CaseEnd::Undecided(_) => Some(format!("{gate}/{} is undecided", case.name)),
            CaseEnd::Passed | CaseEnd::Skipped(_) => None,
        })
        .collect();
    let more = lines.len().saturating_sub(NAMED_CASES);
    if more > 0 {
        lines.truncate(NAMED_CASES);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// An address that can be called.
fn checked(text: &str, place: &str) -> Result<String, Diagnostic> {
    let refused = |why: String| {
        Diagnostic::error(
            Code::InputInvalid,
            format!("`{text}` is no address of an API"),
        )
        .at(place)
        .cause(why)
        .help(
            "give scheme and host, such as `https://ml-api-x.a.run.app` or `http://127.0.0.1:8080`",
        )
    };
    let url = Url::parse(text).map_err(|error| refused(error.to_string()))?;
    let known = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    if !known {
        return Err(refused(
            "it begins with neither http:// nor https://".to_owned(),
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds a user name or a password".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it has a query or a fragment".to_owned()));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The ID token, if one is wanted.
async fn bearer(
    shell: &Shell,
    arguments: &VerifyArgs,
    sink: &Arc<Recorder>,
) -> Result<Option<Secret>, Diagnostic> {
    if let Some(token) = shell.variable(ID_TOKEN_VARIABLE) {
        let token = Secret::new(token);
        shell.masker.mask(&token);
        return Ok(Some(token));
    }
    let Some(audience) = &arguments.audience else {
        return Ok(None);
    };
    let cloud_url = shell.variable(CLOUD_URL_VARIABLE);
    let endpoints = Endpoints::choose(cloud_url.as_deref())?;
    let events: Arc<dyn EventSink> = Arc::clone(sink) as Arc<dyn EventSink>;
    let transport = Transport::new(events)?;
    let found = AuthInputs::from_lookup(&|name| shell.variable(name));
    let masker = Arc::clone(&shell.masker);
    let tokens = auth::discover(found, &endpoints, &transport, masker).await?;
    tokens.id_token(audience).await.map(Some)
}

fn inputs_of(file: &str, path: &str) -> GoldenSpec {
    GoldenSpec {
        file: file.to_owned(),
        request: GoldenRequest {
            path: path.to_owned(),
            ..GoldenRequest::default()
        },
        ..GoldenSpec::default()
    }
}

async fn recorded(
    recording: &Recording,
    caller: &Caller,
    sink: &dyn EventSink,
) -> Result<Outcome, Diagnostic> {
    match record(recording, caller, sink).await {
        Ok(done) => {
            let to = recording.to.display();
            sink.emit(Event::Note(format!("recorded {} rows in {to}", done.rows)));
            Ok(Outcome::Verified)
        }
        Err(why) => Err(Diagnostic::error(
            Code::NotRecorded,
            format!("`{}` was not recorded", recording.to.display()),
        )
        .cause(why)
        .state("nothing was written")
        .help("record from an API that answers every input well: what is recorded is what later releases must answer")),
    }
}
