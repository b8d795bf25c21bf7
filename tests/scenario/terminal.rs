//! The same world from a terminal.

use std::process::{Command, Output};

use testkit::World;

use super::{PROGRAM, Told, world};

fn git(world: &World, arguments: &[&str]) -> Told {
    let ended = Command::new("git")
        .args(["-c", "user.name=test", "-c", "user.email=test@localhost"])
        .args(arguments)
        .current_dir(world.checkout())
        .status()?;
    assert!(ended.success(), "git {arguments:?}");
    Ok(())
}

/// Runs the program as a person does, with what `ml-deploy emulator --env` prints.
async fn terminal(
    world: &World,
    arguments: &[&str],
) -> Result<Output, Box<dyn std::error::Error + Send + Sync>> {
    let oidc = format!(
        "{}/_github/oidc?repository=local/ml-api&ref=refs/heads/main",
        world.url()
    );
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .args([
            "--service-account",
            "me@demo-project.iam.gserviceaccount.com",
        ])
        .args([
            "--workload-identity-provider",
            "projects/1/locations/global/workloadIdentityPools/p/providers/p",
        ])
        .env("ML_DEPLOY_CLOUD_URL", world.url())
        .env("GITHUB_API_URL", world.url())
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", oidc)
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "local")
        .env_remove("GITHUB_ACTIONS")
        .current_dir(world.checkout());
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

#[tokio::test]
async fn uncommitted_changes_are_not_built_under_the_name_of_a_commit() -> Told {
    let world = world().await?;
    world.write("main.py", "print('committed')\n")?;
    git(&world, &["init", "--quiet", "--initial-branch", "main"])?;
    git(&world, &["add", "--all"])?;
    git(&world, &["commit", "--quiet", "--message", "Serve"])?;
    world.write("main.py", "print('not committed')\n")?;
    let output = terminal(&world, &["promote", "--build"]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("D0108") && said.contains("main.py"), "{said}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn status_tells_what_serves_in_each_environment() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, testkit::api("setosa")).await?;
    super::release(&world, "v1.0.0", &commit, "dev", 0).await?;
    let output = terminal(&world, &["status"]).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("100 % ml-api-dev-v1-0-0-"), "{said}");
    assert!(said.contains("ml-api-prod: not deployed yet"), "{said}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_log_of_a_service_that_is_not_deployed_is_no_empty_log() -> Told {
    let world = world().await?;
    let output = terminal(&world, &["logs", "--environment", "dev"]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for expected in [
        "error[D0217]: `ml-api-dev` is not deployed yet: it has no log",
        "   help: deploy it first: `ml-deploy promote REF --environment dev`",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn evidence_tells_which_environments_have_passed_with_an_image() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    let digest = world
        .built_unproven(&commit, testkit::api("setosa"))
        .await?;
    super::release(&world, "v1.0.0", &commit, "dev", 0).await?;
    let tokens = || {
        let asked = world.exchanges();
        asked.iter().filter(|one| one.path == "/v1/token").count()
    };
    let before = tokens();
    let output = terminal(&world, &["evidence", "--digest", &digest]).await?;
    assert_eq!(tokens() - before, 1, "one identity, one token");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert!(lines[0].starts_with("dev passed with this image"), "{said}");
    assert!(lines[0].contains("UNSIGNED"), "{said}");
    assert_eq!(lines[3], "production: no evidence");
    // By its commit, of one environment, as JSON.
    let arguments = ["--format", "json", "evidence", "--environment", "dev"];
    let output = terminal(&world, &[&arguments[..], &["--commit", &commit]].concat()).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let told: serde_json::Value = serde_json::from_str(said.trim())?;
    assert_eq!(
        (&told["evidence"], &told["signed"]),
        (&"passed".into(), &false.into())
    );
    assert_eq!(told["digest"], digest.as_str());
    assert!(told["passed_tests"].as_u64() > Some(0), "{told}");
    let output = terminal(&world, &["evidence", "--commit", &World::commit(2)]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_ne!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("there is no image of this commit"), "{said}");
    world.end().await;
    Ok(())
}
