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

/// Who holds a token of the registry.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RegistryHolder {
    /// Nobody in particular: may pull.
    Anonymous,
    /// Whose access token it was made from.
    Known(Caller),
}

/// The tokens of one kind that were issued, each with what it stands for.
pub(super) struct Grants<T> {
    /// Makes tokens unguessable.
    secret: [u8; 32],
    issued: u64,
    all: HashMap<String, (T, DateTime<Utc>)>,
}

impl<T: Clone> Grants<T> {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            issued: 0,
            all: HashMap::new(),
        }
    }

    /// A new token. `prefix` is what tokens of its kind begin with.
    pub(super) fn issue(&mut self, prefix: &str, stands_for: T, expires: DateTime<Utc>) -> String {
        self.issued += 1;
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(self.issued.to_be_bytes());
        let token = format!("{prefix}{}", hex::encode(hash.finalize()));
        self.all.insert(token.clone(), (stands_for, expires));
        token
    }

    /// What a token stands for, unless it is unknown or has expired.
    pub(super) fn find(&self, token: &str, now: DateTime<Utc>) -> Option<T> {
        let (stands_for, expires) = self.all.get(token)?;
        (*expires > now).then(|| stands_for.clone())
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
