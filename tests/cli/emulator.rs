//! `ml-deploy emulator --env`: what a shell evaluates.

use std::path::Path;
use std::process::{Command, Output};

use predicates::prelude::*;
use testkit::World;

use super::program;

/// Evaluates what `--env` prints in a POSIX shell, then runs a script there.
fn in_shell(folder: &Path, flags: &str, script: &str) -> Output {
    let path = std::env::var("PATH").unwrap();
    let line = format!("eval \"$('{TOOL}' emulator --env {flags})\"; {script}");
    Command::new("sh")
        .args(["-c", &line])
        .env_clear()
        .env("PATH", path)
        .env("XDG_STATE_HOME", folder)
        .current_dir(folder)
        .output()
        .unwrap()
}

const TOOL: &str = env!("CARGO_BIN_EXE_ml-deploy");

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_eval_points_every_program_at_the_local_cloud() {
    let world = World::start(TOOL).await.unwrap();
    let url = world.url().to_owned();
    // A folder as nobody would name one, and somebody does.
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("it's $HOME `here`");
    std::fs::create_dir(&folder).unwrap();
    let script = "echo \"$ML_DEPLOY_CLOUD_URL $GOOGLE_CLOUD_PROJECT $CLOUDSDK_PROXY_PORT\"; \
         cat \"$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE\"; echo; cat \"$GOOGLE_APPLICATION_CREDENTIALS\"; echo; \
         test -d \"$CLOUDSDK_CONFIG\"; \
         eval \"$('TOOL' emulator --env --unset --cloud-url $ML_DEPLOY_CLOUD_URL)\"; env"
        .replace("TOOL", TOOL);
    let out = in_shell(&folder, &format!("--cloud-url {url}"), &script);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let stdout = text(&out.stdout);
    let mut lines = stdout.lines();
    let port = url.rsplit(':').next().unwrap();
    assert_eq!(lines.next().unwrap(), format!("{url} demo-project {port}"));
    let token = lines.next().unwrap().to_owned();
    let credentials: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(credentials["type"], "external_account");
    let left: Vec<&str> = lines
        .filter(|line| line.starts_with("CLOUDSDK_") || line.starts_with("GOOGLE_"))
        .collect();
    assert!(left.is_empty(), "not taken back: {left:?}");
    assert!(text(&out.stderr).contains("--env --unset"));

    // The token is one of this world.
    let services = format!("{url}/v2/projects/demo-project/locations/us-central1/services");
    let answer = reqwest::Client::new()
        .get(services)
        .bearer_auth(token)
        .send();
    assert_eq!(answer.await.unwrap().status(), 200);
}

#[test]
fn where_nothing_answers_eval_fails_and_stderr_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    // Bound and not listening any more: nobody answers there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let flags = format!("--listen {address}");
    let out = in_shell(folder.path(), &flags, "echo $?${CLOUDSDK_PROXY_TYPE-none}");
    assert_eq!(text(&out.stdout), "1none\n");
    let told = text(&out.stderr);
    assert!(told.contains(&format!("no local cloud answers at http://{address}")));
    assert!(told.contains("start it with `ml-deploy emulator`"));
}

#[test]
fn an_address_of_somebody_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .args(["emulator", "--env", "--cloud-url", "https://example.com"])
        .assert()
        .code(6)
        .stdout("false\n")
        .stderr(predicate::str::contains("neither loopback nor private"));
}

#[test]
fn unset_needs_no_local_cloud_and_belongs_to_env() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .args(["emulator", "--env", "--unset"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("unset CLOUDSDK_CONFIG\n"))
        .stderr("");
    program(folder.path())
        .args(["emulator", "--unset"])
        .assert()
        .code(2);
}
