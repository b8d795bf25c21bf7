//! Largest and mean of a stream of differences; nothing is kept.

use super::{Interval, Z};

/// Running mean, deviation and maximum (Welford 1962).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
    largest: f64,
}

impl Moments {
    /// Takes one value, at least 0 and finite.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / self.count as f64;
        self.squares += off * (value - self.mean);
        self.largest = self.largest.max(value);
    }

    /// How many were taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest; 0 when there was none.
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// The mean, with an interval by the central limit theorem: good from some 30 values on, unless
    /// a few of them hold most of the sum. `None` when there was no value.
    pub fn mean(&self) -> Option<Interval> {
        if self.count == 0 {
            return None;
        }
        let half = match self.count {
            1 => f64::INFINITY,
            count => Z * (self.squares / (count - 1) as f64 / count as f64).sqrt(),
        };
        Some(Interval {
            low: self.mean - half,
            estimate: self.mean,
            high: self.mean + half,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_deviation_and_largest() {
        let mut moments = Moments::default();
        assert_eq!(moments.mean(), None);
        for value in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            moments.add(value);
        }
        let mean = moments.mean().unwrap();
        // Deviation √(32/7), over √8.
        let half = 1.96 * (32.0_f64 / 7.0).sqrt() / 8.0_f64.sqrt();
        assert!((mean.estimate - 5.0).abs() < 1e-12);
        assert!((mean.high - 5.0 - half).abs() < 1e-3 && (5.0 - mean.low - half).abs() < 1e-3);
        assert!((moments.largest() - 9.0).abs() < 1e-12);
    }
}
