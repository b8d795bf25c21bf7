//! Bytes of any length → credentials, in bounded memory.
//!
//! One pass with a vectorised search for all literals at once (Teddy, of `aho-corasick`); what
//! stands around a literal is looked at only where one is found.

use std::io::{self, BufRead};
use std::sync::LazyLock;

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, MatchKind};

use super::pem;
use super::rule::{Hit, LITERALS, Rule, examine};

/// Size of the window that moves over a file, in bytes.
const WINDOW: usize = 512 * 1024;
/// Bytes behind a literal that its form may need.
const AHEAD: usize = pem::LONGEST;
/// Bytes in front of it.
const BEHIND: usize = 4096;

/// Finds credentials.
pub struct Scanner {
    search: Search,
}

enum Search {
    /// The processor has vector instructions.
    Packed(packed::Searcher),
    /// It has none.
    Automaton(AhoCorasick),
    /// The literals cannot be put into any search; nothing is found. Tests hold that this is not so.
    Nothing,
}

/// A credential in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The kind.
    pub rule: Rule,
    /// Where it begins, in bytes from the file's start.
    pub offset: u64,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in bytes, from 1.
    pub column: usize,
    /// Its first characters.
    pub masked: String,
}

static SHARED: LazyLock<Scanner> = LazyLock::new(Scanner::new);

impl Scanner {
    /// The one that is used everywhere: making it takes a while.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    fn new() -> Self {
        let literals = LITERALS.iter().map(|(literal, _)| literal);
        let packed = packed::Config::new()
            .match_kind(packed::MatchKind::LeftmostFirst)
            .builder()
            .extend(literals.clone())
            .build();
        let automaton = || {
            let built = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .build(literals);
            built.map_or(Search::Nothing, Search::Automaton)
        };
        Self {
            search: packed.map_or_else(automaton, Search::Packed),
        }
    }

    /// Every credential of a buffer.
    pub fn hits(&self, buffer: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        self.hits_between(buffer, 0, buffer.len(), &mut hits);
        hits
    }

    /// Those whose literal begins between two places.
    fn hits_between(&self, buffer: &[u8], from: usize, to: usize, hits: &mut Vec<Hit>) {
        let mut take = |index: usize, start: usize, end: usize| {
            let is_inside = start >= from && start < to;
            let is_covered = hits.last().is_some_and(|last: &Hit| start < last.end);
            if is_inside
                && !is_covered
                && let Some((_, form)) = LITERALS.get(index)
            {
                hits.extend(examine(*form, buffer, start..end));
            }
        };
        match &self.search {
            Search::Packed(searcher) => {
                let mut at = from;
                while let Some(found) = searcher.find_in(buffer, (at..buffer.len()).into()) {
                    if found.start() >= to {
                        break;
                    }
                    take(found.pattern().as_usize(), found.start(), found.end());
                    at = found.end();
                }
            }
            Search::Automaton(automaton) => {
                for found in automaton.find_iter(&buffer[from..]) {
                    take(
                        found.pattern().as_usize(),
                        from + found.start(),
                        from + found.end(),
                    );
                }
            }
            Search::Nothing => {}
        }
    }
}

/// A window that moves over one file after another; its memory is used again.
pub struct Window {
    buffer: Vec<u8>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            buffer: Vec::with_capacity(WINDOW),
        }
    }
}

impl Window {
    /// Reads a file to its end and gives what was found, at most `most`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn scan(&mut self, file: &mut impl BufRead, most: usize) -> io::Result<Vec<Found>> {
        let scanner = Scanner::shared();
        let mut found = Vec::new();
        let mut position = Position::default();
        let mut hits = Vec::new();
        // Everything before this place of the buffer was looked at.
        let mut from = 0;
        self.buffer.clear();
        loop {
            let ended = self.fill(file)?;
            let length = self.buffer.len();
            let to = if ended { length } else { length - AHEAD };
            hits.clear();
            scanner.hits_between(&self.buffer, from, to, &mut hits);
            for hit in &hits {
                if found.len() < most {
                    found.push(position.found(&self.buffer, hit));
                }
            }
            if ended {
                return Ok(found);
            }
            let keep = to.saturating_sub(BEHIND);
            position.pass(&self.buffer[..keep]);
            self.buffer.copy_within(keep.., 0);
            self.buffer.truncate(length - keep);
            from = to - keep;
        }
    }

    /// Fills the window; tells whether the file ended.
    fn fill(&mut self, file: &mut impl BufRead) -> io::Result<bool> {
        while self.buffer.len() < WINDOW {
            let piece = file.fill_buf()?;
            if piece.is_empty() {
                return Ok(true);
            }
            let taken = piece.len().min(WINDOW - self.buffer.len());
            self.buffer.extend_from_slice(&piece[..taken]);
            file.consume(taken);
        }
        Ok(false)
    }
}

/// Where the buffer begins in its file.
struct Position {
    offset: u64,
    line: usize,
    column: usize,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            offset: 0,
            line: 1,
            column: 1,
        }
    }
}

impl Position {
    fn pass(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        self.line += memchr::memchr_iter(b'\n', bytes).count();
        match memchr::memrchr(b'\n', bytes) {
            Some(at) => self.column = bytes.len() - at,
            None => self.column += bytes.len(),
        }
    }

    fn found(&self, buffer: &[u8], hit: &Hit) -> Found {
        let mut here = Self { ..*self };
        here.pass(&buffer[..hit.start]);
        Found {
            rule: hit.rule,
            offset: here.offset,
            line: here.line,
            column: here.column,
            masked: super::masked(&buffer[hit.start..hit.end]),
        }
    }
}
