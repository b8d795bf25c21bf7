//! Manifests, with and without a lock file.

use super::short;
use crate::image::policy::pyproject::{check_manifest, is_manifest};

fn check(text: &str, beside: &[&str]) -> Vec<String> {
    let beside: Vec<String> = beside.iter().map(|name| (*name).to_owned()).collect();
    short(&check_manifest("pyproject.toml", text, &beside))
}

const OPEN: &str =
    "[project]\nname = 'x'\ndependencies = [\n  'fastapi>=0.1',\n  \"numpy==2.4.6\",\n]\n";

#[test]
fn a_lock_file_pins_what_the_manifest_leaves_open() {
    assert_eq!(check(OPEN, &["pyproject.toml"]), ["4:3 no-lock"]);
    for lock in [
        "uv.lock",
        "poetry.lock",
        "pdm.lock",
        "pylock.toml",
        "pylock.dev.toml",
        "requirements.txt",
    ] {
        assert!(check(OPEN, &[lock]).is_empty(), "{lock}");
    }
    assert_eq!(check(OPEN, &["Cargo.lock"]), ["4:3 no-lock"]);
}

#[test]
fn every_list_and_every_tool() {
    let table = [
        ("[project]\ndependencies = ['a==1.0']\n", vec![]),
        ("[build-system]\nrequires = ['hatchling']\n", vec![]),
        (
            "[project.optional-dependencies]\ndev = ['pytest']\n",
            vec!["2:8 no-lock"],
        ),
        (
            "[dependency-groups]\ndev = ['pytest', {include-group = 'x'}]\n",
            vec!["2:8 no-lock"],
        ),
        (
            "[tool.poetry.dependencies]\npython = '^3.13'\na = '^1.0'\nb = '1.2.3'\nc = {version = '*'}\n",
            vec!["3:1 no-lock", "5:1 no-lock"],
        ),
        (
            "[tool.poetry.dependencies]\na = {git = 'https://x', rev = '0123456789abcdef0123456789abcdef01234567'}\n",
            vec![],
        ),
        ("[packages]\na = '*'\nb = '==1.0'\n", vec!["2:1 no-lock"]),
        ("[project\n", vec!["1:9 manifest"]),
    ];
    for (text, expected) in table {
        assert_eq!(check(text, &[]), expected, "{text}");
    }
    assert!(
        is_manifest("api/pyproject.toml") && is_manifest("Pipfile") && !is_manifest("setup.py")
    );
}
