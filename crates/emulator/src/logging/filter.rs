//! The part of Cloud Logging's query language that readers of Cloud Run logs use: comparisons,
//! joined by `AND` (or just written one after the other), with `NOT`/`-` before one.
//!
//! Source: <https://cloud.google.com/logging/docs/view/logging-query-language>.

use chrono::DateTime;
use serde_json::Value;

use super::{RevisionLabels, Severity};

/// A parsed filter: each comparison must hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter(Vec<Comparison>);

#[derive(Debug, PartialEq, Eq)]
struct Comparison {
    negated: bool,
    field: Vec<String>,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Has,
}

const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    (":", Operator::Has),
];

impl Filter {
    /// Reads a filter; the error says what is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim_start();
        let mut comparisons = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = keyword(rest, "AND") {
                rest = after;
                continue;
            }
            if keyword(rest, "OR").is_some() || rest.starts_with('(') {
                return Err(format!(
                    "the local cloud joins comparisons by AND only, near '{rest}'"
                ));
            }
            let (comparison, after) = Comparison::parse(rest)?;
            comparisons.push(comparison);
            rest = after;
        }
        Ok(Self(comparisons))
    }

    /// False when no entry of a revision with these labels can meet the filter. Asked once for each
    /// revision, so that the entries of the others need not be looked at.
    pub(super) fn may_match(&self, labels: &RevisionLabels) -> bool {
        self.0.iter().all(|comparison| {
            let [resource, of, name] = comparison.field.as_slice() else {
                return true;
            };
            let is_plain = !comparison.negated && comparison.operator == Operator::Equal;
            if !is_plain || resource != "resource" || of != "labels" {
                return true;
            }
            let label = match name.as_str() {
                "service_name" | "configuration_name" => &labels.service,
                "revision_name" => &labels.revision,
                "location" => &labels.location,
                _ => return true,
            };
            order(label, &comparison.value).is_eq()
        })
    }

    /// True when the entry meets every comparison.
    pub(super) fn matches(&self, entry: &Value) -> bool {
        self.0
            .iter()
            .all(|comparison| comparison.holds(entry) != comparison.negated)
    }
}

/// What follows a word that stands alone.
fn keyword<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let after = text.strip_prefix(word)?;
    after
        .starts_with(char::is_whitespace)
        .then(|| after.trim_start())
}

impl Comparison {
    fn parse(text: &str) -> Result<(Self, &str), String> {
        let (negated, text) = match keyword(text, "NOT") {
            Some(after) => (true, after),
            None => match text.strip_prefix('-') {
                Some(after) => (true, after),
                None => (false, text),
            },
        };
        let (field, rest) = token(text, |letter| {
            letter.is_whitespace() || "=<>!:".contains(letter)
        })?;
        let rest = rest.trim_start();
        let (sign, operator) = OPERATORS
            .iter()
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or_else(|| format!("expected a comparison near '{text}'"))?;
        let (value, rest) = token(rest[sign.len()..].trim_start(), char::is_whitespace)?;
        let comparison = Self {
            negated,
            field: path(&field),
            operator: *operator,
            value,
        };
        Ok((comparison, rest.trim_start()))
    }

    fn holds(&self, entry: &Value) -> bool {
        let found = self
            .field
            .iter()
            .try_fold(entry, |value, part| value.get(part));
        let is_severity = self.field == ["severity"];
        let found = match found {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None if is_severity => "DEFAULT".to_owned(),
            Some(Value::Null) | None => return self.operator == Operator::NotEqual,
            Some(other) => other.to_string(),
        };
        let ordering = if is_severity {
            Severity::parse(&found).cmp(&Severity::parse(&self.value))
        } else {
            order(&found, &self.value)
        };
        match self.operator {
            Operator::Equal => ordering.is_eq(),
            Operator::NotEqual => ordering.is_ne(),
            Operator::Less => ordering.is_lt(),
            Operator::LessOrEqual => ordering.is_le(),
            Operator::Greater => ordering.is_gt(),
            Operator::GreaterOrEqual => ordering.is_ge(),
            Operator::Has => {
                let (found, value) = (found.to_lowercase(), self.value.to_lowercase());
                value == "*" || found.contains(&value)
            }
        }
    }
}

/// Times by time, numbers by value, else by text.
fn order(left: &str, right: &str) -> std::cmp::Ordering {
    let time = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    if let (Some(left), Some(right)) = (time(left), time(right)) {
        return left.cmp(&right);
    }
    if let (Ok(left), Ok(right)) = (left.parse::<f64>(), right.parse::<f64>()) {
        return left.total_cmp(&right);
    }
    left.cmp(right)
}

/// One token, quoted or up to where `ends` says.
fn token(text: &str, ends: impl Fn(char) -> bool) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(ends).unwrap_or(text.len());
        if end == 0 {
            return Err(format!("expected a field or value near '{text}'"));
        }
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &quoted[index + 1..])),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    Err(format!("a quote is not closed in '{text}'"))
}

/// `labels."a.b"` and `resource.labels.x` as parts.
fn path(field: &str) -> Vec<String> {
    field.split('.').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(filter: &str) -> bool {
        let entry = json!({"severity": "WARNING", "timestamp": "2026-11-24T07:00:00.000000Z", "textPayload": "Out of Memory",
            "httpRequest": {"status": 503}, "logName": "projects/p/logs/run.googleapis.com%2Fstderr",
            "resource": {"type": "cloud_run_revision", "labels": {"service_name": "hello", "revision_name": "hello-1"}}});
        Filter::parse(filter).expect(filter).matches(&entry)
    }

    #[test]
    fn gcloud_s_filter_is_understood() {
        assert!(matches(
            "resource.type = cloud_run_revision \n AND resource.labels.service_name = hello \n AND severity >= DEFAULT \n AND timestamp>=\"2026-11-23T07:00:00Z\""
        ));
    }

    #[test]
    fn comparisons_hold_or_not() {
        for filter in [
            "",
            "severity>=INFO",
            "severity=\"WARNING\"",
            "-severity=ERROR",
            "NOT severity=ERROR",
            "textPayload:memory",
            "httpRequest.status>=500 httpRequest.status<504",
            "jsonPayload.x!=1",
            "logName=\"projects/p/logs/run.googleapis.com%2Fstderr\"",
            "textPayload:*",
        ] {
            assert!(matches(filter), "{filter}");
        }
        for filter in [
            "severity>WARNING",
            "resource.labels.revision_name=hello-2",
            "timestamp<\"2026-11-24T07:00:00Z\"",
            "jsonPayload.x=1",
            "textPayload:disk",
        ] {
            assert!(!matches(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for filter in ["a=1 OR b=2", "(a=1)", "word", "a=\"open", "=1"] {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
    }
}
