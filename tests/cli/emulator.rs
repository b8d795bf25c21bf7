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

/// Every `credentials.json` below a folder.
fn credential_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let pattern = folder.join("**/credentials.json");
    let found = glob::glob(pattern.to_str().unwrap()).unwrap();
    found.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_points_at_no_cloud_is_told_at_once_to_start_one() {
    let world = World::start(TOOL).await.unwrap();
    let url = world.url().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let script = format!("eval \"$('{TOOL}' emulator --env --cloud-url {url})\" && env");
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).env_clear().env("PATH", path);
    let shell = shell.env("XDG_STATE_HOME", folder.path());
    let variables = text(&shell.output().unwrap().stdout);
    world.end().await;
    // The port of the world that has ended may be another's by now. This one is held, and nobody listens.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = format!("http://{}", held.local_addr().unwrap());
    let variables = variables.replace(&url, &silent);
    for file in credential_files(folder.path()) {
        let credentials = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, credentials.replace(&url, &silent)).unwrap();
    }
    let variables: Vec<(&str, &str)> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    for arguments in [
        &["status"][..],
        &["logs", "--environment", "dev"],
        &["rollback", "--environment", "dev"],
        &["recover", "--environment", "dev"],
        &["evidence", "--digest", "DIGEST", "--environment", "dev"],
        &[
            "promote",
            "v1.0.0",
            "--commit",
            "COMMIT",
            "--environment",
            "dev",
        ],
    ] {
        let arguments = arguments.iter().map(|word| match *word {
            "DIGEST" => format!("sha256:{}", "a".repeat(64)),
            "COMMIT" => "a".repeat(40),
            word => word.to_owned(),
        });
        let arguments: Vec<String> = arguments.collect();
        let mut command = program(folder.path());
        let command = command.envs(variables.iter().copied());
        let command = command.args(&arguments);
        let command = command
            .env("INPUT_SERVICE", "ml-api")
            .env("INPUT_PROJECT_ID", "demo-project");
        let ended = command
            .env(
                "INPUT_IMAGE",
                "us-central1-docker.pkg.dev/demo-project/ml/ml-api",
            )
            .assert()
            .code(6);
        let told = text(&ended.get_output().stderr);
        assert!(
            told.contains("start the local cloud: `ml-deploy emulator`"),
            "{arguments:?}: {told}"
        );
        assert!(!told.contains("try 2 of"), "{arguments:?}: {told}");
    }
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let told = |flag: &str, address: &str| {
        let ended = program(folder.path())
            .args(["emulator", flag, address])
            // It says what it is about to do, before it finds that it cannot.
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .assert()
            .code(6);
        let told = text(&ended.get_output().stderr);
        let warned = told.lines().filter(|line| line.starts_with("warning:"));
        warned.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        told("--listen", "0.0.0.0:0"),
        [
            "warning: this local cloud listens on 0.0.0.0:0 and asks for no credentials: everybody who reaches that address can have tokens of it and run containers on this machine. Use 127.0.0.1 unless the network is yours alone."
        ]
    );
    assert_eq!(
        told("--data-plane", "0.0.0.0"),
        [
            "warning: the services of this local cloud answer on 0.0.0.0: everybody who reaches that address can call the public ones. Use 127.0.0.1 unless the network is yours alone."
        ]
    );
    assert!(told("--listen", "127.0.0.1:0").is_empty());
}

/// What the documentation gives as a body is one.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_environment_can_be_set_up() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/emulator.md");
    let page = std::fs::read_to_string(page).unwrap();
    let row = page
        .lines()
        .find(|line| {
            line.contains("PUT /_emulator/github/repos/OWNER/NAME/environments/ENVIRONMENT`")
        })
        .unwrap();
    let (body, _) = row.split_once("| `{").unwrap().1.split_once("}`").unwrap();
    let world = World::start(TOOL).await.unwrap();
    let at = |path: &str| format!("{}{path}", world.url());
    let client = reqwest::Client::new();
    let put = client
        .put(at("/_emulator/github/repos/o/n/environments/eu"))
        .header("content-type", "application/json")
        .body(format!("{{{body}}}"));
    let answer = put.send().await.unwrap();
    let status = answer.status();
    assert!(
        status.is_success(),
        "{status}: {}",
        answer.text().await.unwrap()
    );
    let get = client
        .get(at("/repos/o/n/environments/eu"))
        .bearer_auth("user:alice");
    let told: serde_json::Value = get.send().await.unwrap().json().await.unwrap();
    let rule = &told["protection_rules"].to_string();
    for part in [
        "\"login\":\"alice\"",
        "\"slug\":\"ml\"",
        "\"wait_timer\":10",
        "\"prevent_self_review\":true",
    ] {
        assert!(rule.contains(part), "{part}: {rule}");
    }
    world.end().await;
}
