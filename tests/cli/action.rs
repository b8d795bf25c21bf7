//! A step of a GitHub job.

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;

use super::program;

/// What the runner gives to every step, with command files in the folder.
fn job(folder: &Path, git_ref: &str) -> Command {
    let mut command = program(folder);
    for name in ["output", "state", "summary"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    std::fs::write(folder.join("event.json"), "{}").unwrap();
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "push")
        .env("GITHUB_EVENT_PATH", folder.join("event.json"))
        .env("GITHUB_REF", git_ref)
        .env("GITHUB_SHA", "a".repeat(40))
        .env("GITHUB_REPOSITORY", "org/ml-api")
        .env("GITHUB_RUN_ID", "7")
        .env("GITHUB_RUN_ATTEMPT", "1")
        .env("GITHUB_WORKSPACE", folder)
        .env("GITHUB_OUTPUT", folder.join("output"))
        .env("GITHUB_STATE", folder.join("state"))
        .env("GITHUB_STEP_SUMMARY", folder.join("summary"));
    command
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn every_wrong_input_is_one_annotation_and_stands_in_the_summary() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join(".github")).unwrap();
    std::fs::write(
        root.join(".github/ml-deploy.yml"),
        "servce: ml-api\nmemory: 512MB\n",
    )
    .unwrap();
    let output = job(root, "refs/tags/v1.0.0")
        .env("INPUT_ENVIRONMENT", "stagin")
        .env("INPUT_CPU", "3")
        .env("INPUT_IMAGE", "us-docker.pkg.dev/p/r/i:latest")
        .env("INPUT_PROJECT_ID", "")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let log = String::from_utf8(output.stdout).unwrap();
    let annotations: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("::error "))
        .collect();
    for (found, expected) in annotations.iter().zip(["servce", "cpu", "memory"]) {
        assert!(found.contains(expected), "{log}");
    }
    for expected in [
        "did you mean `staging`?",
        "did you mean `service`?",
        ".github/ml-deploy.yml:2:9",
        "use `4`",
        "use `512Mi`",
        "use `us-docker.pkg.dev/p/r/i`",
    ] {
        assert!(
            annotations.iter().any(|line| line.contains(expected)),
            "{expected}\n{log}"
        );
    }
    assert!(read(root, "summary").contains("D0102"));
    let outputs = read(root, "output");
    assert!(outputs.starts_with("outcome<<ml-deploy-"), "{outputs}");
    assert!(outputs.contains("\nstopped\n"), "{outputs}");
}

#[test]
fn what_cannot_be_deployed_is_a_clear_answer() {
    let table = [
        ("refs/heads/feature", "branch `feature` is not configured"),
        ("refs/tags/nightly", "nightly"),
        ("refs/tags/v1.0", "v1.0.0"),
    ];
    for (git_ref, expected) in table {
        let folder = tempfile::tempdir().unwrap();
        job(folder.path(), git_ref)
            .env("INPUT_ENVIRONMENT", "dev")
            .assert()
            .code(2)
            .stdout(predicate::str::contains("::error title=D0106%3A"))
            .stdout(predicate::str::contains(expected));
    }
}

#[test]
fn a_branch_does_not_go_to_a_later_environment() {
    let folder = tempfile::tempdir().unwrap();
    job(folder.path(), "refs/heads/main")
        .env("INPUT_ENVIRONMENT", "staging")
        .assert()
        .code(2)
        .stdout(predicate::str::contains(
            "branch `main` is deployed to `dev`, not to `staging`",
        ));
}

#[test]
fn a_release_without_an_environment_names_them() {
    let folder = tempfile::tempdir().unwrap();
    job(folder.path(), "refs/tags/v1.0.0")
        .assert()
        .code(2)
        .stdout(predicate::str::contains("`environment` is missing"))
        .stdout(predicate::str::contains(
            "the environments are dev, test, staging, production",
        ));
}

#[test]
fn a_pull_request_without_an_engine_says_what_to_do_and_needs_no_credentials() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    job(folder.path(), "refs/pull/5/merge")
        .env("GITHUB_EVENT_NAME", "pull_request")
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .assert()
        .code(6)
        .stdout(predicate::str::contains("::error title=D0401%3A"));
}

#[test]
fn text_from_outside_issues_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = job(
        folder.path(),
        "refs/heads/x\r::error::forged\n##[error]forged",
    )
    .env("INPUT_SERVICE", "a\r\n::add-mask::forged")
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let log = String::from_utf8(output.stdout).unwrap();
    for line in log.split(['\r', '\n']) {
        let is_forged = line.trim_start().starts_with("::error::forged")
            || line.trim_start().starts_with("::add-mask::forged")
            || line.contains("##[");
        assert!(!is_forged, "{line:?} in\n{log}");
    }
}

#[test]
fn secrets_are_not_repeated_whatever_fails() {
    let folder = tempfile::tempdir().unwrap();
    let output = job(folder.path(), "refs/tags/v1.0.0")
        .env("INPUT_ENVIRONMENT", "dev")
        .env("INPUT_CREDENTIALS_JSON", "{\"type\": \"hunter2\"")
        .env("INPUT_GITHUB_TOKEN", "hunter2-token")
        .env("INPUT_ENV_VARS", "PORT=hunter2")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let everything = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&everything).contains("hunter2"));
    assert!(!read(folder.path(), "summary").contains("hunter2"));
}
