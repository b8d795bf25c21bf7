//! Cloud KMS: keys that sign.
//!
//! Source: <https://cloud.google.com/kms/docs/reference/rest>. Deviation: one algorithm,
//! `EC_SIGN_P256_SHA256`; keys have one version, which is enabled as soon as it is there.

mod key;
mod routes;

pub use routes::routes;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::run::project_number;
use crate::storage::{Changes, Keep, Kept, KeptGuard, Storage, StorageError, Table};
use crate::tokens::KeyError;
use key::SigningKey;

/// The one algorithm.
pub const ALGORITHM: &str = "EC_SIGN_P256_SHA256";

/// Rings and keys.
pub struct Kms {
    state: Kept<State>,
}

struct State {
    /// By name, with the project's number.
    rings: Table<String, DateTime<Utc>>,
    keys: Table<String, StoredKey>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredKey {
    created: DateTime<Utc>,
    /// The private scalar, hexadecimal.
    secret: String,
}

impl Keep for State {
    fn keep(&mut self, changes: &mut Changes) {
        let Self { rings, keys } = self;
        rings.keep(changes);
        keys.keep(changes);
    }
}

impl Kms {
    /// The keys that were kept.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(storage: &Storage) -> Result<Self, StorageError> {
        let state = State {
            rings: storage.table("kms.rings")?,
            keys: storage.table("kms.keys")?,
        };
        Ok(Self {
            state: Kept::new(storage, state),
        })
    }

    /// Makes a key, and its ring where it is missing; `name` is
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`. A key that is there stays.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn put_key(&self, name: &str, now: DateTime<Utc>) -> Result<(), KeyError> {
        let name = canonical(name);
        let mut state = self.lock();
        if let Some((ring, _)) = name.split_once("/cryptoKeys/") {
            state.rings.get_or_insert_with(ring.to_owned(), || now);
        }
        if state.keys.contains_key(&name) {
            return Ok(());
        }
        let secret = SigningKey::generate()?.secret();
        state.keys.insert(
            name,
            StoredKey {
                created: now,
                secret,
            },
        );
        Ok(())
    }

    /// Forgets every key.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.rings.clear();
        state.keys.clear();
    }

    fn lock(&self) -> KeptGuard<'_, State> {
        self.state.lock()
    }
}

/// The name with the project's number, under which things are kept.
fn canonical(name: &str) -> String {
    let mut parts: Vec<String> = name.split('/').map(str::to_owned).collect();
    if let Some(project) = parts.get_mut(1) {
        *project = project_number(project);
    }
    parts.join("/")
}
