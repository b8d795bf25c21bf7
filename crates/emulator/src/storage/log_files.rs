//! The lines of the logs: two files, of which the older one is dropped when the newer one is full.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::StorageError;

/// The older and the newer file.
pub(super) const NAMES: [&str; 2] = ["logs.0", "logs.1"];
/// Bytes after which a file is full: some hundred thousand lines in both.
const FULL: u64 = 32 << 20;

/// The files, open for more lines.
pub(super) struct LogFiles {
    older: PathBuf,
    newer: PathBuf,
    file: File,
    size: u64,
}

/// Opens the files and reads their lines. The last line may be torn: who parses it finds out.
pub(super) fn open(root: &Path) -> Result<(LogFiles, Vec<String>), StorageError> {
    let [older, newer] = NAMES.map(|name| root.join(name));
    let mut lines = Vec::new();
    for path in [&older, &newer] {
        match std::fs::read(path) {
            Ok(bytes) => lines.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StorageError::io(path)(error)),
        }
    }
    let begin = || -> std::io::Result<(File, u64)> {
        let mut file = append(&newer)?;
        let size = file.metadata()?.len();
        // Ends a torn line, so that the next one stands alone.
        file.write_all(b"\n")?;
        Ok((file, size + 1))
    };
    let (file, size) = begin().map_err(StorageError::io(&newer))?;
    let files = LogFiles {
        older,
        newer,
        file,
        size,
    };
    Ok((files, lines))
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl LogFiles {
    /// Writes whole lines.
    pub(super) fn append(&mut self, text: &str) -> std::io::Result<()> {
        if self.size > FULL {
            std::fs::rename(&self.newer, &self.older)?;
            self.file = append(&self.newer)?;
            self.size = 0;
        }
        self.size += text.len() as u64;
        self.file.write_all(text.as_bytes())
    }

    /// Forgets every line.
    pub(super) fn clear(&mut self) -> std::io::Result<()> {
        self.size = 0;
        self.file.set_len(0)?;
        match std::fs::remove_file(&self.older) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
