//! A world for scenario tests: the local cloud in this process, images whose behaviour is told, and
//! jobs of the real program, started as the runner starts them.

pub mod access;
mod evidence;
mod image;
pub mod judge;
mod world;

pub use image::{API_REPOSITORY, api, wrong_model};
pub use world::{Setup, World, temporary_folder};

pub use emulator::runner::{Job, JobEnd};
pub use emulator::runtime::{Answer, App, Behaviour, Call};
