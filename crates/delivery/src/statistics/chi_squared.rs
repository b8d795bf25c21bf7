//! The χ² distribution, central and not.

use statrs::function::gamma::{gamma_lr, gamma_ur, ln_gamma};

/// From here on the normal approximation is as good: its error is below 0.002.
const GREAT: f64 = 5000.0;

/// The probability of more than `x` with `freedom` degrees of freedom.
pub(crate) fn above(x: f64, freedom: f64) -> f64 {
    if x <= 0.0 {
        1.0
    } else {
        gamma_ur(freedom / 2.0, x / 2.0)
    }
}

/// The probability of at most `x` where the mean is shifted by `shift` (the non-centrality): central
/// distributions of growing freedom, weighted as Poisson counts.
pub(crate) fn at_most(x: f64, freedom: f64, shift: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if shift <= 0.0 {
        return gamma_lr(freedom / 2.0, x / 2.0);
    }
    if shift > GREAT {
        let deviation = (2.0 * (freedom + 2.0 * shift)).sqrt();
        return statrs::function::erf::erfc((freedom + shift - x) / deviation / 2_f64.sqrt()) / 2.0;
    }
    let (mean, half) = (shift / 2.0, x / 2.0);
    // What lies further out weighs less than 10⁻⁹.
    let reach = 7.0 * mean.sqrt() + 12.0;
    let first = (mean - reach).floor().max(0.0);
    let shape = freedom / 2.0 + first;
    // One step more of shape takes `half^shape · e^-half / Γ(shape + 1)` off the central
    // distribution, so that only the first one has to be computed.
    let mut central = gamma_lr(shape, half);
    let mut step = (shape * half.ln() - half - ln_gamma(shape + 1.0)).exp();
    let mut weight = (first * mean.ln() - mean - ln_gamma(first + 1.0)).exp();
    let mut sum = 0.0;
    let mut done = 0.0;
    while first + done <= mean + reach {
        sum += weight * central.max(0.0);
        done += 1.0;
        central -= step;
        step *= half / (shape + done);
        weight *= mean / (first + done);
    }
    sum.clamp(0.0, 1.0)
}

/// The shift at which at most `x` has the probability `wanted`; 0 when it has less without one.
pub(crate) fn shift_for(x: f64, freedom: f64, wanted: f64) -> f64 {
    if at_most(x, freedom, 0.0) <= wanted {
        return 0.0;
    }
    let mut high = x.max(1.0);
    while at_most(x, freedom, high) > wanted {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if at_most(x, freedom, middle) > wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_known_ones() {
        for (x, freedom, wanted) in [(16.918_978, 9.0, 0.05), (3.841_459, 1.0, 0.05)] {
            assert!((above(x, freedom) - wanted).abs() < 1e-6, "{x}");
        }
        // From SciPy's `ncx2.cdf`.
        for (x, freedom, shift, wanted) in [
            (4.0, 4.0, 1.0, 0.469_853_09),
            (20.0, 9.0, 5.0, 0.840_876_51),
            (80.0, 9.0, 100.0, 0.069_529_73),
            (5100.0, 9.0, 5000.0, 0.741_286_07),
        ] {
            let got = at_most(x, freedom, shift);
            assert!((got - wanted).abs() < 1e-7, "{x}: {got}");
        }
        // Where the approximation takes over.
        let (near, far) = (at_most(5100.0, 9.0, 5000.0), at_most(5100.0, 9.0, 5000.001));
        assert!((near - far).abs() < 2e-3, "{near} {far}");
    }

    #[test]
    fn a_shift_is_found_again() {
        for shift in [0.5, 5.0, 50.0, 500.0] {
            let chance = at_most(30.0 + shift, 9.0, shift);
            let found = shift_for(30.0 + shift, 9.0, chance);
            assert!((found - shift).abs() < 1e-3 * shift, "{shift}: {found}");
        }
        assert!(shift_for(1.0, 9.0, 0.975) <= 0.0);
    }
}
