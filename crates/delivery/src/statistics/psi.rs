//! Population stability index: how far two distributions of an output are apart.
//!
//! `PSI = Σ (p - q) · ln(p / q)` over bins. The well-known limits 0.1 and 0.25 ignore that two
//! samples of the *same* distribution do not give 0: with 10 bins and 100 values each the mean is
//! 0.18. So the index comes with an interval for the true one, and the interval decides.

use super::chi_squared::{above, at_most, shift_for};
use super::{Interval, Standing, TAIL, least_more};

/// Most bins. More see finer shifts, and need more values.
const MOST_BINS: usize = 10;
/// Values that are expected in each bin on the smaller side: below 5 the null distribution is off
/// (Cochran's rule for χ² tests).
const EXPECTED_IN_BIN: f64 = 5.0;
/// Added to each bin's count (Jeffreys). An empty bin would make the index infinite, and a tiny
/// number in its place, as is common, makes the index depend on that number.
const ADDED: f64 = 0.5;
/// Values of the smaller side below which there is no index: two bins' worth.
pub const LEAST_VALUES: usize = 10;

/// The index of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Psi {
    /// The index, and the interval of the true one. Its lower end is 0 where noise explains all.
    pub interval: Interval,
    /// Bins that were made; 1 where all values are the same.
    pub bins: usize,
    /// How likely an index at least as great is without any shift.
    pub p_value: f64,
    /// Sizes of both samples.
    pub sizes: (u64, u64),
}

/// The index of two samples, both sorted and without NaN. `None` with fewer than [`LEAST_VALUES`] on
/// either side.
///
/// Bins hold equal parts of both samples together, so that none is empty by choice of bounds; equal
/// values stay in one bin. Without a shift, `PSI / (1/n + 1/m)` is then close to χ² with one degree
/// of freedom less than there are bins, and with a shift to the χ² with a shifted mean, whose
/// inversion gives the interval.
pub fn psi(reference: &[f64], candidate: &[f64]) -> Option<Psi> {
    let (n, m) = (reference.len(), candidate.len());
    if n.min(m) < LEAST_VALUES {
        return None;
    }
    let bins = bins(reference, candidate);
    let count = bins.len();
    let total = |size: usize| size as f64 + ADDED * count as f64;
    let value: f64 = bins
        .iter()
        .map(|(left, right)| {
            let p = (*left as f64 + ADDED) / total(n);
            let q = (*right as f64 + ADDED) / total(m);
            (p - q) * (p / q).ln()
        })
        .sum();
    let sizes = (n as u64, m as u64);
    if count < 2 {
        let interval = Interval {
            low: 0.0,
            estimate: 0.0,
            high: 0.0,
        };
        return Some(Psi {
            interval,
            bins: count,
            p_value: 1.0,
            sizes,
        });
    }
    let (low, high) = ends(value, count, sizes);
    Some(Psi {
        interval: Interval {
            low,
            estimate: value,
            high,
        },
        bins: count,
        p_value: above(value / noise(sizes), count as f64 - 1.0),
        sizes,
    })
}

/// The interval of the true index.
fn ends(value: f64, bins: usize, sizes: (u64, u64)) -> (f64, f64) {
    let (freedom, noise) = (bins as f64 - 1.0, noise(sizes));
    let statistic = value / noise;
    let low = shift_for(statistic, freedom, 1.0 - TAIL) * noise;
    // Less than the mean of pure noise is luck, or pairs that agree; it proves no more than the mean.
    let high = shift_for(statistic.max(freedom), freedom, TAIL) * noise;
    (low, high)
}

fn noise((n, m): (u64, u64)) -> f64 {
    1.0 / n as f64 + 1.0 / m as f64
}

impl Psi {
    /// Against the highest index that is allowed.
    pub fn standing(&self, limit: f64) -> Standing {
        let clear = self.interval.clear_of(limit);
        clear.unwrap_or_else(|| Standing::Open {
            more: self.more(limit),
        })
    }

    /// Values more on each side, if the index that noise does not explain is the true one.
    fn more(&self, limit: f64) -> Option<u64> {
        let freedom = self.bins as f64 - 1.0;
        let truth = (self.interval.estimate - freedom * noise(self.sizes)).max(0.0);
        let least = self.sizes.0.min(self.sizes.1);
        least_more(least, |size| {
            let sizes = (size, size);
            // What that many values would show, in the middle, and whether it would decide.
            let statistic = (truth / noise(sizes) + freedom).max(freedom);
            let at_limit = at_most(statistic, freedom, limit / noise(sizes));
            if truth > limit {
                at_limit > 1.0 - TAIL
            } else {
                at_limit <= TAIL
            }
        })
    }
}

/// Counts of both samples in each bin.
fn bins(reference: &[f64], candidate: &[f64]) -> Vec<(usize, usize)> {
    let (n, m) = (reference.len(), candidate.len());
    let all = n + m;
    let smaller = n.min(m) as f64;
    let wanted = ((smaller / EXPECTED_IN_BIN) as usize).clamp(1, MOST_BINS);
    let (target, least) = (
        all.div_ceil(wanted),
        (EXPECTED_IN_BIN * all as f64 / smaller) as usize,
    );
    let mut bins: Vec<(usize, usize)> = Vec::with_capacity(wanted);
    let mut open = (0, 0);
    for (left, right) in (Groups {
        left: reference,
        right: candidate,
    }) {
        let here = open.0 + open.1;
        // A value that fills a bin alone gets one: with its neighbours it would hide their shift.
        if here >= least && left + right >= target {
            bins.push(std::mem::take(&mut open));
        }
        open = (open.0 + left, open.1 + right);
        if open.0 + open.1 >= target {
            bins.push(std::mem::take(&mut open));
        }
    }
    let rest = open.0 + open.1;
    match bins.last_mut() {
        // Too few to be a bin: with the one before.
        Some(last) if rest < least => *last = (last.0 + open.0, last.1 + open.1),
        _ if rest > 0 => bins.push(open),
        _ => {}
    }
    bins
}

/// How often each value, in ascending order, is in either sample.
struct Groups<'a> {
    left: &'a [f64],
    right: &'a [f64],
}

impl Iterator for Groups<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let value = match (self.left.first(), self.right.first()) {
            (Some(left), Some(right)) => left.min(*right),
            (Some(one), None) | (None, Some(one)) => *one,
            (None, None) => return None,
        };
        Some((take(&mut self.left, value), take(&mut self.right, value)))
    }
}

/// Takes the values up to `value` off the front; gives their number.
fn take(sorted: &mut &[f64], value: f64) -> usize {
    let count = sorted.iter().take_while(|one| **one <= value).count();
    *sorted = &sorted[count..];
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(count: u32, shift: f64) -> Vec<f64> {
        (0..count)
            .map(|i| f64::from(i) / f64::from(count) + shift)
            .collect()
    }

    #[test]
    fn equal_samples_have_none_but_prove_it_only_with_enough_values() {
        let few = psi(&steps(100, 0.0), &steps(100, 0.0)).unwrap();
        assert_eq!(
            (few.bins, few.interval.estimate, few.interval.low),
            (10, 0.0, 0.0)
        );
        assert!(few.p_value > 0.999);
        let Standing::Open { more: Some(more) } = few.standing(0.2) else {
            panic!("{few:?}")
        };
        let enough = 100 + u32::try_from(more).unwrap();
        let many = psi(&steps(enough, 0.0), &steps(enough, 0.0)).unwrap();
        assert_eq!(many.standing(0.2), Standing::Within, "{enough}: {many:?}");
        let less = psi(&steps(enough - 2, 0.0), &steps(enough - 2, 0.0)).unwrap();
        assert!(
            matches!(less.standing(0.2), Standing::Open { .. }),
            "{less:?}"
        );
    }

    #[test]
    fn the_value_is_the_formula() {
        // Two values, so two bins: 80/20 against 50/50, with a half added to each count.
        let of = |low: usize, high: usize| [vec![0.0; low], vec![1.0; high]].concat();
        let got = psi(&of(80, 20), &of(50, 50)).unwrap();
        let (p, q) = ([80.5 / 101.0, 20.5 / 101.0], [0.5_f64, 0.5]);
        let wanted: f64 = (0..2).map(|i| (p[i] - q[i]) * (p[i] / q[i]).ln()).sum();
        assert_eq!(got.bins, 2);
        assert!((got.interval.estimate - wanted).abs() < 1e-12, "{got:?}");
        assert!(got.p_value < 1e-4, "{got:?}");
        assert_eq!(got.standing(0.05), Standing::Beyond, "{got:?}");
    }

    #[test]
    fn bins_are_sound_for_ties_constants_and_gaps() {
        let constant = vec![1.0; 50];
        let same = psi(&constant, &constant).unwrap();
        assert_eq!((same.bins, same.standing(0.0)), (1, Standing::Within));
        // 30 % of the candidate's values left the constant.
        let moved = [vec![0.5; 60], vec![1.0; 140]].concat();
        let got = psi(&vec![1.0; 200], &moved).unwrap();
        assert_eq!(
            (got.bins, got.standing(0.25)),
            (2, Standing::Beyond),
            "{got:?}"
        );
        // Nothing in common.
        let apart = psi(&steps(200, 0.0), &steps(200, 5.0)).unwrap();
        assert!(
            apart.interval.estimate > 3.0 && apart.interval.estimate.is_finite(),
            "{apart:?}"
        );
        assert_eq!(apart.standing(0.25), Standing::Beyond);
        assert!(psi(&steps(9, 0.0), &steps(500, 0.0)).is_none());
    }

    #[test]
    fn every_value_is_in_one_bin() {
        for (n, m) in [(10, 10), (10, 1000), (57, 433), (1000, 1000)] {
            let (left, right) = (steps(n, 0.0), steps(m, 0.3));
            let counts = bins(&left, &right);
            assert_eq!(counts.iter().map(|c| c.0).sum::<usize>(), left.len());
            assert_eq!(counts.iter().map(|c| c.1).sum::<usize>(), right.len());
            assert!((1..=MOST_BINS).contains(&counts.len()), "{counts:?}");
        }
    }
}
