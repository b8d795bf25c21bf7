//! Label selectors of lists: `a = b`, `a != b`, `a in (b, c)`, `a notin (b)`, `a`, `!a`, joined by
//! commas.
//!
//! Source: the discovery document `run.v1`, `labelSelector`, and
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>.

use serde_json::Value;

/// Each requirement must hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    label: String,
    rule: Rule,
}

#[derive(Debug, PartialEq, Eq)]
enum Rule {
    /// The label has one of these values.
    In(Vec<String>),
    /// The label is missing or has none of these values.
    NotIn(Vec<String>),
    Exists,
    Missing,
}

impl Selector {
    /// Reads a selector; the error is the part that is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let requirements = split(text)
            .into_iter()
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| requirement(part).ok_or_else(|| part.to_owned()));
        Ok(Self(requirements.collect::<Result<_, _>>()?))
    }

    /// True when a resource with these labels is selected.
    pub(super) fn selects(&self, labels: &Value) -> bool {
        self.0.iter().all(|Requirement { label, rule }| {
            let value = labels.get(label).and_then(Value::as_str);
            match rule {
                Rule::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
                Rule::NotIn(values) => {
                    !value.is_some_and(|value| values.iter().any(|v| v == value))
                }
                Rule::Exists => value.is_some(),
                Rule::Missing => value.is_none(),
            }
        })
    }
}

/// Parts between commas that stand in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .collect()
}

fn requirement(part: &str) -> Option<Requirement> {
    let made = |label: &str, rule| {
        let label = label.trim();
        let plain = !label.is_empty() && !label.contains(|letter: char| " =!(),".contains(letter));
        plain.then(|| Requirement {
            label: label.to_owned(),
            rule,
        })
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((label, value)) = part.split_once("!=") {
        return made(label, Rule::NotIn(one(value)));
    }
    if let Some((label, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return made(label, Rule::In(one(value)));
    }
    if let Some(list) = part.strip_suffix(')') {
        let (head, values) = list.split_once('(')?;
        let values = values.split(',').map(|value| value.trim().to_owned());
        let (label, word) = head.trim().rsplit_once(' ')?;
        return match word {
            "in" => made(label, Rule::In(values.collect())),
            "notin" => made(label, Rule::NotIn(values.collect())),
            _ => None,
        };
    }
    match part.strip_prefix('!') {
        Some(label) => made(label, Rule::Missing),
        None => made(part, Rule::Exists),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operator_selects() {
        let labels = json!({"serving.knative.dev/service": "hello", "a": "1"});
        for (selector, expected) in [
            ("", true),
            ("serving.knative.dev/service = hello", true),
            ("serving.knative.dev/service=other", false),
            ("a == 1, serving.knative.dev/service = hello", true),
            ("a != 1", false),
            ("b != 1", true),
            ("a in (2, 1)", true),
            ("a notin (2,1)", false),
            ("b notin (2,1)", true),
            ("a", true),
            ("!a", false),
            ("!b", true),
        ] {
            let parsed = Selector::parse(selector).expect(selector);
            assert_eq!(parsed.selects(&labels), expected, "{selector}");
        }
        for selector in ["a ~ b", "a in", "=b", "a within (b)"] {
            assert!(Selector::parse(selector).is_err(), "{selector}");
        }
    }
}
