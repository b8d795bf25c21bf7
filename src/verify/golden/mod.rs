//! Golden predictions: thousands of recorded rows, sent and compared as a stream.
//!
//! | module | holds |
//! |---|---|
//! | `spec` | how a file is sent and compared |
//! | `rows` | JSON lines and CSV → rows, one after the other |
//! | `check` | what is wrong with a file, before anything is sent |
//! | `columns` | an answer against the recorded one |
//! | `tally` | what it adds up to, and the worst rows |
//! | `run` | workers that send and compare |
//! | `samples` | rows as inputs of load and replay |
//! | `record` | a golden file from a live API |

mod check;
mod columns;
mod gate;
mod record;
mod rows;
mod run;
mod samples;
mod spec;
mod tally;

pub(crate) use check::check_file;
pub use gate::GoldenGate;
pub use record::{Recorded, Recording, record};
pub(crate) use samples::golden_samples;
pub use spec::{Batch, ColumnSpec, GoldenRequest, GoldenSpec};
