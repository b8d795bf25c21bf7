//! The delivery in a simulated world: seeded, in this process, without sockets and without real
//! time. The real loop, planner, executor, API client and transport run; what is simulated is the
//! network below the transport, the tests of a candidate, and the clocks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::large_enum_variant,
    reason = "all of it is a test"
)]

mod batch;
mod cloud;
mod evidence;
mod foreign;
mod kills;
mod mutants;
mod program;
mod regions;
mod rollouts;
mod running;
mod scenarios;
mod story;
mod verifier;
mod watch;
mod wire;
mod wishes;
mod world;
