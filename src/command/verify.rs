//! `ml-deploy verify URL`: the API tests against any address.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::outcome::Outcome;
use delivery::verdict::{Verdict, judge};

use super::recorder::Recorder;
use super::shell::Shell;
use crate::cli::VerifyArgs;
use crate::report::RunSummary;
use crate::verify::{Caller, Suite, run_suite};

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
    let caller =
        Caller::new(arguments.url.trim_end_matches('/'), None).map_err(|problem| vec![problem])?;
    let evidence = tokio::select! {
        evidence = run_suite(&suite, &caller, sink) => evidence,
        () = shell.stop.cancelled() => {
            return Err(vec![Diagnostic::error(Code::Interrupted, "interrupted")]);
        }
    };
    let failed = |code, title: &str, why: Vec<String>| {
        let mut diagnostic = Diagnostic::error(code, title).at(arguments.url.clone());
        diagnostic.cause = why;
        vec![diagnostic]
    };
    match judge(&[evidence]) {
        Verdict::Pass => Ok(Outcome::Verified),
        Verdict::Fail(why) => Err(failed(Code::TestsFailed, "the API tests failed", why)),
        Verdict::Inconclusive(why) => Err(failed(
            Code::TestsInconclusive,
            "the API tests could not be decided",
            why,
        )),
    }
}
