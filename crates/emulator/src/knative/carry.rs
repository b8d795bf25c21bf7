//! What only v2 can express survives a write through v1.

use serde_json::{Map, Value};

/// Puts back into `new` what `old` has and v1 cannot say. `shown` is `old` after the way through
/// v1's form and back: what is missing there is what v1 cannot say.
pub(super) fn carry(
    old: &Map<String, Value>,
    shown: &Map<String, Value>,
    new: &mut Map<String, Value>,
) {
    for (field, value) in old {
        match (shown.get(field), new.get_mut(field)) {
            (None, None) => {
                new.insert(field.clone(), value.clone());
            }
            (Some(shown), Some(new)) => carry_into(value, shown, new),
            // Said in the new body, or left out although v1 can say it.
            _ => {}
        }
    }
}

fn carry_into(old: &Value, shown: &Value, new: &mut Value) {
    match (old, shown, new) {
        (Value::Object(old), Value::Object(shown), Value::Object(new)) => carry(old, shown, new),
        (Value::Array(old), Value::Array(shown), Value::Array(new)) => {
            for element in new {
                let Some(name) = element.get("name").cloned() else {
                    continue;
                };
                let named = |all: &[Value]| {
                    let mut all = all.iter();
                    all.find(|element| element.get("name") == Some(&name))
                        .cloned()
                };
                if let (Some(old), Some(shown)) = (named(old), named(shown)) {
                    carry_into(&old, &shown, element);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_v1_cannot_say_is_carried() {
        let map = |value: Value| value.as_object().cloned().expect("an object");
        let old = map(
            json!({"same": 1, "removed": 1, "v2": 1, "in": {"v2": 1, "removed": 1},
            "list": [{"name": "a", "v2": 1}, {"name": "gone", "v2": 1}]}),
        );
        let shown = map(json!({"same": 1, "removed": 1, "in": {"removed": 1},
            "list": [{"name": "a"}, {"name": "gone"}]}));
        let mut new = map(json!({"same": 2, "in": {}, "list": [{"name": "b"}, {"name": "a"}]}));
        carry(&old, &shown, &mut new);
        assert_eq!(
            Value::Object(new),
            json!({"same": 2, "v2": 1, "in": {"v2": 1}, "list": [{"name": "b"}, {"name": "a", "v2": 1}]})
        );
    }
}
