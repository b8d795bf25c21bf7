//! A histogram of whole numbers over many orders of magnitude, in fixed memory.

use super::quantile;

/// Each power of two is divided into this many steps, so that a value is kept within 1/1024.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 10;
/// Values from here on are all kept as one: 2³², which is over an hour in microseconds.
const MOST: u64 = 1 << 32;

/// Counts by value: exact below 2048, within 0.1 % above (the layout of Gil Tene's HDR histogram).
/// Written here rather than taken from the crate of that name, for the ranks that a quantile's
/// interval needs, and since making one cannot fail.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
    sum: f64,
    least: u64,
    greatest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; place(MOST) + 1],
            total: 0,
            sum: 0.0,
            least: u64::MAX,
            greatest: 0,
        }
    }
}

/// Where a value is counted.
fn place(value: u64) -> usize {
    let value = value.min(MOST);
    // How many low bits are dropped: none below 2 · STEPS.
    let dropped = (64 - value.leading_zeros()).saturating_sub(STEP_BITS + 1);
    (u64::from(dropped) * STEPS + (value >> dropped)) as usize
}

/// The greatest value that is counted there.
fn value_at(place: usize) -> u64 {
    let place = place as u64;
    if place < 2 * STEPS {
        return place;
    }
    let dropped = place / STEPS - 1;
    (((place - dropped * STEPS) + 1) << dropped) - 1
}

impl Histogram {
    /// Counts one value.
    pub fn add(&mut self, value: u64) {
        let count = &mut self.counts[place(value)];
        *count = count.saturating_add(1);
        self.total += 1;
        self.sum += value as f64;
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }

    /// Counts everything that the other one has.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
    }

    /// Each value that was counted, ascending, with the rank of the last one of it.
    pub(super) fn ranked(&self) -> Vec<(u64, u64)> {
        let mut rank = 0;
        let counted = self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        counted
            .map(|(place, count)| {
                rank += u64::from(*count);
                (rank, value_at(place).clamp(self.least, self.greatest))
            })
            .collect()
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The mean; `None` when nothing was counted.
    pub fn mean(&self) -> Option<f64> {
        (self.total > 0).then(|| self.sum / self.total as f64)
    }

    /// The greatest value, exactly; 0 when nothing was counted.
    pub fn greatest(&self) -> u64 {
        self.greatest
    }

    /// The value with this rank, from 1, in ascending order; within 0.1 %, never below the true one.
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        (rank >= 1).then(|| value_at(found).clamp(self.least, self.greatest))
    }

    /// The sample's quantile, such as 0.95; `None` when nothing was counted.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        self.at_rank(quantile::ranks(self.total, quantile)?.estimate)
    }

    /// How many values are above a limit; those within 0.1 % of it count as below.
    pub fn above(&self, limit: u64) -> u64 {
        self.counts[place(limit) + 1..]
            .iter()
            .map(|count| u64::from(*count))
            .sum()
    }

    /// How many values lie in each of `bars` equal parts from the least to `to`, the last bar taking
    /// all that is greater. For a plot.
    pub fn bars(&self, to: u64, bars: usize) -> Vec<(u64, u64)> {
        let from = self.least.min(to);
        let width = (to - from).max(1) as f64 / bars.max(1) as f64;
        let mut heights = vec![0; bars.max(1)];
        for (place, count) in self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let offset = value_at(place).saturating_sub(from) as f64;
            let bar = ((offset / width) as usize).min(heights.len() - 1);
            heights[bar] += u64::from(*count);
        }
        let end = |bar: usize| from + (width * (bar + 1) as f64) as u64;
        heights
            .into_iter()
            .enumerate()
            .map(|(bar, height)| (end(bar), height))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::random::Random;

    #[test]
    fn places_are_in_order_and_near_the_value() {
        let mut before = None;
        for value in
            (0..5000).chain((12..32).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]))
        {
            let kept = value_at(place(value));
            assert!(
                kept >= value && (kept - value) as f64 <= value as f64 / 1024.0,
                "{value}: {kept}"
            );
            assert_eq!(place(kept), place(value), "{value}");
            if let Some(before) = before.filter(|(other, _)| *other < value) {
                assert!(place(value) >= before.1, "{value}");
            }
            before = Some((value, place(value)));
        }
        assert_eq!(place(u64::MAX), place(MOST));
    }

    #[test]
    fn ranks_agree_with_the_sorted_values() {
        let mut random = Random::new(4);
        let mut histogram = Histogram::default();
        let mut values: Vec<u64> = (0..3000)
            .map(|_| (random.exponential() * 80_000.0) as u64)
            .collect();
        for value in &values {
            histogram.add(*value);
        }
        values.sort_unstable();
        for rank in [1, 2, 1500, 2850, 2970, 3000_u64] {
            let (got, wanted) = (histogram.at_rank(rank).unwrap(), values[rank as usize - 1]);
            assert!(
                got.abs_diff(wanted) as f64 <= wanted as f64 / 1000.0 + 1.0,
                "{rank}: {got} {wanted}"
            );
        }
        assert_eq!(histogram.at_rank(0), None);
        assert_eq!(histogram.at_rank(3001), None);
        assert_eq!(histogram.greatest(), values[2999]);
        let above = values.iter().filter(|value| **value > 100_000).count() as u64;
        assert!(histogram.above(100_000).abs_diff(above) <= 3);
        assert_eq!(
            histogram
                .bars(200_000, 10)
                .iter()
                .map(|bar| bar.1)
                .sum::<u64>(),
            3000
        );
    }

    #[test]
    fn two_together_are_as_one_of_all() {
        let (mut all, mut even, mut odd) = (
            Histogram::default(),
            Histogram::default(),
            Histogram::default(),
        );
        for value in (0..2000).map(|number| number * 37) {
            all.add(value);
            let half = if value % 2 == 0 { &mut even } else { &mut odd };
            half.add(value);
        }
        even.merge(&odd);
        even.merge(&Histogram::default());
        assert_eq!((even.total(), even.mean()), (all.total(), all.mean()));
        assert_eq!(even.ranked(), all.ranked());
        assert_eq!(even.at_rank(1), Some(0));
        assert_eq!(all.ranked().last().map(|last| last.0), Some(2000));
    }

    #[test]
    fn an_empty_one_has_no_figures() {
        let empty = Histogram::default();
        assert_eq!(
            (
                empty.quantile(0.5),
                empty.mean(),
                empty.above(0),
                empty.total()
            ),
            (None, None, 0, 0)
        );
    }
}
