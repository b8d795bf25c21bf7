//! Files that are written from the code.

use std::path::Path;

use predicates::prelude::*;

use super::program;

#[test]
fn the_generated_files_of_this_repository_are_current() {
    program(Path::new(env!("CARGO_MANIFEST_DIR")))
        .args(["generate", "--check"])
        .assert()
        .code(0)
        .stdout("");
}

#[test]
fn a_file_that_differs_is_named_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path())
        .args(["generate", "--check"])
        .assert()
        .code(1)
        .stdout(predicate::str::contains(
            "./action.yml is not what the code says",
        ))
        .stdout(predicate::str::contains("docs/inputs.md"));
    program(folder.path()).arg("generate").assert().code(0);
    program(folder.path())
        .args(["generate", "--check"])
        .assert()
        .code(0);
}
