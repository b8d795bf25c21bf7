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
        .stderr(predicate::str::contains(
            "   help: use those of the local cloud: `eval \"$(ml-deploy emulator --env --cloud-url http://127.0.0.1:9)\"`\n\n",
        ));
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

/// Titles of the errors, in their order.
fn errors(folder: &std::path::Path, arguments: &[&str]) -> Vec<String> {
    let ended = program(folder).args(arguments).assert().code(2);
    let told = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
    told.lines()
        .filter_map(|line| Some(line.split_once("error[")?.1.replace("]", "")))
        .collect()
}

#[test]
fn an_environment_that_is_none_is_told_once_with_the_one_that_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let unknown = "D0102: `environment` must be one of the environments dev, test, staging, production, not `prod`";
    let missing = [
        "D0101: `project_id` is missing",
        "D0101: `service` is missing",
    ];
    for command in ["rollback", "status", "revisions", "logs", "recover"] {
        let told = errors(folder.path(), &[command, "--environment", "prod"]);
        assert_eq!(told, [&[unknown], &missing[..]].concat(), "{command}");
        program(folder.path())
            .args([command, "--environment", "prod"])
            .assert()
            .stderr(predicate::str::contains("did you mean `production`?"));
    }
    let told = errors(folder.path(), &["evidence", "--environment", "Prod_X"]);
    let unknown = unknown.replace("`prod`", "`Prod_X`");
    assert_eq!(told, [unknown.as_str(), "D0101: `image` is missing"]);
}

#[test]
fn everything_that_is_missing_is_told_once_also_where_the_first_thing_is() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        errors(folder.path(), &["promote", "v1.0.0"]),
        [
            "D0101: `environment` is missing",
            "D0101: the commit of `v1.0.0` is not known here",
            "D0101: `image` is missing",
            "D0101: `project_id` is missing",
            "D0101: `service` is missing",
        ]
    );
    assert_eq!(
        errors(folder.path(), &["logs", "--revision", "No_Name"]),
        [
            "D0101: `project_id` is missing",
            "D0101: `service` is missing",
            "D0102: `No_Name` is not a revision name: lower-case letters, digits and hyphens, starting with a letter, not ending with a hyphen, fewer than 64 characters",
            "D0101: `environment` is missing",
        ]
    );
    let told = errors(folder.path(), &["rollback", "--rollback-to", "1.2"]);
    assert_eq!(
        told[1..],
        [
            "D0101: `project_id` is missing",
            "D0101: `service` is missing"
        ],
        "{told:?}"
    );
}

#[test]
fn what_is_said_and_wrong_is_not_missing_as_well() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["status", "rollback"] {
        let wrong = [
            "--project-id",
            "X",
            "--service",
            "UPPER",
            "--region",
            "us-central1-a",
        ];
        let arguments = [&[command, "--environment", "dev"], &wrong[..]].concat();
        let told = errors(folder.path(), &arguments);
        let inputs = told
            .iter()
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
        assert_eq!(
            inputs.collect::<Vec<_>>(),
            ["D0102: `service`", "D0102: `project_id`", "D0102: `region`"],
            "{told:?}"
        );
    }
}

#[test]
fn what_is_wrong_for_another_environment_is_still_missing_for_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = "service: ml-api\nenvironments:\n- name: dev\n- name: test\n  project_id: X\n";
    std::fs::write(folder.path().join("deploy.yml"), file).unwrap();
    for (environment, expected) in [
        ("dev", &["D0102: `project_id`", "D0101: `project_id`"][..]),
        ("test", &["D0102: `project_id`"]),
    ] {
        for command in ["status", "rollback"] {
            let named = ["--environment", environment, "--config", "deploy.yml"];
            let told = errors(folder.path(), &[&[command], &named[..]].concat());
            let inputs = told
                .iter()
                .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
            assert_eq!(inputs.collect::<Vec<_>>(), expected, "{told:?}");
        }
    }
}

#[test]
fn what_stops_every_environment_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let ended = program(folder.path())
        .args([
            "recover",
            "--service",
            "ml-api",
            "--project-id",
            "demo-project",
        ])
        .args(["--cloud-url", "http://127.0.0.1:9"])
        .assert()
        .code(6);
    let told = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
    assert_eq!(told.matches("error[D0501]").count(), 1, "{told}");
}

#[test]
fn a_plan_builds_nothing_and_its_help_promises_no_build() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .args(["plan", "--help"])
        .assert()
        .code(0)
        .stdout(predicate::str::contains("--build ").not())
        .stdout(predicate::str::contains("--build-on-tag"));
    program(folder.path())
        .args(["plan", "main", "--build"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("unexpected argument '--build'"));
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
