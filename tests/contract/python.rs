//! Google's own Python clients over REST, against the local cloud.

use std::path::Path;
use std::process::Command;

use testkit::judge::{skip, tools};
use testkit::{API_REPOSITORY, Behaviour, World, api};

use super::{PROGRAM, Told};

/// Runs a script of `clients/` to its end and gives the steps that passed.
async fn steps(
    world: &World,
    script: &str,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let (good, bad) = (World::commit(1), World::commit(2));
    let serves = world.built(&good, api("setosa")).await?;
    let crashes = world.built(&bad, Behaviour::crash(&["no model"])).await?;
    let email = "google-client@demo-project.iam.gserviceaccount.com";
    let mut command = Command::new(python());
    command
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/contract/clients")
                .join(script),
        )
        .arg(world.url())
        .arg(world.emulator.world().tokens.issue_local(email))
        .arg(format!("{API_REPOSITORY}@{serves}"))
        .arg(format!("{API_REPOSITORY}@{crashes}"))
        // A proxy for the internet does not reach this machine's own addresses.
        .env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{script} ended with {}:\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let passed = said
        .lines()
        .filter_map(|line| line.strip_prefix("passed: "));
    Ok(passed.map(str::to_owned).collect())
}

fn python() -> std::path::PathBuf {
    tools().join("google/bin/python")
}

fn is_here() -> bool {
    let is_here = python().exists();
    if !is_here {
        skip("Google's Python clients are not in .tools: run `scripts/setup google-clients`");
    }
    is_here
}

#[tokio::test]
async fn googles_client_for_cloud_run_is_satisfied() -> Told {
    if !is_here() {
        return Ok(());
    }
    let world = World::start(PROGRAM).await?;
    let passed = steps(&world, "run_v2.py").await?;
    assert_eq!(passed.len(), 12, "{passed:?}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_client_built_from_the_discovery_document_is_satisfied() -> Told {
    if !is_here() {
        return Ok(());
    }
    let world = World::start(PROGRAM).await?;
    let passed = steps(&world, "discovery_v2.py").await?;
    assert_eq!(passed.len(), 4, "{passed:?}");
    world.end().await;
    Ok(())
}
