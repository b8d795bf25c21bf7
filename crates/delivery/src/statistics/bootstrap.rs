//! The ratio of two samples' quantiles, such as the candidate's p95 over the serving revision's.

use super::histogram::Histogram;
use super::random::Random;
use super::{Interval, MOST_MORE, Standing, quantile};

/// Resamplings of a bootstrap. The ends of its interval then move by about 2 % of its width from
/// one seed to another.
const ROUNDS: usize = 4000;

/// The ratio of two quantiles, by percentile bootstrap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// With its interval.
    pub interval: Interval,
    /// Size of the smaller sample.
    pub size: u64,
    /// Which quantile.
    pub quantile: f64,
}

/// The ratio of a quantile of `numerator` to the same quantile of `denominator`; both sorted, all
/// values above 0, the samples independent of each other. `None` when either sample is empty.
///
/// Each round draws both samples anew, with replacement, and takes the ratio; the interval holds
/// the middle 95 % of the rounds. A round costs one random number a sample, not one a value: the
/// k-th smallest of n indices drawn at random lies where a Beta(k, n - k + 1) variable does, so
/// this *is* the resampled order statistic, and no approximation of it.
pub fn quantile_ratio(
    numerator: &[f64],
    denominator: &[f64],
    quantile: f64,
    seed: u64,
) -> Option<Ratio> {
    ratio(
        &Draw::new(numerator, quantile)?,
        &Draw::new(denominator, quantile)?,
        quantile,
        seed,
    )
}

/// The same of two histograms, within their 0.1 %. Values below `floor` count as `floor`: of what is
/// so small nobody minds the double. `floor` is above 0.
pub fn histogram_ratio(
    numerator: &Histogram,
    denominator: &Histogram,
    quantile: f64,
    floor: u64,
    seed: u64,
) -> Option<Ratio> {
    let above = Ranked::new(numerator, floor);
    let below = Ranked::new(denominator, floor);
    ratio(
        &Draw::new(&above, quantile)?,
        &Draw::new(&below, quantile)?,
        quantile,
        seed,
    )
}

fn ratio<S: Sorted + ?Sized>(
    above: &Draw<'_, S>,
    below: &Draw<'_, S>,
    quantile: f64,
    seed: u64,
) -> Option<Ratio> {
    let mut random = Random::new(seed);
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| above.once(&mut random) / below.once(&mut random))
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    // 2.5 % on each side.
    let tail = ROUNDS / 40;
    let interval = Interval {
        low: ratios[tail],
        estimate: above.estimate() / below.estimate(),
        high: ratios[ROUNDS - 1 - tail],
    };
    Some(Ratio {
        interval,
        size: above.sorted.size().min(below.sorted.size()),
        quantile,
    })
}

impl Ratio {
    /// Against the highest ratio that is allowed. Open where the sample is too small for the
    /// quantile to have an upper end at all: resampling cannot show what was never seen.
    pub fn standing(&self, limit: f64) -> Standing {
        let least = quantile::least_size(self.quantile).unwrap_or(MOST_MORE);
        if self.size < least {
            return Standing::Open {
                more: Some(least - self.size),
            };
        }
        let clear = self.interval.clear_of(limit);
        clear.unwrap_or_else(|| Standing::Open {
            more: self.more(limit),
        })
    }

    /// The interval of the ratio's logarithm shrinks with the square root of the size.
    fn more(&self, limit: f64) -> Option<u64> {
        let Interval {
            low,
            estimate,
            high,
        } = self.interval;
        let half = if limit >= estimate {
            (high / estimate).ln()
        } else {
            (estimate / low).ln()
        };
        let distance = (limit / estimate).ln().abs();
        let factor = (half / distance).powi(2);
        let wanted = (self.size as f64 * factor).ceil();
        (wanted.is_finite() && wanted < MOST_MORE as f64)
            .then(|| (wanted as u64).saturating_sub(self.size).max(1))
    }
}

/// A sample in ascending order.
trait Sorted {
    /// How many values.
    fn size(&self) -> u64;
    /// The value with this rank, from 1.
    fn at_rank(&self, rank: u64) -> f64;
}

impl Sorted for [f64] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn at_rank(&self, rank: u64) -> f64 {
        self[rank as usize - 1]
    }
}

/// A histogram, so that a rank is found by bisection.
struct Ranked {
    values: Vec<(u64, u64)>,
    floor: u64,
}

impl Ranked {
    fn new(histogram: &Histogram, floor: u64) -> Self {
        Self {
            values: histogram.ranked(),
            floor,
        }
    }
}

impl Sorted for Ranked {
    fn size(&self) -> u64 {
        self.values.last().map_or(0, |last| last.0)
    }

    fn at_rank(&self, rank: u64) -> f64 {
        let place = self.values.partition_point(|(last, _)| *last < rank);
        let value = self.values.get(place).map_or(0, |found| found.1);
        value.max(self.floor) as f64
    }
}

/// One sample's resampled quantile.
struct Draw<'a, S: ?Sized> {
    sorted: &'a S,
    rank: u64,
}

impl<'a, S: Sorted + ?Sized> Draw<'a, S> {
    fn new(sorted: &'a S, quantile: f64) -> Option<Self> {
        let rank = quantile::ranks(sorted.size(), quantile)?.estimate;
        Some(Self { sorted, rank })
    }

    fn estimate(&self) -> f64 {
        self.sorted.at_rank(self.rank)
    }

    fn once(&self, random: &mut Random) -> f64 {
        let size = self.sorted.size();
        let rank = self.rank as f64;
        let place = random.beta(rank, size as f64 - rank + 1.0) * size as f64;
        self.sorted.at_rank((place as u64 + 1).min(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(count: usize, seed: u64, draw: impl Fn(&mut Random) -> f64) -> Vec<f64> {
        let mut random = Random::new(seed);
        let mut values: Vec<f64> = (0..count).map(|_| draw(&mut random)).collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    #[test]
    fn a_seed_gives_the_same_interval_and_another_seed_nearly_the_same() {
        let (a, b) = (
            sorted(300, 1, |r| 1.0 + r.exponential()),
            sorted(300, 2, |r| 1.0 + r.exponential()),
        );
        let first = quantile_ratio(&a, &b, 0.95, 9).unwrap();
        assert_eq!(first, quantile_ratio(&a, &b, 0.95, 9).unwrap());
        let other = quantile_ratio(&a, &b, 0.95, 10).unwrap();
        assert!(
            (first.interval.high / other.interval.high - 1.0).abs() < 0.05,
            "{first:?} {other:?}"
        );
        assert!(quantile_ratio(&[], &b, 0.95, 1).is_none());
    }

    /// The short cut against the long way: draw n values n times over, sort, take the rank.
    #[test]
    fn the_drawn_order_statistic_is_that_of_a_whole_resampling() {
        let sample = sorted(120, 3, Random::exponential);
        let draw = Draw::new(sample.as_slice(), 0.9).unwrap();
        let mut random = Random::new(5);
        let mut short: Vec<f64> = (0..3000).map(|_| draw.once(&mut random)).collect();
        let mut long: Vec<f64> = (0..3000)
            .map(|_| {
                let mut again: Vec<f64> = sample
                    .iter()
                    .map(|_| sample[random.below(120) as usize])
                    .collect();
                again.sort_unstable_by(f64::total_cmp);
                again[draw.rank as usize - 1]
            })
            .collect();
        short.sort_unstable_by(f64::total_cmp);
        long.sort_unstable_by(f64::total_cmp);
        let test = crate::statistics::ks::two_samples(&short, &long).unwrap();
        assert!(test.p_value > 0.01, "{test:?}");
    }

    #[test]
    fn what_is_too_small_or_too_near_is_open() {
        let few = sorted(71, 1, |r| 1.0 + r.exponential());
        let ratio = quantile_ratio(&few, &few, 0.95, 1).unwrap();
        assert_eq!(ratio.standing(100.0), Standing::Open { more: Some(1) });
        let (a, b) = (
            sorted(200, 1, |r| 1.0 + r.exponential()),
            sorted(200, 2, |r| 1.0 + r.exponential()),
        );
        let Standing::Open { more: Some(more) } =
            quantile_ratio(&a, &b, 0.95, 1).unwrap().standing(1.1)
        else {
            panic!("decided")
        };
        assert!(more > 100, "{more}");
    }

    #[test]
    fn a_histogram_gives_the_ratio_of_its_values_and_small_ones_count_as_the_floor() {
        let (a, b) = (
            sorted(400, 1, |r| 20_000.0 + 30_000.0 * r.exponential()),
            sorted(400, 2, |r| 20_000.0 + 20_000.0 * r.exponential()),
        );
        let histogram = |values: &[f64]| {
            let mut histogram = Histogram::default();
            values.iter().for_each(|value| histogram.add(*value as u64));
            histogram
        };
        let exact = quantile_ratio(&a, &b, 0.95, 3).unwrap();
        let kept = histogram_ratio(&histogram(&a), &histogram(&b), 0.95, 1, 3).unwrap();
        for (one, other) in [
            (exact.interval.low, kept.interval.low),
            (exact.interval.estimate, kept.interval.estimate),
            (exact.interval.high, kept.interval.high),
        ] {
            assert!((one / other - 1.0).abs() < 0.003, "{exact:?} {kept:?}");
        }
        assert_eq!(kept.size, 400);
        let high = |value: f64| (1.0..f64::INFINITY).contains(&value);
        assert!(high(kept.interval.low), "{kept:?}");
        let floored = histogram_ratio(&histogram(&a), &histogram(&b), 0.95, 1 << 30, 3).unwrap();
        assert_eq!(floored.standing(1.0), Standing::Within);
        assert!(histogram_ratio(&Histogram::default(), &histogram(&b), 0.5, 1, 3).is_none());
    }
}
