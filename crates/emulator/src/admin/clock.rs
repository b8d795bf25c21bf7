//! What time it is in the world: real time plus an offset that a test may move.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

use crate::storage::{Changes, Keep, Kept, Storage, StorageError, Table};

/// The world's clock. Clones share one offset.
#[derive(Clone)]
pub struct Clock {
    offset: Arc<watch::Sender<TimeDelta>>,
    kept: Option<Arc<Kept<KeptOffset>>>,
}

/// The offset in milliseconds, as one row.
struct KeptOffset(Table<(), i64>);

impl Keep for KeptOffset {
    fn keep(&mut self, changes: &mut Changes) {
        self.0.keep(changes);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            offset: Arc::new(watch::Sender::new(TimeDelta::zero())),
            kept: None,
        }
    }
}

impl Clock {
    /// As far from real time as it was.
    ///
    /// # Errors
    /// When the kept offset cannot be read.
    pub(crate) fn new(storage: &Storage) -> Result<Self, StorageError> {
        let kept: Table<(), i64> = storage.table("clock.offset")?;
        let offset = kept
            .get(&())
            .and_then(|it| TimeDelta::try_milliseconds(*it));
        Ok(Self {
            offset: Arc::new(watch::Sender::new(offset.unwrap_or_default())),
            kept: Some(Arc::new(Kept::new(storage, KeptOffset(kept)))),
        })
    }

    /// Real time plus the offset.
    pub fn now(&self) -> DateTime<Utc> {
        let offset = *self.offset.borrow();
        let real = Utc::now();
        real.checked_add_signed(offset).unwrap_or(real)
    }

    /// The distance to real time.
    pub fn offset(&self) -> TimeDelta {
        *self.offset.borrow()
    }

    /// Sets the distance to real time; everyone who sleeps looks at the clock again.
    pub fn set_offset(&self, offset: TimeDelta) {
        self.offset.send_replace(offset);
        self.keep();
    }

    /// Moves the clock forward; a sleep whose end is passed by this ends now.
    pub fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        self.offset.send_modify(|offset| {
            *offset = offset.checked_add(&by).unwrap_or(TimeDelta::MAX);
        });
        self.keep();
    }

    fn keep(&self) {
        if let Some(kept) = &self.kept {
            kept.lock().0.insert((), self.offset().num_milliseconds());
        }
    }

    /// Waits until the world's clock has moved by `duration`, by itself or by [`Clock::advance`].
    pub async fn sleep(&self, duration: Duration) {
        let Ok(duration) = TimeDelta::from_std(duration) else {
            return std::future::pending().await;
        };
        let Some(end) = self.now().checked_add_signed(duration) else {
            return std::future::pending().await;
        };
        // Subscribed before the first look at the clock, so that no change is missed.
        let mut changes = self.offset.subscribe();
        loop {
            changes.mark_unchanged();
            let Ok(left) = (end - self.now()).to_std() else {
                return;
            };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleep_ends_when_the_clock_is_advanced_past_its_end() {
        let clock = Clock::default();
        let sleeper = {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep(Duration::from_secs(3600)).await })
        };
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(1800));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1801));
        tokio::time::timeout(Duration::from_secs(10), sleeper)
            .await
            .expect("the sleeper wakes")
            .expect("the sleeper does not panic");
    }

    #[test]
    fn the_offset_moves_now() {
        let clock = Clock::default();
        clock.set_offset(TimeDelta::days(-2));
        let distance = Utc::now() - clock.now();
        assert!(distance > TimeDelta::hours(47) && distance < TimeDelta::hours(49));
    }
}
