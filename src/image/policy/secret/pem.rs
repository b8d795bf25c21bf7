//! Private keys in PEM form (RFC 7468), in files and in JSON strings. Pure.

use std::ops::Range;

use super::rule::{Hit, Rule};

/// Longest PEM block that is looked at in bytes: an RSA key of 16,384 bits has 12.6 kB.
pub const LONGEST: usize = 16 * 1024;
/// Fewest base64 characters of a key: an Ed25519 key in PKCS #8 has 64.
const LEAST: usize = 60;
/// Fewest in a service account's key file, whose other fields leave no doubt.
const LEAST_IN_KEY_FILE: usize = 16;
/// Headers inside of old forms: `Proc-Type`, `DEK-Info`, PGP's `Version`, `Comment`.
const MOST_HEADERS: usize = 8;

/// Checks whether `PRIVATE KEY` is part of a block with a key in it. The mark alone stands in the
/// code of every cryptography library.
pub fn examine(buffer: &[u8], literal: Range<usize>) -> Option<Hit> {
    let start = begin(buffer, literal.start)?;
    let after = buffer.get(literal.end..(literal.end + LONGEST).min(buffer.len()))?;
    let after_mark = after
        .strip_prefix(b"-----")
        .or_else(|| after.strip_prefix(b" BLOCK-----"))?;
    let body_at = literal.end + after.len() - after_mark.len();
    let stop = after_mark
        .windows(8)
        .position(|window| window == b"-----END")?;
    let text = unescaped(&after_mark[..stop]);
    let is_key_file = is_in_key_file(buffer, start);
    let least = if is_key_file {
        LEAST_IN_KEY_FILE
    } else {
        LEAST
    };
    if !is_key(&text, least) {
        return None;
    }
    let rule = if is_key_file {
        Rule::GoogleServiceAccountKey
    } else {
        Rule::PrivateKey
    };
    Some(Hit {
        rule,
        start,
        end: body_at + stop,
    })
}

/// `-----BEGIN `, then capitals up to the literal.
fn begin(buffer: &[u8], literal: usize) -> Option<usize> {
    const MARK: &[u8] = b"-----BEGIN ";
    /// `-----BEGIN ENCRYPTED `, `OPENSSH`, `RSA`, `DSA`, `EC`, `PGP`.
    const LONGEST_KIND: usize = 16;
    let from = literal.saturating_sub(MARK.len() + LONGEST_KIND);
    let before = &buffer[from..literal];
    let at = before
        .windows(MARK.len())
        .rposition(|window| window == MARK)?;
    let kind = &before[at + MARK.len()..];
    let fits = kind
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || *byte == b' ');
    fits.then_some(from + at)
}

/// JSON and shells write a line's end as `\n`, or as `\\n`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        match rest.peek() {
            Some(b'n' | b'r') => {
                rest.next();
                plain.push(b'\n');
            }
            Some(b'\\') => {}
            _ => plain.push(b'\\'),
        }
    }
    plain
}

/// Headers, then base64 alone that decodes to enough bytes.
fn is_key(text: &[u8], least: usize) -> bool {
    let mut digits = Vec::new();
    let mut headers = 0;
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.trim_ascii();
        // The check sum of PGP.
        if line.is_empty() || (line.starts_with(b"=") && line.len() == 5) {
            continue;
        }
        if digits.is_empty() && line.contains(&b':') && headers < MOST_HEADERS {
            headers += 1;
            continue;
        }
        if !line
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
        {
            return false;
        }
        digits.extend_from_slice(line);
    }
    let padding = digits
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    let bare = &digits[..digits.len() - padding];
    let is_base64 = padding <= 2 && !bare.contains(&b'=') && bare.len() % 4 != 1;
    let kinds = bare.iter().collect::<std::collections::BTreeSet<_>>().len();
    // `AAAA…` and the like are examples.
    is_base64 && bare.len() >= least && kinds >= 8
}

/// The other fields of a service account's key file stand near.
fn is_in_key_file(buffer: &[u8], start: usize) -> bool {
    const NEAR: usize = 4096;
    let around = &buffer[start.saturating_sub(NEAR)..(start + NEAR).min(buffer.len())];
    let has = |word: &[u8]| around.windows(word.len()).any(|window| window == word);
    has(b"private_key") && (has(b"service_account") || has(b"auth_provider_x509_cert_url"))
}
