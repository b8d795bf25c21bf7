//! Credentials in bytes: found by form, never repeated. Pure.

pub mod name;
pub mod pem;
pub mod rule;
pub mod scan;

pub use name::names_secret;
pub use rule::{Hit, Rule};
pub use scan::{Found, Scanner};

/// Characters of a credential that a finding shows, to tell one from another.
const SHOWN: usize = 4;

/// The first characters of a credential: enough to find it, of no use to anybody.
pub fn masked(secret: &[u8]) -> String {
    let shown = secret.iter().take(SHOWN.min(secret.len() / 4));
    let mut text: String = shown
        .map(|byte| {
            if byte.is_ascii_graphic() {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect();
    text.push('…');
    text
}

/// A credential in words, with its first characters; those of a key say nothing.
pub fn described(rule: Rule, masked: &str) -> String {
    if masked.starts_with('-') {
        rule.words().to_owned()
    } else {
        format!("{} (`{masked}`)", rule.words())
    }
}

/// A text without the credentials that are known by form, and without passwords in addresses.
pub fn redact(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut from = 0;
    for hit in Scanner::shared().hits(text.as_bytes()) {
        // The forms are ASCII, so these are borders of characters.
        if hit.start >= from && text.is_char_boundary(hit.start) && text.is_char_boundary(hit.end) {
            redacted.push_str(&text[from..hit.start]);
            redacted.push_str(&masked(&text.as_bytes()[hit.start..hit.end]));
            from = hit.end;
        }
    }
    redacted.push_str(&text[from..]);
    without_passwords(&redacted)
}

/// `https://user:password@host` → `https://…@host`.
fn without_passwords(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        plain.push_str(before);
        let end = after
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '<' | '>' | '?' | '#')
            })
            .unwrap_or(after.len());
        rest = after;
        if let Some(user_end) = after[..end].rfind('@') {
            // `git@host` is no secret.
            if after[..user_end] == *"git" {
                plain.push_str("git");
            } else {
                plain.push('…');
            }
            rest = &after[user_end..];
        }
    }
    plain.push_str(rest);
    plain
}
