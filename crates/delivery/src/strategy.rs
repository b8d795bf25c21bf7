//! How traffic moves to a candidate that has passed its tests: at once, or in steps.

use std::fmt;
use std::time::Duration;

/// The percents that a candidate gets one after the other, and how long each is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategy {
    /// Strictly ascending, each from 1 to 99. What follows the last one is 100.
    partial: Vec<u32>,
    soak: Duration,
    on_inconclusive: OnInconclusive,
}

/// What is done when a watch cannot decide whether the candidate is as good as it should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnInconclusive {
    /// Traffic goes back.
    #[default]
    Fail,
    /// It is watched again, and what was measured so far counts; a bounded number of times.
    Hold,
    /// It goes on, with a warning.
    Proceed,
}

/// Why percents are no strategy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// Nothing would ever serve.
    #[error("there is no percent")]
    Empty,
    /// The candidate would never get everything.
    #[error("the last percent is {0}, not 100")]
    EndsBelow(u32),
    /// A percent that is none.
    #[error("{0} is not a percent from 1 to 100")]
    OutOfRange(u32),
    /// Traffic that goes back on its own way is no progress.
    #[error("{second} comes after {first}, and each percent must be greater than the one before")]
    NotAscending {
        /// The one before.
        first: u32,
        /// The one that is not greater.
        second: u32,
    },
    /// A watch of no time sees nothing.
    #[error("a share of the traffic is watched for no time")]
    NoSoak,
}

impl Strategy {
    /// Everything at once: what holds unless somebody says otherwise.
    pub const AT_ONCE: Self = Self {
        partial: Vec::new(),
        soak: Duration::ZERO,
        on_inconclusive: OnInconclusive::Fail,
    };

    /// From percents such as `[5, 25, 50, 100]`. `soak` is how long each below 100 is watched.
    ///
    /// # Errors
    /// [`StrategyError`] unless the percents ascend strictly from at least 1 and end with 100, and
    /// the soak is above 0 where one is below 100.
    pub fn new(
        percents: &[u32],
        soak: Duration,
        on_inconclusive: OnInconclusive,
    ) -> Result<Self, StrategyError> {
        if let Some(wrong) = percents
            .iter()
            .find(|percent| !(1..=100).contains(*percent))
        {
            return Err(StrategyError::OutOfRange(*wrong));
        }
        for pair in percents.windows(2) {
            if let [first, second] = *pair
                && first >= second
            {
                return Err(StrategyError::NotAscending { first, second });
            }
        }
        match percents.split_last() {
            None => Err(StrategyError::Empty),
            Some((100, partial)) if !partial.is_empty() && soak.is_zero() => {
                Err(StrategyError::NoSoak)
            }
            Some((100, partial)) => Ok(Self {
                partial: partial.to_vec(),
                soak,
                on_inconclusive,
            }),
            Some((last, _)) => Err(StrategyError::EndsBelow(*last)),
        }
    }

    /// Each percent below 100 with the one that follows it: `(5, 25), (25, 100)`.
    pub fn partial(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let following = self.partial.iter().skip(1).copied().chain([100]);
        self.partial.iter().copied().zip(following)
    }

    /// True when the candidate gets everything at once.
    pub fn is_at_once(&self) -> bool {
        self.partial.is_empty()
    }

    /// How long each percent below 100 is watched.
    pub fn soak(&self) -> Duration {
        self.soak
    }

    /// What is done when a watch cannot decide.
    pub fn on_inconclusive(&self) -> OnInconclusive {
        self.on_inconclusive
    }
}

impl Default for Strategy {
    fn default() -> Self {
        Self::AT_ONCE
    }
}

/// As the input takes it: `fail`, `hold`, `proceed`.
impl fmt::Display for OnInconclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fail => "fail",
            Self::Hold => "hold",
            Self::Proceed => "proceed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(percents: &[u32]) -> Result<Strategy, StrategyError> {
        Strategy::new(percents, Duration::from_secs(60), OnInconclusive::Fail)
    }

    #[test]
    fn percents_ascend_and_end_with_everything() {
        for (percents, expected) in [
            (&[][..], StrategyError::Empty),
            (&[50], StrategyError::EndsBelow(50)),
            (&[0, 100], StrategyError::OutOfRange(0)),
            (&[5, 101], StrategyError::OutOfRange(101)),
            (
                &[5, 5, 100],
                StrategyError::NotAscending {
                    first: 5,
                    second: 5,
                },
            ),
            (
                &[100, 50],
                StrategyError::NotAscending {
                    first: 100,
                    second: 50,
                },
            ),
        ] {
            assert_eq!(strategy(percents), Err(expected), "{percents:?}");
        }
        let steps = |percents: &[u32]| strategy(percents).unwrap().partial().collect::<Vec<_>>();
        assert_eq!(steps(&[100]), []);
        assert_eq!(steps(&[5, 25, 100]), [(5, 25), (25, 100)]);
        assert_eq!(steps(&[99, 100]), [(99, 100)]);
    }

    #[test]
    fn a_share_is_watched_for_some_time() {
        let soak = Duration::ZERO;
        let new = |percents: &[u32]| Strategy::new(percents, soak, OnInconclusive::Hold);
        assert_eq!(new(&[5, 100]), Err(StrategyError::NoSoak));
        assert!(new(&[100]).unwrap().is_at_once());
        assert!(Strategy::default().is_at_once());
    }
}
