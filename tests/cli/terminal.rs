//! A person at a terminal.

use predicates::prelude::*;

use super::program;

#[test]
fn help_says_what_it_is_for_and_gives_examples() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .arg("--help")
        .assert()
        .code(0)
        .stdout(predicate::str::contains("Examples:"))
        .stdout(predicate::str::contains(
            "ml-deploy rollback --environment production",
        ))
        .stdout(predicate::str::contains("Exit codes:"))
        .stdout(predicate::str::contains("generate").not())
        .stderr("");
}

#[test]
fn the_help_of_a_command_lists_every_input_that_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .args(["promote", "--help"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("--env-vars <KEY=VALUE>"))
        .stdout(predicate::str::contains("--retry-rejected"))
        .stdout(predicate::str::contains("--github-token").not())
        .stdout(predicate::str::contains("--credentials-json").not());
}

#[test]
fn without_a_command_the_usage_is_shown_and_it_is_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("Usage: ml-deploy"));
}

#[test]
fn a_misspelt_command_or_flag_is_bad_input_with_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .arg("promot")
        .assert()
        .code(2)
        .stderr(predicate::str::contains("'promote'"));
    program(folder.path())
        .args(["promote", "--enviroment", "dev"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("--environment"));
}

#[test]
fn everything_that_is_missing_is_said_at_once_with_every_place_where_it_can_be_said() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .args(["promote", "v1.0.0", "--environment", "test", "--commit"])
        .arg("a".repeat(40))
        .assert()
        .code(2)
        .stdout("")
        .stderr(predicate::str::contains("error[D0101]: `image` is missing"))
        .stderr(predicate::str::contains(
            "error[D0101]: `project_id` is missing",
        ))
        .stderr(predicate::str::contains(
            "error[D0101]: `service` is missing",
        ))
        .stderr(predicate::str::contains("--project-id my-project"))
        .stderr(predicate::str::contains("\u{1b}[").not());
}

#[test]
fn without_credentials_nothing_is_done_and_the_way_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .args([
            "status",
            "--service",
            "ml-api",
            "--project-id",
            "demo-project",
        ])
        // A port that nothing listens on: the cloud is not asked at all.
        .args(["--cloud-url", "http://127.0.0.1:9"])
        .assert()
        .code(6)
        .stderr(predicate::str::contains("error[D0501]"))
        .stderr(predicate::str::contains("help:"));
}

#[test]
fn an_override_that_leaves_the_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .args([
            "status",
            "--service",
            "ml-api",
            "--project-id",
            "demo-project",
        ])
        .args(["--cloud-url", "https://cloud.example"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("error[D0507]"));
}

#[test]
fn json_is_one_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path())
        .args(["--format", "json", "rollback", "--environment", "prod"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "finished");
    assert_eq!(last["exit_code"], 2);
    assert_eq!(last["outputs"]["outcome"], "stopped");
    assert!(
        !last["diagnostics"].as_array().unwrap().is_empty(),
        "{text}"
    );
}

#[test]
fn verify_tells_a_refused_connection_from_a_pass() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .args(["verify", "http://127.0.0.1:9"])
        .assert()
        .code(4)
        .stderr(predicate::str::contains("D0302"));
}

#[test]
fn verify_tells_a_malformed_address_from_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    for address in ["ml-api.example", "ftp://ml-api.example", "http://"] {
        program(folder.path())
            .args(["verify", address])
            .assert()
            .code(2)
            .stderr(predicate::str::contains("error[D0102]"))
            .stderr(predicate::str::contains("is no address of an API"));
    }
}
