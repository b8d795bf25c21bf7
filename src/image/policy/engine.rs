//! The built image, as the engine exports it.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use delivery::diagnostic::{Code, Diagnostic};
use delivery::policy::{Policies, Policy};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::archive::saved::{SavedError, Secrets, read_image};
use super::built::check_image;
use super::finding::Finding;
use crate::image::engine::Engine;
use crate::image::error::{engine_failed, text_of};

/// Pieces of the stream that wait at most: a few MB, since the engine sends 16 to 64 KiB at once.
const PIECES_WAITING: usize = 64;

/// Policies that look at the built image.
pub const IMAGE_POLICIES: [Policy; 4] = [
    Policy::ImageUser,
    Policy::ImageSize,
    Policy::ImageContents,
    Policy::Secrets,
];

impl Engine {
    /// Reads an image of the engine, by identifier or name, and checks it. Nothing is written to
    /// disk here.
    ///
    /// # Errors
    /// [`Code::ImageUnreadable`] or [`Code::DockerUnavailable`].
    pub async fn check(
        &self,
        image: &str,
        policies: &Policies,
    ) -> Result<Vec<Finding>, Diagnostic> {
        if !policies.any(&IMAGE_POLICIES) {
            return Ok(Vec::new());
        }
        let title = format!("the image `{image}` cannot be checked");
        let secrets = if policies.any(&[Policy::Secrets]) {
            Secrets::Searched
        } else {
            Secrets::Skipped
        };
        let budget = policies.size_budget;
        let (sender, receiver) = mpsc::channel(PIECES_WAITING);
        let reading = tokio::task::spawn_blocking(move || {
            let stream = Pieces {
                receiver,
                piece: Bytes::new(),
            };
            read_image(stream, secrets).map(|image| check_image(&image, budget))
        });
        let mut pieces = std::pin::pin!(self.patient.export_image(image));
        let mut failed = None;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                let told = io::Error::other(text_of(&error));
                failed = Some(error);
                told
            });
            // The reader stops early only with an error of its own.
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        drop(sender);
        let read = reading.await;
        if let Some(error) = failed {
            return Err(engine_failed(Code::ImageUnreadable, title, &error));
        }
        match read {
            Ok(Ok(findings)) => Ok(findings),
            Ok(Err(error)) => Err(unreadable(title, &error)),
            Err(error) => Err(Diagnostic::error(Code::Internal, title).cause(error.to_string())),
        }
    }
}

fn unreadable(title: String, error: &SavedError) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(Code::ImageUnreadable, title).cause(error.to_string());
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        diagnostic = diagnostic.cause(inner.to_string());
        source = inner.source();
    }
    diagnostic.help("see that `docker save IMAGE | tar --list` works; then report it")
}

/// The pieces of a stream, read in a thread without being copied.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => break,
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, count: usize) {
        let _ = self.piece.split_to(count);
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        self.consume(count);
        Ok(count)
    }
}
