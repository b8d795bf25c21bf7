//! Compares an answer with what was expected; each difference is one line.

use serde_json::Value;

use super::mask::Mask;

/// Most difference lines of one case; the rest is counted.
const MOST_DIFFERENCES: usize = 20;

/// How far a number may be from the expected one: by the larger of both limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// By this much.
    pub absolute: f64,
    /// By this part of the expected number.
    pub relative: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self {
            absolute: 1e-6,
            relative: 0.0,
        }
    }
}

impl Tolerance {
    fn allows(self, expected: f64, got: f64) -> bool {
        (expected - got).abs() <= self.absolute.max(self.relative * expected.abs())
    }
}

/// All differences, as `JSON pointer: expected …, got …`. Empty means: as expected.
///
/// A subset match: keys that are not expected are not looked at; lists have the same length and
/// order; numbers are within the tolerance, whole or not.
pub fn compare_json(
    expected: &Value,
    got: &Value,
    tolerance: Tolerance,
    mask: &Mask,
) -> Vec<String> {
    let rules = Rules { tolerance, mask };
    let mut differences = Vec::new();
    compare_at("", expected, got, rules, &mut differences);
    if differences.len() > MOST_DIFFERENCES {
        let more = differences.len() - MOST_DIFFERENCES;
        differences.truncate(MOST_DIFFERENCES);
        differences.push(format!("and {more} more difference(s)"));
    }
    differences
}

/// How values are compared and shown.
#[derive(Clone, Copy)]
struct Rules<'a> {
    tolerance: Tolerance,
    mask: &'a Mask,
}

fn compare_at(
    pointer: &str,
    expected: &Value,
    got: &Value,
    rules: Rules<'_>,
    out: &mut Vec<String>,
) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (key, expected) in expected {
                let inner = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match got.get(key) {
                    Some(got) => compare_at(&inner, expected, got, rules, out),
                    None => out.push(format!(
                        "{inner}: expected {}, got nothing",
                        shown(expected, rules)
                    )),
                }
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            if expected.len() != got.len() {
                let (wanted, has) = (expected.len(), got.len());
                out.push(format!(
                    "{}: expected {wanted} item(s), got {has}",
                    named(pointer)
                ));
            }
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                compare_at(&format!("{pointer}/{index}"), expected, got, rules, out);
            }
        }
        (Value::Number(expected), Value::Number(got)) => {
            compare_numbers(pointer, expected, got, rules.tolerance, out);
        }
        (expected, got) if expected == got => {}
        (expected, got) => out.push(format!(
            "{}: expected {}, got {}",
            named(pointer),
            shown(expected, rules),
            shown(got, rules)
        )),
    }
}

fn compare_numbers(
    pointer: &str,
    expected: &serde_json::Number,
    got: &serde_json::Number,
    tolerance: Tolerance,
    out: &mut Vec<String>,
) {
    if expected == got {
        return;
    }
    // Above 2^53 a float cannot tell neighbours apart; whole numbers are compared as such.
    let whole = expected
        .as_i128()
        .zip(got.as_i128())
        .map(|(expected, got)| expected.abs_diff(got));
    let wanted = expected.as_f64().unwrap_or(f64::NAN);
    let has = got.as_f64().unwrap_or(f64::NAN);
    let near = match whole {
        Some(difference) => {
            difference as f64 <= tolerance.absolute.max(tolerance.relative * wanted.abs())
        }
        None => tolerance.allows(wanted, has),
    };
    if !near {
        let difference = whole.map_or_else(|| rounded((wanted - has).abs()), |d| d.to_string());
        out.push(format!(
            "{}: expected {expected}, got {got}, difference {difference}",
            named(pointer)
        ));
    }
}

/// Four significant digits say how far off it is.
pub(crate) fn rounded(difference: f64) -> String {
    if (1e-3..1e6).contains(&difference) {
        format!("{difference:.4}")
    } else {
        format!("{difference:.3e}")
    }
}

fn named(pointer: &str) -> &str {
    if pointer.is_empty() {
        "(whole answer)"
    } else {
        pointer
    }
}

fn shown(value: &Value, rules: Rules<'_>) -> String {
    rules.mask.clip(&value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Expected, got, what the difference lines hold, in order; none means: as expected.
    fn rows() -> Vec<(Value, Value, Vec<&'static str>)> {
        vec![
            (json!(null), json!(null), vec![]),
            (
                json!(null),
                json!(0),
                vec!["(whole answer): expected null, got 0"],
            ),
            (json!(null), json!(false), vec!["got false"]),
            (json!(true), json!(true), vec![]),
            (json!(true), json!(false), vec!["expected true, got false"]),
            (json!(true), json!(1), vec!["expected true, got 1"]),
            (json!(1), json!(true), vec!["expected 1, got true"]),
            (json!("a"), json!("a"), vec![]),
            (json!("a"), json!("A"), vec!["expected \"a\", got \"A\""]),
            (json!("1"), json!(1), vec!["expected \"1\", got 1"]),
            (json!(1), json!("1"), vec!["expected 1, got \"1\""]),
            (json!(1), json!(1), vec![]),
            (json!(1), json!(1.0), vec![]),
            (json!(1.0), json!(1), vec![]),
            (json!(1), json!(2), vec!["expected 1, got 2, difference 1"]),
            (json!(0.5), json!(0.500_000_5), vec![]),
            (
                json!(0.5),
                json!(0.500_002),
                vec!["expected 0.5, got 0.500002, difference 2.000e-6"],
            ),
            (json!(0.5), json!(0.75), vec!["difference 0.2500"]),
            (json!(-0.5), json!(-0.500_000_5), vec![]),
            (json!(-0.5), json!(0.5), vec!["difference 1.0000"]),
            (json!(0), json!(-0.0), vec![]),
            (json!(1e300), json!(1e300), vec![]),
            (
                json!(9_007_199_254_740_993_u64),
                json!(9_007_199_254_740_992_u64),
                vec!["difference 1"],
            ),
            (json!(u64::MAX), json!(u64::MAX), vec![]),
            (
                json!(u64::MAX),
                json!(0),
                vec!["difference 18446744073709551615"],
            ),
            (json!({}), json!({}), vec![]),
            (json!({}), json!({"a": 1}), vec![]),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), vec![]),
            (
                json!({"a": 1}),
                json!({}),
                vec!["/a: expected 1, got nothing"],
            ),
            (
                json!({"a": null}),
                json!({}),
                vec!["/a: expected null, got nothing"],
            ),
            (json!({"a": null}), json!({"a": null}), vec![]),
            (
                json!({"a": {"b": 1}}),
                json!({"a": {"b": 2}}),
                vec!["/a/b: expected 1, got 2"],
            ),
            (
                json!({"a": {"b": 1}}),
                json!({"a": [1]}),
                vec!["/a: expected {\"b\":1}, got [1]"],
            ),
            (json!({"a/b": 1}), json!({"a/b": 2}), vec!["/a~1b: "]),
            (json!({"a~b": 1}), json!({"a~b": 2}), vec!["/a~0b: "]),
            (json!([]), json!([]), vec![]),
            (json!([]), json!([1]), vec!["expected 0 item(s), got 1"]),
            (json!([1]), json!([]), vec!["expected 1 item(s), got 0"]),
            (json!([1, 2]), json!([1, 2]), vec![]),
            (
                json!([1, 2]),
                json!([2, 1]),
                vec!["/0: expected 1, got 2", "/1: expected 2, got 1"],
            ),
            (
                json!([1, 2]),
                json!([1, 3, 4]),
                vec!["expected 2 item(s), got 3", "/1: expected 2, got 3"],
            ),
            (json!([{"a": 1}]), json!([{"a": 1, "b": 2}]), vec![]),
            (
                json!([{"a": 1}]),
                json!([{"a": "x"}]),
                vec!["/0/a: expected 1, got \"x\""],
            ),
            (
                json!({"a": 1, "b": 2}),
                json!({"a": 2, "b": 3}),
                vec!["/a: ", "/b: "],
            ),
            (json!([]), json!({}), vec!["expected [], got {}"]),
            (json!("x"), json!("a\nb"), vec!["got \"a\\nb\""]),
        ]
    }

    #[test]
    fn answers_are_compared_as_subsets() {
        assert!(rows().len() >= 40);
        for (expected, got, wanted) in rows() {
            let lines = compare_json(&expected, &got, Tolerance::default(), &Mask::default());
            assert_eq!(
                lines.len(),
                wanted.len(),
                "{expected} against {got}: {lines:?}"
            );
            for (line, part) in lines.iter().zip(wanted) {
                assert!(
                    line.contains(part),
                    "{expected} against {got}: {line:?} lacks {part:?}"
                );
            }
        }
    }

    #[test]
    fn the_larger_limit_counts() {
        for (absolute, relative, expected, got, near) in [
            (0.0, 0.0, 1.0, 1.0, true),
            (0.0, 0.0, 1.0, 1.000_000_1, false),
            (0.0, 0.01, 100.0, 100.9, true),
            (0.0, 0.01, 100.0, 101.1, false),
            (0.0, 0.01, 0.0, 1e-9, false),
            (1e-6, 0.01, 0.0, 1e-9, true),
            (2.0, 0.01, 100.0, 101.9, true),
        ] {
            let lines = compare_json(
                &json!(expected),
                &json!(got),
                Tolerance { absolute, relative },
                &Mask::default(),
            );
            assert_eq!(
                lines.is_empty(),
                near,
                "{absolute} {relative} {expected} {got}: {lines:?}"
            );
        }
    }

    #[test]
    fn long_lists_of_differences_are_cut() {
        let expected: Vec<u32> = (0..30).collect();
        let got: Vec<u32> = (100..130).collect();
        let lines = compare_json(
            &json!(expected),
            &json!(got),
            Tolerance::default(),
            &Mask::default(),
        );
        assert_eq!(lines.len(), 21);
        assert_eq!(
            lines.last().map(String::as_str),
            Some("and 10 more difference(s)")
        );
    }
}
