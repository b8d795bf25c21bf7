//! The delivery in a simulated world: seeded, in this process, without sockets and without real
//! time. The real loop, planner, executor, API client and transport run; what is simulated is the
//! network below the transport, the tests of a candidate, and the clocks.

mod batch;
mod cloud;
mod foreign;
mod kills;
mod mutants;
mod program;
mod rollouts;
mod scenarios;
mod story;
mod verifier;
mod watch;
mod wire;
mod wishes;
mod world;
