//! Why the state cannot be kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the state cannot be read or kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The system refused.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: Arc<std::io::Error>,
    },
    /// Another process has it.
    #[error(
        "{} is in use by another local cloud (process {process}): end that one, or give another directory",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Number of the process, as far as it is known.
        process: String,
    },
    /// The directory holds something else.
    #[error(
        "{} holds files that are not a local cloud's: give an empty directory, or one that a local cloud has made",
        path.display()
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// The directory was written by another version.
    #[error(
        "{} is of format {found}, this version reads format {known}: use the version that wrote it, or give another directory",
        path.display()
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// As it stands in the file.
        found: String,
        /// What is read.
        known: u32,
    },
    /// A row that this version does not understand.
    #[error(
        "the kept state has a row of another version ({table} {key}: {problem}): use the version that wrote it, or give another directory"
    )]
    Row {
        /// Table.
        table: String,
        /// Key, as JSON.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// The local cloud has stopped already.
    #[error("the local cloud has stopped")]
    Closed,
}

impl StorageError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            path,
            source: Arc::new(source),
        }
    }
}
