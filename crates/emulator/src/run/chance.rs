//! Everything random in the local cloud, drawn from one seed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Odd constant of the SplitMix64 generator (Steele, Lea, Flood 2014): the golden ratio in 64 bits.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A SplitMix64 generator that many tasks draw from without a lock.
#[derive(Debug)]
pub struct Chance(AtomicU64);

impl Chance {
    /// A generator that draws the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next 64 bits.
    pub fn next(&self) -> u64 {
        let mut bits = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from 0 to `bound - 1`; 0 for a bound of 0. The bias is below 2⁻³² for bounds in use.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// A version 4 UUID.
    pub fn uuid(&self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0x0FFF,
            0x8000 | ((low >> 48) & 0x3FFF),
            low & 0xFFFF_FFFF_FFFF
        )
    }

    /// Three letters and digits as the server puts them at the end of a revision's name (`sp7`).
    pub fn suffix(&self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz";
        const ANY: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        [LETTERS, LETTERS, ANY]
            .iter()
            .map(|set| {
                let index = usize::try_from(self.below(set.len() as u64)).unwrap_or(0);
                char::from(set[index])
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_numbers() {
        let (one, two) = (Chance::new(7), Chance::new(7));
        assert_eq!(one.next(), two.next());
        assert_eq!(one.uuid(), two.uuid());
        assert_ne!(Chance::new(8).next(), Chance::new(7).next());
    }

    #[test]
    fn a_uuid_has_version_and_variant() {
        let uuid = Chance::new(1).uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    }

    #[test]
    fn draws_are_fair() {
        let chance = Chance::new(3);
        let hits = (0..10_000).filter(|_| chance.below(100) < 30).count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
    }
}
