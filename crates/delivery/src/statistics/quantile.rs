//! Quantiles of a sample, by ranks: no assumption about how latencies are distributed.
//!
//! At most `k` of `n` values lie below the true quantile with the binomial distribution's
//! probability; the ranks whose tails are each at most 2.5 % are the interval's ends (David and
//! Nagaraja, "Order Statistics", section 7.1).

use statrs::function::beta::beta_reg;

use super::{Standing, TAIL, least_more};

/// Ranks, from 1, of the sorted sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranks {
    /// The lower end; `None` when the sample is too small to have one.
    pub low: Option<u64>,
    /// The sample's own quantile: the least value that at least this part of the sample does not
    /// exceed.
    pub estimate: u64,
    /// The upper end; `None` when the sample is too small to have one.
    pub high: Option<u64>,
}

/// The ranks of the interval for a quantile, such as 0.95, of a sample of `size` values. `None` for
/// an empty sample.
pub fn ranks(size: u64, quantile: f64) -> Option<Ranks> {
    if size == 0 {
        return None;
    }
    // Least count whose probability of being reached at most is above the tail.
    let low = least(size, |count| at_most(size, quantile, count) > TAIL);
    let high = least(size, |count| 1.0 - at_most(size, quantile, count) <= TAIL) + 1;
    // 0.95 · 100 is a little above 95 in floating point: without the slack the rank would be 96.
    let estimate = ((size as f64 * quantile) - 1e-9).ceil().max(1.0) as u64;
    Some(Ranks {
        low: (low >= 1).then_some(low),
        estimate: estimate.min(size),
        high: (high <= size).then_some(high),
    })
}

/// The least sample that has an upper end for a quantile: 72 for 0.95, 368 for 0.99.
pub fn least_size(quantile: f64) -> Option<u64> {
    least_more(0, |size| {
        ranks(size, quantile).is_some_and(|ranks| ranks.high.is_some())
    })
}

/// Where the true quantile stands against a limit, of a sample of `size` values of which `beyond`
/// are above the limit.
pub fn standing(size: u64, beyond: u64, quantile: f64) -> Standing {
    if let Some(decided) = decided(size, beyond, quantile) {
        return decided;
    }
    let share = if size == 0 {
        0.0
    } else {
        beyond as f64 / size as f64
    };
    // So near that only the next million would tell: the rate of slow answers is the allowed one.
    let more = least_more(size, |wanted| {
        let slow = (share * wanted as f64).round() as u64;
        decided(wanted, slow, quantile).is_some()
    });
    Standing::Open { more }
}

fn decided(size: u64, beyond: u64, quantile: f64) -> Option<Standing> {
    let ranks = ranks(size, quantile)?;
    let within = size.saturating_sub(beyond);
    if ranks.high.is_some_and(|high| within >= high) {
        return Some(Standing::Within);
    }
    ranks
        .low
        .is_some_and(|low| within < low)
        .then_some(Standing::Beyond)
}

/// The binomial distribution: at most `count` of `size`, each with the probability `chance`.
fn at_most(size: u64, chance: f64, count: u64) -> f64 {
    if count >= size {
        return 1.0;
    }
    beta_reg((size - count) as f64, count as f64 + 1.0, 1.0 - chance)
}

/// The least number from 0 to `size` that `fits`; it does from some number on, at `size` at last.
fn least(size: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_known_ones() {
        for (size, low, high) in [
            (100, 90, 100),
            (200, 184, 197),
            (500, 465, 485),
            (1000, 936, 964),
        ] {
            let got = ranks(size, 0.95).unwrap();
            assert_eq!((got.low, got.high), (Some(low), Some(high)), "{size}");
            assert_eq!(got.estimate, size * 95 / 100, "{size}");
        }
        assert_eq!(ranks(0, 0.95), None);
        assert_eq!(
            ranks(1, 0.5),
            Some(Ranks {
                low: None,
                estimate: 1,
                high: None
            })
        );
    }

    #[test]
    fn an_upper_end_exists_from_the_known_sizes_on() {
        assert_eq!(least_size(0.95), Some(72));
        assert_eq!(least_size(0.99), Some(368));
        assert_eq!(least_size(0.5), Some(6));
        assert_eq!(ranks(71, 0.95).unwrap().high, None);
    }

    #[test]
    fn great_samples_stay_exact() {
        let got = ranks(1_000_000, 0.99).unwrap();
        // 990 000 ± 1.96 · √(10⁶ · 0.99 · 0.01) = ± 195.
        assert!(got.low.unwrap().abs_diff(989_805) <= 1, "{got:?}");
        assert!(got.high.unwrap().abs_diff(990_196) <= 1, "{got:?}");
    }

    #[test]
    fn a_limit_is_decided_or_says_how_many_more() {
        assert_eq!(standing(600, 0, 0.99), Standing::Within);
        assert_eq!(standing(600, 600, 0.99), Standing::Beyond);
        assert_eq!(standing(367, 0, 0.99), Standing::Open { more: Some(1) });
        assert_eq!(standing(0, 0, 0.95), Standing::Open { more: Some(72) });
        assert_eq!(standing(1000, 10, 0.99), Standing::Open { more: None });
        // 2 % slow where 1 % may be: by 200 not decided, but soon.
        let Standing::Open { more: Some(more) } = standing(200, 4, 0.99) else {
            panic!("decided")
        };
        assert!((100..1000).contains(&more), "{more}");
    }
}
