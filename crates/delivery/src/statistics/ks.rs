//! The two-sample Kolmogorov-Smirnov test: the largest distance of two distribution functions.

/// Up to this product of both sizes the p-value is exact; it costs one step each.
const EXACT_UP_TO: usize = 250_000;
/// Terms of the asymptotic series; the first ones decide.
const TERMS: i32 = 100;

/// Distance and probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// The largest distance, from 0 to 1.
    pub distance: f64,
    /// How likely a distance at least as great is if both samples have one distribution.
    /// Conservative where values are equal.
    pub p_value: f64,
}

/// The test of two samples, both sorted and without NaN. `None` when either is empty.
///
/// With great samples a trifle is significant: a shift matters when the *distance* is great, and
/// can be believed when the p-value is small.
pub fn two_samples(left: &[f64], right: &[f64]) -> Option<Distance> {
    let (n, m) = (left.len(), right.len());
    if n == 0 || m == 0 {
        return None;
    }
    let gap = greatest_gap(left, right);
    let distance = gap as f64 / (n as f64 * m as f64);
    let p_value = if n.saturating_mul(m) <= EXACT_UP_TO {
        exact(gap, n, m)
    } else {
        asymptotic(distance * (n as f64 * m as f64 / (n as f64 + m as f64)).sqrt())
    };
    Some(Distance { distance, p_value })
}

/// The greatest `|i · m - j · n|` where i and j count the values up to a point: whole numbers, so
/// that equal distances compare equal.
fn greatest_gap(left: &[f64], right: &[f64]) -> u128 {
    let (n, m) = (left.len(), right.len());
    let (mut i, mut j, mut greatest) = (0, 0, 0);
    while i < n && j < m {
        let value = left[i].min(right[j]);
        // Equal values step together: the distance is only looked at behind them.
        while i < n && left[i] <= value {
            i += 1;
        }
        while j < m && right[j] <= value {
            j += 1;
        }
        greatest = greatest.max(gap(i, j, n, m));
    }
    greatest
}

fn gap(i: usize, j: usize, n: usize, m: usize) -> u128 {
    (i as u128 * m as u128).abs_diff(j as u128 * n as u128)
}

/// All orders of both samples are equally likely, so each is a path from (0, 0) to (n, m). The
/// probability that a random path to (i, j) never came to a gap as great follows from its two
/// last steps: it came from the left with i of i + j chances.
fn exact(greatest: u128, n: usize, m: usize) -> f64 {
    if greatest == 0 {
        return 1.0;
    }
    let mut below = vec![0.0; m + 1];
    for i in 0..=n {
        for j in 0..=m {
            below[j] = if gap(i, j, n, m) >= greatest {
                0.0
            } else if i + j == 0 {
                1.0
            } else {
                let from_left = if i > 0 { below[j] * i as f64 } else { 0.0 };
                let from_below = if j > 0 { below[j - 1] * j as f64 } else { 0.0 };
                (from_left + from_below) / (i + j) as f64
            };
        }
    }
    (1.0 - below[m]).clamp(0.0, 1.0)
}

/// Kolmogorov's series, `2 Σ (-1)^(k-1) · e^(-2 k² λ²)`.
fn asymptotic(lambda: f64) -> f64 {
    // Below, the series converges slowly to what is 1 but for 10⁻⁹.
    if lambda < 0.27 {
        return 1.0;
    }
    let sum: f64 = (1..=TERMS)
        .map(|k| {
            let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
            sign * (-2.0 * f64::from(k * k) * lambda * lambda).exp()
        })
        .sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(to: u32, scale: f64, shift: f64) -> Vec<f64> {
        (0..to).map(|i| f64::from(i) * scale + shift).collect()
    }

    /// Distances and p-values from SciPy's `ks_2samp`.
    #[test]
    fn values_are_the_known_ones() {
        let ties = [1.0, 2.0, 2.0, 3.0, 4.0, 4.0, 5.0, 6.0];
        let others = [2.0, 3.0, 4.0, 4.0, 5.0, 7.0, 8.0, 9.0];
        for (left, right, distance, p_value) in [
            (count(10, 0.1, 0.0), count(12, 0.1, 0.35), 0.5, 0.092_702_96),
            (ties.to_vec(), others.to_vec(), 0.375, 0.660_139_86),
            (
                count(100, 1.0, 0.0),
                count(100, 1.0, 19.5),
                0.2,
                0.036_384_29,
            ),
            (count(5, 1.0, 0.0), count(3, 1.0, 10.0), 1.0, 0.035_714_29),
            // Asymptotic: the plain series gives 0.04282, the exact value is 0.04279.
            (
                count(1000, 1.0, 0.0),
                count(1000, 1.0, 61.5),
                0.062,
                0.042_815_18,
            ),
        ] {
            let got = two_samples(&left, &right).unwrap();
            assert!(
                (got.distance - distance).abs() < 1e-12,
                "{got:?}, wanted {distance}"
            );
            assert!(
                (got.p_value - p_value).abs() < 1e-7,
                "{got:?}, wanted {p_value}"
            );
        }
        assert_eq!(two_samples(&[], &[1.0]), None);
    }

    #[test]
    fn equal_samples_have_no_distance() {
        let sample = count(50, 1.0, 0.0);
        let got = two_samples(&sample, &sample).unwrap();
        assert!(got.distance <= 0.0 && got.p_value >= 1.0, "{got:?}");
    }

    #[test]
    fn exact_and_asymptotic_meet() {
        for shift in [20.5, 40.5, 60.5] {
            let (left, right) = (count(500, 1.0, 0.0), count(500, 1.0, shift));
            let exact = two_samples(&left, &right).unwrap();
            let series = asymptotic(exact.distance * 250_f64.sqrt());
            assert!((exact.p_value - series).abs() < 0.03, "{exact:?} {series}");
        }
    }
}
