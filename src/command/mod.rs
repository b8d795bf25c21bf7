//! Wires the rooms together, one command a file.
//!
//! | module | holds |
//! |---|---|
//! | `entry` | arguments → command → exit code |
//! | `shell` | where text goes, what was said in the environment, how a run ends |
//! | `signals` | SIGINT and SIGTERM cancel, from the first instruction on |
//! | `job` | inputs, context and stage of one run, with every problem at once |
//! | `limits` | the gates that measure, from the inputs |
//! | `session` | endpoints, credentials and clients for one environment |
//! | `check` | the policies, before the build and before the push, and by hand |
//! | `deliver` | observe → plan → execute, again when somebody else was faster |
//! | `evidence` | evidence of the environment before is asked for, that of this one attached |
//! | `attached` | shows the evidence of an image, environment by environment |
//! | `run` | what each stage does |
//! | `recover` | ends what a run that died has left |
//! | `post` | the action's post step: the same, for its own main step |

mod attached;
mod build;
mod check;
mod checkout;
mod deliver;
#[cfg(feature = "local-cloud")]
pub mod demo;
#[cfg(feature = "local-cloud")]
mod emulator;
mod entry;
mod evidence;
mod gate;
pub mod generate;
mod job;
mod limits;
mod look;
mod post;
mod recorder;
mod recover;
mod release;
mod run;
mod session;
mod shell;
mod signals;
mod surroundings;
mod trial;
mod verifier;
mod verify;

pub use entry::main;
pub use shell::Streams;
pub use signals::Early;
