//! Google's own Python clients over REST, against the local cloud.

use std::path::Path;
use std::process::Command;

use emulator::admin::Exchange;
use testkit::judge::{skip, tools};
use testkit::{API_REPOSITORY, Behaviour, World, api};

use super::{Failure, PROGRAM, Told};

/// Runs a script of `clients/` to its end and gives what it printed.
async fn script(name: &str, arguments: Vec<String>) -> Result<String, Failure> {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/clients");
    let mut command = Command::new(python());
    command
        .arg(clients.join(name))
        .args(arguments)
        // A proxy for the internet does not reach this machine's own addresses.
        .env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{name} ended with {}:\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

/// Lets a client go its way through a world, and counts the steps that passed.
async fn steps(name: &str) -> Result<usize, Failure> {
    let world = World::start(PROGRAM).await?;
    let (good, bad) = (World::commit(1), World::commit(2));
    let serves = world.built(&good, api("setosa")).await?;
    let crashes = world.built(&bad, Behaviour::crash(&["no model"])).await?;
    let email = "google-client@demo-project.iam.gserviceaccount.com";
    let arguments = vec![
        world.url().to_owned(),
        world.emulator.world().tokens.issue_local(email),
        format!("{API_REPOSITORY}@{serves}"),
        format!("{API_REPOSITORY}@{crashes}"),
    ];
    let said = script(name, arguments).await?;
    let exchanges = world.exchanges();
    world.end().await;
    strict(&exchanges).await?;
    let passed = said.lines().filter(|line| line.starts_with("passed: "));
    Ok(passed.count())
}

/// Has Google's own messages parse what was said to Cloud Run v2, unknown fields refused; gives how
/// many bodies there were.
pub(super) async fn strict(exchanges: &[Exchange]) -> Result<usize, Failure> {
    let folder = testkit::temporary_folder()?;
    let file = folder.path().join("exchanges.jsonl");
    let lines: Result<Vec<String>, _> = exchanges.iter().map(serde_json::to_string).collect();
    std::fs::write(&file, lines?.join("\n"))?;
    let said = script("strict.py", vec![file.display().to_string()]).await?;
    let (wrong, last) = said
        .trim_end()
        .rsplit_once('\n')
        .unwrap_or(("", said.trim_end()));
    assert_eq!(wrong, "", "Google's messages do not hold what was said");
    let parsed = last.strip_prefix("parsed: ").ok_or("it did not count")?;
    Ok(parsed.parse()?)
}

fn python() -> std::path::PathBuf {
    tools().join("google/bin/python")
}

pub(super) fn is_here() -> bool {
    let is_here = python().exists();
    if !is_here {
        skip("Google's Python clients are not in .tools: run `scripts/setup google-clients`");
    }
    is_here
}

#[tokio::test]
async fn googles_client_for_cloud_run_is_satisfied() -> Told {
    if is_here() {
        assert_eq!(steps("run_v2.py").await?, 12);
    }
    Ok(())
}

#[tokio::test]
async fn a_client_built_from_the_document_of_v2_is_satisfied() -> Told {
    if is_here() {
        assert_eq!(steps("discovery_v2.py").await?, 4);
    }
    Ok(())
}

#[tokio::test]
async fn a_client_built_from_the_document_of_v1_is_satisfied() -> Told {
    if is_here() {
        assert_eq!(steps("discovery_v1.py").await?, 7);
    }
    Ok(())
}

#[tokio::test]
async fn googles_messages_refuse_a_field_that_they_lack() -> Told {
    if !is_here() {
        return Ok(());
    }
    let service = "/v2/projects/p/locations/l/services/s";
    let answer = |body: &str| Exchange {
        method: "GET".to_owned(),
        path: service.to_owned(),
        status: 200,
        response: Some(body.to_owned()),
        ..Exchange::default()
    };
    assert_eq!(
        strict(&[answer(r#"{"name": "s", "generation": "3"}"#)]).await?,
        1
    );
    let folder = testkit::temporary_folder()?;
    let file = folder.path().join("exchanges.jsonl");
    std::fs::write(&file, serde_json::to_string(&answer(r#"{"novel": 1}"#))?)?;
    let said = script("strict.py", vec![file.display().to_string()]).await?;
    assert!(
        said.contains("answer") && said.contains("novel") && said.contains("parsed: 0"),
        "{said}"
    );
    Ok(())
}
