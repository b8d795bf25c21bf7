//! State behind a lock, whose changes are handed to the journal when the lock is released.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Changes, Storage};

/// State that is made of tables.
pub(crate) trait Keep {
    /// Calls [`super::Table::keep`] of each of its tables.
    fn keep(&mut self, changes: &mut Changes);
}

/// State behind a lock.
pub(crate) struct Kept<S> {
    storage: Storage,
    state: Mutex<S>,
}

impl<S: Keep> Kept<S> {
    pub(crate) fn new(storage: &Storage, state: S) -> Self {
        Self {
            storage: storage.clone(),
            state: Mutex::new(state),
        }
    }

    /// The state; what is changed in it is on its way to the disk when the guard goes.
    pub(crate) fn lock(&self) -> KeptGuard<'_, S> {
        KeptGuard {
            storage: &self.storage,
            state: self.state.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Holds the lock.
pub(crate) struct KeptGuard<'k, S: Keep> {
    storage: &'k Storage,
    state: MutexGuard<'k, S>,
}

impl<S: Keep> Deref for KeptGuard<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}

impl<S: Keep> DerefMut for KeptGuard<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.state
    }
}

impl<S: Keep> Drop for KeptGuard<'_, S> {
    fn drop(&mut self) {
        if !self.storage.is_durable() {
            return;
        }
        let mut changes = Changes::new(true);
        self.state.keep(&mut changes);
        self.storage.commit(changes);
    }
}
