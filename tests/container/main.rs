//! The action's image, started exactly as GitHub's runner starts it; and the example workflows, run by
//! `act`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`runner`] | a model of GitHub's runner where it runs a container action |
//! | [`manifest`] | the part of `action.yml` that the runner reads |
//! | [`engine`] | the Docker engine, and the action's image, built once |
//!
//! Needs a Docker engine and what `scripts/setup all` puts in place; without them the tests fail and
//! say so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "the helpers of a test fail by panicking"
)]

mod act;
mod cloud;
mod engine;
mod faithful;
mod held_rate;
mod image;
mod interruption;
mod manifest;
mod promotion;
mod runner;
mod sample;
mod starts;
mod workflows;

use std::path::Path;

/// The root of this repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
