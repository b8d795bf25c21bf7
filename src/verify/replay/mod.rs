//! The same inputs to the candidate and to what serves: how far do the predictions move?
//!
//! API tests know what is right for some inputs. For all the others the revision that serves is the
//! best there is to compare with. Each input goes to both, in random order so that neither has the
//! warmer cache; what they answer is compared output by output while it comes, and only bounded
//! samples are kept.
//!
//! | module | does |
//! |---|---|
//! | `outputs` | one answer → its outputs: labels and numbers by path |
//! | `comparison` | pairs of answers → flips, differences, distributions |
//! | `judge` | figures against limits → evidence |
//! | `plot` | small pictures of it |
//! | `gate` | sends |

mod comparison;
mod gate;
mod judge;
mod outputs;
mod plot;

#[cfg(test)]
mod tests;

pub use comparison::{Comparison, Pair};
pub use gate::ReplayGate;
pub use judge::{Limits, judge_replay};
pub use outputs::Ignore;
