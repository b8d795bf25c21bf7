//! The directory: ours alone while the process runs.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::StorageError;
use super::journal::{JOURNAL, JOURNAL_DAMAGED, JOURNAL_NEW};
use super::log_files;

const LOCK: &str = "lock";
/// Contents of the registry.
pub(crate) const BLOBS: &str = "blobs";
/// Blobs that are not complete yet.
pub(crate) const UPLOADS: &str = "uploads";

/// A directory that no other local cloud uses. The system lets go of the lock when the process ends,
/// however it ends.
pub(super) struct Directory {
    root: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory where it is missing, and takes it.
    pub(super) fn claim(root: &Path) -> Result<Self, StorageError> {
        let make = |folder: &Path| {
            DirBuilder::new()
                .recursive(true)
                // Signing keys and secrets are in it.
                .mode(0o700)
                .create(folder)
                .map_err(StorageError::io(folder))
        };
        make(root)?;
        let root = root.canonicalize().map_err(StorageError::io(root))?;
        check_content(&root)?;
        let lock = lock(&root)?;
        let uploads = root.join(UPLOADS);
        if uploads.exists() {
            std::fs::remove_dir_all(&uploads).map_err(StorageError::io(&uploads))?;
        }
        make(&uploads)?;
        make(&root.join(BLOBS))?;
        Ok(Self { root, _lock: lock })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

/// Refuses a directory that somebody uses for something else.
fn check_content(root: &Path) -> Result<(), StorageError> {
    let ours = [LOCK, JOURNAL, JOURNAL_NEW, JOURNAL_DAMAGED, BLOBS, UPLOADS];
    let entries = std::fs::read_dir(root).map_err(StorageError::io(root))?;
    for entry in entries {
        let name = entry.map_err(StorageError::io(root))?.file_name();
        let name = name.to_string_lossy();
        if !ours.contains(&name.as_ref()) && !log_files::NAMES.contains(&name.as_ref()) {
            return Err(StorageError::NotOurs {
                path: root.to_path_buf(),
            });
        }
    }
    Ok(())
}

fn lock(root: &Path) -> Result<File, StorageError> {
    let path = root.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(StorageError::io(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let _ = file.read_to_string(&mut process);
            let process = process.trim();
            return Err(StorageError::InUse {
                path: root.to_path_buf(),
                process: if process.is_empty() { "?" } else { process }.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(StorageError::io(&path)(error)),
    }
    let mut note = || -> std::io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note().map_err(StorageError::io(&path))?;
    Ok(file)
}
