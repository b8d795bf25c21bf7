//! Identifiers made from names: the same in every world, so that tests can state them.

use sha2::{Digest as _, Sha256};

/// The numeric identifier of an owner, a user or a repository (`OWNER/NAME`): nine digits.
pub fn number(name: &str) -> u64 {
    let digest = Sha256::digest(name.to_lowercase().as_bytes());
    let head = digest
        .iter()
        .take(8)
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    100_000_000 + head % 900_000_000
}

/// The first `length` hexadecimal digits (at most 64) of a hash of `text`.
pub(crate) fn hex_digest(text: &str, length: usize) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
        .chars()
        .take(length)
        .collect()
}
