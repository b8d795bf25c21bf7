//! `.dockerignore`: which files of a directory belong to the build context.
//!
//! The rules are those of the Docker command line (reference: docs.docker.com, "Build context",
//! ".dockerignore files"): one pattern a line, `#` comments, `!` exceptions, `*`, `?`, `[a-z]` within
//! a path part, `**` across parts, a pattern also covers everything below what it matches, and the
//! last line that matches decides. They differ from `.gitignore`: a pattern is anchored at the root.

use std::fmt;

/// Names of the credential files that google-github-actions/auth leaves in the workspace. Never in
/// a context, whatever the file says.
const CREDENTIAL_PREFIX: &str = "gha-creds-";
const CREDENTIAL_SUFFIX: &str = ".json";

/// A line that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PatternError {
    /// 1-based.
    pub line: usize,
    /// The line.
    pub pattern: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}` {}", self.line, self.pattern, self.why)
    }
}

/// The rules of one `.dockerignore` file.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    is_exception: bool,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// This character.
    Literal(char),
    /// `?`: one character of a part.
    One,
    /// `*`: any characters of a part.
    Any,
    /// `**` at the end: everything.
    Everything,
    /// `**/`: any number of parts, none too.
    Parts,
    /// `[…]`.
    Class {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl IgnoreRules {
    /// Reads the file's text.
    ///
    /// # Errors
    /// Every line that is no pattern.
    pub fn parse(text: &str) -> Result<Self, Vec<PatternError>> {
        let mut patterns = Vec::new();
        let mut errors = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let mut wrong = |why| {
                let pattern = line.trim().to_owned();
                errors.push(PatternError {
                    line: index + 1,
                    pattern,
                    why,
                });
            };
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let line = line.trim();
            let (is_exception, rest) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            if rest.is_empty() {
                wrong("is an exception from nothing");
                continue;
            }
            match tokens(&clean(rest)) {
                Ok(tokens) => patterns.push(Pattern {
                    is_exception,
                    tokens,
                }),
                Err(why) => wrong(why),
            }
        }
        if errors.is_empty() {
            Ok(Self { patterns })
        } else {
            Err(errors)
        }
    }

    /// Whether a path, relative to the root and with `/`, is left out.
    pub fn ignores(&self, path: &str) -> bool {
        if is_credential(path) {
            return true;
        }
        let mut ignored = false;
        for pattern in &self.patterns {
            // Only a pattern that would change the answer need be looked at.
            if pattern.is_exception == ignored && pattern.covers(path) {
                ignored = !pattern.is_exception;
            }
        }
        ignored
    }

    /// Whether something below an ignored directory might be kept by an exception.
    pub fn may_keep_below(&self, directory: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| pattern.is_exception && pattern.may_match_below(directory))
    }
}

/// A credential file of google-github-actions/auth, at any depth.
pub(crate) fn is_credential(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with(CREDENTIAL_PREFIX) && name.ends_with(CREDENTIAL_SUFFIX)
}

impl Pattern {
    /// Matches the path or one of the directories that hold it.
    fn covers(&self, path: &str) -> bool {
        let characters: Vec<char> = path.chars().collect();
        let ends = characters
            .iter()
            .enumerate()
            .filter(|(_, c)| **c == '/')
            .map(|(index, _)| index);
        ends.chain([characters.len()])
            .any(|end| matches(&self.tokens, &characters[..end]))
    }

    /// Whether a longer path could match: the start of the pattern fits the whole directory. Without
    /// wildcards that cross parts this is exact enough to skip `node_modules` beside `!src`.
    fn may_match_below(&self, directory: &str) -> bool {
        let prefix: Vec<char> = directory.chars().chain(['/']).collect();
        if matches!(self.tokens.first(), Some(Token::Everything | Token::Parts)) {
            return true;
        }
        // Every cut of the pattern behind a separator, and every wildcard across parts.
        self.tokens
            .iter()
            .enumerate()
            .any(|(index, token)| match token {
                Token::Literal('/') => matches(&self.tokens[..=index], &prefix),
                Token::Everything | Token::Parts => matches(
                    &[&self.tokens[..index], &[Token::Everything]].concat(),
                    &prefix,
                ),
                _ => false,
            })
    }
}

/// Whether tokens match the whole text. From the back, one row for each token, so that no pattern
/// takes more than length × length steps.
fn matches(tokens: &[Token], text: &[char]) -> bool {
    let length = text.len();
    let mut next: Vec<bool> = (0..=length).map(|at| at == length).collect();
    for token in tokens.iter().rev() {
        let mut row = vec![false; length + 1];
        let mut later = false;
        for at in (0..=length).rev() {
            let here = text.get(at).copied();
            let step = |row: &[bool]| row.get(at + 1).copied().unwrap_or(false);
            row[at] = match token {
                Token::Literal(wanted) => here == Some(*wanted) && step(&next),
                Token::One => here.is_some_and(|c| c != '/') && step(&next),
                Token::Any => next[at] || (here.is_some_and(|c| c != '/') && step(&row)),
                Token::Everything => next[at] || (here.is_some() && step(&row)),
                Token::Parts => {
                    later = here.is_some() && (later || (here == Some('/') && step(&next)));
                    next[at] || later
                }
                Token::Class { is_negated, ranges } => {
                    let inside =
                        |c: char| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                    here.is_some_and(|c| inside(c) != *is_negated) && step(&next)
                }
            };
        }
        next = row;
    }
    next.first().copied().unwrap_or(false)
}

/// Go's `filepath.Clean`, and no slash at the start.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                // Above the root there is nothing.
                if parts.pop().is_none() && !pattern.starts_with('/') {
                    return pattern.to_owned();
                }
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        tokens.push(match character {
            '*' if rest.peek() == Some(&'*') => {
                rest.next();
                if rest.peek() == Some(&'/') {
                    rest.next();
                }
                if rest.peek().is_none() {
                    Token::Everything
                } else {
                    Token::Parts
                }
            }
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Literal(
                rest.next()
                    .ok_or("ends with a backslash that escapes nothing")?,
            ),
            '[' => class(&mut rest)?,
            other => Token::Literal(other),
        });
    }
    Ok(tokens)
}

fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "has a `[` that is not closed";
    let is_negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let mut low = rest.next().ok_or(OPEN)?;
        if low == ']' && !ranges.is_empty() {
            return Ok(Token::Class { is_negated, ranges });
        }
        if low == '\\' {
            low = rest.next().ok_or(OPEN)?;
        }
        let mut high = low;
        let mut ahead = rest.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|end| end != ']') {
            rest.next();
            high = rest.next().ok_or(OPEN)?;
            if high == '\\' {
                high = rest.next().ok_or(OPEN)?;
            }
        }
        if low > high {
            return Err("has a range that ends before it begins");
        }
        ranges.push((low, high));
    }
}

#[cfg(test)]
#[path = "ignore_tests.rs"]
mod tests;
