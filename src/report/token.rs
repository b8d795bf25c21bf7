//! Words that nobody can guess: ends of `stop-commands` blocks, delimiters of values in files.

use std::sync::atomic::{AtomicU64, Ordering};

use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

/// Makes words from a secret seed. The seed is never shown, so that a word that was shown tells
/// nothing about the next.
#[derive(Debug)]
pub struct Words {
    seed: [u8; 32],
    made: AtomicU64,
}

impl Words {
    /// Takes a seed from the operating system.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn random() -> std::io::Result<Self> {
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| std::io::Error::other("the operating system gives no random numbers"))?;
        Ok(Self::from_seed(seed))
    }

    /// Takes the given seed; for tests.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            seed,
            made: AtomicU64::new(0),
        }
    }

    /// The next word: 32 hexadecimal digits.
    pub fn next(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(number.to_le_bytes());
        let mut word = hex::encode(hash.finalize());
        word.truncate(32);
        word
    }
}
