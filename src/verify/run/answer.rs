//! What an answer holds, in words.

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::verify::caller::Answer;
use crate::verify::mask::Mask;

/// Headers whose values are never shown.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];
/// Parts of the names of such headers.
const SECRET_WORDS: &[&str] = &["token", "secret", "api-key", "apikey", "password"];

/// Whether the value of a header of this name is never shown.
pub(crate) fn is_secret_header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_HEADERS.contains(&lower.as_str()) || SECRET_WORDS.iter().any(|word| lower.contains(word))
}

/// Every value of a header.
pub(crate) fn header_values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect()
}

/// Reads JSON, or tells in one line why it is none.
pub(crate) fn read_json(answer: &Answer) -> Result<Value, String> {
    let kind = answer.content_type();
    let is_json = kind
        .as_deref()
        .is_some_and(|kind| kind.ends_with("/json") || kind.ends_with("+json"));
    if !is_json {
        let kind = kind.unwrap_or_else(|| "none".to_owned());
        let text = answer.mask.clip(&String::from_utf8_lossy(&answer.body));
        return Err(format!(
            "content-type: expected JSON, got {}; the answer was: {text}",
            answer.mask.clip(&kind)
        ));
    }
    parse_json(&answer.body, &answer.mask)
}

/// Parses JSON, or tells in one line why it is none.
pub(crate) fn parse_json(body: &[u8], mask: &Mask) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| {
        let text = String::from_utf8_lossy(body);
        match bare_word(&text) {
            Some(word) => {
                format!("the answer holds {word}, which JSON does not have: the API gave no number")
            }
            None if error.is_eof() => {
                format!(
                    "the answer ends in the middle of its JSON: {}",
                    mask.clip(&text)
                )
            }
            None => format!("the answer is not JSON ({error}): {}", mask.clip(&text)),
        }
    })
}

/// `NaN` or `Infinity` outside strings, as Python's `json` writes them.
fn bare_word(text: &str) -> Option<&'static str> {
    let mut in_string = false;
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            'N' | 'I' if !in_string => {
                let rest = &text[index..];
                let word = ["NaN", "Infinity"]
                    .into_iter()
                    .find(|word| rest.starts_with(word));
                if word.is_some() {
                    return word;
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_does_not_have_are_named() {
        for (text, word) in [
            (r#"{"p": NaN}"#, Some("NaN")),
            (r#"{"p": -Infinity}"#, Some("Infinity")),
            (r#"{"p": "NaN"}"#, None),
            (r#"{"p": "\"NaN"}"#, None),
            (r#"{"p": nan}"#, None),
        ] {
            assert_eq!(bare_word(text), word, "{text}");
        }
    }

    #[test]
    fn headers_that_hold_secrets_are_known_by_their_names() {
        for name in ["Authorization", "X-Api-Key", "x-csrf-token", "Set-Cookie"] {
            assert!(is_secret_header(name), "{name}");
        }
        assert!(!is_secret_header("content-type"));
    }
}
