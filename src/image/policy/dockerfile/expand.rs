//! `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME:+word}` in a Dockerfile's arguments.

use std::collections::BTreeMap;

/// Variables of one scope: those without a value are known and empty.
pub type Variables = BTreeMap<String, String>;

/// Deepest nesting of `${A:-${B:-…}}` that is followed.
const DEEPEST: usize = 16;

/// Puts values in place of names. A name that is not known is empty, as for the builder; `None`
/// when the text asks for something that is not known without a default, so that its value would be
/// a guess.
pub fn expand(text: &str, variables: &Variables) -> Option<String> {
    expand_within(text, variables, DEEPEST)
}

fn expand_within(text: &str, variables: &Variables, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if rest[at..].starts_with('\\') {
            let mut escaped = after.chars();
            expanded.extend(escaped.next());
            rest = escaped.as_str();
            continue;
        }
        let (value, behind) = match after.strip_prefix('{') {
            Some(inner) => {
                let end = closing(inner)?;
                (braced(&inner[..end], variables, depth)?, &inner[end + 1..])
            }
            None => {
                let end = name_length(after);
                if end == 0 {
                    expanded.push('$');
                    rest = after;
                    continue;
                }
                (variables.get(&after[..end])?.clone(), &after[end..])
            }
        };
        expanded.push_str(&value);
        rest = behind;
    }
    expanded.push_str(rest);
    Some(expanded)
}

fn name_length(text: &str) -> usize {
    text.bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count()
}

/// Index of the brace that closes the one before the text.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

fn braced(inner: &str, variables: &Variables, depth: usize) -> Option<String> {
    let (name, operation) = inner.split_at(name_length(inner));
    let value = variables.get(name);
    let is_set = value.is_some_and(|value| !value.is_empty());
    if operation.is_empty() {
        return value.cloned();
    }
    for (mark, needs_text) in [(":-", true), ("-", false), (":+", true), ("+", false)] {
        if let Some(word) = operation.strip_prefix(mark) {
            let counts = if needs_text { is_set } else { value.is_some() };
            let takes_word = mark.ends_with('+') == counts;
            return if takes_word {
                expand_within(word, variables, depth)
            } else {
                Some(value.cloned().unwrap_or_default())
            };
        }
    }
    // `${A#pattern}` and the like: a guess would be wrong.
    None
}
