//! A candidate that has a share of the traffic, and what serves beside it, under the same load at the
//! same time.
//!
//! What real callers meet cannot be seen from here without the project's monitoring, and a share of
//! thin traffic tells little. So own load is sent: the environment's test cases, at its `load_rate`,
//! to each of the two at its own address. Both are measured in the same window, so that what slows
//! both (the network, the region, a data base behind them) weighs on both.
//!
//! | module | does |
//! |---|---|
//! | `watch` | the two loads, in slices, pooled while the share is held |
//! | `judge` | the figures against their limits and each other |

mod judge;
mod watch;

pub use judge::{CanaryLimits, judge_canary};
pub use watch::{Callers, Canary, Watch};

#[cfg(test)]
mod tests;
