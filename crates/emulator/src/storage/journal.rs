//! The journal: a line of format and version, then one line for each step.
//!
//! A step is a checksum and the rows that it writes, separated by tabs: table, key, value, each but
//! the table in compact JSON, which holds neither tab nor line feed. A value of `-` deletes the row.
//! A line that its checksum does not fit ends what is read: the process ended while it wrote it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use ring::digest::{SHA256, digest};

use super::{StorageError, sync_folder};

pub(super) const JOURNAL: &str = "journal";
/// Being written; takes the place of the journal when it is complete.
pub(super) const JOURNAL_NEW: &str = "journal.new";
/// What could not be read of an earlier journal.
pub(super) const JOURNAL_DAMAGED: &str = "journal.damaged";

/// Raised whenever what is in the rows changes its meaning or form.
pub(super) const FORMAT: u32 = 1;
const TITLE: &str = "ml-deploy local cloud, format ";
/// Deletes a row.
const GONE: &str = "-";
/// Hexadecimal digits of SHA-256 that a line begins with.
const CHECKSUM: usize = 16;

/// Rows of one table: key → value, as JSON.
pub(super) type Rows = BTreeMap<String, String>;

/// One row that is written or deleted.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) table: &'static str,
    pub(super) key: String,
    /// `None`: deleted.
    pub(super) value: Option<String>,
}

/// Where the newest value of each row (`TABLE TAB KEY`) is in the file: first byte and length.
pub(super) struct Index {
    rows: BTreeMap<String, (u64, u32)>,
    /// Bytes of the file.
    pub(super) size: u64,
    /// Bytes of the newest values and their keys.
    pub(super) live: u64,
}

impl Index {
    fn new(size: u64) -> Self {
        Self {
            rows: BTreeMap::new(),
            size,
            live: 0,
        }
    }

    fn put(&mut self, row: String, start: u64, length: u32) {
        let bytes = row.len() as u64 + u64::from(length);
        let key_bytes = row.len() as u64;
        if let Some((_, old)) = self.rows.insert(row, (start, length)) {
            self.live -= key_bytes + u64::from(old);
        }
        self.live += bytes;
    }

    fn remove(&mut self, row: &str) {
        if let Some((_, old)) = self.rows.remove(row) {
            self.live -= row.len() as u64 + u64::from(old);
        }
    }

    /// Puts one step at the end of `text`, which will be written at `self.size`.
    pub(super) fn append(&mut self, rows: Vec<Row>, text: &mut String) {
        let begin = text.len();
        text.push_str(&"0".repeat(CHECKSUM));
        for Row { table, key, value } in rows {
            text.push('\t');
            text.push_str(table);
            text.push('\t');
            text.push_str(&key);
            text.push('\t');
            let start = self.size + text.len() as u64;
            text.push_str(value.as_deref().unwrap_or(GONE));
            let row = format!("{table}\t{key}");
            match value.map(|value| u32::try_from(value.len())) {
                Some(Ok(length)) => self.put(row, start, length),
                _ => self.remove(&row),
            }
        }
        let checksum = checksum(&text.as_bytes()[begin + CHECKSUM..]);
        text.replace_range(begin..begin + CHECKSUM, &checksum);
        text.push('\n');
    }

    /// Says that `append`ed text was written.
    pub(super) fn written(&mut self, bytes: usize) {
        self.size += bytes as u64;
    }
}

fn checksum(bytes: &[u8]) -> String {
    let mut text = hex::encode(digest(&SHA256, bytes));
    text.truncate(CHECKSUM);
    text
}

fn title() -> String {
    format!("{TITLE}{FORMAT}\n")
}

/// Reads the journal, and writes it anew with nothing in it but what counts.
pub(super) fn open(root: &Path) -> Result<(File, Index, BTreeMap<String, Rows>), StorageError> {
    let path = root.join(JOURNAL);
    let tables = match File::open(&path) {
        Ok(file) => read(root, &mut BufReader::new(file))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(StorageError::io(&path)(error)),
    };
    let rows = tables.iter().flat_map(|(table, rows)| {
        rows.iter()
            .map(move |(key, value)| (format!("{table}\t{key}"), value.clone()))
    });
    let (file, index) = replace(root, rows).map_err(StorageError::io(&path))?;
    Ok((file, index, tables))
}

/// Writes a journal with the given rows (`TABLE TAB KEY` and value) in the place of the old one.
fn replace(
    root: &Path,
    rows: impl Iterator<Item = (String, String)>,
) -> std::io::Result<(File, Index)> {
    let path = root.join(JOURNAL_NEW);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)?;
    let mut out = BufWriter::new(file);
    out.write_all(title().as_bytes())?;
    let mut index = Index::new(title().len() as u64);
    for (row, value) in rows {
        let line = format!("\t{row}\t{value}");
        let start = index.size + (CHECKSUM + line.len() - value.len()) as u64;
        writeln!(out, "{}{line}", checksum(line.as_bytes()))?;
        index.put(row, start, u32::try_from(value.len()).unwrap_or(u32::MAX));
        index.written(CHECKSUM + line.len() + 1);
    }
    let file = out.into_inner().map_err(std::io::Error::from)?;
    file.sync_all()?;
    std::fs::rename(&path, root.join(JOURNAL))?;
    sync_folder(root)?;
    Ok((file, index))
}

/// Writes the journal anew, from the values that the index finds in it.
pub(super) fn compact(root: &Path, mut old: File, index: &Index) -> std::io::Result<(File, Index)> {
    let mut problem = None;
    let rows = index.rows.iter().map_while(|(row, (start, length))| {
        let mut value = vec![0; *length as usize];
        let read = old
            .seek(SeekFrom::Start(*start))
            .and_then(|_| old.read_exact(&mut value));
        match read {
            Ok(()) => Some((row.clone(), String::from_utf8_lossy(&value).into_owned())),
            Err(error) => {
                problem = Some(error);
                None
            }
        }
    });
    let rows: Vec<_> = rows.collect();
    match problem {
        Some(error) => Err(error),
        None => replace(root, rows.into_iter()),
    }
}

/// Reads all good lines; what follows the first bad one is put aside.
fn read(root: &Path, file: &mut impl BufRead) -> Result<BTreeMap<String, Rows>, StorageError> {
    let path = root.join(JOURNAL);
    let failed = |error| StorageError::io(&path)(error);
    let mut line = Vec::new();
    file.read_until(b'\n', &mut line).map_err(failed)?;
    let mut tables = BTreeMap::new();
    let first = String::from_utf8_lossy(&line).into_owned();
    match first.trim_end().strip_prefix(TITLE) {
        Some(found) if found == FORMAT.to_string() => {}
        // A journal takes its name only when it is complete: this one was written by nobody here.
        None => {
            return Err(StorageError::NotOurs {
                path: root.to_path_buf(),
            });
        }
        Some(found) => {
            return Err(StorageError::Format {
                path: root.to_path_buf(),
                found: found.to_owned(),
                known: FORMAT,
            });
        }
    }
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(tables);
        }
        if apply(&line, &mut tables).is_none() {
            let mut damaged = std::mem::take(&mut line);
            file.read_to_end(&mut damaged).map_err(failed)?;
            tracing::warn!(
                bytes = damaged.len(),
                "the end of the journal is damaged; the state before it is used, the rest is in {JOURNAL_DAMAGED}"
            );
            let aside = root.join(JOURNAL_DAMAGED);
            std::fs::write(&aside, damaged).map_err(StorageError::io(&aside))?;
            return Ok(tables);
        }
    }
}

/// Takes one line in; `None` when it is not whole.
fn apply(line: &[u8], tables: &mut BTreeMap<String, Rows>) -> Option<()> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, rest) = line.split_at_checked(CHECKSUM)?;
    if checksum(rest).as_bytes() != sum {
        return None;
    }
    let mut fields = std::str::from_utf8(rest).ok()?.split('\t').skip(1);
    while let Some(table) = fields.next() {
        let (key, value) = (fields.next()?, fields.next()?);
        let rows = tables.entry(table.to_owned()).or_default();
        if value == GONE {
            rows.remove(key);
        } else {
            rows.insert(key.to_owned(), value.to_owned());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, value: Option<&str>) -> Row {
        Row {
            table: "things",
            key: format!("\"{key}\""),
            value: value.map(str::to_owned),
        }
    }

    fn append(file: &mut File, index: &mut Index, rows: Vec<Row>) {
        let mut text = String::new();
        index.append(rows, &mut text);
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        index.written(text.len());
    }

    fn things(root: &Path) -> Vec<(String, String)> {
        let (_, _, mut tables) = open(root).unwrap();
        let rows = tables.remove("things").unwrap_or_default();
        rows.into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (format!("\"{key}\""), value.to_owned())
    }

    #[test]
    fn the_newest_value_counts_before_and_after_compaction() {
        let root = tempfile::tempdir().unwrap();
        let (mut file, mut index, tables) = open(root.path()).unwrap();
        assert!(tables.is_empty());
        append(
            &mut file,
            &mut index,
            vec![row("a", Some("1")), row("b", Some("[2]"))],
        );
        append(
            &mut file,
            &mut index,
            vec![row("a", Some("\"é\"")), row("c", Some("3"))],
        );
        append(&mut file, &mut index, vec![row("b", None)]);
        let before = index.size;
        assert_eq!(before, file.metadata().unwrap().len());
        let (mut file, mut index) = compact(root.path(), file, &index).unwrap();
        assert!(index.size < before);
        assert_eq!(index.size, file.metadata().unwrap().len());
        append(&mut file, &mut index, vec![row("d", Some("4"))]);
        let (_, index) = compact(root.path(), file, &index).unwrap();
        assert_eq!(index.live, (10 + 4) + (10 + 1) + (10 + 1));
        let expected = [pair("a", "\"é\""), pair("c", "3"), pair("d", "4")];
        assert_eq!(things(root.path()), expected);
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_gives_the_state_before_the_cut() {
        let root = tempfile::tempdir().unwrap();
        let (mut file, mut index, _) = open(root.path()).unwrap();
        let mut ends = vec![index.size];
        for number in 0..4 {
            let value = number.to_string();
            append(
                &mut file,
                &mut index,
                vec![row("n", Some(&value)), row(&value, Some("1"))],
            );
            ends.push(index.size);
        }
        let whole = std::fs::read(root.path().join(JOURNAL)).unwrap();
        for cut in ends[0]..=ends[4] {
            let end = usize::try_from(cut).unwrap();
            std::fs::write(root.path().join(JOURNAL), &whole[..end]).unwrap();
            let steps = ends.iter().filter(|end| **end <= cut).count() - 1;
            let rows = things(root.path());
            // Each step wrote two rows: both are there, or none.
            assert_eq!(
                rows.len(),
                if steps == 0 { 0 } else { steps + 1 },
                "cut at {cut}"
            );
            if steps > 0 {
                assert!(rows.contains(&pair("n", &(steps - 1).to_string())));
            }
        }
    }

    #[test]
    fn a_bit_that_flips_ends_what_is_read_and_the_rest_is_put_aside() {
        let root = tempfile::tempdir().unwrap();
        let (mut file, mut index, _) = open(root.path()).unwrap();
        append(&mut file, &mut index, vec![row("a", Some("1"))]);
        let second = usize::try_from(index.size).unwrap();
        append(&mut file, &mut index, vec![row("a", Some("2"))]);
        append(&mut file, &mut index, vec![row("b", Some("3"))]);
        let mut bytes = std::fs::read(root.path().join(JOURNAL)).unwrap();
        bytes[second + 20] ^= 1;
        std::fs::write(root.path().join(JOURNAL), &bytes).unwrap();
        assert_eq!(things(root.path()), [pair("a", "1")]);
        let aside = std::fs::read(root.path().join(JOURNAL_DAMAGED)).unwrap();
        assert_eq!(aside, &bytes[second..]);
    }

    #[test]
    fn another_format_and_another_file_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(JOURNAL);
        std::fs::write(&file, "ml-deploy local cloud, format 7\n").unwrap();
        let error = open(root.path()).err().unwrap().to_string();
        assert!(
            error.contains("is of format 7, this version reads format 1"),
            "{error}"
        );
        std::fs::write(&file, "something\n").unwrap();
        let error = open(root.path()).err().unwrap().to_string();
        assert!(error.contains("not a local cloud's"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"something\n");
    }
}
