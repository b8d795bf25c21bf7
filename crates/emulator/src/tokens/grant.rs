//! Access tokens: opaque text that only this world can look up.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Who calls, according to a token of this world.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// The service account's address; for a federated identity its `principal://…` name.
    pub email: String,
    /// Stable identifier, `sub` in ID tokens.
    pub subject: String,
    /// When the token ends, by the world's clock.
    pub expires: DateTime<Utc>,
    /// Claims of the GitHub token that was exchanged for this one; empty for service accounts.
    pub claims: Value,
}

/// The tokens that were issued.
pub(super) struct Grants {
    /// Makes tokens unguessable.
    secret: [u8; 32],
    issued: u64,
    callers: HashMap<String, Caller>,
}

impl Grants {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            issued: 0,
            callers: HashMap::new(),
        }
    }

    /// A new token for `caller`. `prefix` is what tokens of its kind begin with.
    pub(super) fn issue(&mut self, prefix: &str, caller: Caller) -> String {
        self.issued += 1;
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(self.issued.to_be_bytes());
        let token = format!("{prefix}{}", hex::encode(hash.finalize()));
        self.callers.insert(token.clone(), caller);
        token
    }

    /// Whose token it is, unless it has expired.
    pub(super) fn find(&self, token: &str, now: DateTime<Utc>) -> Option<Caller> {
        self.callers
            .get(token)
            .filter(|caller| caller.expires > now)
            .cloned()
    }
}

/// A number with 21 digits, as Google's unique identifiers of service accounts are.
pub(super) fn unique_id(email: &str) -> String {
    let digest = Sha256::digest(email.as_bytes());
    let digits = digest
        .iter()
        .map(|byte| char::from(b'0' + byte % 10))
        .take(18);
    format!("1{:0>20}", digits.collect::<String>())
}
