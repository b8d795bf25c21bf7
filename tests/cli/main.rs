//! Transcripts: the real program, its streams and its exit code. No network beyond loopback.

// Helpers outside of `#[test]` functions may panic as the tests themselves do.
#![allow(clippy::unwrap_used)]

mod action;
mod check;
mod emulator;
mod generated;
mod limits;
mod terminal;
mod verify;

use assert_cmd::Command;

/// The program with nothing in its environment, in an empty folder.
fn program(folder: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ml-deploy"));
    command.env_clear().current_dir(folder);
    command
}
