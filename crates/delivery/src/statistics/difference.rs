//! The difference of two rates: how much more often one side fails than the other.

use super::proportion::Proportion;
use super::{Interval, Standing, least_more};

/// Two rates of independent samples; the figure is the first less the second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Difference {
    /// Whose excess is measured.
    pub candidate: Proportion,
    /// What it is measured against.
    pub serving: Proportion,
}

impl Difference {
    /// Newcombe's hybrid score interval (Newcombe 1998, method 10): the ends of Wilson's intervals of
    /// both rates, put together. It stays within -1 and 1 and is not empty where nothing failed: none
    /// of 100 on both sides still allows for 3.7 points more.
    pub fn interval(self) -> Interval {
        let (a, b) = (self.candidate.interval(), self.serving.interval());
        let estimate = a.estimate - b.estimate;
        let below = (a.estimate - a.low).hypot(b.high - b.estimate);
        let above = (a.high - a.estimate).hypot(b.estimate - b.low);
        Interval {
            low: (estimate - below).max(-1.0),
            estimate,
            high: (estimate + above).min(1.0),
        }
    }

    /// Against the greatest excess that is allowed; above 0. What is open says about how many more
    /// trials each side needs.
    pub fn standing(self, limit: f64) -> Standing {
        let clear = self.interval().clear_of(limit);
        clear.unwrap_or_else(|| Standing::Open {
            more: self.more(limit),
        })
    }

    /// How many more trials of each side decide, if both go on as they began.
    fn more(self, limit: f64) -> Option<u64> {
        let have = self.candidate.trials.min(self.serving.trials);
        least_more(have, |wanted| {
            let Self { candidate, serving } = self;
            let grown = Self {
                candidate: grown(candidate, wanted),
                serving: grown(serving, wanted),
            };
            grown.interval().clear_of(limit).is_some()
        })
    }
}

/// The same rate of so many trials.
fn grown(rate: Proportion, trials: u64) -> Proportion {
    let hits = (rate.interval().estimate * trials as f64).round() as u64;
    Proportion { hits, trials }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: (u64, u64), b: (u64, u64)) -> Difference {
        let one = |(hits, trials)| Proportion { hits, trials };
        Difference {
            candidate: one(a),
            serving: one(b),
        }
    }

    /// The examples of the paper's table II, method 10.
    #[test]
    fn intervals_are_the_published_ones() {
        for (a, b, low, high) in [
            ((56, 70), (48, 80), 0.052_4, 0.333_9),
            ((9, 10), (3, 10), 0.170_5, 0.809_0),
            ((6, 7), (2, 7), 0.058_2, 0.806_2),
            ((5, 56), (0, 29), -0.038_1, 0.192_6),
            ((0, 10), (0, 20), -0.161_1, 0.277_5),
            ((0, 10), (0, 10), -0.277_5, 0.277_5),
            ((10, 10), (0, 20), 0.679_1, 1.0),
            ((10, 10), (0, 10), 0.607_5, 1.0),
        ] {
            let got = of(a, b).interval();
            assert!((got.low - low).abs() < 5e-5, "{a:?} {b:?}: {got:?}");
            assert!((got.high - high).abs() < 5e-5, "{a:?} {b:?}: {got:?}");
        }
    }

    #[test]
    fn an_excess_is_decided_or_says_how_many_more() {
        assert_eq!(of((0, 381), (0, 381)).standing(0.01), Standing::Within);
        assert_eq!(
            of((0, 380), (0, 380)).standing(0.01),
            Standing::Open { more: Some(1) }
        );
        assert_eq!(of((60, 600), (0, 600)).standing(0.01), Standing::Beyond);
        // Both fail alike: that is not the candidate's doing.
        assert_eq!(of((60, 6000), (60, 6000)).standing(0.01), Standing::Within);
        let Standing::Open { more: Some(more) } = of((3, 100), (0, 100)).standing(0.01) else {
            panic!("decided")
        };
        assert!((100..2000).contains(&more), "{more}");
        assert_eq!(
            of((10, 1000), (0, 1000)).standing(0.01),
            Standing::Open { more: None }
        );
        assert_eq!(
            of((0, 0), (0, 0)).standing(0.01),
            Standing::Open { more: Some(381) }
        );
    }
}
