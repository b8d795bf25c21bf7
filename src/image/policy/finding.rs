//! What breaks a policy, and where. Pure.

use std::fmt;

pub use delivery::policy::Policy;

/// A place in a text file. Lines and columns count from 1; a column counts characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Path, relative to what was checked, with `/`.
    pub file: String,
    /// The line, as editors count: LF, CR and CRLF end one.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Spot {
    /// A place in a file.
    pub fn new(file: impl Into<String>, line: usize, column: usize) -> Self {
        Self {
            file: file.into(),
            line,
            column,
        }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Where a finding is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a text file of the repository.
    File(Spot),
    /// Somewhere in the built image, said in words.
    Image(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(spot) => spot.fmt(f),
            Self::Image(words) => f.write_str(words),
        }
    }
}

/// The most that a finding can do to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// What the policy's mode says.
    Full,
    /// It is told, and ends no run: there are good reasons for it.
    Hint,
}

/// One thing that breaks a policy. Holds no secret: see [`super::secret::redact`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The policy.
    pub policy: Policy,
    /// The rule of the policy, in kebab-case; tests and readers of JSON know it by this name.
    pub rule: &'static str,
    /// Where.
    pub place: Place,
    /// What is wrong, in one line.
    pub title: String,
    /// The line itself, and what else explains it.
    pub detail: Vec<String>,
    /// What would be right.
    pub help: Vec<String>,
    /// How much it matters at most.
    pub weight: Weight,
}

impl Finding {
    /// A finding with nothing but its title.
    pub fn new(policy: Policy, rule: &'static str, place: Place, title: impl Into<String>) -> Self {
        Self {
            policy,
            rule,
            place,
            title: title.into(),
            detail: Vec::new(),
            help: Vec::new(),
            weight: Weight::Full,
        }
    }

    /// Adds an explanation.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.detail.push(line.into());
        self
    }

    /// Adds what would be right.
    #[must_use]
    pub fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }

    /// Makes it one that ends no run.
    #[must_use]
    pub fn hint(mut self) -> Self {
        self.weight = Weight::Hint;
        self
    }
}

/// Longest piece of a line that a finding repeats, in characters.
const SHOWN_CHARACTERS: usize = 160;

/// A line as a finding shows it: trimmed, without credentials, cut.
pub(crate) fn shown(line: &str) -> String {
    let line = super::secret::redact(line.trim());
    if line.chars().count() <= SHOWN_CHARACTERS {
        return line;
    }
    let mut short: String = line.chars().take(SHOWN_CHARACTERS).collect();
    short.push('…');
    short
}
