//! A Dockerfile's text → instructions with positions. Source: docs.docker.com, "Dockerfile
//! reference": parser directives, line continuation, comments, here-documents.

use super::super::placed::{LogicalLine, Placed};

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// In upper case, such as `FROM`.
    pub keyword: String,
    /// `--name=value` in front of the arguments.
    pub flags: Vec<Flag>,
    /// The whole instruction; continued lines are one.
    pub line: LogicalLine,
    /// Where the arguments begin in `line`, in bytes, behind the flags.
    pub arguments_at: usize,
    /// Here-documents, in the order in which they are named.
    pub heredocs: Vec<Heredoc>,
}

impl Instruction {
    /// What stands behind keyword and flags.
    pub fn arguments(&self) -> &str {
        self.line.text[self.arguments_at..].trim_end()
    }

    /// Line and column of the instruction.
    pub fn place(&self) -> (usize, usize) {
        self.line.place(0)
    }

    /// The values of the flags of this name, with their positions in `line`.
    pub fn flag(&self, name: &str) -> impl Iterator<Item = &Flag> {
        self.flags.iter().filter(move |flag| flag.name == name)
    }

    /// The arguments as words with their positions in `line`; quotes are taken off.
    pub fn words(&self) -> Vec<(usize, String)> {
        words(&self.line.text, self.arguments_at)
    }
}

/// `--name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Without hyphens, in lower case.
    pub name: String,
    /// Empty when there is none.
    pub value: String,
    /// Where it begins in the instruction's line, in bytes.
    pub at: usize,
}

/// The lines between `<<NAME` and `NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// Its lines, joined by line feeds.
    pub text: String,
    /// The line of the first one, from 1.
    pub first_line: usize,
}

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// The frontend image of `# syntax=`, and where it stands.
    pub syntax: Option<(String, (usize, usize))>,
    /// In order.
    pub instructions: Vec<Instruction>,
}

/// Reads a Dockerfile. What does not follow the grammar is kept as it is: the builder refuses it
/// with better words.
pub fn parse(text: &str) -> Parsed {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.lines().collect();
    let (syntax, escape) = directives(&lines);
    let mut instructions = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some(line) = logical_line(&lines, &mut at, escape) else {
            continue;
        };
        let mut instruction = read_instruction(line);
        if matches!(instruction.keyword.as_str(), "RUN" | "COPY" | "ADD") {
            instruction.heredocs = heredocs(&instruction.line.text, &lines, &mut at);
        }
        instructions.push(instruction);
    }
    Parsed {
        syntax,
        instructions,
    }
}

type Syntax = Option<(String, (usize, usize))>;

/// Directives stand before everything else, one a line, as comments `# name=value`.
fn directives(lines: &[&str]) -> (Syntax, char) {
    let (mut syntax, mut escape) = (None, '\\');
    for (index, line) in lines.iter().enumerate() {
        let Some(comment) = line.trim_start().strip_prefix('#') else {
            break;
        };
        let Some((name, value)) = comment.split_once('=') else {
            break;
        };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "syntax" => {
                let column = line
                    .find(value)
                    .map_or(1, |at| line[..at].chars().count() + 1);
                syntax = Some((value.to_owned(), (index + 1, column)));
            }
            "escape" if value == "`" => escape = '`',
            "escape" | "check" => {}
            _ => break,
        }
    }
    (syntax, escape)
}

/// The next instruction's text; `None` for a comment or an empty line. Moves `at` behind it.
fn logical_line(lines: &[&str], at: &mut usize, escape: char) -> Option<LogicalLine> {
    let mut joined: Vec<Placed> = Vec::new();
    let mut is_continued = false;
    while let Some(line) = lines.get(*at) {
        let number = *at + 1;
        *at += 1;
        let trimmed = line.trim();
        // Comments and empty lines inside of an instruction are skipped.
        if trimmed.is_empty() || trimmed.starts_with('#') {
            if is_continued {
                continue;
            }
            return None;
        }
        let kept = line.trim_end();
        let body = kept.strip_suffix(escape);
        let placed = body.unwrap_or(kept).chars().enumerate();
        joined.extend(placed.map(|(index, c)| (c, (number, index + 1))));
        if body.is_none() {
            break;
        }
        is_continued = true;
    }
    let start = joined.iter().position(|(c, _)| !c.is_whitespace())?;
    Some(joined[start..].iter().collect())
}

fn read_instruction(line: LogicalLine) -> Instruction {
    let text = &line.text;
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let keyword = text[..end].to_ascii_uppercase();
    let mut flags = Vec::new();
    let mut arguments_at = text.len();
    for (at, word) in words(text, end) {
        let flag = word.strip_prefix("--").filter(|_| takes_flags(&keyword));
        let Some(flag) = flag else {
            arguments_at = at;
            break;
        };
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        flags.push(Flag {
            name: name.to_ascii_lowercase(),
            value: value.to_owned(),
            at,
        });
    }
    Instruction {
        keyword,
        flags,
        arguments_at,
        line,
        heredocs: Vec::new(),
    }
}

fn takes_flags(keyword: &str) -> bool {
    matches!(keyword, "FROM" | "RUN" | "COPY" | "ADD" | "HEALTHCHECK")
}

/// Words from a position on, separated by space; quotes hold a word together and are taken off.
fn words(text: &str, from: usize) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open: Option<char> = None;
    let mut is_inside = false;
    for (at, c) in text[from..].char_indices().map(|(at, c)| (at + from, c)) {
        match (open, c) {
            (Some(quote), c) if c == quote => open = None,
            (None, '"' | '\'') => {
                open = Some(c);
                if !is_inside {
                    found.push((at, String::new()));
                    is_inside = true;
                }
            }
            (None, c) if c.is_whitespace() => is_inside = false,
            (_, c) => {
                if !is_inside {
                    found.push((at, String::new()));
                    is_inside = true;
                }
                if let Some((_, word)) = found.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    found
}

/// Reads the here-documents that a line names; moves `at` behind them.
fn heredocs(text: &str, lines: &[&str], at: &mut usize) -> Vec<Heredoc> {
    let mut found = Vec::new();
    for (name, is_indented) in heredoc_names(text) {
        let first_line = *at + 1;
        let mut body = Vec::new();
        let end = |line: &str| {
            let line = if is_indented {
                line.trim_start_matches('\t')
            } else {
                line
            };
            line.trim_end() == name
        };
        // One that is never closed is the builder's to refuse; it takes no line from us.
        if !lines[(*at).min(lines.len())..].iter().any(|line| end(line)) {
            continue;
        }
        while let Some(line) = lines.get(*at) {
            *at += 1;
            if end(line) {
                break;
            }
            body.push(*line);
        }
        found.push(Heredoc {
            text: body.join("\n"),
            first_line,
        });
    }
    found
}

/// `<<NAME`, `<<-NAME`, `<<"NAME"`, not `<<<`.
fn heredoc_names(text: &str) -> Vec<(String, bool)> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices("<<") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c == '<') || text[at + 2..].starts_with('<') {
            continue;
        }
        let rest = &text[at + 2..];
        let (rest, is_indented) = match rest.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let rest = rest.trim_start_matches(['"', '\'']);
        let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name: String = rest.chars().take_while(is_part).collect();
        if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            names.push((name, is_indented));
        }
    }
    names
}
