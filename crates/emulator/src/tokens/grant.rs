//! Access tokens: opaque text that only this world can look up.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::storage::{Changes, Table};

/// Who calls, according to a token of this world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    all: Table<String, (T, DateTime<Utc>)>,
}

/// After how many new tokens those that have ended are forgotten.
const SWEEP: u64 = 256;

impl<T: Clone> Grants<T> {
    /// `secret` must be another one in each process.
    pub(super) fn new(secret: [u8; 32], all: Table<String, (T, DateTime<Utc>)>) -> Self {
        Self {
            secret,
            issued: 0,
            all,
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

impl<T: Clone + Serialize + DeserializeOwned> Grants<T> {
    pub(super) fn keep(&mut self, changes: &mut Changes) {
        self.all.keep(changes);
    }

    /// Forgets, now and then, what has ended.
    pub(super) fn sweep(&mut self, now: DateTime<Utc>) {
        if self.issued.is_multiple_of(SWEEP) {
            self.all.retain(|_, (_, expires)| *expires > now);
        }
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
