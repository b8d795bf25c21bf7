//! The same world from a terminal.

use std::process::{Command, Output};

use emulator::admin::{Fault, Rule};
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
    // Nor is what is checked out built under the name of another commit.
    let earlier = std::fs::read_to_string(world.checkout().join(".git/refs/heads/main"))?;
    git(
        &world,
        &[
            "commit",
            "--quiet",
            "--all",
            "--message",
            "Serve it otherwise",
        ],
    )?;
    let of_earlier = ["promote", "--build", "--commit", earlier.trim()];
    let output = terminal(&world, &of_earlier).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for expected in [
        "error[D0108]: commit ",
        " is not what is checked out",
        "help: `git checkout ",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
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
async fn a_service_that_cannot_be_looked_at_is_named_and_nothing_is_said_to_have_changed() -> Told {
    let world = world().await?;
    world.emulator.world().faults.add(Rule {
        point: "GET /v2/projects/*/locations/*/services/**".to_owned(),
        count: None,
        fault: Fault {
            status: "FAILED_PRECONDITION".to_owned(),
            message: "it is down".to_owned(),
            ..Fault::default()
        },
    });
    for arguments in [
        ["status", "--environment", "dev"],
        ["revisions", "--environment", "dev"],
    ] {
        let output = terminal(&world, &arguments).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{said}");
        for line in [
            "error[D0505]: cannot observe the service `ml-api-dev`",
            "  --> dev · us-central1/ml-api-dev",
            "  state: not seen: this only looks, and has changed nothing",
        ] {
            assert!(said.lines().any(|it| it == line), "{line}:\n{said}");
        }
    }
    world.end().await;
    Ok(())
}

/// What is recorded of a revision has one word: failed before it had traffic, or rejected after.
#[tokio::test]
async fn a_revision_that_failed_is_not_called_rejected_and_one_that_was_rolled_back_is() -> Told {
    let world = world().await?;
    let commits = [1, 2, 3].map(World::commit);
    for (commit, behaviour) in commits.iter().zip([
        testkit::api("setosa"),
        testkit::api("setosa"),
        testkit::wrong_model(),
    ]) {
        world.built(commit, behaviour).await?;
    }
    super::release(&world, "v1.0.0", &commits[0], "test", 0).await?;
    super::release(&world, "v1.1.0", &commits[1], "test", 0).await?;
    super::release(&world, "v1.2.0", &commits[2], "test", 4).await?;
    let end = world.run(&world.rollback_job("previous", "test")).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let output = terminal(&world, &["revisions", "--environment", "test"]).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<&str> = said
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    assert_eq!(words, ["failed", "rejected", "healthy"], "{said}");
    let arguments = ["--format", "json", "status", "--environment", "test"];
    let output = terminal(&world, &arguments).await?;
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let service = &told["service"];
    assert_eq!(
        (&service["access"], &service["tested"]),
        (&"public".into(), &true.into())
    );
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
        "  --> dev · us-central1/ml-api-dev",
        "  state: nothing was changed: the service does not exist",
        "   help: deploy it first: `ml-deploy promote REF --environment dev`",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_log_of_a_revision_that_is_not_there_is_no_empty_log() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, testkit::api("setosa")).await?;
    super::release(&world, "v1.0.0", &commit, "dev", 0).await?;
    let serving = world.serving("ml-api-dev").await?[0].0.clone();
    let arguments = ["logs", "--environment", "dev", "--revision", "nope"];
    let output = terminal(&world, &arguments).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for expected in [
        "error[D0227]: `ml-api-dev` has no revision `nope`, and no log of it",
        &format!("   help: name one of these: {serving}"),
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
