//! When the next request is due. A runtime's timers tick in milliseconds, which would weigh on every
//! latency that counts from the time a request was due; a sleeping thread wakes within some ten
//! microseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Longest sleep, so that a stop is noticed.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// The times at which requests are due: evenly spaced from a start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timetable {
    pub(super) start: Instant,
    /// Requests a second; above 0.
    pub(super) rate: f64,
    /// How many there are.
    pub(super) count: u64,
}

impl Timetable {
    /// When a request, from 0, is due.
    pub(super) fn due(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// How many requests are due by then.
    fn due_by(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.start).as_secs_f64();
        ((passed * self.rate) as u64 + 1).min(self.count)
    }
}

/// Gives one permit for each request that is due. Ends with its last one, or when it is dropped.
pub(super) struct Pacer {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pacer {
    /// Starts the clock.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(timetable: Timetable, due: Arc<Semaphore>) -> std::io::Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = stopped.clone();
        let thread = std::thread::Builder::new()
            .name("load-pacer".to_owned())
            .spawn(move || pace(timetable, &due, &stop))?;
        Ok(Self {
            stopped,
            thread: Some(thread),
        })
    }
}

fn pace(timetable: Timetable, due: &Semaphore, stop: &AtomicBool) {
    let mut given = 0;
    while given < timetable.count && !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let next = timetable.due(given);
        if next > now {
            std::thread::sleep((next - now).min(LONGEST_SLEEP));
            continue;
        }
        // All that became due while this thread was away.
        let owed = timetable.due_by(now).max(given + 1) - given;
        due.add_permits(usize::try_from(owed).unwrap_or(1));
        given += owed;
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Within one sleep; it holds nothing that could be lost.
            let _ = thread.join();
        }
    }
}
