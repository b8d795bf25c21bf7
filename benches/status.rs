//! How long `ml-deploy status` takes beside `gcloud --version`, in one run on one machine, turn by turn.
//!
//! Seconds differ from machine to machine; the ratio of the medians is the figure.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{World, api};

/// Turns of each command.
const TURNS: usize = 15;
const PROGRAM: &str = env!("CARGO_BIN_EXE_ml-deploy");

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let world = World::start(PROGRAM).await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    for environment in ["dev", "test", "staging", "production"] {
        let end = world
            .run(&world.release_job("v1.0.0", &commit, environment))
            .await?;
        if end.code != Some(0) {
            return Err(format!("{environment} was not promoted:\n{}", end.log).into());
        }
    }
    let (url, checkout) = (world.url().to_owned(), world.checkout().to_owned());
    let report = tokio::task::spawn_blocking(move || compare(&url, &checkout)).await??;
    world.end().await;
    write(&report);
    Ok(())
}

fn compare(url: &str, checkout: &Path) -> Result<String, Failure> {
    let oidc = format!("{url}/_github/oidc?repository=octo-org/ml-api&ref=refs/heads/main");
    let mut ours = Command::new(PROGRAM);
    ours.args([
        "status",
        "--service-account",
        "look@demo-project.iam.gserviceaccount.com",
    ])
    .args([
        "--workload-identity-provider",
        "projects/1/locations/global/workloadIdentityPools/p/providers/p",
    ])
    .envs([
        ("ML_DEPLOY_CLOUD_URL", url),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &oidc),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "local"),
    ])
    .current_dir(checkout);
    let mut theirs = Command::new("gcloud");
    theirs.arg("--version");
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        our_times.push(time(&mut ours)?);
        their_times.push(time(&mut theirs)?);
    }
    let (ours, theirs) = (median(&mut our_times), median(&mut their_times));
    Ok(format!(
        "ml-deploy status (4 environments): median {} ms of {TURNS}\n\
         gcloud --version:                  median {} ms of {TURNS}\n\
         ratio: 1/{:.1} (goal: 1/10 or less)\n",
        ours.as_millis(),
        theirs.as_millis(),
        theirs.as_secs_f64() / ours.as_secs_f64()
    ))
}

fn time(command: &mut Command) -> Result<Duration, Failure> {
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let took = started.elapsed();
    if output.status.success() {
        Ok(took)
    } else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("{command:?} ended with {}: {said}", output.status).into())
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the figures are the bench's result")]
fn write(report: &str) {
    println!("{report}");
}
