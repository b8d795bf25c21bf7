//! The sample API and broken variants of it, tried by our conformance gate and by schemathesis. Both
//! have to say the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use delivery::gate::Mode;
use delivery::verdict::{CaseEnd, Evidence, Verdict, judge};
use ml_deploy::image::{BuildRequest, Engine, RunningTrial, TrialRequest};
use ml_deploy::verify::openapi::{ConformanceGate, DEFAULT_OPENAPI_PATH};
use ml_deploy::verify::{Caller, Gate, GateContext};
use tokio_util::sync::CancellationToken;

use crate::{Events, build, remove};

/// Time for a model to be loaded on a busy machine.
pub(crate) const GRACE: Duration = Duration::from_secs(60);
/// What of the sample's folder is not part of the image.
const LEFT_OUT: [&str; 4] = ["__pycache__", ".pytest_cache", "tests", "variants"];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sample with one text replaced.
pub(crate) fn sample(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&repository().join("examples/ml-api"), folder.path());
    let path = folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    std::fs::write(path, text.replace(from, to)).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Started, and its address.
async fn start(folder: &Path) -> (String, RunningTrial, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let engine = Engine::connect().await.unwrap();
    let image = build(&engine, &BuildRequest::new(folder), &Events::default()).await;
    let trial = engine
        .try_locally(&image, &TrialRequest::new("ml-api"))
        .await
        .unwrap();
    let address = trial
        .reach("/health", GRACE, &Events::default())
        .await
        .unwrap();
    (image.id, trial, address)
}

async fn ours(address: &str) -> Vec<Evidence> {
    let gate = ConformanceGate {
        mode: Mode::Require,
        openapi_path: DEFAULT_OPENAPI_PATH.to_owned(),
    };
    let candidate = Caller::new(address, None).unwrap();
    gate.run(&GateContext {
        candidate: &candidate,
        serving: None,
        version: None,
        commit: None,
        sink: &Events::default(),
        cancelled: CancellationToken::new(),
    })
    .await
}

/// Whether schemathesis finds nothing, and what it said.
fn theirs(address: &str) -> (bool, String) {
    let tools = std::env::var_os("ML_DEPLOY_TOOLS").map(PathBuf::from);
    let tools = tools.unwrap_or_else(|| repository().join(".tools"));
    let program = tools.join("schemathesis/bin/st");
    assert!(
        program.exists(),
        "{} is missing: run `scripts/setup schemathesis`",
        program.display()
    );
    let work = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command
        .args(["run", &format!("{address}/openapi.json"), "--checks", "all"])
        // Always the same requests: what was agreed on once stays agreed on.
        .args(["--seed", "1", "--max-examples", "30"])
        .env("NO_PROXY", "*")
        .current_dir(work.path());
    let end = command.output().unwrap();
    let said = [end.stdout, end.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    // 1 is its code for findings; anything else did not try the API.
    assert!(matches!(end.status.code(), Some(0 | 1)), "{said}");
    (end.status.success(), said)
}

async fn compare(folder: &Path, passes: bool) -> Vec<Evidence> {
    let (image, trial, address) = start(folder).await;
    let ours = ours(&address).await;
    let (theirs, said) = tokio::task::spawn_blocking({
        let address = address.clone();
        move || theirs(&address)
    })
    .await
    .unwrap();
    trial.stop().await.unwrap();
    remove(&image).await;
    assert_eq!(judge(&ours) == Verdict::Pass, passes, "{ours:#?}");
    assert_eq!(theirs, passes, "{said}");
    ours
}

/// Every difference that was found.
fn found(evidence: &[Evidence]) -> String {
    let cases = evidence.iter().flat_map(|one| &one.cases);
    let lines = cases.filter_map(|case| match &case.end {
        CaseEnd::Failed(lines) => Some(lines.join("\n")),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn both_find_nothing_in_the_sample() {
    let folder = sample(
        "app/api.py",
        "\"\"\"The routes.\"\"\"",
        "\"\"\"Routes.\"\"\"",
    );
    let evidence = compare(folder.path(), true).await;
    let cases = &evidence[0].cases;
    assert_eq!(cases.len(), 3, "{cases:#?}");
    assert!(
        cases.iter().all(|case| case.end == CaseEnd::Passed),
        "{cases:#?}"
    );
}

#[tokio::test]
async fn both_find_an_answer_that_does_not_fit_its_schema() {
    let lie =
        "    async def version() -> Version:\n        return JSONResponse({\"version\": 1})\n";
    let folder = sample("app/api.py", "    async def version() -> Version:\n", lie);
    let evidence = compare(folder.path(), false).await;
    let said = found(&evidence);
    assert!(
        said.contains("/version: 1 is not of type \"string\""),
        "{said}"
    );
}

#[tokio::test]
async fn both_find_a_wrong_request_that_is_answered_with_500() {
    let crash = "    raise RuntimeError(\"not handled\")\n    found = error.errors()";
    let folder = sample("app/api.py", "    found = error.errors()", crash);
    let evidence = compare(folder.path(), false).await;
    let said = found(&evidence);
    assert!(
        said.contains("500: no request may be answered with 5xx"),
        "{said}"
    );
}
