//! What was asked of the local cloud, in order.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;

/// How many requests are kept: some hundred promotions' worth.
const KEPT: usize = 20_000;

/// One request and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// When the answer was ready, by the world's clock.
    pub time: DateTime<Utc>,
    /// Method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query as sent, without tokens (none of the services takes one there).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// HTTP status of the answer; 0 when the connection was dropped on purpose.
    pub status: u16,
    /// Who asked, when the token was one of this world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
}

/// The newest requests, oldest first.
#[derive(Default)]
pub struct Requests {
    seen: Mutex<VecDeque<Seen>>,
}

impl Requests {
    /// Notes a request.
    pub fn record(&self, seen: Seen) {
        let mut all = self.lock();
        if all.len() == KEPT {
            all.pop_front();
        }
        all.push_back(seen);
    }

    /// All that is kept, oldest first.
    pub fn all(&self) -> Vec<Seen> {
        self.lock().iter().cloned().collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
