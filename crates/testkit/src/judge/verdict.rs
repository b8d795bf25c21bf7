//! What the judge found.

use std::collections::BTreeMap;
use std::fmt;

use emulator::admin::Exchange;

/// Which part of an exchange is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Method and path.
    Route,
    /// A parameter of the query; the pointer is its name.
    Query,
    /// The request's body.
    Request,
    /// The answer's body, or its type.
    Answer,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Route => "route",
            Self::Query => "query",
            Self::Request => "request",
            Self::Answer => "answer",
        })
    }
}

/// One thing that a document does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which exchange, from 1.
    pub number: usize,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its status.
    pub status: u16,
    /// Which part.
    pub part: Part,
    /// JSON pointer into the body, or the parameter's name.
    pub pointer: String,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            method,
            path,
            status,
            part,
            pointer,
            text,
        } = self;
        write!(
            f,
            "#{number} {method} {path} ({status}): {part} {pointer:?}: {text}"
        )
    }
}

/// The sum of a world's exchanges.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is wrong.
    pub violations: Vec<Violation>,
    /// How often each documented method was judged, by the document's own name of it.
    pub judged: BTreeMap<String, usize>,
    /// How many exchanges belong to no document, by protocol.
    pub passed_by: BTreeMap<&'static str, usize>,
    current: Option<(usize, Exchange)>,
}

impl Verdict {
    pub(super) fn next(&mut self, number: usize, exchange: &Exchange) {
        let head = Exchange {
            method: exchange.method.clone(),
            path: exchange.path.clone(),
            status: exchange.status,
            ..Exchange::default()
        };
        self.current = Some((number, head));
    }

    pub(super) fn judged(&mut self, method: &str) {
        *self.judged.entry(method.to_owned()).or_default() += 1;
    }

    pub(super) fn passed_by(&mut self, protocol: &'static str) {
        *self.passed_by.entry(protocol).or_default() += 1;
    }

    pub(super) fn wrong(
        &mut self,
        part: Part,
        pointer: impl Into<String>,
        text: impl Into<String>,
    ) {
        let (number, exchange) = self.current.clone().unwrap_or_default();
        self.violations.push(Violation {
            number,
            method: exchange.method,
            path: exchange.path,
            status: exchange.status,
            part,
            pointer: pointer.into(),
            text: text.into(),
        });
    }

    /// Keeps what is wrong with answers. A route that no document knows is an answer's fault where the
    /// answer is no refusal.
    pub(super) fn keep_answers(&mut self) {
        self.violations.retain(|it| match it.part {
            Part::Answer => true,
            Part::Route => (200..300).contains(&it.status),
            Part::Query | Part::Request => false,
        });
    }

    /// Adds another world's.
    pub fn add(&mut self, other: Self) {
        self.violations.extend(other.violations);
        for (method, times) in other.judged {
            *self.judged.entry(method).or_default() += times;
        }
        for (protocol, times) in other.passed_by {
            *self.passed_by.entry(protocol).or_default() += times;
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        Ok(())
    }
}
