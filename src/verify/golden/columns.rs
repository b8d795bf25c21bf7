//! An answer against the recorded one, column by column. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::spec::GoldenSpec;
use crate::verify::compare::{Tolerance, rounded};
use crate::verify::mask::Mask;

/// How each column is compared.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    standard: Tolerance,
    columns: BTreeMap<String, Rule>,
    mask: Mask,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    tolerance: Tolerance,
    label: bool,
    ignore: bool,
}

/// What one column of one row brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compared {
    /// Its name, with dots.
    pub(crate) column: String,
    pub(crate) kind: Kind,
}

/// How near the answer is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A number.
    Number {
        /// How far it is off.
        delta: f64,
        /// In units of what is allowed; above 1 it is too far.
        share: f64,
    },
    /// A label.
    Label {
        /// Whether it is the recorded one.
        same: bool,
    },
    /// Another kind of value, nothing, or a list of another length.
    Other,
}

/// One row, compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RowResult {
    /// Each column.
    pub(crate) columns: Vec<Compared>,
    /// One line for each column that differs.
    pub(crate) lines: Vec<String>,
    /// How bad it is; the worst rows are shown. A label or a shape that differs is infinitely bad.
    pub(crate) badness: f64,
}

impl Rules {
    /// From the file's description; `tolerance` is what holds unless a column says otherwise.
    /// What differs is shown without what the mask hides.
    pub(crate) fn new(spec: &GoldenSpec, tolerance: Tolerance, mask: Mask) -> Self {
        let rule = |column: &super::spec::ColumnSpec| Rule {
            tolerance: Tolerance {
                absolute: column.absolute.unwrap_or(tolerance.absolute),
                relative: column.relative.unwrap_or(tolerance.relative),
            },
            label: column.label,
            ignore: column.ignore,
        };
        Self {
            standard: tolerance,
            columns: spec
                .columns
                .iter()
                .map(|(name, column)| (name.clone(), rule(column)))
                .collect(),
            mask,
        }
    }

    fn rule(&self, column: &str) -> Rule {
        let standard = Rule {
            tolerance: self.standard,
            label: false,
            ignore: false,
        };
        self.columns.get(column).copied().unwrap_or(standard)
    }

    /// Compares a whole answer. A subset match, like a case's `json`.
    pub(crate) fn compare(&self, expected: &Value, got: &Value) -> RowResult {
        let mut result = RowResult::default();
        self.at(&mut String::new(), expected, Some(got), &mut result);
        result
    }

    fn at(&self, name: &mut String, expected: &Value, got: Option<&Value>, result: &mut RowResult) {
        let inner = |name: &mut String, key: &str| {
            let before = name.len();
            if before > 0 {
                name.push('.');
            }
            name.push_str(key);
            before
        };
        match (expected, got) {
            (Value::Object(entries), Some(Value::Object(got))) => {
                for (key, expected) in entries {
                    let before = inner(name, key);
                    self.at(name, expected, got.get(key), result);
                    name.truncate(before);
                }
            }
            (Value::Array(items), Some(Value::Array(got))) if items.len() == got.len() => {
                for (index, (expected, got)) in items.iter().zip(got).enumerate() {
                    let before = inner(name, &index.to_string());
                    self.at(name, expected, Some(got), result);
                    name.truncate(before);
                }
            }
            (expected, got) => self.leaf(name, expected, got, result),
        }
    }

    fn leaf(&self, name: &str, expected: &Value, got: Option<&Value>, result: &mut RowResult) {
        let rule = self.rule(name);
        if rule.ignore {
            return;
        }
        let is_label = rule.label || expected.is_string() || expected.is_boolean();
        let numbers = expected.as_f64().zip(got.and_then(Value::as_f64));
        let kind = match (numbers, got) {
            (Some((wanted, has)), _) if !is_label => near(rule.tolerance, wanted, has),
            (_, Some(got)) if is_label => Kind::Label {
                same: expected == got || is_same_number(expected, got),
            },
            (_, Some(got)) if expected == got => return,
            _ => Kind::Other,
        };
        let badness = kind.badness();
        if badness > 1.0 {
            result.lines.push(self.line(name, expected, got, &kind));
        }
        result.badness = result.badness.max(badness);
        result.columns.push(Compared {
            column: shown_name(name).to_owned(),
            kind,
        });
    }

    fn line(&self, name: &str, expected: &Value, got: Option<&Value>, kind: &Kind) -> String {
        let name = shown_name(name);
        let expected = self.mask.clip(&expected.to_string());
        let got = got.map_or_else(
            || "nothing".to_owned(),
            |got| self.mask.clip(&got.to_string()),
        );
        match kind {
            Kind::Number { delta, .. } => {
                let delta = rounded(*delta);
                format!("{name}: expected {expected}, got {got}, difference {delta}")
            }
            _ => format!("{name}: expected {expected}, got {got}"),
        }
    }
}

impl Kind {
    fn badness(&self) -> f64 {
        match self {
            Self::Number { share, .. } => *share,
            Self::Label { same: true } => 0.0,
            Self::Label { same: false } | Self::Other => f64::INFINITY,
        }
    }
}

/// `1` and `1.0` are one number, however the API writes it. Whole numbers are compared as such: above
/// 2^53 a float cannot tell neighbours apart.
fn is_same_number(expected: &Value, got: &Value) -> bool {
    let is_whole = |value: &Value| value.is_i64() || value.is_u64();
    match (expected.as_f64(), got.as_f64()) {
        (Some(wanted), Some(has)) if !(is_whole(expected) && is_whole(got)) => wanted == has,
        _ => false,
    }
}

fn near(tolerance: Tolerance, expected: f64, got: f64) -> Kind {
    let delta = (expected - got).abs();
    let allowed = tolerance.absolute.max(tolerance.relative * expected.abs());
    let share = match (delta == 0.0, delta <= allowed) {
        (true, _) => 0.0,
        (false, true) => delta / allowed,
        // Nothing is allowed: the larger the difference, the worse.
        (false, false) if allowed == 0.0 => 1.0 + delta.max(f64::MIN_POSITIVE),
        (false, false) => (delta / allowed).max(1.0 + f64::EPSILON),
    };
    Kind::Number { delta, share }
}

fn shown_name(name: &str) -> &str {
    if name.is_empty() { "answer" } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> Rules {
        let spec = serde_json::from_value(json!({
            "file": "x.csv", "request": {"path": "/p"},
            "columns": {
                "p": {"absolute": 0.01},
                "price": {"absolute": 0, "relative": 0.1},
                "class": {"label": true},
                "debug": {"ignore": true},
                "scores.1": {"absolute": 1},
            },
        }));
        Rules::new(&spec.unwrap(), Tolerance::default(), Mask::default())
    }

    #[test]
    fn each_column_has_its_own_rule() {
        for (expected, got, wanted) in [
            (json!({"p": 0.5}), json!({"p": 0.509}), vec![]),
            (
                json!({"p": 0.5}),
                json!({"p": 0.52}),
                vec!["p: expected 0.5, got 0.52, difference 0.0200"],
            ),
            (json!({"price": 100}), json!({"price": 109.9}), vec![]),
            (
                json!({"price": 100}),
                json!({"price": 111}),
                vec!["price: expected 100, got 111, difference 11.0000"],
            ),
            (json!({"class": 1}), json!({"class": 1}), vec![]),
            (
                json!({"class": 1}),
                json!({"class": 2}),
                vec!["class: expected 1, got 2"],
            ),
            (json!({"class": 1}), json!({"class": 1.0}), vec![]),
            (json!({"class": 1.0}), json!({"class": 1}), vec![]),
            (
                json!({"class": 9_007_199_254_740_993_u64}),
                json!({"class": 9_007_199_254_740_992_u64}),
                vec!["class: expected 9007199254740993, got 9007199254740992"],
            ),
            (
                json!({"class": 1}),
                json!({"class": true}),
                vec!["class: expected 1, got true"],
            ),
            (json!({"debug": 1}), json!({"debug": "x"}), vec![]),
            (
                json!({"label": "a", "ok": true}),
                json!({"label": "b", "ok": false}),
                vec![
                    "label: expected \"a\", got \"b\"",
                    "ok: expected true, got false",
                ],
            ),
            (
                json!({"scores": [0.1, 2.0]}),
                json!({"scores": [0.2, 2.9]}),
                vec!["scores.0: expected 0.1, got 0.2, difference 0.1000"],
            ),
            (
                json!({"scores": [1]}),
                json!({"scores": [1, 2]}),
                vec!["scores: expected [1], got [1,2]"],
            ),
            (
                json!({"a": 1}),
                json!({}),
                vec!["a: expected 1, got nothing"],
            ),
            (json!({"a": null}), json!({"a": null}), vec![]),
            (
                json!({"a": null}),
                json!({"a": 1}),
                vec!["a: expected null, got 1"],
            ),
            (
                json!({"a": 1}),
                json!({"a": "1"}),
                vec!["a: expected 1, got \"1\""],
            ),
            (
                json!(0.5),
                json!(0.6),
                vec!["answer: expected 0.5, got 0.6, difference 0.1000"],
            ),
            (
                json!({"a": {"b": 1}}),
                json!({"a": {"b": 1, "c": 2}}),
                vec![],
            ),
        ] {
            let result = rules().compare(&expected, &got);
            assert_eq!(result.lines, wanted, "{expected} against {got}");
            assert_eq!(result.badness > 1.0, !wanted.is_empty());
        }
    }

    #[test]
    fn what_is_worse_weighs_more() {
        let badness = |got: Value| rules().compare(&json!({"p": 0.5, "l": "a"}), &got).badness;
        let same = badness(json!({"p": 0.5, "l": "a"}));
        let near = badness(json!({"p": 0.505, "l": "a"}));
        let far = badness(json!({"p": 0.52, "l": "a"}));
        let farther = badness(json!({"p": 0.9, "l": "a"}));
        let flipped = badness(json!({"p": 0.5, "l": "b"}));
        assert!(same < near && near < 1.0 && 1.0 < far && far < farther && farther < flipped);
        let exact = Tolerance {
            absolute: 0.0,
            relative: 0.0,
        };
        assert!(
            matches!(near_kind(exact, 1.0, 1.0 + 1e-12), Kind::Number { share, .. } if share > 1.0)
        );
    }

    fn near_kind(tolerance: Tolerance, expected: f64, got: f64) -> Kind {
        near(tolerance, expected, got)
    }
}
