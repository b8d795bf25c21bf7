//! `ml-deploy verify`, against a server in this process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;

use predicates::prelude::*;

use super::program;

/// Answers every request with what the function makes of method, path and body; ends with the process.
fn serve(answer: fn(&str, &str, &str) -> (u16, String)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut first = String::new();
            reader.read_line(&mut first).unwrap();
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let mut words = first.split(' ');
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            let (status, text) = answer(method, path, &String::from_utf8(body).unwrap());
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                text.len()
            );
            let mut stream = reader.into_inner();
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
        }
    });
    url
}

fn model(_: &str, path: &str, body: &str) -> (u16, String) {
    match path {
        "/health" => (200, "{}".to_owned()),
        "/version" => (200, "{\"model_version\": \"m-1\"}".to_owned()),
        "/predict" => (200, format!("{{\"echo\": {body}, \"p\": 0.5}}")),
        _ => (404, String::new()),
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

#[test]
fn an_address_that_is_none_is_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    for (url, why) in [
        ("nonsense", "relative URL without a base"),
        ("ftp://host", "neither http:// nor https://"),
        ("http://user:hunter2@host", "a user name or a password"),
        ("http://host/?a=b", "a query or a fragment"),
    ] {
        program(folder.path())
            .args(["verify", url])
            .assert()
            .code(2)
            .stderr(predicate::str::contains("D0102"))
            .stderr(predicate::str::contains(why));
    }
    program(folder.path()).arg("verify").assert().code(2);
}

#[test]
fn everything_that_is_wrong_comes_at_once_and_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "a.yaml",
        "cases:\n- nam: x\n  request: {path: /}\n",
    );
    write(
        folder.path(),
        "b.yaml",
        "golden:\n- file: none.csv\n  request: {path: /}\n",
    );
    program(folder.path())
        .args([
            "verify",
            "--url",
            "http://127.0.0.1:9",
            "--tests",
            "*.yaml",
            "--commit",
            "x",
        ])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("a.yaml:2:3"))
        .stderr(predicate::str::contains("did you mean `name`?"))
        .stderr(predicate::str::contains("b.yaml:2:9"))
        .stderr(predicate::str::contains("flag `--commit`"))
        .stderr(predicate::str::contains("refused").not());
}

#[test]
fn a_failure_is_told_once_and_written_for_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(model);
    write(
        folder.path(),
        "suite.yaml",
        "secrets: {key: KEY}\ncases:\n- name: good\n  request: {path: /health}\n- name: bad\n  \
         request: {method: POST, path: /predict, json: {k: '${key}'}}\n  expect: {json: {p: 0.75}}\n",
    );
    let ended = program(folder.path())
        .env("KEY", "hunter2")
        .args(["verify", &url, "--tests", "suite.yaml"])
        .args(["--junit", "out/junit.xml", "--results", "out/results.json"])
        .assert()
        .code(4);
    let told = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
    let difference = "/p: expected 0.75, got 0.5, difference 0.2500";
    assert_eq!(told.matches(difference).count(), 1, "{told}");
    assert!(told.contains("api-tests/bad failed"), "{told}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let junit = read("out/junit.xml");
    assert!(junit.contains("tests=\"2\" failures=\"1\""), "{junit}");
    assert!(junit.contains(difference), "{junit}");
    let results: serde_json::Value = serde_json::from_str(&read("out/results.json")).unwrap();
    assert_eq!(results["exit_code"], 4);
    assert_eq!(results["gates"][0]["gate"], "api-tests");
    for text in [told, junit, results.to_string()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_wrong_model_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(model);
    program(folder.path())
        .args(["verify", &url, "--model-version", "m-1"])
        .assert()
        .code(0);
    program(folder.path())
        .args(["verify", &url, "--model-version", "m-2"])
        .assert()
        .code(4)
        .stderr(predicate::str::contains("D0631"))
        .stderr(predicate::str::contains(
            "model_version: expected `m-2`, got `m-1`",
        ))
        .stderr(predicate::str::contains(
            "api-tests: not run, since `identity` stopped the release",
        ));
}

#[test]
fn what_is_recorded_is_a_golden_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(model);
    write(folder.path(), "inputs.csv", "x,name\n1,a\n2,b\n");
    program(folder.path())
        .args([
            "verify",
            &url,
            "--record",
            "golden.jsonl",
            "--inputs",
            "inputs.csv",
        ])
        .assert()
        .code(0)
        .stderr(predicate::str::contains("recorded 2 rows in golden.jsonl"));
    write(
        folder.path(),
        "suite.yaml",
        "golden:\n- file: golden.jsonl\n  request: {path: /predict}\n",
    );
    program(folder.path())
        .args(["verify", &url, "--tests", "suite.yaml"])
        .assert()
        .code(0);
    let text = std::fs::read_to_string(folder.path().join("golden.jsonl")).unwrap();
    write(folder.path(), "golden.jsonl", &text.replace("0.5", "0.6"));
    program(folder.path())
        .args(["verify", &url, "--tests", "suite.yaml"])
        .assert()
        .code(4)
        .stderr(predicate::str::contains("D0633"))
        .stderr(predicate::str::contains(
            "2 of 2 rows differ (100 %), none may",
        ))
        .stderr(predicate::str::contains(
            "line 1: p: expected 0.6, got 0.5, difference 0.1000",
        ));
}

/// What is printed after the last case: the error.
fn error(folder: &Path, arguments: &[&str]) -> String {
    let ended = program(folder)
        .arg("verify")
        .args(arguments)
        .assert()
        .code(4);
    let told = String::from_utf8(ended.get_output().stderr.clone()).unwrap();
    let at = told.find("error[").unwrap();
    let told = told[at..].split_once("\n\n").unwrap().0;
    told.to_owned()
}

#[test]
fn an_api_that_does_not_run_has_not_failed_a_test() {
    let folder = tempfile::tempdir().unwrap();
    // Bound and not listening any more: nobody answers there.
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    assert_eq!(
        error(folder.path(), &[&url]),
        format!(
            "error[D0304]: nothing listens at `{url}`
  cause: the connection to 127.0.0.1 was refused
  cause: api-tests/health answers failed
   help: start the API, or give the address and the port that it listens on"
        )
    );
    write(folder.path(), "inputs.csv", "x\n1\n");
    let told = error(
        folder.path(),
        &[&url, "--record", "golden.jsonl", "--inputs", "inputs.csv"],
    );
    assert!(told.starts_with("error[D0634]"), "{told}");
    assert!(
        told.ends_with(
            "   help: start the API, or give the address and the port that it listens on"
        ),
        "{told}"
    );
}

fn locked(_: &str, _: &str, _: &str) -> (u16, String) {
    (403, String::new())
}

#[test]
fn an_api_that_lets_nobody_in_is_told_with_the_credential_that_it_wants() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(locked);
    let told = error(folder.path(), &[&url, "--commit", &"a".repeat(40)]);
    assert_eq!(
        told,
        format!(
            "error[D0304]: `{url}` does not let this caller in
  cause: GET /health is answered 403: no ID token was sent
  cause: answers/answers with success failed
   help: a private service wants one: `--audience URL` makes it for the service's own address, with credentials that have roles/run.invoker there; one that you have goes into the variable ML_DEPLOY_ID_TOKEN
   help: if it is the API that asks for a key, give it in `headers` of the test file, and let the health path answer without one"
        )
    );
    program(folder.path())
        .env("ML_DEPLOY_ID_TOKEN", "hunter2")
        .args(["verify", &url])
        .assert()
        .code(4)
        .stderr(predicate::str::contains(
            "GET /health is answered 403: the ID token is not accepted",
        ))
        .stderr(predicate::str::contains(
            "its audience has to be the service's own address",
        ))
        .stderr(predicate::str::contains("hunter2").not());
}

/// Its front lets everybody in, and the API asks for a key, which the tests bring.
fn keyed(_: &str, path: &str, _: &str) -> (u16, String) {
    match path {
        "/predict" => (200, "{\"p\": 0.5}".to_owned()),
        _ => (401, String::new()),
    }
}

#[test]
fn a_test_that_was_let_in_and_failed_is_told_whatever_the_health_path_answers() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(keyed);
    write(
        folder.path(),
        "suite.yaml",
        "cases:\n- name: predicts\n  request: {method: POST, path: /predict, headers: {x-key: k}, \
         json: {}}\n  expect: {json: {p: 0.75}}\n",
    );
    assert_eq!(
        error(folder.path(), &[&url, "--tests", "suite.yaml"]),
        format!(
            "error[D0302]: `{url}` failed the API tests
  cause: api-tests/predicts failed
   help: mend the release, or the expectation in the test file, and push again
   help: predictions that changed without a change of the model often come from a dependency: compare requirements.txt with the last release, rebuild the image"
        )
    );
    write(
        folder.path(),
        "suite.yaml",
        "cases:\n- name: predicts\n  request: {method: POST, path: /other, headers: {x-key: k}, \
         json: {}}\n",
    );
    let told = error(folder.path(), &[&url, "--tests", "suite.yaml"]);
    assert!(told.starts_with("error[D0304]"), "{told}");
}

fn without_health(_: &str, _: &str, _: &str) -> (u16, String) {
    (404, String::new())
}

#[test]
fn where_nobody_wrote_a_test_none_is_to_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(without_health);
    let told = error(folder.path(), &[&url]);
    assert_eq!(
        told,
        format!(
            "error[D0302]: `{url}` failed the API tests
  cause: api-tests/health answers failed
   help: let /health answer 200, or name a path that does: `--health-path`"
        )
    );
}

#[test]
fn the_help_lists_no_flag_that_has_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let help = program(folder.path()).args(["verify", "--help"]).assert();
    let help = String::from_utf8(help.get_output().stdout.clone()).unwrap();
    assert!(help.contains("--slo-p95"), "{help}");
    for flag in ["--traffic-steps", "--soak", "--on-inconclusive", "--canary"] {
        assert!(!help.contains(flag), "{flag}: {help}");
    }
    program(folder.path())
        .args(["verify", "http://127.0.0.1:9", "--soak", "5m"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("unexpected argument '--soak'"));
}
