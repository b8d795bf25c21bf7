//! Golden predictions: thousands of recorded rows, sent and compared as a stream.

mod spec;

pub use spec::{Batch, ColumnSpec, GoldenRequest, GoldenSpec};
