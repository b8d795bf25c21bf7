//! A load generator: so many requests a second, whatever the server does.
//!
//! Users do not wait for each other. So the open model ([`Pace::Rate`]) fixes when each request is
//! *meant* to be sent, and a latency counts from that time: a stall of the server then weighs on
//! every request that should have gone out during it (a generator that waits for the answer before
//! it sends the next one would leave these out, which is called coordinated omission). The closed
//! model ([`Pace::Concurrency`]) keeps a number of requests under way; it finds how much a server
//! can take, and says nothing about latency under a given load.
//!
//! | module | does |
//! |---|---|
//! | `request` | what is sent, made once, and what counts as a right answer |
//! | `connection` | TCP and TLS, timed; one HTTP/1.1 connection for each request under way |
//! | `pacer` | tells when the next request is due, to some ten microseconds |
//! | `generator` | workers on a thread of their own |
//! | `slo` | the gate: latency and errors against what was promised |
//! | `record` | histograms and failures, in fixed memory |

mod connection;
mod generator;
mod pacer;
mod record;
mod request;
mod slo;

pub use generator::{Load, NoLoad, Pace, generate};
pub use record::{Failure, Failures, Measured};
pub use request::{Prepared, Target};
pub use slo::{Slo, SloGate, judge_slo};
pub(in crate::verify) use slo::{doubt, errors, latency, open_load, with_kinds};

#[cfg(test)]
mod tests;
