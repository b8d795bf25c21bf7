//! SIGINT and SIGTERM cancel, alike: on a runner either may come first.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Installs both handlers; must run inside of the runtime. As PID 1 of a container a process without
/// handlers ignores both signals, so this comes before anything else.
///
/// # Errors
/// When the system refuses a handler.
pub(super) fn install() -> std::io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancel.cancel();
    });
    Ok(stop)
}
