//! Statistics of the gates: how sure a figure is, and whether it can be decided against a limit.
//!
//! Every figure comes with an interval at 95 %, two-sided, and is judged by one rule: it is beyond
//! its limit when the whole interval is, within when the whole interval is, and open otherwise.
//! What is open says how many more samples it takes. Noise can therefore neither stop a release
//! (in more than 2.5 of 100 cases) nor wave one through.
//!
//! | module | figure | method |
//! |---|---|---|
//! | [`proportion`] | a rate: flipped labels, errors | Wilson's score interval |
//! | [`difference`] | how much more often one side fails | Newcombe's hybrid score interval |
//! | [`quantile`] | p95, p99 of a sample | ranks, free of any distribution |
//! | [`bootstrap`] | ratio of two samples' quantiles | percentile bootstrap, seeded |
//! | [`psi`] | shift between two samples | population stability index, with its null distribution |
//! | [`ks`] | largest distance of two samples | Kolmogorov-Smirnov, exact where it is cheap |
//! | [`histogram`] | latencies, by rank | counts by value within 0.1 %, in fixed memory |
//! | [`moments`] | largest and mean difference | running, nothing is kept |
//! | [`reservoir`] | a fair sample of a stream | algorithm R, seeded |
//!
//! All of it is a function of samples and seed: the same run can be judged again, with the same
//! result. Special functions (incomplete gamma and beta) come from the crate `statrs`, without its
//! default features; nothing else does.

pub mod bootstrap;
mod chi_squared;
pub mod difference;
pub mod histogram;
pub mod ks;
pub mod moments;
pub mod proportion;
pub mod psi;
pub mod quantile;
pub mod random;
pub mod reservoir;

/// The part of repetitions whose interval covers the truth.
pub const LEVEL: f64 = 0.95;

/// What lies beyond each end of an interval, at [`LEVEL`].
pub(crate) const TAIL: f64 = (1.0 - LEVEL) / 2.0;

/// The normal distribution's quantile at `1 - TAIL`.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// Beyond this many more samples a figure counts as too near to its limit to be decided.
pub(crate) const MOST_MORE: u64 = 10_000_000;

/// A figure and how sure it is, at [`LEVEL`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// What was measured.
    pub estimate: f64,
    /// The upper end; infinite where the sample is too small to have one.
    pub high: f64,
}

/// Where a figure stands against the most that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The whole interval is at or below the limit.
    Within,
    /// The whole interval is above the limit.
    Beyond,
    /// The limit lies inside of the interval: this sample cannot decide.
    Open {
        /// About how many more samples decide, if they are like those seen; `None` when the figure
        /// is so near to the limit that no reasonable number does.
        more: Option<u64>,
    },
}

impl Interval {
    /// Its standing against a limit, as far as the ends tell it; `None` when the limit is inside.
    pub(crate) fn clear_of(&self, limit: f64) -> Option<Standing> {
        if self.low > limit {
            Some(Standing::Beyond)
        } else if self.high <= limit {
            Some(Standing::Within)
        } else {
            None
        }
    }
}

/// The least number above `have` that decides, as the difference to `have`: doubling, then halving.
/// `decides` must stay true once it is; `None` when it is not by [`MOST_MORE`].
pub(crate) fn least_more(have: u64, decides: impl Fn(u64) -> bool) -> Option<u64> {
    let mut step = have.max(16);
    let mut low = have;
    let mut high = loop {
        let wanted = have.saturating_add(step);
        if decides(wanted) {
            break wanted;
        }
        if step > MOST_MORE {
            return None;
        }
        low = wanted;
        step *= 2;
    };
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if decides(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high - have)
}
