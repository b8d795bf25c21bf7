//! What the intervals promise, measured by seeded simulation; and what must hold for any sample.

use delivery::statistics::bootstrap::quantile_ratio;
use delivery::statistics::ks::two_samples;
use delivery::statistics::proportion::{Proportion, needed};
use delivery::statistics::psi::psi;
use delivery::statistics::random::Random;
use delivery::statistics::{Standing, quantile};
use proptest::prelude::*;

fn sorted(count: usize, random: &mut Random, draw: impl Fn(&mut Random) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = (0..count).map(|_| draw(random)).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Of `rounds`, in how many parts of a hundred `holds` does.
fn percent(rounds: u32, mut holds: impl FnMut(&mut Random) -> bool) -> f64 {
    let mut random = Random::new(20);
    let hits: u32 = (0..rounds).map(|_| u32::from(holds(&mut random))).sum();
    100.0 * f64::from(hits) / f64::from(rounds)
}

fn lognormal(random: &mut Random) -> f64 {
    50.0 * (0.5 * random.normal()).exp()
}

#[test]
fn wilson_covers_the_true_rate() {
    for (trials, rate) in [(100, 0.02), (200, 0.05), (500, 0.08), (1000, 0.5)] {
        let covered = percent(4000, |random| {
            let mut seen = Proportion::default();
            for _ in 0..trials {
                seen.count(random.unit() < rate);
            }
            let interval = seen.interval();
            interval.low <= rate && rate <= interval.high
        });
        // Its coverage swings around 95 for small rates.
        assert!(
            (93.0..99.5).contains(&covered),
            "{trials} at {rate}: {covered}"
        );
    }
}

#[test]
fn ranks_cover_the_true_quantile() {
    for (size, part, truth) in [(200, 0.95, 0.95_f64), (600, 0.99, 0.99), (50, 0.5, 0.5)] {
        let covered = percent(4000, |random| {
            let sample = sorted(size, random, Random::exponential);
            let ranks = quantile::ranks(size as u64, part).unwrap();
            let at = |rank: u64| sample[usize::try_from(rank).unwrap() - 1];
            let truth = -(1.0 - truth).ln();
            ranks.low.is_none_or(|rank| at(rank) <= truth)
                && ranks.high.is_none_or(|rank| truth <= at(rank))
        });
        // Never below what is promised; above, since ranks are whole numbers.
        assert!(
            (94.5..99.0).contains(&covered),
            "{size} at {part}: {covered}"
        );
    }
}

#[test]
fn the_bootstrap_covers_the_true_ratio() {
    for (size, part) in [(100, 0.5), (200, 0.95), (500, 0.95)] {
        let covered = percent(400, |random| {
            let (left, right) = (
                sorted(size, random, lognormal),
                sorted(size, random, lognormal),
            );
            let interval = quantile_ratio(&left, &right, part, random.bits())
                .unwrap()
                .interval;
            interval.low <= 1.0 && 1.0 <= interval.high
        });
        assert!(
            (92.0..=99.0).contains(&covered),
            "{size} at {part}: {covered}"
        );
    }
}

/// 8 % of the requests take 400 ms longer, the others are 2 % faster: the mean rank hardly moves,
/// the p95 does.
#[test]
fn a_slow_tail_is_caught() {
    let caught = percent(60, |random| {
        let serving = sorted(500, random, lognormal);
        let candidate = sorted(500, random, |random| {
            let slow = if random.unit() < 0.08 { 400.0 } else { 0.0 };
            0.98 * lognormal(random) + slow
        });
        let ratio = quantile_ratio(&candidate, &serving, 0.95, random.bits()).unwrap();
        ratio.standing(1.2) == Standing::Beyond
    });
    assert!(caught >= 80.0, "{caught}");
}

/// The same distribution on both sides must not alarm, whatever the size: with a fixed limit on the
/// plain index, a hundred values each would, every third time.
#[test]
fn noise_does_not_alarm() {
    let plain = percent(400, |random| {
        let (left, right) = (
            sorted(100, random, lognormal),
            sorted(100, random, lognormal),
        );
        psi(&left, &right).unwrap().interval.estimate > 0.2
    });
    assert!(plain > 20.0, "the plain index alarms in {plain}");
    for size in [50, 100, 300, 1000] {
        let mut alarms = 0;
        let significant = percent(400, |random| {
            let (left, right) = (
                sorted(size, random, lognormal),
                sorted(size, random, lognormal),
            );
            let found = psi(&left, &right).unwrap();
            alarms += u32::from(found.standing(0.1) == Standing::Beyond);
            found.p_value < 0.05
        });
        assert!(alarms <= 4, "{size}: {alarms} of 400");
        assert!(significant <= 8.0, "{size}: {significant} % below 0.05");
    }
}

/// Steps of known height, so that the true index is known: 0, 0.09, 0.27 and 0.88. Beyond the usual
/// limits the approximation is coarser; there nothing hangs on it.
#[test]
fn the_index_interval_covers_the_true_index() {
    for (size, tilt, least) in [
        (300, 0.0, 95.0),
        (500, 0.3, 93.0),
        (1000, 0.5, 91.0),
        (2000, 0.8, 85.0),
    ] {
        // On 0..1: density 1 against 1 + tilt on the lower half and 1 - tilt on the upper.
        let truth = tilt / 2.0 * ((1.0_f64 + tilt) / (1.0 - tilt)).ln();
        let covered = percent(300, |random| {
            let left = sorted(size, random, Random::unit);
            let right = sorted(size, random, |random| {
                let half = random.unit() / 2.0;
                if random.unit() < (1.0 + tilt) / 2.0 {
                    half
                } else {
                    half + 0.5
                }
            });
            let interval = psi(&left, &right).unwrap().interval;
            interval.low <= truth && truth <= interval.high
        });
        assert!(covered >= least, "{size} with {tilt}, {truth}: {covered}");
    }
}

#[test]
fn kolmogorov_smirnov_keeps_its_level() {
    for size in [20, 200, 1000] {
        let rejected = percent(600, |random| {
            let (left, right) = (
                sorted(size, random, lognormal),
                sorted(size, random, lognormal),
            );
            two_samples(&left, &right).unwrap().p_value < 0.05
        });
        assert!(rejected <= 7.5, "{size}: {rejected}");
    }
}

/// What a gate must do with 500 inputs: 8 % flips are stopped, a candidate that is equal passes.
#[test]
fn flips_are_stopped_and_equals_pass() {
    let mut passed_anyway = 0;
    let stopped = percent(100, |random| {
        let mut flips = Proportion::default();
        for _ in 0..500 {
            flips.count(random.unit() < 0.08);
        }
        passed_anyway += u32::from(flips.standing(0.05) == Standing::Within);
        flips.standing(0.05) == Standing::Beyond
    });
    assert_eq!(passed_anyway, 0);
    assert!(stopped >= 70.0, "{stopped}");

    let equal = percent(100, |random| {
        let (left, right) = (
            sorted(400, random, lognormal),
            sorted(400, random, lognormal),
        );
        let slower = quantile_ratio(&left, &right, 0.95, random.bits()).unwrap();
        let mut flips = Proportion::default();
        for _ in 0..400 {
            // Half a percent flips by chance, as a model on the border does.
            flips.count(random.unit() < 0.005);
        }
        flips.standing(0.05) == Standing::Within
            && slower.standing(1.5) == Standing::Within
            && psi(&left, &right).unwrap().standing(0.25) == Standing::Within
    });
    assert!(equal >= 95.0, "{equal}");
}

#[test]
fn what_was_said_to_be_needed_decides() {
    for (rate, limit) in [(0.0, 0.05), (0.02, 0.05), (0.08, 0.05), (0.0, 0.001)] {
        let trials = needed(rate, limit).unwrap();
        let hits = (rate * (trials as f64 + 20.0)).round() as u64;
        let standing = Proportion {
            hits,
            trials: trials + 20,
        }
        .standing(limit);
        assert!(
            !matches!(standing, Standing::Open { .. }),
            "{rate} against {limit}: {standing:?}"
        );
    }
}

proptest! {
    #[test]
    fn an_interval_holds_its_estimate(hits in 0_u64..1000, misses in 0_u64..1000) {
        let seen = Proportion { hits, trials: hits + misses };
        let interval = seen.interval();
        prop_assert!(0.0 <= interval.low && interval.low <= interval.estimate);
        prop_assert!(interval.estimate <= interval.high && interval.high <= 1.0);
    }

    #[test]
    fn more_hits_never_help(hits in 0_u64..200, misses in 0_u64..500, limit in 0.0_f64..1.0) {
        let seen = Proportion { hits, trials: hits + misses + 1 };
        let worse = Proportion { hits: hits + 1, trials: seen.trials };
        prop_assert!(worse.interval().low >= seen.interval().low);
        prop_assert!(!(seen.standing(limit) == Standing::Beyond && worse.standing(limit) != Standing::Beyond));
    }

    #[test]
    fn ranks_are_in_order_and_in_the_sample(size in 1_u64..5000, part in 0.01_f64..0.999) {
        let ranks = quantile::ranks(size, part).unwrap();
        prop_assert!(1 <= ranks.estimate && ranks.estimate <= size);
        prop_assert!(ranks.low.is_none_or(|low| 1 <= low && low <= ranks.estimate));
        prop_assert!(ranks.high.is_none_or(|high| ranks.estimate <= high && high <= size));
    }

    #[test]
    fn a_quantile_is_never_both_within_and_beyond(size in 1_u64..3000, slow in 0_u64..3000, part in 0.5_f64..0.999) {
        let slow = slow.min(size);
        let standing = quantile::standing(size, slow, part);
        if slow == 0 { prop_assert!(standing != Standing::Beyond); }
        if slow == size { prop_assert!(standing != Standing::Within); }
    }

    #[test]
    fn distances_are_symmetric_and_see_only_order(
        left in proptest::collection::vec(-50_i32..50, 10..80),
        right in proptest::collection::vec(-50_i32..50, 10..80),
    ) {
        let values = |of: &[i32], map: &dyn Fn(f64) -> f64| {
            let mut values: Vec<f64> = of.iter().map(|value| map(f64::from(*value))).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let plain = |v: f64| v;
        let curved = |v: f64| (v / 10.0).exp();
        let (l, r) = (values(&left, &plain), values(&right, &plain));
        let (cl, cr) = (values(&left, &curved), values(&right, &curved));

        let ks = two_samples(&l, &r).unwrap();
        prop_assert_eq!(two_samples(&cl, &cr).unwrap(), ks);
        let back = two_samples(&r, &l).unwrap();
        prop_assert!((back.distance - ks.distance).abs() < 1e-12 && (back.p_value - ks.p_value).abs() < 1e-9);
        prop_assert!((0.0..=1.0).contains(&ks.distance) && (0.0..=1.0).contains(&ks.p_value));

        let index = psi(&l, &r).unwrap();
        prop_assert_eq!(psi(&cl, &cr).unwrap(), index);
        let back = psi(&r, &l).unwrap();
        prop_assert!((back.interval.estimate - index.interval.estimate).abs() < 1e-12);
        prop_assert!(index.interval.estimate >= 0.0 && index.interval.estimate.is_finite());
        prop_assert!(index.interval.low <= index.interval.high);
    }
}
