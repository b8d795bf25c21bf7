//! One difference between two documents.

use std::fmt;

/// What a difference means for a client that was written against the old document. The order is the
/// order of severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing that a client could notice in a documented way.
    Note,
    /// Something new that old clients do not need.
    Addition,
    /// Whether a client breaks cannot be told from the documents.
    Doubtful,
    /// A client that keeps to the old document can fail.
    Breaking,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Addition => "addition",
            Self::Doubtful => "doubtful",
            Self::Breaking => "breaking",
        })
    }
}

/// Which way the data go. What is harmless one way breaks the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client: accepting less breaks.
    Request,
    /// To the client: promising less breaks.
    Response,
}

impl Direction {
    /// What it means that less is allowed than before.
    pub(super) fn narrower(self) -> Level {
        match self {
            Self::Request => Level::Breaking,
            Self::Response => Level::Note,
        }
    }

    /// What it means that more is allowed than before.
    pub(super) fn wider(self) -> Level {
        match self {
            Self::Request => Level::Addition,
            Self::Response => Level::Breaking,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Response => "response",
        })
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The rule, such as `request-required-property-added`; one row of the documented table.
    pub rule: &'static str,
    /// What it means.
    pub level: Level,
    /// Method and path as the newer document spells them, such as `POST /predict`.
    pub operation: String,
    /// JSON pointer (RFC 6901) into the new document, or into the old one where it is gone.
    pub pointer: String,
    /// What changed, in words, with both values.
    pub text: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            level,
            operation,
            pointer,
            text,
        } = self;
        write!(f, "{level}: {operation}: {text} ({rule} at #{pointer})")
    }
}
