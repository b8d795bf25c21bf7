//! What survives a restart: the state in a directory, or nowhere.
//!
//! | file | what |
//! |---|---|
//! | `lock` | held while a local cloud uses the directory; holds its process number |
//! | `journal` | one line for each change, with a checksum; rewritten at every start and when it grows |
//! | `logs.0`, `logs.1` | what containers wrote, the older and the newer half |
//! | `blobs/` | contents of the registry, named by their digest |
//! | `uploads/` | blobs that are not complete yet; emptied at every start |
//!
//! A part of the world keeps its state in `Table`s behind a `Kept`. What was changed under the
//! lock is handed to the journal when the lock is released, so the journal's order is the order of
//! the changes. No request is answered before the changes that it can know of are on disk
//! ([`Storage::settled`]).

mod directory;
mod error;
mod journal;
mod kept;
mod log_files;
mod table;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::StorageError;
pub(crate) use kept::{Keep, Kept, KeptGuard};
pub(crate) use table::{Changes, Table};

use directory::Directory;
pub(crate) use directory::{BLOBS, UPLOADS};
use journal::Rows;
use writer::Writer;

/// Where the state is kept. Clones share it.
#[derive(Clone, Default)]
pub struct Storage {
    disk: Option<Arc<Disk>>,
}

/// Distance of two seeds: an odd number, so that they come back after 2⁶⁴ starts only, and far from
/// the step of the generator.
const FAR: u64 = 0xD1B5_4A32_D192_ED03;

/// How many processes have opened the directory.
struct Starts(Table<(), u64>);

impl Keep for Starts {
    fn keep(&mut self, changes: &mut Changes) {
        self.0.keep(changes);
    }
}

struct Disk {
    root: PathBuf,
    /// What was on disk at the start and has not been asked for yet.
    loaded: Mutex<BTreeMap<String, Rows>>,
    log_lines: Mutex<Vec<String>>,
    writer: Writer,
}

impl Storage {
    /// Keeps nothing: the world is gone when the process ends.
    pub fn none() -> Self {
        Self::default()
    }

    /// Opens a directory, or makes it.
    ///
    /// # Errors
    /// When it is in use, of another format, something else, or cannot be read and written.
    pub fn open(root: &Path) -> Result<Self, StorageError> {
        let directory = Directory::claim(root)?;
        let (file, index, loaded) = journal::open(root)?;
        let (log_files, log_lines) = log_files::open(root)?;
        Ok(Self {
            disk: Some(Arc::new(Disk {
                root: directory.root().to_path_buf(),
                loaded: Mutex::new(loaded),
                log_lines: Mutex::new(log_lines),
                writer: Writer::start(directory, file, index, log_files)?,
            })),
        })
    }

    /// True when the state survives the process.
    pub fn is_durable(&self) -> bool {
        self.disk.is_some()
    }

    /// The directory.
    pub fn root(&self) -> Option<&Path> {
        self.disk.as_deref().map(|disk| disk.root.as_path())
    }

    /// A table with the rows that were kept. Names are unique in the world.
    ///
    /// # Errors
    /// When a row is not what it was: written by another version.
    pub(crate) fn table<K, V>(&self, name: &'static str) -> Result<Table<K, V>, StorageError>
    where
        K: Ord + Clone + Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        let Some(disk) = &self.disk else {
            return Ok(Table::default());
        };
        let mut loaded = disk.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        Table::load(name, loaded.remove(name).unwrap_or_default())
    }

    /// A seed of its own for each process on a directory, so that no name is drawn twice. The first
    /// one gets the seed as it is.
    ///
    /// # Errors
    /// When the counter cannot be read.
    pub(crate) fn vary(&self, seed: u64) -> Result<u64, StorageError> {
        let starts = Kept::new(self, Starts(self.table("storage.starts")?));
        let mut starts = starts.lock();
        let count = starts.0.get_or_insert_with((), || 0);
        let varied = seed.wrapping_add(count.wrapping_mul(FAR));
        *count += 1;
        Ok(varied)
    }

    /// Hands changes to the journal. Called under the lock of the part that they belong to.
    pub(crate) fn commit(&self, changes: Changes) {
        if let (Some(disk), false) = (&self.disk, changes.is_empty()) {
            disk.writer.write(changes);
        }
    }

    /// Waits until everything that was handed over so far is on disk.
    ///
    /// # Errors
    /// When the disk refuses. Nothing is written any more after that.
    pub async fn settled(&self) -> Result<(), StorageError> {
        match &self.disk {
            None => Ok(()),
            Some(disk) => disk.writer.settled().await,
        }
    }

    /// Keeps a line of the logs, some time soon.
    pub(crate) fn append_log(&self, line: impl FnOnce() -> String) {
        if let Some(disk) = &self.disk {
            disk.writer.append_log(line());
        }
    }

    /// The lines of the logs that were kept, oldest first. Given once.
    pub(crate) fn take_log_lines(&self) -> Vec<String> {
        let Some(disk) = &self.disk else {
            return Vec::new();
        };
        let mut lines = disk
            .log_lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *lines)
    }

    /// Forgets the lines of the logs.
    pub(crate) fn clear_logs(&self) {
        if let Some(disk) = &self.disk {
            disk.writer.clear_logs();
        }
    }

    /// Writes what is left and lets go of the directory. Changes after that are not kept.
    pub(crate) async fn close(&self) {
        if let Some(disk) = &self.disk {
            disk.writer.close().await;
        }
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}
