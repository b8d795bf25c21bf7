//! The thread that writes: takes what is there, writes it, syncs once, and says how far it is.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::directory::Directory;
use super::journal::{self, Index, JOURNAL, Row};
use super::log_files::LogFiles;
use super::{Changes, StorageError};

/// The journal is written anew when it has this many bytes …
const LARGE: u64 = 16 << 20;
/// … and is this many times as long as what counts in it.
const WASTE: u64 = 4;
/// How long lines of the logs may wait for company.
const LOG_PAUSE: Duration = Duration::from_millis(200);

enum Message {
    Step(u64, Vec<Row>),
    Log(String),
    ClearLogs,
    Close,
}

/// How far the thread is.
#[derive(Debug, Clone)]
struct Progress {
    /// Number of the last step on disk.
    written: u64,
    /// Why nothing more is written.
    failed: Option<StorageError>,
    closed: bool,
}

/// The way to the thread.
pub(super) struct Writer {
    /// Number of the last step that was handed over.
    queue: Mutex<(u64, Sender<Message>)>,
    progress: watch::Receiver<Progress>,
}

impl Writer {
    pub(super) fn start(
        directory: Directory,
        journal: File,
        index: Index,
        logs: LogFiles,
    ) -> Result<Self, StorageError> {
        let (sender, messages) = channel();
        let (told, progress) = watch::channel(Progress {
            written: 0,
            failed: None,
            closed: false,
        });
        let root = directory.root().to_path_buf();
        let mut desk = Desk {
            directory,
            journal,
            index,
            logs,
            told,
            text: String::new(),
            log_text: String::new(),
        };
        std::thread::Builder::new()
            .name("storage".to_owned())
            .spawn(move || {
                let told = desk.told.clone();
                desk.work(&messages);
                // With it goes the lock.
                drop(desk);
                told.send_modify(|told| told.closed = true);
            })
            .map_err(StorageError::io(&root))?;
        Ok(Self {
            queue: Mutex::new((0, sender)),
            progress,
        })
    }

    pub(super) fn write(&self, changes: Changes) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.0 += 1;
        // Who waits for it learns from `progress` when the thread is gone.
        let _ = queue.1.send(Message::Step(queue.0, changes.rows));
    }

    pub(super) async fn settled(&self) -> Result<(), StorageError> {
        let last = self.queue.lock().unwrap_or_else(PoisonError::into_inner).0;
        let mut progress = self.progress.clone();
        let reached = progress
            .wait_for(|progress| {
                progress.written >= last || progress.failed.is_some() || progress.closed
            })
            .await;
        match reached.as_deref() {
            Ok(Progress {
                failed: Some(error),
                ..
            }) => Err(error.clone()),
            Ok(progress) if progress.written >= last => Ok(()),
            _ => Err(StorageError::Closed),
        }
    }

    pub(super) fn append_log(&self, line: String) {
        self.send(Message::Log(line));
    }

    pub(super) fn clear_logs(&self) {
        self.send(Message::ClearLogs);
    }

    pub(super) async fn close(&self) {
        self.send(Message::Close);
        let mut progress = self.progress.clone();
        let _ = progress.wait_for(|progress| progress.closed).await;
    }

    fn send(&self, message: Message) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = queue.1.send(message);
    }
}

/// What the thread works with.
struct Desk {
    /// Holds the lock until the last byte is written.
    directory: Directory,
    journal: File,
    index: Index,
    logs: LogFiles,
    told: watch::Sender<Progress>,
    text: String,
    log_text: String,
}

impl Desk {
    fn work(&mut self, messages: &Receiver<Message>) {
        loop {
            let first = if self.log_text.is_empty() {
                messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                messages.recv_timeout(LOG_PAUSE)
            };
            let (mut last, mut open) = (None, true);
            match first {
                Err(RecvTimeoutError::Timeout) => self.write_logs(),
                Err(RecvTimeoutError::Disconnected) => open = false,
                Ok(message) => {
                    let more = std::iter::once(message).chain(messages.try_iter());
                    for message in more {
                        match message {
                            Message::Step(number, rows) => {
                                self.index.append(rows, &mut self.text);
                                last = Some(number);
                            }
                            Message::Log(line) => {
                                self.log_text.push_str(&line);
                                self.log_text.push('\n');
                            }
                            Message::ClearLogs => self.clear_logs(),
                            Message::Close => open = false,
                        }
                    }
                }
            }
            if let Some(number) = last {
                if let Err(error) = self.write_steps() {
                    let path = self.directory.root().join(JOURNAL);
                    let error = StorageError::io(&path)(error);
                    tracing::error!(%error, "the state is not kept any more");
                    self.told.send_modify(|told| told.failed = Some(error));
                    return;
                }
                self.told.send_modify(|told| told.written = number);
            }
            if !open {
                self.write_logs();
                break;
            }
        }
    }

    fn write_steps(&mut self) -> std::io::Result<()> {
        self.journal.seek(SeekFrom::Start(self.index.size))?;
        self.journal.write_all(self.text.as_bytes())?;
        self.journal.sync_data()?;
        self.index.written(self.text.len());
        self.text.clear();
        if self.index.size > LARGE && self.index.size > WASTE * self.index.live {
            let old = self.journal.try_clone()?;
            let root = self.directory.root();
            (self.journal, self.index) = journal::compact(root, old, &self.index)?;
        }
        Ok(())
    }

    /// Logs are not worth a failure: what cannot be written is not kept.
    fn write_logs(&mut self) {
        if let Err(error) = self.logs.append(&self.log_text) {
            tracing::warn!(%error, "lines of the logs are not kept");
        }
        self.log_text.clear();
    }

    fn clear_logs(&mut self) {
        self.log_text.clear();
        if let Err(error) = self.logs.clear() {
            tracing::warn!(%error, "the logs were not cleared");
        }
    }
}
