//! `ml-deploy verify URL`: the API tests against any address.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::gate::judge_gates;
use delivery::outcome::Outcome;

use super::limits;
use super::recorder::Recorder;
use super::shell::Shell;
use crate::cli::VerifyArgs;
use crate::report::{ReportFiles, RunSummary};
use crate::verify::{Caller, Gate, GateContext, Suite, SuiteGate, run_gates};

/// Runs the tests; gives the exit code.
pub(super) async fn run(shell: &Shell, arguments: &VerifyArgs) -> u8 {
    let recorder = Recorder::new(shell.sink());
    let tested = test(shell, arguments, &recorder).await;
    let run = RunSummary {
        release_label: Some(arguments.url.clone()),
        evidence: recorder.evidence(),
        reports: ReportFiles {
            junit: arguments.junit.clone(),
            results: arguments.results.clone(),
        },
        ..RunSummary::default()
    };
    shell.finish(&tested.unwrap_or_else(Outcome::Stopped), &run)
}

async fn test(
    shell: &Shell,
    arguments: &VerifyArgs,
    sink: &Recorder,
) -> Result<Outcome, Vec<Diagnostic>> {
    let suites = if arguments.tests.is_empty() {
        vec![Suite::standard(&arguments.health_path, None, None).into()]
    } else {
        shell.load_suites(std::path::Path::new(""), &arguments.tests)?
    };
    let caller =
        Caller::new(arguments.url.trim_end_matches('/'), None).map_err(|problem| vec![problem])?;
    let serving = match &arguments.serving {
        None => None,
        Some(url) => {
            let caller = Caller::new(url.trim_end_matches('/'), None);
            Some(caller.map_err(|problem| vec![problem])?)
        }
    };
    let limits = limits::from_flags(&arguments.limits.0, &suites)?;
    let mut gates: Vec<Box<dyn Gate>> = limits::cold_start(&limits, &suites);
    gates.push(Box::new(SuiteGate {
        suites: suites.clone(),
    }));
    gates.extend(limits::under_load(&limits, &suites));
    let context = GateContext {
        candidate: &caller,
        serving: serving.as_ref(),
        version: None,
        commit: None,
        sink,
        cancelled: shell.stop.clone(),
    };
    let evidence = tokio::select! {
        evidence = run_gates(&gates, &context) => evidence,
        () = shell.stop.cancelled() => {
            return Err(vec![Diagnostic::error(Code::Interrupted, "interrupted")]);
        }
    };
    match judge_gates(&arguments.url, &evidence) {
        Ok(()) => Ok(Outcome::Verified),
        Err(problem) => Err(vec![problem.at(arguments.url.clone())]),
    }
}
