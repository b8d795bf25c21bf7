//! One answer → its outputs: every text, truth value and number in it, by its path.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::verify::mask::Mask;

/// Deepest nesting that is looked at.
const DEEPEST: usize = 32;
/// Most values of one answer that are compared; a batch of more is cut.
const MOST_VALUES: usize = 10_000;

/// One output's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Leaf {
    /// A text or a truth value: something that flips.
    Label(String),
    /// A number; whole ones may be labels, which only all of them together tell.
    Number { value: f64, whole: bool },
    /// Nothing.
    Null,
}

/// Outputs that are not compared, as JSON pointers; `*` stands for any one key or index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore(Vec<Vec<String>>);

impl Ignore {
    /// From pointers such as `/model_version` or `/items/*/id`.
    pub fn new(pointers: &[String]) -> Self {
        let parts = |pointer: &String| {
            let rest = pointer.strip_prefix('/').unwrap_or(pointer);
            rest.split('/')
                .map(|part| part.replace("~1", "/").replace("~0", "~"))
                .collect()
        };
        Self(pointers.iter().map(parts).collect())
    }

    /// Whether a path, or what it is in, is ignored.
    fn holds(&self, path: &[String]) -> bool {
        self.0.iter().any(|ignored| {
            ignored.len() <= path.len()
                && ignored
                    .iter()
                    .zip(path)
                    .all(|(wanted, part)| wanted == "*" || wanted == part)
        })
    }
}

/// The outputs of an answer by pointer. Items of a list share one, with `*` for the index, and stay
/// in their order. Where `wanted` is given, only the keys that it names. Texts are cut, secrets are
/// hidden in them before.
pub(super) fn outputs(
    answer: &Value,
    wanted: Option<&Value>,
    (ignore, mask): (&Ignore, &Mask),
) -> BTreeMap<String, Vec<Leaf>> {
    let mut walk = Walk {
        ignore,
        mask,
        path: Vec::new(),
        found: BTreeMap::new(),
        count: 0,
    };
    walk.value(answer, wanted);
    walk.found
}

struct Walk<'a> {
    ignore: &'a Ignore,
    mask: &'a Mask,
    path: Vec<String>,
    found: BTreeMap<String, Vec<Leaf>>,
    count: usize,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, wanted: Option<&Value>) {
        if self.path.len() > DEEPEST || self.count >= MOST_VALUES || self.ignore.holds(&self.path) {
            return;
        }
        match value {
            Value::Object(map) => {
                let named = wanted.and_then(Value::as_object);
                for (key, inner) in map {
                    let below = match named {
                        Some(named) => match named.get(key) {
                            Some(below) => Some(below),
                            None => continue,
                        },
                        None => None,
                    };
                    self.inside(key, inner, below);
                }
            }
            Value::Array(items) => {
                let first = wanted
                    .and_then(Value::as_array)
                    .and_then(|wanted| wanted.first());
                for item in items {
                    self.inside("*", item, first);
                }
            }
            Value::Null => self.leaf(Leaf::Null),
            Value::Bool(truth) => self.leaf(Leaf::Label(truth.to_string())),
            Value::String(text) => self.leaf(Leaf::Label(self.mask.clip(text))),
            Value::Number(number) => {
                let whole = number.is_i64() || number.is_u64();
                self.leaf(Leaf::Number {
                    value: number.as_f64().unwrap_or(f64::NAN),
                    whole,
                });
            }
        }
    }

    fn inside(&mut self, key: &str, value: &Value, wanted: Option<&Value>) {
        self.path.push(key.to_owned());
        self.value(value, wanted);
        self.path.pop();
    }

    fn leaf(&mut self, leaf: Leaf) {
        self.count += 1;
        let escaped = self
            .path
            .iter()
            .map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1")));
        // The whole answer is one value: RFC 6901 points to it with nothing.
        self.found.entry(escaped.collect()).or_default().push(leaf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(answer: &Value, wanted: Option<&Value>, ignore: &[&str]) -> Vec<String> {
        let ignore: Vec<String> = ignore.iter().map(|text| (*text).to_owned()).collect();
        let found = outputs(answer, wanted, (&Ignore::new(&ignore), &Mask::default()));
        found
            .into_iter()
            .map(|(path, leaves)| format!("{path}:{}", leaves.len()))
            .collect()
    }

    #[test]
    fn outputs_have_paths_and_lists_share_one() {
        let answer = json!({"label": "a", "p": {"x": 0.5, "y/z": 1}, "items": [{"id": 1, "ok": true}, {"id": 2, "ok": null}]});
        let all = [
            "/items/*/id:2",
            "/items/*/ok:2",
            "/label:1",
            "/p/x:1",
            "/p/y~1z:1",
        ];
        assert_eq!(paths(&answer, None, &[]), all);
        assert_eq!(
            paths(&answer, None, &["/items/*/id", "/p"]),
            ["/items/*/ok:2", "/label:1"]
        );
        let wanted = json!({"label": "b", "items": [{"ok": true}]});
        assert_eq!(
            paths(&answer, Some(&wanted), &[]),
            ["/items/*/ok:2", "/label:1"]
        );
        assert_eq!(paths(&json!(0.5), None, &[]), [":1"]);
    }

    #[test]
    fn what_is_too_deep_or_too_much_is_cut() {
        let all = (&Ignore::default(), &Mask::default());
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(outputs(&deep, None, all).len(), 0);
        let many = json!(vec![1; MOST_VALUES + 5]);
        assert_eq!(outputs(&many, None, all)["/*"].len(), MOST_VALUES);
    }
}
