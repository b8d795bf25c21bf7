//! A tar archive as a stream: one entry after another, the data of a file read in place.
//!
//! It reads ustar, GNU long names and pax records (POSIX.1-2017, "pax Interchange Format"). Names
//! and records are limited, so that a hostile archive takes no memory. Sparse files, which no image
//! builder writes, are refused.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

/// Size of a header, and what data is padded to.
const BLOCK: u64 = 512;
/// Largest entry, in bytes: a petabyte, which no disk of a runner holds. Sums of it and its padding
/// cannot overflow.
const LARGEST_ENTRY: u64 = 1 << 50;
/// Longest pax header or long name in bytes.
const LONGEST_RECORD: u64 = 1 << 20;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream failed.
    #[error("the archive cannot be read")]
    Io(#[from] io::Error),
    /// A header's check sum is wrong, so that this is no archive, or a broken one.
    #[error("it is no tar archive, or a broken one: a header has a wrong check sum")]
    Checksum,
    /// A number in a header is none.
    #[error("a header of the archive holds `{0}` where a number should be")]
    Number(String),
    /// A record is longer than any name.
    #[error("a header of the archive is {0} bytes long, which no name needs")]
    Record(u64),
    /// An entry that no disk holds.
    #[error("an entry of the archive says that it is {0} bytes large")]
    Size(u64),
    /// A kind of entry that is not read.
    #[error("the archive holds a sparse file, `{0}`")]
    Sparse(String),
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file with data.
    File,
    /// Another name of a file of the archive.
    HardLink,
    /// A symbolic link.
    SymbolicLink,
    /// A directory.
    Directory,
    /// A device, a pipe, or what later formats add.
    Other,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Without `./` and `/` in front, and without `/` at the end.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes of data.
    pub size: u64,
    /// Permissions.
    pub mode: u32,
    /// Of a link; empty otherwise.
    pub target: String,
}

/// Reads an archive. Between two calls of [`Self::next_entry`] it reads, as [`BufRead`], the data of
/// the entry; what is not read is skipped.
pub struct TarReader<R> {
    stream: R,
    /// Data of the entry that is left.
    left: u64,
    /// Padding behind it.
    padding: u64,
    ended: bool,
}

impl<R: BufRead> TarReader<R> {
    /// Begins at an archive's first header.
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            left: 0,
            padding: 0,
            ended: false,
        }
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// When the stream fails or is no archive.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut long_path = None;
        let mut long_target = None;
        let mut records = BTreeMap::new();
        loop {
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = number(&header[124..136])?;
            let flag = header[156];
            match flag {
                b'L' => long_path = Some(self.record(size)?),
                b'K' => long_target = Some(self.record(size)?),
                b'x' => records = pax(&self.record(size)?),
                b'g' => drop(self.record(size)?),
                _ => {
                    let mut entry = entry(&header, size, flag)?;
                    let text = |bytes: Vec<u8>| {
                        let end = bytes.iter().position(|byte| *byte == 0);
                        String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
                    };
                    if let Some(path) = records.remove("path").or(long_path.map(text)) {
                        entry.path = path;
                    }
                    if let Some(target) = records.remove("linkpath").or(long_target.map(text)) {
                        entry.target = target;
                    }
                    if let Some(size) = records.get("size") {
                        entry.size = size.parse().map_err(|_| TarError::Number(size.clone()))?;
                    }
                    if entry.size > LARGEST_ENTRY {
                        return Err(TarError::Size(entry.size));
                    }
                    if flag == b'S' || records.keys().any(|key| key.starts_with("GNU.sparse.")) {
                        return Err(TarError::Sparse(entry.path));
                    }
                    entry.path = plain(&entry.path);
                    let has_data = !matches!(
                        entry.kind,
                        Kind::HardLink | Kind::SymbolicLink | Kind::Directory
                    );
                    self.begin(if has_data { entry.size } else { 0 });
                    return Ok(Some(entry));
                }
            }
        }
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }

    /// The next header; `None` at a block of zeros, or at the stream's end.
    fn header(&mut self) -> Result<Option<[u8; BLOCK as usize]>, TarError> {
        self.skip(self.left + self.padding)?;
        (self.left, self.padding) = (0, 0);
        let mut header = [0; BLOCK as usize];
        if self.ended {
            return Ok(None);
        }
        let mut filled = 0;
        while filled < header.len() {
            let read = self.stream.read(&mut header[filled..])?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        if filled == 0 || header.iter().all(|byte| *byte == 0) {
            self.ended = true;
            // What pads the archive belongs to it: a stream around it goes on behind.
            io::copy(&mut self.stream, &mut io::sink())?;
            return Ok(None);
        }
        if filled < header.len() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        check(&header)?;
        Ok(Some(header))
    }

    /// The data of a header that describes the next one.
    fn record(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > LONGEST_RECORD {
            return Err(TarError::Record(size));
        }
        self.begin(size);
        let mut record = Vec::new();
        let read = (&mut *self).take(size).read_to_end(&mut record)? as u64;
        if read < size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(record)
    }

    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let available = self.stream.fill_buf()?.len();
            if available == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let taken = usize::try_from(count).unwrap_or(usize::MAX).min(available);
            self.stream.consume(taken);
            count -= taken as u64;
        }
        Ok(())
    }
}

impl<R: BufRead> BufRead for TarReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let piece = self.stream.fill_buf()?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        Ok(&piece[..piece.len().min(most)])
    }

    fn consume(&mut self, count: usize) {
        self.left -= count as u64;
        self.stream.consume(count);
    }
}

impl<R: BufRead> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// The sum of the header's bytes, its own field counted as spaces; old programs summed signed bytes.
fn check(header: &[u8; BLOCK as usize]) -> Result<(), TarError> {
    let said = number(&header[148..156])?;
    let bytes = header[..148]
        .iter()
        .chain(b"        ")
        .chain(&header[156..]);
    let unsigned: u64 = bytes.clone().map(|byte| u64::from(*byte)).sum();
    let signed: i64 = bytes.map(|byte| i64::from(byte.cast_signed())).sum();
    if said == unsigned || i64::try_from(said) == Ok(signed) {
        Ok(())
    } else {
        Err(TarError::Checksum)
    }
}

fn entry(header: &[u8; BLOCK as usize], size: u64, flag: u8) -> Result<Entry, TarError> {
    let name = text(&header[..100]);
    let is_ustar = &header[257..263] == b"ustar\0";
    let prefix = if is_ustar {
        text(&header[345..500])
    } else {
        String::new()
    };
    let path = if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    };
    let kind = match flag {
        // An old archive marks a directory by its name.
        0 | b'0' | b'7' if path.ends_with('/') => Kind::Directory,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::SymbolicLink,
        b'5' => Kind::Directory,
        _ => Kind::Other,
    };
    Ok(Entry {
        path,
        kind,
        size,
        mode: u32::try_from(number(&header[100..108])?).unwrap_or_default(),
        target: text(&header[157..257]),
    })
}

fn text(field: &[u8]) -> String {
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Octal digits, or binary with the highest bit set (GNU).
fn number(field: &[u8]) -> Result<u64, TarError> {
    if let [first, rest @ ..] = field
        && *first >= 0x80
    {
        let start = u64::from(*first & 0x7f);
        let sum = rest.iter().try_fold(start, |sum, byte| {
            sum.checked_mul(256).map(|sum| sum + u64::from(*byte))
        });
        return sum.ok_or_else(|| TarError::Number("a number of more than 64 bits".to_owned()));
    }
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(|_| TarError::Number(digits.escape_debug().to_string()))
}

/// `LENGTH KEY=VALUE\n`, one after another; what breaks the form ends the list.
fn pax(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut records = BTreeMap::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length = std::str::from_utf8(&bytes[..space])
            .ok()
            .and_then(|text| text.parse::<usize>().ok());
        let Some(record) = length.and_then(|length| bytes.get(space + 1..length)) else {
            break;
        };
        let record = String::from_utf8_lossy(record);
        if let Some((key, value)) = record.strip_suffix('\n').unwrap_or(&record).split_once('=') {
            records.insert(key.to_owned(), value.to_owned());
        }
        bytes = &bytes[length.unwrap_or(bytes.len())..];
    }
    records
}

/// Names begin with `./` in some archives, with `/` in others.
fn plain(path: &str) -> String {
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}
