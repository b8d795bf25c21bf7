//! The files behind `GITHUB_OUTPUT`, `GITHUB_STATE`, `GITHUB_ENV`, `GITHUB_PATH` and
//! `GITHUB_STEP_SUMMARY`, read with the runner's own strictness.

/// The summary's limit; a longer one is dropped with an error annotation.
pub(crate) const SUMMARY_LIMIT_BYTES: usize = 1024 * 1024;

/// What a key/value file holds: the pairs before the first mistake, and the mistake.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Pairs {
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) mistake: Option<String>,
}

/// Reads `NAME=value` lines and `NAME<<DELIMITER` blocks. Which of `=` and `<<` comes first in a
/// line decides; nothing is trimmed; a carriage return is part of the line.
pub(crate) fn parse_pairs(text: &str) -> Pairs {
    let mut found = Pairs::default();
    let mut lines = Lines { text, at: 0 };
    while let Some(line) = lines.next_line() {
        if line.text.is_empty() {
            continue;
        }
        match one_pair(line.text, &mut lines) {
            Ok(pair) => found.pairs.push(pair),
            Err(mistake) => {
                found.mistake = Some(mistake);
                break;
            }
        }
    }
    found
}

fn one_pair(line: &str, lines: &mut Lines<'_>) -> Result<(String, String), String> {
    let equals = line.find('=');
    let heredoc = line.find("<<");
    match (equals, heredoc) {
        (Some(at), other) if other.is_none_or(|other| at < other) => {
            Ok((line[..at].to_owned(), line[at + 1..].to_owned()))
        }
        (_, Some(at)) => {
            let (name, delimiter) = (&line[..at], &line[at + 2..]);
            if name.is_empty() || delimiter.is_empty() {
                return Err(format!(
                    "Invalid format '{line}'. Name must not be empty and delimiter must not be empty"
                ));
            }
            Ok((name.to_owned(), block(delimiter, lines)?))
        }
        _ => Err(format!("Invalid format '{line}'")),
    }
}

fn block(delimiter: &str, lines: &mut Lines<'_>) -> Result<String, String> {
    let start = lines.at;
    let mut end = start;
    loop {
        let Some(line) = lines.next_line() else {
            return Err(format!(
                "Invalid value. Matching delimiter not found '{delimiter}'"
            ));
        };
        if line.text == delimiter {
            return Ok(lines.text[start..end].to_owned());
        }
        if !line.ended {
            return Err("Invalid value. EOF marker missing new line.".to_owned());
        }
        end = lines.at - 1;
    }
}

struct Lines<'a> {
    text: &'a str,
    at: usize,
}

struct Line<'a> {
    text: &'a str,
    /// Whether a line feed ended it.
    ended: bool,
}

impl<'a> Lines<'a> {
    fn next_line(&mut self) -> Option<Line<'a>> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let (text, ended) = match rest.split_once('\n') {
            Some((line, _)) => (line, true),
            None => (rest, false),
        };
        self.at += text.len() + usize::from(ended);
        Some(Line { text, ended })
    }
}

#[test]
fn pairs_are_read_as_the_runner_reads_them() {
    let pairs = |text: &str| parse_pairs(text).pairs;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(pairs("a=1\n\nb= 2 "), [pair("a", "1"), pair("b", " 2 ")]);
    assert_eq!(pairs("a=x<<y\n"), [pair("a", "x<<y")]);
    assert_eq!(pairs("=v\n"), [pair("", "v")]);
    assert_eq!(
        pairs("a<<END\none\n\ntwo\nEND\nb=2"),
        [pair("a", "one\n\ntwo"), pair("b", "2")]
    );
    assert_eq!(pairs("a<<END\nEND\n"), [pair("a", "")]);
    assert_eq!(pairs("a<<END\nx\nEND"), [pair("a", "x")]);
    assert_eq!(pairs("a=1\r\n"), [pair("a", "1\r")]);
}

#[test]
fn a_mistake_ends_the_reading_and_keeps_what_came_before() {
    for (text, mistake) in [
        ("a=1\nnonsense\nb=2\n", "Invalid format 'nonsense'"),
        ("a=1\nb<<END\nx\n", "Matching delimiter not found 'END'"),
        ("a=1\nb<<END\nx", "EOF marker missing new line"),
        // The terminator has a carriage return, so it is none.
        (
            "a=1\nb<<END\nx\nEND\r\n",
            "Matching delimiter not found 'END'",
        ),
        ("a=1\n<<END\nEND\n", "Name must not be empty"),
        ("a=1\nb<<\n", "delimiter must not be empty"),
    ] {
        let found = parse_pairs(text);
        assert_eq!(found.pairs, [("a".to_owned(), "1".to_owned())], "{text}");
        let told = found.mistake.unwrap_or_default();
        assert!(told.contains(mistake), "{text:?} gave {told:?}");
    }
}
