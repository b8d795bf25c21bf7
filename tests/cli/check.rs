//! `ml-deploy check`: what the policies say about a folder, by hand.

use serde_json::Value;

use super::program;

const GOOD: &str = "FROM python:3.13-slim AS build\nRUN pip install --no-cache-dir -r requirements.txt\n\
    FROM python:3.13-slim\nCOPY --from=build /opt /opt\nUSER appuser\n";

fn folder(requirements: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("api")).unwrap();
    std::fs::write(folder.path().join("api/Dockerfile"), GOOD).unwrap();
    std::fs::write(folder.path().join("api/requirements.txt"), requirements).unwrap();
    folder
}

#[test]
fn nothing_to_find_is_success_and_warnings_are_too() {
    let sound = folder("fastapi==0.129.0\n");
    program(sound.path())
        .args(["check", "api"])
        .assert()
        .success();
    let open = folder("fastapi>=0.129.0\n");
    let warned = program(open.path())
        .args(["check", "api", "--policy-pins", "warn"])
        .output()
        .unwrap();
    assert_eq!(warned.status.code(), Some(0));
    let told = String::from_utf8(warned.stderr).unwrap();
    assert!(
        told.contains("warning[D0601]") && told.contains("api/requirements.txt:1:8"),
        "{told}"
    );
    let silent = program(open.path())
        .args(["check", "api", "--policy-pins", "off"])
        .output()
        .unwrap();
    assert!(!String::from_utf8(silent.stderr).unwrap().contains("D0601"));
}

#[test]
fn findings_are_json_with_their_places() {
    let open = folder("fastapi==0.129.0\nnumpy>=2\nscipy\n");
    let output = program(open.path())
        .args(["check", "api", "--format", "json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let places: Vec<String> = last["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            let place = &found["file"];
            format!(
                "{} {}:{}:{}",
                found["code"].as_str().unwrap(),
                place["path"].as_str().unwrap(),
                place["line"],
                place["column"]
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            "D0601 api/requirements.txt:2:6",
            "D0601 api/requirements.txt:3:1"
        ]
    );
}

#[test]
fn the_sample_passes_every_policy_as_an_error() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    program(root)
        .args(["check", "examples/ml-api"])
        .assert()
        .success();
}

#[test]
fn a_folder_that_is_not_there_is_bad_input() {
    let sound = folder("fastapi==0.129.0\n");
    program(sound.path())
        .args(["check", "nowhere"])
        .assert()
        .code(2);
}
