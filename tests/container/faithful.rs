//! Whether the model of the runner is one: a shell takes the place of the action and tells what it
//! was given.

use std::time::Duration;

use crate::manifest::Manifest;
use crate::runner::{Job, StepEnd};
use crate::{engine, manifest};

/// Has a shell, and is here anyway: the action's image is built with it.
const IMAGE: &str = "debian:trixie-slim";
const LIMIT: Duration = Duration::from_secs(60);

fn shell(script: &str) -> StepEnd {
    engine::require();
    let job = job();
    std::fs::write(job.workspace().join("script"), script).unwrap();
    job.step().entrypoint("/bin/sh", "script").run(LIMIT)
}

fn job() -> Job {
    Job::new(IMAGE, manifest::Manifest::of_image(IMAGE))
}

#[test]
fn the_container_gets_the_runners_folders_and_translated_values() {
    engine::require();
    let job = job().env("DATA", "two\nlines");
    std::fs::write(
        job.workspace().join("script"),
        "pwd; id -u; readlink /proc/self/fd/0; env | sort; ls /github; test -S /var/run/docker.sock && echo socket",
    )
    .unwrap();
    let place = job.workspace().join("model.joblib");
    let end = job
        .step()
        .with("some input", "x y")
        .with("env_vars", "A=1\nB=2")
        .env("PLACE", place.to_str().unwrap())
        .state("phase", "pushed")
        .entrypoint("/bin/sh", "script")
        .run(LIMIT);
    end.assert_exit(0);
    for line in [
        "/github/workspace",
        "0",
        "/dev/null",
        "GITHUB_ACTIONS=true",
        "CI=true",
        "INPUT_SOME_INPUT=x y",
        "INPUT_ENV_VARS=A=1",
        "B=2",
        "DATA=two",
        "lines",
        "PLACE=/github/workspace/model.joblib",
        "STATE_phase=pushed",
        "HOME=/github/home",
        "GITHUB_EVENT_PATH=/github/workflow/event.json",
        "GITHUB_WORKSPACE=/github/workspace",
        "RUNNER_TEMP=/github/runner_temp",
        "file_commands",
        "socket",
    ] {
        assert!(
            end.log.iter().any(|found| found == line),
            "no {line}:\n{}",
            end.story()
        );
    }
    let outer = job.workspace().parent().unwrap().to_owned();
    let told = |prefix: &str| end.log.iter().any(|line| line.starts_with(prefix));
    assert!(
        told("GITHUB_OUTPUT=/github/file_commands/set_output_"),
        "{}",
        end.story()
    );
    assert!(
        told(&format!("RUNNER_WORKSPACE={}", outer.display())),
        "a host path that is not mounted stays"
    );
    assert!(!told("GITHUB_TOKEN="));
    assert!(
        !told("ACTIONS_ID_TOKEN_REQUEST_URL="),
        "absent without id-token: write"
    );
}

#[test]
fn what_a_step_leaves_is_read_back() {
    let end = shell(
        r#"echo "url=https://x" >>"$GITHUB_OUTPUT"
        printf 'text<<END\none\ntwo\nEND\n' >>"$GITHUB_OUTPUT"
        echo "phase=done" >>"$GITHUB_STATE"
        echo "K=v" >>"$GITHUB_ENV"
        echo "/opt/bin" >>"$GITHUB_PATH"
        echo "::add-mask::s3cret"
        echo '# s3cret' >>"$GITHUB_STEP_SUMMARY"
        echo "::warning title=a::s3cret b"
        echo "::notice::told on the other stream" >&2"#,
    );
    end.assert_exit(0);
    assert!(end.succeeded);
    assert_eq!(end.outputs["url"], "https://x");
    assert_eq!(end.outputs["text"], "one\ntwo");
    assert_eq!(end.state["phase"], "done");
    assert_eq!(end.environment["K"], "v");
    assert_eq!(end.path, ["/opt/bin"]);
    assert_eq!(end.summary, "# ***\n");
    assert_eq!(end.of_level("warning")[0].text(), "a\n*** b");
    assert_eq!(end.of_level("notice").len(), 1);
}

#[test]
fn a_malformed_command_file_fails_the_step_although_it_ended_with_0() {
    let end = shell("printf 'a=1\\nnonsense\\n' >>\"$GITHUB_OUTPUT\"");
    assert_eq!(end.exit_code, Some(0));
    assert!(!end.succeeded);
    assert_eq!(end.outputs["a"], "1");
    assert!(
        end.problems[0].contains("Invalid format 'nonsense'"),
        "{}",
        end.story()
    );
}

#[test]
fn a_container_that_ignores_signals_outlives_its_killed_client() {
    engine::require();
    let job = job();
    std::fs::write(
        job.workspace().join("script"),
        "trap '' INT TERM; echo deaf; while :; do sleep 0.1; done",
    )
    .unwrap();
    let mut running = job.step().entrypoint("/bin/sh", "script").start();
    running.wait_for(LIMIT, |line| line == "deaf");
    let cancelled = running.cancel();
    assert_eq!(cancelled.signals, ["INT", "TERM", "KILL"]);
    assert!(cancelled.took >= Duration::from_secs(10), "{cancelled:?}");
    assert!(running.container_is_left());
}

#[test]
fn a_signal_to_the_client_reaches_the_container() {
    engine::require();
    let job = job();
    std::fs::write(
        job.workspace().join("script"),
        "trap 'echo bye; exit 3' INT; echo ready; while :; do sleep 0.05; done",
    )
    .unwrap();
    let mut running = job.step().entrypoint("/bin/sh", "script").start();
    running.wait_for(LIMIT, |line| line == "ready");
    let cancelled = running.cancel();
    assert_eq!(cancelled.signals, ["INT"]);
    let end = running.finish(LIMIT);
    assert_eq!(end.exit_code, Some(3), "{}", end.story());
    assert!(end.log.iter().any(|line| line == "bye"));
}

#[test]
fn every_declared_input_is_there_with_its_default_or_empty() {
    let manifest: Manifest = serde_saphyr::from_str(
        "inputs: {a: {default: 1}, b-c: {description: x, required: true}, t: {default: '${{ github.token }}'}}\n\
         runs: {using: docker, image: Dockerfile}",
    )
    .unwrap();
    let given = [("other".to_owned(), "kept".to_owned())].into();
    let inputs = manifest.inputs(&given, "tok");
    let listed: Vec<(&str, &str)> = inputs
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        listed,
        [("a", "1"), ("b-c", ""), ("other", "kept"), ("t", "tok")]
    );
}
