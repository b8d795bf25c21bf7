//! The build context: a directory as a tar stream.
//!
//! Files are read while they are sent, in a thread of their own; the context is never in memory as
//! a whole. The order is that of the names, modes and times are kept, owner and group are 0 (as the
//! Docker command line sends them), so that the same files give the same stream.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use delivery::diagnostic::{Code, Diagnostic};
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

use super::ignore::{IgnoreRules, is_credential};

/// Size of the pieces that are sent.
const PIECE: usize = 64 * 1024;
/// Pieces that wait at most: 1 MiB.
const PIECES_WAITING: usize = 16;
/// Name, in the context, of a Dockerfile from outside.
const FOREIGN_DOCKERFILE: &str = ".ml-deploy.Dockerfile";

/// A directory to build from, checked.
#[derive(Debug, Clone)]
pub struct Context {
    root: PathBuf,
    dockerfile: PathBuf,
    /// Path of the Dockerfile in the context.
    dockerfile_name: String,
    rules: IgnoreRules,
}

/// Why a context could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be put into the build context")]
pub(crate) struct ContextError {
    path: String,
    #[source]
    source: io::Error,
}

/// What was sent, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    pub(crate) bytes: AtomicU64,
    error: Mutex<Option<ContextError>>,
}

impl Sending {
    pub(crate) fn take_error(&self) -> Option<ContextError> {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Context {
    /// Checks directory, Dockerfile and ignore file. Without `dockerfile` it is `Dockerfile` in the
    /// directory. The ignore file is `<Dockerfile>.dockerignore` beside the Dockerfile, or else
    /// `.dockerignore` in the directory.
    ///
    /// # Errors
    /// [`Code::InputInvalid`] for each of them that is missing or wrong, all at once.
    pub fn open(directory: &Path, dockerfile: Option<&Path>) -> Result<Self, Vec<Diagnostic>> {
        let shown = directory.display();
        if !directory.is_dir() {
            let error = Diagnostic::error(Code::InputInvalid, format!("the build context `{shown}` is no directory"))
                .help("check out the repository before this step, or set the path of the directory with the Dockerfile");
            return Err(vec![error]);
        }
        let mut errors = Vec::new();
        let dockerfile = dockerfile.map_or_else(|| directory.join("Dockerfile"), Path::to_owned);
        if !dockerfile.is_file() {
            errors.push(no_dockerfile(directory, &dockerfile));
        }
        let rules = read_rules(directory, &dockerfile).unwrap_or_else(|found| {
            errors.extend(found);
            IgnoreRules::default()
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        let inside = relative(directory, &dockerfile);
        let dockerfile_name = inside.unwrap_or_else(|| FOREIGN_DOCKERFILE.to_owned());
        Ok(Self {
            root: directory.to_owned(),
            dockerfile,
            dockerfile_name,
            rules,
        })
    }

    /// Path of the Dockerfile in the context.
    pub fn dockerfile_name(&self) -> &str {
        &self.dockerfile_name
    }

    /// The tar stream. It ends early when a file cannot be read; the error is then in the second
    /// part.
    pub(crate) fn stream(
        &self,
    ) -> (
        impl Stream<Item = Result<Bytes, io::Error>> + Send + use<>,
        Arc<Sending>,
    ) {
        let (sender, receiver) = mpsc::channel(PIECES_WAITING);
        let sending = Arc::new(Sending::default());
        let (context, shared) = (self.clone(), Arc::clone(&sending));
        tokio::task::spawn_blocking(move || {
            let writer = Pieces {
                piece: Vec::with_capacity(PIECE),
                sender: sender.clone(),
                sending: Arc::clone(&shared),
            };
            if let Err(error) = context.write(writer) {
                // Nobody listens any more: the build ended, and its own error counts.
                if sender.is_closed() {
                    return;
                }
                let told = io::Error::other(error.to_string());
                *shared.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                let _ = sender.blocking_send(Err(told));
            }
        });
        let stream = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        (stream, sending)
    }

    /// Writes the whole archive.
    pub(crate) fn write(&self, writer: impl Write) -> Result<(), ContextError> {
        let mut archive = Archive {
            builder: tar::Builder::new(writer),
            waiting: Vec::new(),
        };
        self.directory("", &mut archive)?;
        if self.dockerfile_name == FOREIGN_DOCKERFILE {
            let metadata = fs::metadata(&self.dockerfile).map_err(at(FOREIGN_DOCKERFILE))?;
            archive.file(FOREIGN_DOCKERFILE, &self.dockerfile, &metadata)?;
        }
        let end = archive
            .builder
            .into_inner()
            .and_then(|mut writer| writer.flush());
        end.map_err(at("(end)"))
    }

    /// Adds everything below a directory; `inside` is its path in the context.
    fn directory<W: Write>(
        &self,
        inside: &str,
        archive: &mut Archive<W>,
    ) -> Result<(), ContextError> {
        let path = self.root.join(inside);
        let listed: Result<Vec<_>, _> = fs::read_dir(&path).and_then(Iterator::collect);
        let mut entries: Vec<fs::DirEntry> = listed.map_err(at(inside))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let inside = if inside.is_empty() {
                name
            } else {
                format!("{inside}/{name}")
            };
            let metadata = entry.path().symlink_metadata().map_err(at(&inside))?;
            let kept = inside == self.dockerfile_name || !self.rules.ignores(&inside);
            if metadata.is_dir() {
                if !kept && !self.enters(&inside) {
                    continue;
                }
                // A directory that is left out is written once something below it is not.
                archive.waiting.push((inside.clone(), metadata));
                if kept {
                    archive.directories()?;
                }
                self.directory(&inside, archive)?;
                archive.waiting.retain(|(waiting, _)| *waiting != inside);
            } else if kept {
                archive.entry(&inside, &entry.path(), &metadata)?;
            }
        }
        Ok(())
    }

    fn enters(&self, directory: &str) -> bool {
        let holds_dockerfile = self
            .dockerfile_name
            .strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/'));
        holds_dockerfile || (!is_credential(directory) && self.rules.may_keep_below(directory))
    }
}

struct Archive<W: Write> {
    builder: tar::Builder<W>,
    /// Directories whose entries are not written yet, outermost first.
    waiting: Vec<(String, Metadata)>,
}

impl<W: Write> Archive<W> {
    fn directories(&mut self) -> Result<(), ContextError> {
        for (inside, metadata) in std::mem::take(&mut self.waiting) {
            let mut header = header(&metadata);
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            let path = format!("{inside}/");
            self.builder
                .append_data(&mut header, path, io::empty())
                .map_err(at(&inside))?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        inside: &str,
        path: &Path,
        metadata: &Metadata,
    ) -> Result<(), ContextError> {
        if metadata.is_symlink() {
            self.directories()?;
            let target = fs::read_link(path).map_err(at(inside))?;
            let mut header = header(metadata);
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            return self
                .builder
                .append_link(&mut header, inside, target)
                .map_err(at(inside));
        }
        if metadata.is_file() {
            self.directories()?;
            return self.file(inside, path, metadata);
        }
        // Sockets, pipes and devices have no place in an image's context.
        Ok(())
    }

    fn file(&mut self, inside: &str, path: &Path, metadata: &Metadata) -> Result<(), ContextError> {
        let mut header = header(metadata);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(metadata.len());
        let mut reader = Exactly {
            file: File::open(path).map_err(at(inside))?,
            left: metadata.len(),
        };
        self.builder
            .append_data(&mut header, inside, &mut reader)
            .map_err(at(inside))
    }
}

/// Reads as many bytes as the header promises: a file that grows is cut, one that shrinks is an
/// error, for the archive would be broken.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read(&mut buffer[..most])?;
        self.left -= read as u64;
        if read == 0 && most > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it became shorter while it was read",
            ));
        }
        Ok(read)
    }
}

/// Mode and time of the file; owner and group 0.
fn header(metadata: &Metadata) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_metadata_in_mode(metadata, tar::HeaderMode::Complete);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn at(inside: &str) -> impl FnOnce(io::Error) -> ContextError {
    let path = inside.to_owned();
    move |source| ContextError { path, source }
}

/// Collects what is written into pieces and sends them.
struct Pieces {
    piece: Vec<u8>,
    sender: mpsc::Sender<Result<Bytes, io::Error>>,
    sending: Arc<Sending>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sending
            .bytes
            .fetch_add(piece.len() as u64, Ordering::Relaxed);
        let closed = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the engine stopped reading");
        self.sender
            .blocking_send(Ok(Bytes::from(piece)))
            .map_err(closed)
    }
}

/// The path of a file in a directory, with `/`; `None` when it is outside.
fn relative(directory: &Path, file: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    // Only the parent: a Dockerfile that is a symbolic link is known by its own name.
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent
        .unwrap_or_else(|| Path::new("."))
        .canonicalize()
        .ok()?;
    let inside = parent.join(file.file_name()?);
    let inside = inside.strip_prefix(&directory).ok()?;
    Some(
        inside
            .components()
            .map(|part| part.as_os_str().to_string_lossy())
            .collect::<Vec<_>>()
            .join("/"),
    )
}

fn read_rules(directory: &Path, dockerfile: &Path) -> Result<IgnoreRules, Vec<Diagnostic>> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    let places = [PathBuf::from(own), directory.join(".dockerignore")];
    let Some(place) = places.into_iter().find(|place| place.is_file()) else {
        return Ok(IgnoreRules::default());
    };
    let shown = place.display().to_string();
    let text = fs::read(&place).map_err(|error| {
        vec![
            Diagnostic::error(Code::InputInvalid, format!("`{shown}` cannot be read"))
                .cause(error.to_string()),
        ]
    })?;
    IgnoreRules::parse(&String::from_utf8_lossy(&text)).map_err(|errors| {
        let one = |error: super::ignore::PatternError| {
            Diagnostic::error(
                Code::InputInvalid,
                format!("`{}` {}", error.pattern, error.why),
            )
            .at(format!("{shown}:{}", error.line))
        };
        errors.into_iter().map(one).collect()
    })
}

/// Names the Dockerfiles that are there.
fn no_dockerfile(directory: &Path, dockerfile: &Path) -> Diagnostic {
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            name.to_lowercase().contains("dockerfile") && !name.ends_with(".dockerignore")
        })
        .collect();
    names.sort();
    let shown = dockerfile.display();
    let error = Diagnostic::error(
        Code::InputInvalid,
        format!("there is no Dockerfile `{shown}`"),
    );
    if names.is_empty() {
        return error.help(format!(
            "write one, or set the build context to the directory that has it; `{}` has none",
            directory.display()
        ));
    }
    error.help(format!(
        "in `{}` there is: {}",
        directory.display(),
        names.join(", ")
    ))
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
