//! Random numbers that are the same for the same seed, on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Small,
/// quick, and its sequence is part of what we promise: a verdict can be computed again. Not for
/// secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed; near seeds give unrelated sequences.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 (included) to 1 (not), in steps of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// From 0 (included) to `bound` (not); 0 for a bound of 0. The bias is below `bound` · 2⁻⁶⁴.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// Standard normal, by Marsaglia's polar method.
    pub fn normal(&mut self) -> f64 {
        loop {
            let x = 2.0 * self.unit() - 1.0;
            let y = 2.0 * self.unit() - 1.0;
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Beta with both shapes at least 1.
    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        let x = self.gamma(a);
        x / (x + self.gamma(b))
    }

    /// Gamma with a shape of at least 1 and scale 1 (Marsaglia and Tsang: "A simple method for
    /// generating gamma variables", 2000).
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let cube = (1.0 + c * x).powi(3);
            if cube <= 0.0 {
                continue;
            }
            let u = 1.0 - self.unit();
            if u.ln() < 0.5 * x * x + d - d * cube + d * cube.ln() {
                return d * cube;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // The reference implementation's first values for the seed 1234567.
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn means_and_variances_are_right() {
        let mut random = Random::new(7);
        let count = 40_000;
        let mut check =
            |name: &str, mean: f64, variance: f64, draw: &mut dyn FnMut(&mut Random) -> f64| {
                let values: Vec<f64> = (0..count).map(|_| draw(&mut random)).collect();
                let got = values.iter().sum::<f64>() / f64::from(count);
                let spread =
                    values.iter().map(|v| (v - got).powi(2)).sum::<f64>() / f64::from(count);
                let error = 5.0 * (variance / f64::from(count)).sqrt();
                assert!(
                    (got - mean).abs() < error,
                    "{name}: mean {got}, wanted {mean}"
                );
                assert!(
                    (spread / variance - 1.0).abs() < 0.1,
                    "{name}: variance {spread}, wanted {variance}"
                );
            };
        check("unit", 0.5, 1.0 / 12.0, &mut |r| r.unit());
        check("below", 4.5, 8.25, &mut |r| r.below(10) as f64);
        check("normal", 0.0, 1.0, &mut |r| r.normal());
        check("exponential", 1.0, 1.0, &mut |r| r.exponential());
        check("beta", 0.2, 0.2 * 0.8 / 11.0, &mut |r| r.beta(2.0, 8.0));
        check("beta of 1", 0.25, 0.25 * 0.75 / 5.0, &mut |r| {
            r.beta(1.0, 3.0)
        });
    }
}
