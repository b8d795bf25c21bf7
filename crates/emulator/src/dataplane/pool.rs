//! The instances of one revision: which of them takes a request, and when there must be another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use crate::run::Failure;
use crate::runtime::Instance;

/// Started instances, and who waits for one.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    /// Told after each change that somebody may wait for.
    pub(super) changed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) entries: Vec<Entry>,
    /// Instances that are being started.
    pub(super) starting: usize,
    /// Requests without an instance.
    pub(super) waiting: usize,
    /// Counts starts that failed.
    pub(super) failures: u64,
    /// Why the last one did.
    pub(super) failure: Option<Failure>,
}

/// One started instance.
pub(super) struct Entry {
    pub(super) instance: Arc<dyn Instance>,
    pub(super) in_flight: usize,
    /// When its last request ended, by the world's clock.
    pub(super) idle_since: DateTime<Utc>,
}

/// How many requests and instances there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Requests in one instance at a time.
    pub(super) concurrency: usize,
    /// Instances.
    pub(super) instances: usize,
}

impl Pool {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a request in an instance.
    pub(super) fn give_back(&self, instance: &Arc<dyn Instance>, now: DateTime<Utc>) {
        if let Some(entry) = self.lock().entry(instance) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
            entry.idle_since = now;
        }
        self.changed.notify_waiters();
    }
}

impl State {
    pub(super) fn entry(&mut self, instance: &Arc<dyn Instance>) -> Option<&mut Entry> {
        let mut all = self.entries.iter_mut();
        all.find(|entry| Arc::ptr_eq(&entry.instance, instance))
    }

    /// Takes an instance out, so that it gets no request any more.
    pub(super) fn remove(&mut self, instance: &Arc<dyn Instance>) {
        self.entries
            .retain(|entry| !Arc::ptr_eq(&entry.instance, instance));
    }

    /// True while an instance runs.
    pub(super) fn has_running(&self) -> bool {
        self.entries.iter().any(Entry::runs)
    }

    /// Puts a request into an instance with room: the fullest of them, so that others become idle.
    pub(super) fn take(&mut self, limits: Limits) -> Option<Arc<dyn Instance>> {
        let with_room = self
            .entries
            .iter_mut()
            .filter(|entry| entry.in_flight < limits.concurrency && entry.runs());
        let entry = with_room.max_by_key(|entry| entry.in_flight)?;
        entry.in_flight += 1;
        Some(Arc::clone(&entry.instance))
    }

    /// True when those who wait are more than the instances under way have room for, and another
    /// one may be started.
    pub(super) fn wants_another(&self, limits: Limits) -> bool {
        let running = self.entries.iter().filter(|entry| entry.runs()).count();
        running + self.starting < limits.instances
            && self.waiting > self.starting.saturating_mul(limits.concurrency)
    }

    /// True while a request needs one of the instances.
    pub(super) fn is_in_use(&self) -> bool {
        self.waiting + self.starting > 0 || self.entries.iter().any(|entry| entry.in_flight > 0)
    }
}

impl Entry {
    fn runs(&self) -> bool {
        self.instance.exit().borrow().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use async_trait::async_trait;
    use tokio::sync::watch;

    use super::*;
    use crate::runtime::Exit;

    struct Fake(watch::Sender<Option<Exit>>);

    #[async_trait]
    impl Instance for Fake {
        fn address(&self) -> SocketAddr {
            SocketAddr::from(([127, 0, 0, 1], 1))
        }

        fn exit(&self) -> watch::Receiver<Option<Exit>> {
            self.0.subscribe()
        }

        async fn stop(&self) {}
    }

    fn entry(in_flight: usize, exit: Option<Exit>) -> Entry {
        Entry {
            instance: Arc::new(Fake(watch::Sender::new(exit))),
            in_flight,
            idle_since: Utc::now(),
        }
    }

    const LIMITS: Limits = Limits {
        concurrency: 2,
        instances: 3,
    };

    #[test]
    fn a_request_goes_to_the_fullest_instance_with_room() {
        let ended = Some(Exit::with(1));
        let mut state = State {
            entries: vec![
                entry(0, None),
                entry(1, None),
                entry(2, None),
                entry(1, ended),
            ],
            ..State::default()
        };
        let taken = state.take(LIMITS).unwrap();
        assert!(Arc::ptr_eq(&taken, &state.entries[1].instance));
        assert!(
            state
                .take(LIMITS)
                .is_some_and(|it| Arc::ptr_eq(&it, &state.entries[0].instance))
        );
        state.take(LIMITS).unwrap();
        assert!(state.take(LIMITS).is_none(), "all are full, or have ended");
    }

    #[test]
    fn another_instance_is_started_for_those_who_find_no_room() {
        let mut state = State::default();
        for (waiting, starting, running, expected) in [
            (1, 0, 0, true),
            (2, 1, 0, false),
            (3, 1, 0, true),
            (5, 2, 0, true),
            (5, 2, 1, false),
            (9, 0, 3, false),
        ] {
            state.waiting = waiting;
            state.starting = starting;
            state.entries = (0..running).map(|_| entry(2, None)).collect();
            let case = (waiting, starting, running);
            assert_eq!(state.wants_another(LIMITS), expected, "{case:?}");
        }
    }
}
