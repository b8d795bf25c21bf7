//! A fair sample of a stream of unknown length, in bounded memory.

use super::random::Random;

/// Keeps at most `capacity` values; each value of the stream has the same chance (Vitter's
/// algorithm R, 1985). Deterministic for a seed and an order of arrival.
#[derive(Debug, Clone)]
pub struct Reservoir<T> {
    capacity: usize,
    kept: Vec<T>,
    seen: u64,
    random: Random,
}

impl<T> Reservoir<T> {
    /// An empty one. Memory is taken as values come.
    pub fn new(capacity: usize, seed: u64) -> Self {
        Self {
            capacity,
            kept: Vec::new(),
            seen: 0,
            random: Random::new(seed),
        }
    }

    /// Takes one value.
    pub fn add(&mut self, value: T) {
        self.seen += 1;
        if self.kept.len() < self.capacity {
            self.kept.push(value);
            return;
        }
        let place = usize::try_from(self.random.below(self.seen)).unwrap_or(usize::MAX);
        if let Some(old) = self.kept.get_mut(place) {
            *old = value;
        }
    }

    /// How many came.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Those that were kept.
    pub fn kept(&self) -> &[T] {
        &self.kept
    }
}

impl Reservoir<f64> {
    /// Those that were kept, in ascending order.
    pub fn sorted(&self) -> Vec<f64> {
        let mut values = self.kept.clone();
        values.sort_unstable_by(f64::total_cmp);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_all_until_it_is_full_and_never_more() {
        let mut reservoir = Reservoir::new(3, 1);
        for value in 0..3 {
            reservoir.add(value);
        }
        assert_eq!(reservoir.kept(), [0, 1, 2]);
        for value in 3..1000 {
            reservoir.add(value);
        }
        assert_eq!((reservoir.kept().len(), reservoir.seen()), (3, 1000));
    }

    #[test]
    fn early_and_late_values_have_the_same_chance() {
        let mut hits = [0_u32; 20];
        for seed in 0..4000 {
            let mut reservoir = Reservoir::new(5, seed * 7919);
            for value in 0..20_usize {
                reservoir.add(value);
            }
            for value in reservoir.kept() {
                hits[*value] += 1;
            }
        }
        // 1000 expected each, deviation √(4000 · 0.25 · 0.75) = 27.
        for (value, count) in hits.iter().enumerate() {
            assert!(count.abs_diff(1000) < 130, "{value}: {count}");
        }
    }
}
