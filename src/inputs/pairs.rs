//! Lists and `KEY=VALUE` texts, as people write them in a workflow.
//!
//! A newline separates. On a single line a comma separates only where *every* part begins with
//! `KEY=`, so that JSON and values with commas stay whole; `\,` is a comma in any case. A value of
//! several lines is JSON that is not closed at the line's end, or `KEY<<END … END`.

/// One pair, and on which line of the text it began (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Left of the first `=`, without spaces around it.
    pub key: String,
    /// Right of it, as it is.
    pub value: String,
    /// From 1.
    pub line: usize,
}

/// A part that is no pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairProblem {
    /// From 1.
    pub line: usize,
    /// What is wrong. Holds no value, which could be secret.
    pub why: String,
}

/// Splits a text into pairs. What is no pair is reported, the rest is still returned.
pub fn parse_pairs(text: &str) -> (Vec<Pair>, Vec<PairProblem>) {
    let trimmed = text.trim_end_matches(['\n', '\r']);
    if trimmed.trim().is_empty() {
        return (Vec::new(), Vec::new());
    }
    if trimmed.trim_start_matches(['\n', '\r']).contains('\n') {
        parse_lines(trimmed)
    } else {
        parse_single_line(trimmed.trim_start_matches(['\n', '\r']))
    }
}

fn parse_single_line(line: &str) -> (Vec<Pair>, Vec<PairProblem>) {
    let parts = split_at_commas(line);
    let all_pairs = parts.iter().all(|part| key_of(part).is_some());
    let parts = if all_pairs {
        parts
    } else {
        vec![line.to_owned()]
    };
    let mut pairs = Vec::new();
    let mut problems = Vec::new();
    for part in parts {
        match key_of(&part) {
            Some(key) => {
                let value = value_of(&part);
                let value = if value.trim_start().starts_with(['{', '[', '"']) {
                    value.to_owned()
                } else {
                    value.replace("\\,", ",")
                };
                pairs.push(Pair {
                    key: key.to_owned(),
                    value,
                    line: 1,
                });
            }
            None => problems.push(no_pair(1, &part)),
        }
    }
    (pairs, problems)
}

fn parse_lines(text: &str) -> (Vec<Pair>, Vec<PairProblem>) {
    let mut pairs = Vec::new();
    let mut problems = Vec::new();
    let mut lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        if line.trim().is_empty() {
            continue;
        }
        if let Some((key, end)) = heredoc_of(line) {
            let mut value = Vec::new();
            let closed = lines.by_ref().any(|(_, next)| {
                let closes = next.trim() == end;
                if !closes {
                    value.push(next);
                }
                closes
            });
            if closed {
                pairs.push(Pair {
                    key: key.to_owned(),
                    value: value.join("\n"),
                    line: number,
                });
            } else {
                problems.push(PairProblem {
                    line: number,
                    why: format!("the value of `{key}` is not closed: a line `{end}` is missing"),
                });
            }
            continue;
        }
        let Some(key) = key_of(line) else {
            problems.push(no_pair(number, line));
            continue;
        };
        let mut value = value_of(line).to_owned();
        if opens_json(&value) {
            for (_, next) in lines.by_ref() {
                value.push('\n');
                value.push_str(next);
                if is_json(&value) {
                    break;
                }
            }
            if !is_json(&value) {
                problems.push(PairProblem {
                    line: number,
                    why: format!("the JSON of `{key}` is not closed"),
                });
                continue;
            }
        }
        pairs.push(Pair {
            key: key.to_owned(),
            value,
            line: number,
        });
    }
    (pairs, problems)
}

/// True for a value that begins an object or array that goes on in the next line.
fn opens_json(value: &str) -> bool {
    let trimmed = value.trim();
    trimmed.starts_with(['{', '[']) && !trimmed.ends_with(['}', ']'])
}

fn is_json(value: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok()
}

/// `KEY<<END`.
fn heredoc_of(line: &str) -> Option<(&str, &str)> {
    let (key, end) = line.split_once("<<")?;
    let (key, end) = (key.trim(), end.trim());
    (is_key(key) && !end.is_empty() && !end.contains(char::is_whitespace)).then_some((key, end))
}

/// The key of a part that begins with `KEY=`.
fn key_of(part: &str) -> Option<&str> {
    let (key, _) = part.split_once('=')?;
    let key = key.trim();
    is_key(key).then_some(key)
}

fn value_of(part: &str) -> &str {
    part.split_once('=').map_or("", |(_, value)| value)
}

/// Keys of variables and labels, and paths of files that secrets are mounted at.
fn is_key(key: &str) -> bool {
    let path = key.starts_with('/');
    !key.is_empty()
        && key.chars().all(|c| {
            c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') || (path && c == '/')
        })
        && (path || key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

fn no_pair(line: usize, part: &str) -> PairProblem {
    // The left side of a `=` names something; everything else could be a value.
    let why = match part.split_once('=') {
        Some((key, _)) => format!("`{}` is not a key: letters, digits and `_`", key.trim()),
        None if part.trim().len() <= 40 && is_key(part.trim()) => {
            format!("`{}` has no `=`: write `{0}=value`", part.trim())
        }
        None => "is no `KEY=VALUE`".to_owned(),
    };
    PairProblem { line, why }
}

/// At each comma that no backslash precedes.
fn split_at_commas(line: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = None;
    for c in line.chars() {
        if c == ',' && before != Some('\\') {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
        before = Some(c);
    }
    parts
}

/// Texts, one a line; on a single line, separated by commas. Spaces around and empty ones are dropped.
pub fn parse_list(text: &str) -> Vec<String> {
    let separator = if text.trim().contains('\n') {
        '\n'
    } else {
        ','
    };
    text.split(separator)
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let (pairs, problems) = parse_pairs(text);
        assert!(problems.is_empty(), "{text:?}: {problems:?}");
        pairs
            .into_iter()
            .map(|pair| (pair.key, pair.value))
            .collect()
    }

    #[test]
    fn texts_that_are_pairs() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("\n\n", &[]),
            ("A=1", &[("A", "1")]),
            ("A=", &[("A", "")]),
            ("A=1\n", &[("A", "1")]),
            ("A=1,B=2", &[("A", "1"), ("B", "2")]),
            ("A=1, B=2", &[("A", "1"), ("B", "2")]),
            ("A=1\nB=2\n", &[("A", "1"), ("B", "2")]),
            ("A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")]),
            ("\nA=1\n\nB=2", &[("A", "1"), ("B", "2")]),
            ("A=x,y", &[("A", "x,y")]),
            ("A=x,y,B=2", &[("A", "x,y,B=2")]),
            ("A=x\\,B=2", &[("A", "x,B=2")]),
            ("A=1\\,2,B=3", &[("A", "1,2"), ("B", "3")]),
            ("A=1,B=2\nC=3", &[("A", "1,B=2"), ("C", "3")]),
            ("A={\"a\":1,\"b\":2}", &[("A", "{\"a\":1,\"b\":2}")]),
            ("A=[1,2]\nB=2", &[("A", "[1,2]"), ("B", "2")]),
            (
                "A={\n \"a\": 1\n}\nB=2",
                &[("A", "{\n \"a\": 1\n}"), ("B", "2")],
            ),
            ("A={\"r\":\"a\\\\,b\"}", &[("A", "{\"r\":\"a\\\\,b\"}")]),
            ("A= spaced value ", &[("A", " spaced value ")]),
            ("  A=1\n  B = 2", &[("A", "1"), ("B", " 2")]),
            (
                "URL=https://x.example/?a=b&c=d",
                &[("URL", "https://x.example/?a=b&c=d")],
            ),
            ("A=b=c", &[("A", "b=c")]),
            (
                "KEY<<END\nl1\nl2=x\nEND\nB=2",
                &[("KEY", "l1\nl2=x"), ("B", "2")],
            ),
            ("A=<<no heredoc\nB=2", &[("A", "<<no heredoc"), ("B", "2")]),
            (
                "team=ml\ncost-centre=7",
                &[("team", "ml"), ("cost-centre", "7")],
            ),
            (
                "/etc/k/file=s:1\nB=t:latest",
                &[("/etc/k/file", "s:1"), ("B", "t:latest")],
            ),
        ];
        for (text, expected) in table {
            let expected: Vec<_> = expected
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_pair_is_reported_with_its_line_and_the_rest_is_kept() {
        type Row = (&'static str, &'static [(usize, &'static str)], usize);
        let table: &[Row] = &[
            ("A", &[(1, "`A` has no `=`")], 0),
            ("A=1\nB\nC=3", &[(2, "`B` has no `=`")], 2),
            ("1A=2\nB=2", &[(1, "`1A` is not a key")], 1),
            ("A B=2", &[(1, "`A B` is not a key")], 0),
            ("s3cr3t/with+chars", &[(1, "is no `KEY=VALUE`")], 0),
            ("A={\n1", &[(1, "JSON of `A` is not closed")], 0),
            ("A<<END\nx", &[(1, "a line `END` is missing")], 0),
            ("# comment\nA=1", &[(1, "is no `KEY=VALUE`")], 1),
        ];
        for (text, expected, kept) in table {
            let (pairs, problems) = parse_pairs(text);
            assert_eq!(pairs.len(), *kept, "{text:?}");
            assert_eq!(problems.len(), expected.len(), "{text:?}");
            for (problem, (line, why)) in problems.iter().zip(*expected) {
                assert_eq!(problem.line, *line, "{text:?}");
                assert!(problem.why.contains(why), "{text:?}: {}", problem.why);
            }
        }
    }

    #[test]
    fn lists_are_split_at_newlines_or_at_commas() {
        assert_eq!(parse_list("main"), ["main"]);
        assert_eq!(parse_list("main, release"), ["main", "release"]);
        assert_eq!(parse_list("main\nrelease/1,2\n"), ["main", "release/1,2"]);
        assert!(parse_list(" \n").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn lines_of_pairs_are_read_back_as_they_were_written(
            values in proptest::collection::vec("[a-zA-Z0-9 ,=:/.-]{0,20}", 2..6)
        ) {
            let text: Vec<String> = values
                .iter()
                .enumerate()
                .map(|(number, value)| format!("K{number}=v{value}"))
                .collect();
            let (pairs, problems) = parse_pairs(&text.join("\n"));
            proptest::prop_assert!(problems.is_empty());
            let read: Vec<String> = pairs.into_iter().map(|pair| pair.value).collect();
            let wrote: Vec<String> = values.iter().map(|value| format!("v{value}")).collect();
            proptest::prop_assert_eq!(read, wrote);
        }
    }
}
