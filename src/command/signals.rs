//! SIGINT and SIGTERM cancel, alike: on a runner either may come first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Remembers a signal that comes before there is anything to cancel.
#[derive(Debug, Clone)]
pub struct Early(Arc<AtomicBool>);

impl Early {
    /// Listens from now on. As PID 1 of a container a process without handlers loses both signals, so
    /// this is the first thing that the program does.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> std::io::Result<Self> {
        let heard = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, heard.clone())?;
        }
        Ok(Self(heard))
    }

    fn heard(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What signals do.
pub(super) struct Signals {
    /// Cancelled by the first one.
    pub(super) stop: CancellationToken,
    /// How many came.
    pub(super) count: watch::Receiver<u32>,
}

/// Lets signals cancel, those included that came since `early` listens; must run inside of the
/// runtime. Handlers stay: a second signal ends nothing that the first one began.
///
/// # Errors
/// When the system refuses a handler.
pub(super) fn install(early: &Early) -> std::io::Result<Signals> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let (counter, count) = watch::channel(0);
    if early.heard() {
        counter.send_replace(1);
        stop.cancel();
    }
    let cancel = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            counter.send_modify(|count| *count += 1);
            cancel.cancel();
        }
    });
    Ok(Signals { stop, count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn send(signal: &str) {
        let sent = std::process::Command::new("kill")
            .args([signal, &std::process::id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// One test, as signals reach the whole process.
    #[test]
    fn a_signal_before_the_runtime_is_not_lost_and_each_later_one_is_counted() {
        let early = Early::listen().unwrap();
        send("-TERM");
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !early.heard() {
            assert!(std::time::Instant::now() < deadline, "SIGTERM was lost");
            std::thread::yield_now();
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut signals = install(&early).unwrap();
            assert!(signals.stop.is_cancelled());
            assert_eq!(*signals.count.borrow_and_update(), 1);
            send("-INT");
            let counted = signals.count.wait_for(|count| *count >= 2);
            tokio::time::timeout(Duration::from_secs(10), counted)
                .await
                .expect("SIGINT was lost")
                .unwrap();
            let fresh = install(&Early(Arc::default())).unwrap();
            assert!(!fresh.stop.is_cancelled());
            send("-TERM");
            tokio::time::timeout(Duration::from_secs(10), fresh.stop.cancelled())
                .await
                .expect("SIGTERM does not cancel");
        });
    }
}
