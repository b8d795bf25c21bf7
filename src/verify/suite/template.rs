//! `${name}` in texts: variables, secrets and captured values. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// What names stand for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Scope(BTreeMap<String, Value>);

impl Scope {
    pub(crate) fn set(&mut self, name: impl Into<String>, value: Value) {
        self.0.insert(name.into(), value);
    }

    /// The text with each `${name}` replaced; `$${` stands for `${`. A name that nothing stands for
    /// is left as it is: the suite was checked when it was read.
    pub(crate) fn text(&self, text: &str) -> String {
        self.fill(text, &|value| value)
    }

    /// The same for a path: values are percent-encoded, unless the path is nothing but one name,
    /// such as the captured `location` of an answer.
    pub(crate) fn path(&self, text: &str) -> String {
        if whole(text).is_some() {
            return self.text(text);
        }
        self.fill(text, &|value| encode(&value))
    }

    /// The same inside of JSON. A text that is nothing but one name becomes the value itself, a
    /// number stays a number.
    pub(crate) fn json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match whole(text).and_then(|name| self.0.get(name)) {
                Some(value) => value.clone(),
                None => Value::String(self.text(text)),
            },
            Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Object(entries) => entries
                .iter()
                .map(|(key, value)| (self.text(key), self.json(value)))
                .collect(),
            other => other.clone(),
        }
    }

    fn fill(&self, text: &str, encoded: &dyn Fn(String) -> String) -> String {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name { name, written } => match self.0.get(name) {
                    Some(value) => filled.push_str(&encoded(plain(value))),
                    None => filled.push_str(written),
                },
            }
        }
        filled
    }
}

/// The names that a text refers to.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Name { name, .. } => Some(name),
        Piece::Text(_) => None,
    })
}

/// A value as a part of a text: texts without quotes.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether it can be a name: letters, digits, `_` and `-`.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// Percent-encodes all but unreserved characters (RFC 3986, 2.3).
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

enum Piece<'a> {
    Text(&'a str),
    Name { name: &'a str, written: &'a str },
}

fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    is_name(name).then_some(name)
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(unescaped) = before.strip_suffix('$') {
            pieces.extend([Piece::Text(unescaped), Piece::Text("${")]);
            rest = &from[2..];
            continue;
        }
        pieces.push(Piece::Text(before));
        match from.find('}').map(|end| from.split_at(end + 1)) {
            Some((written, after)) if is_name(&written[2..written.len() - 1]) => {
                let name = &written[2..written.len() - 1];
                pieces.push(Piece::Name { name, written });
                rest = after;
            }
            _ => {
                pieces.push(Piece::Text("${"));
                rest = &from[2..];
            }
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let mut scope = Scope::default();
        scope.set("id", json!(7));
        scope.set("name", json!("a b/ü"));
        scope.set("list", json!([1, "x"]));
        scope
    }

    #[test]
    fn names_are_replaced_in_texts_paths_and_json() {
        for (text, filled) in [
            ("", ""),
            ("plain $ {id}", "plain $ {id}"),
            ("${id}", "7"),
            ("x-${id}-${name}", "x-7-a b/ü"),
            ("$${id} costs $${", "${id} costs ${"),
            ("${unknown} ${not closed", "${unknown} ${not closed"),
            ("${a b}", "${a b}"),
            ("${list}", "[1,\"x\"]"),
        ] {
            assert_eq!(scope().text(text), filled, "{text}");
        }
        assert_eq!(
            scope().path("/users/${name}/${id}"),
            "/users/a%20b%2F%C3%BC/7"
        );
        assert_eq!(scope().path("${name}"), "a b/ü");
        assert_eq!(
            scope().json(&json!({"${name}": ["${id}", "n${id}", "${list}", 1.5, null]})),
            json!({"a b/ü": [7, "n7", [1, "x"], 1.5, null]})
        );
        let found: Vec<_> = names("${a} $${b} ${c}-${c}").collect();
        assert_eq!(found, ["a", "c", "c"]);
    }
}
