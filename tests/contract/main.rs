//! Contracts that are not ours: what `ml-deploy` asks and what the local cloud answers, held against
//! Google's discovery documents and GitHub's OpenAPI description, and Google's own Python clients
//! against the local cloud.

mod bites;
mod python;
mod stories;

use testkit::judge::{Judge, skip};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Told = Result<(), Failure>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ml-deploy");

/// The judge, or `None` with a line that says why.
fn judge() -> Option<&'static Judge> {
    match Judge::shared() {
        Ok(judge) => Some(judge),
        Err(missing) => {
            skip(missing);
            None
        }
    }
}
