//! Numbers, strings and their formats, as the JSON form of protocol buffers has them.
//!
//! Formats: <https://developers.google.com/discovery/v1/type-format>.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use chrono::DateTime;
use serde_json::Value;

/// What is wrong with a scalar; `None`: nothing. `None` also for a type that is none.
pub(super) fn complaint(schema: &Value, value: &Value) -> Option<String> {
    let format = schema["format"].as_str().unwrap_or_default();
    match (schema["type"].as_str().unwrap_or_default(), value) {
        ("boolean", Value::Bool(_)) => None,
        ("integer", Value::Number(number)) => integer(format, number.as_i64()),
        ("number", Value::Number(_)) => None,
        // Infinity and NaN have no number in JSON.
        ("number", Value::String(text))
            if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") =>
        {
            None
        }
        ("string", Value::String(text)) => string(schema, format, text),
        (kind, other) => {
            let format = if format.is_empty() {
                String::new()
            } else {
                format!(" ({format})")
            };
            Some(format!("is {}, not of type {kind}{format}", name_of(other)))
        }
    }
}

fn integer(format: &str, number: Option<i64>) -> Option<String> {
    let range = match format {
        "uint32" => 0..=i64::from(u32::MAX),
        _ => i64::from(i32::MIN)..=i64::from(i32::MAX),
    };
    match number {
        Some(number) if range.contains(&number) => None,
        Some(number) => Some(format!("{number} is no {format}")),
        None => Some(format!("is no {format}")),
    }
}

fn string(schema: &Value, format: &str, text: &str) -> Option<String> {
    if let Some(names) = schema["enum"].as_array() {
        let is_known = names.iter().any(|name| name == text);
        return (!is_known).then(|| format!("{text:?} is no value of this enumeration"));
    }
    let is_right = match format {
        "int64" => text.parse::<i64>().is_ok() && !text.starts_with('+'),
        "uint64" => text.parse::<u64>().is_ok() && !text.starts_with('+'),
        "google-duration" => is_duration(text),
        "google-datetime" | "date-time" => {
            text.ends_with('Z') && DateTime::parse_from_rfc3339(text).is_ok()
        }
        // Protocol buffers' JSON form takes either alphabet; gcloud writes the one for URLs.
        "byte" => STANDARD.decode(text).is_ok() || URL_SAFE.decode(text).is_ok(),
        "google-fieldmask" => text.split(',').all(|path| !path.is_empty()),
        _ => true,
    };
    (!is_right).then(|| format!("{text:?} is no {format}"))
}

/// `300s`, `0.250s`.
fn is_duration(text: &str) -> bool {
    let Some(number) = text.strip_suffix('s') else {
        return false;
    };
    let number = number.strip_prefix('-').unwrap_or(number);
    let (seconds, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let are_digits =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(seconds) && are_digits(fraction) && fraction.len() <= 9
}

pub(super) fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn formats_are_told_apart() {
        let string = |format: &str| json!({"type": "string", "format": format});
        let right = [
            (string("int64"), json!("12")),
            (string("google-duration"), json!("0.25s")),
            (
                string("google-datetime"),
                json!("2026-11-24T07:10:00.000000Z"),
            ),
            (string("byte"), json!("ACAB")),
            (string("byte"), json!("Bw-_")),
            (json!({"type": "integer", "format": "int32"}), json!(-3)),
            (json!({"type": "number", "format": "double"}), json!(0.5)),
        ];
        for (schema, value) in right {
            assert_eq!(complaint(&schema, &value), None, "{schema} {value}");
        }
        let wrong = [
            (string("int64"), json!(12)),
            (string("int64"), json!("+12")),
            (string("google-duration"), json!("300")),
            (string("google-duration"), json!("5m")),
            (string("google-datetime"), json!("2026-11-24 07:10:00")),
            (
                string("google-datetime"),
                json!("2026-11-24T07:10:00+01:00"),
            ),
            (string("byte"), json!("not base64!")),
            (json!({"type": "integer", "format": "int32"}), json!("3")),
            (json!({"type": "integer", "format": "int32"}), json!(0.5)),
            (
                json!({"type": "integer", "format": "int32"}),
                json!(3_000_000_000_u64),
            ),
            (json!({"type": "boolean"}), json!("true")),
            (json!({"type": "string", "enum": ["A"]}), json!("B")),
            (json!({"type": "string"}), json!(null)),
        ];
        for (schema, value) in wrong {
            assert!(complaint(&schema, &value).is_some(), "{schema} {value}");
        }
    }
}
