//! The text of a requirements file → logical lines, as pip reads them: decoded, split, continued,
//! without comments. Source: pip's documentation, "Requirements File Format", and PEP 263.

use crate::image::policy::placed::{LogicalLine, Placed};

/// Why a file's bytes are no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the encoding `{0}` that its first lines name is not known here")]
pub struct UnknownEncoding(pub String);

/// Bytes → text: a byte order mark decides, else a PEP 263 comment in the first two lines, else
/// UTF-8, else Latin-1, which pip's locale fallback amounts to and which never fails.
///
/// # Errors
/// When the comment names an encoding that is not known here.
pub fn decode(bytes: &[u8]) -> Result<String, UnknownEncoding> {
    const MARKS: [(&[u8], &str); 5] = [
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe\x00\x00", "utf-32-le"),
        (b"\x00\x00\xfe\xff", "utf-32-be"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ];
    for (mark, name) in MARKS {
        if let Some(rest) = bytes.strip_prefix(mark) {
            return Ok(decode_as(rest, name).unwrap_or_default());
        }
    }
    if let Some(name) = named_encoding(bytes) {
        return decode_as(bytes, &name).ok_or(UnknownEncoding(name));
    }
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => latin_1(bytes),
    })
}

fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn decode_as(bytes: &[u8], name: &str) -> Option<String> {
    let wide = |size: usize, one: fn(&[u8]) -> u32| -> Vec<u32> {
        bytes.chunks_exact(size).map(one).collect()
    };
    let pair = |units: Vec<u32>| {
        let units: Vec<u16> = units.iter().map(|unit| (*unit & 0xffff) as u16).collect();
        String::from_utf16_lossy(&units)
    };
    let plain = |units: Vec<u32>| -> String {
        let one = |unit: &u32| char::from_u32(*unit).unwrap_or(char::REPLACEMENT_CHARACTER);
        units.iter().map(one).collect()
    };
    match name.to_ascii_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" | "utf-8-sig" | "ascii" | "us-ascii" => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "iso-8859-15" | "cp1252"
        | "windows-1252" => Some(latin_1(bytes)),
        "utf-16-le" => Some(pair(wide(2, little_endian))),
        "utf-16-be" => Some(pair(wide(2, big_endian))),
        "utf-32-le" => Some(plain(wide(4, little_endian))),
        "utf-32-be" => Some(plain(wide(4, big_endian))),
        _ => None,
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// `# -*- coding: NAME -*-` in the first two lines.
fn named_encoding(bytes: &[u8]) -> Option<String> {
    let head = bytes.split(|byte| *byte == b'\n').take(2);
    for line in head {
        let line = latin_1(line);
        let Some(comment) = line.trim_start().strip_prefix('#') else {
            continue;
        };
        let Some(at) = comment.find("coding") else {
            continue;
        };
        let rest = &comment[at + "coding".len()..];
        let Some(rest) = rest.strip_prefix([':', '=']) else {
            continue;
        };
        let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name: String = rest.trim_start().chars().take_while(is_part).collect();
        if !name.is_empty() {
            return Some(name);
        }
    }
    None
}

/// Text → logical lines.
pub fn logical_lines(text: &str) -> Vec<LogicalLine> {
    let mut logical = Vec::new();
    let mut joined: Vec<Placed> = Vec::new();
    for line in physical_lines(text) {
        let is_comment = {
            let first = line.iter().find(|(c, _)| !c.is_whitespace());
            first.is_some_and(|(c, _)| *c == '#')
        };
        if !is_comment && line.last().is_some_and(|(c, _)| *c == '\\') {
            let end = line
                .iter()
                .rposition(|(c, _)| *c != '\\')
                .map_or(0, |at| at + 1);
            joined.extend(&line[..end]);
            continue;
        }
        if is_comment {
            // A comment ends the line that is continued, and stays a comment of it.
            let at = line.first().map_or((1, 1), |(_, at)| *at);
            joined.push((' ', at));
        }
        joined.extend(line);
        logical.extend(without_comment(&std::mem::take(&mut joined)));
    }
    logical.extend(without_comment(&joined));
    logical
}

/// Python's `splitlines`: more characters end a line there than in an editor, and only those that
/// end one in an editor too count for the position.
fn physical_lines(text: &str) -> Vec<Vec<Placed>> {
    let mut lines = vec![Vec::new()];
    let (mut line, mut column) = (1, 1);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\n' | '\r' => {
                if c == '\r' {
                    characters.next_if_eq(&'\n');
                }
                (line, column) = (line + 1, 1);
                lines.push(Vec::new());
                continue;
            }
            '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                lines.push(Vec::new());
            }
            c => {
                if let Some(last) = lines.last_mut() {
                    last.push((c, (line, column)));
                }
            }
        }
        column += 1;
    }
    lines
}

/// Drops the comment (`#` at the start or after a space, so that `#egg=` stays) and outer space.
fn without_comment(line: &[Placed]) -> Option<LogicalLine> {
    let starts = |at: usize| line[at].0 == '#' && (at == 0 || line[at - 1].0.is_whitespace());
    let end = (0..line.len()).find(|at| starts(*at)).unwrap_or(line.len());
    let kept = &line[..end];
    let first = kept.iter().position(|(c, _)| !c.is_whitespace())?;
    let last = kept.iter().rposition(|(c, _)| !c.is_whitespace())?;
    Some(kept[first..=last].iter().collect())
}
