//! `ml-deploy verify URL`: the API tests against any address.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::gate::judge_gates;
use delivery::outcome::Outcome;

use super::recorder::Recorder;
use super::shell::Shell;
use crate::cli::VerifyArgs;
use crate::report::RunSummary;
use crate::verify::{Caller, Gate, GateContext, Suite, SuiteGate, run_gates};

/// Runs the tests; gives the exit code.
pub(super) async fn run(shell: &Shell, arguments: &VerifyArgs) -> u8 {
    let recorder = Recorder::new(shell.sink());
    let tested = test(shell, arguments, &recorder).await;
    let run = RunSummary {
        release_label: Some(arguments.url.clone()),
        evidence: recorder.evidence(),
        ..RunSummary::default()
    };
    shell.finish(&tested.unwrap_or_else(Outcome::Stopped), &run)
}

async fn test(
    shell: &Shell,
    arguments: &VerifyArgs,
    sink: &Recorder,
) -> Result<Outcome, Vec<Diagnostic>> {
    let suite = match &arguments.tests {
        None => Suite::standard(&arguments.health_path, None, None),
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                vec![
                    Diagnostic::error(
                        Code::TestsUnreadable,
                        format!("the API test file `{name}` cannot be read"),
                    )
                    .at("flag `--tests`")
                    .cause(error.to_string()),
                ]
            })?;
            Suite::parse(&text, &name)?
        }
    };
    check_address(&arguments.url).map_err(|problem| vec![problem])?;
    let caller =
        Caller::new(arguments.url.trim_end_matches('/'), None).map_err(|problem| vec![problem])?;
    let gates: Vec<Box<dyn Gate>> = vec![Box::new(SuiteGate { suite })];
    let context = GateContext {
        candidate: &caller,
        serving: None,
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

/// An address that is none is a mistake of whoever wrote it, not of the service.
fn check_address(address: &str) -> Result<(), Diagnostic> {
    let problem = match reqwest::Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => return Ok(()),
        Ok(url) => format!("its scheme is `{}`", url.scheme()),
        Err(error) => error.to_string(),
    };
    Err(Diagnostic::error(
        Code::InputInvalid,
        format!("`{address}` is no address of a service"),
    )
    .at("argument URL")
    .cause(problem)
    .help("write `https://HOST`, as `ml-deploy status` shows it"))
}
