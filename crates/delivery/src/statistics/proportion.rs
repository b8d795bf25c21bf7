//! A rate: so many of so many.

use super::{Interval, MOST_MORE, Standing, Z};

/// So many of so many, such as flipped labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proportion {
    /// How many.
    pub hits: u64,
    /// Of how many; at least `hits`.
    pub trials: u64,
}

impl Proportion {
    /// Counts one more.
    pub fn count(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.trials += 1;
    }

    /// Wilson's score interval (Wilson 1927). It stays within 0 and 1, and is not empty at 0 hits:
    /// none of 100 still allows for 3.7 %. Without trials it is all of 0 to 1.
    pub fn interval(self) -> Interval {
        if self.trials == 0 {
            return Interval {
                low: 0.0,
                estimate: 0.0,
                high: 1.0,
            };
        }
        let (hits, trials) = (self.hits as f64, self.trials as f64);
        let rate = hits / trials;
        let z2 = Z * Z;
        let scale = 1.0 + z2 / trials;
        let centre = (rate + z2 / (2.0 * trials)) / scale;
        let half = Z * (rate * (1.0 - rate) / trials + z2 / (4.0 * trials * trials)).sqrt() / scale;
        Interval {
            // Exactly the ends where rounding would leave a trace.
            low: if self.hits == 0 {
                0.0
            } else {
                (centre - half).max(0.0)
            },
            estimate: rate,
            high: if self.hits == self.trials {
                1.0
            } else {
                (centre + half).min(1.0)
            },
        }
    }

    /// Against the highest rate that is allowed. A limit of 0 is no statement about a rate: it
    /// means that there must be none among those seen, and one hit is too many.
    pub fn standing(self, limit: f64) -> Standing {
        if self.trials == 0 {
            return Standing::Open {
                more: needed(0.0, limit),
            };
        }
        if limit <= 0.0 {
            return if self.hits == 0 {
                Standing::Within
            } else {
                Standing::Beyond
            };
        }
        let interval = self.interval();
        interval.clear_of(limit).unwrap_or_else(|| Standing::Open {
            more: needed(interval.estimate, limit)
                .map(|all| all.saturating_sub(self.trials).max(1)),
        })
    }
}

/// How many trials decide that a true rate is within a limit, or beyond it. Wilson's interval holds
/// the limit out exactly when `(rate - limit)² > z² · limit · (1 - limit) / trials`. `None` when the
/// rate is too near to the limit.
pub fn needed(rate: f64, limit: f64) -> Option<u64> {
    if limit <= 0.0 {
        return Some(1);
    }
    let trials = (Z * Z * limit * (1.0 - limit) / (rate - limit).powi(2)).ceil();
    (trials < MOST_MORE as f64).then_some((trials as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hits: u64, trials: u64) -> Proportion {
        Proportion { hits, trials }
    }

    #[test]
    fn intervals_are_the_known_ones() {
        for (hits, trials, low, high) in [
            (0, 100, 0.0, 0.036_993),
            (0, 200, 0.0, 0.018_845),
            (2, 200, 0.002_747, 0.035_722),
            (5, 10, 0.236_593, 0.763_407),
            (10, 10, 0.722_467, 1.0),
            (1, 1, 0.206_549, 1.0),
        ] {
            let got = of(hits, trials).interval();
            assert!(
                (got.low - low).abs() < 1e-6,
                "{hits}/{trials}: low {}",
                got.low
            );
            assert!(
                (got.high - high).abs() < 1e-6,
                "{hits}/{trials}: high {}",
                got.high
            );
        }
        let nothing = of(0, 0).interval();
        assert!(nothing.low <= 0.0 && nothing.high >= 1.0);
    }

    #[test]
    fn no_hit_proves_a_limit_from_the_known_sizes_on() {
        for (limit, size) in [(0.05, 73), (0.02, 189), (0.01, 381)] {
            assert_eq!(of(0, size).standing(limit), Standing::Within, "{limit}");
            assert_eq!(
                of(0, size - 1).standing(limit),
                Standing::Open { more: Some(1) },
                "{limit}"
            );
            assert_eq!(
                of(0, 0).standing(limit),
                Standing::Open { more: Some(size) },
                "{limit}"
            );
        }
    }

    #[test]
    fn a_limit_of_zero_is_about_those_seen() {
        assert_eq!(of(0, 5).standing(0.0), Standing::Within);
        assert_eq!(of(1, 500).standing(0.0), Standing::Beyond);
        assert_eq!(of(0, 0).standing(0.0), Standing::Open { more: Some(1) });
    }

    #[test]
    fn eight_of_a_hundred_against_five() {
        assert_eq!(of(40, 500).standing(0.05), Standing::Beyond);
        let Standing::Open { more: Some(more) } = of(8, 100).standing(0.05) else {
            panic!("decided")
        };
        assert_eq!(more, 103);
        assert_eq!(of(5, 100).standing(0.05), Standing::Open { more: None });
    }
}
