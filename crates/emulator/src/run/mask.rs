//! Update masks: which fields of a service a PATCH writes.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// What only the server writes; taken out of every body.
const OUTPUT_ONLY: &[&str] = &[
    "name",
    "uid",
    "generation",
    "createTime",
    "updateTime",
    "deleteTime",
    "expireTime",
    "creator",
    "lastModifier",
    "urls",
    "observedGeneration",
    "terminalCondition",
    "conditions",
    "latestReadyRevision",
    "latestCreatedRevision",
    "trafficStatuses",
    "uri",
    "satisfiesPzs",
    "threatDetectionEnabled",
    "reconciling",
    "etag",
];

/// The part of a body that a caller can write.
pub(crate) fn writable(body: &Map<String, Value>) -> Map<String, Value> {
    body.iter()
        .filter(|(field, value)| !OUTPUT_ONLY.contains(&field.as_str()) && !value.is_null())
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

/// The stored fields after a PATCH: all of them replaced when there is no mask (or `*`), else the
/// named paths copied (or, where the body lacks them, removed).
///
/// # Errors
/// `INVALID_ARGUMENT` for a path that leads through a list or a plain value.
pub(crate) fn apply(
    stored: &Map<String, Value>,
    body: &Map<String, Value>,
    mask: Option<&str>,
) -> Result<Map<String, Value>, ApiError> {
    let paths = mask.map_or_else(Vec::new, parse);
    if paths.is_empty() || paths.iter().any(|path| path == &["*"]) {
        return Ok(writable(body));
    }
    let mut result = Value::Object(stored.clone());
    let body = Value::Object(writable(body));
    for path in paths
        .iter()
        .filter(|path| !OUTPUT_ONLY.contains(&path[0].as_str()))
    {
        copy(&mut result, &body, path).map_err(|()| {
            ApiError::new(
                "INVALID_ARGUMENT",
                format!("Invalid update mask path: {}", path.join(".")),
            )
        })?;
    }
    match result {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

/// Splits `traffic,template.scaling.max_instance_count` into paths in lowerCamelCase.
fn parse(mask: &str) -> Vec<Vec<String>> {
    mask.split(',')
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .map(|path| path.split('.').map(camel_case).collect())
        .collect()
}

fn camel_case(segment: &str) -> String {
    let mut upper = false;
    let mut camel = String::with_capacity(segment.len());
    for letter in segment.chars() {
        if letter == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            camel.extend(letter.to_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

fn copy(target: &mut Value, source: &Value, path: &[String]) -> Result<(), ()> {
    let [head, rest @ ..] = path else {
        return Ok(());
    };
    let target = target.as_object_mut().ok_or(())?;
    if rest.is_empty() {
        match source.get(head) {
            Some(value) => target.insert(head.clone(), value.clone()),
            None => target.remove(head),
        };
        return Ok(());
    }
    let missing = Value::Object(Map::new());
    let source = source.get(head).unwrap_or(&missing);
    let inner = target
        .entry(head.clone())
        .or_insert_with(|| Value::Object(Map::new()));
    copy(inner, source, rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn a_mask_writes_its_paths_and_nothing_else() {
        let stored = json!({"labels": {"a": "1"}, "client": "x", "template": {"timeout": "300s", "scaling": {"maxInstanceCount": 3, "minInstanceCount": 1}}});
        let table = [
            (
                "labels",
                json!({"labels": {"b": "2"}}),
                json!({"labels": {"b": "2"}, "client": "x", "template": stored["template"]}),
            ),
            (
                "client",
                json!({"labels": {"b": "2"}}),
                json!({"labels": {"a": "1"}, "template": stored["template"]}),
            ),
            (
                "template.scaling.maxInstanceCount",
                json!({"template": {"scaling": {"maxInstanceCount": 9}}}),
                json!({"labels": {"a": "1"}, "client": "x", "template": {"timeout": "300s", "scaling": {"maxInstanceCount": 9, "minInstanceCount": 1}}}),
            ),
            (
                "template.max_instance_request_concurrency, labels",
                json!({"template": {"maxInstanceRequestConcurrency": 5}}),
                json!({"client": "x", "template": {"timeout": "300s", "maxInstanceRequestConcurrency": 5, "scaling": {"maxInstanceCount": 3, "minInstanceCount": 1}}}),
            ),
            (
                "uri,generation",
                json!({"uri": "x", "generation": "9"}),
                stored.clone(),
            ),
        ];
        for (mask, body, expected) in table {
            let got = apply(&fields(stored.clone()), &fields(body), Some(mask)).expect(mask);
            assert_eq!(Value::Object(got), expected, "{mask}");
        }
    }

    #[test]
    fn no_mask_replaces_everything_but_what_the_server_owns() {
        let body = fields(json!({"name": "n", "uid": "u", "client": "y", "etag": "e", "novel": 1}));
        for mask in [None, Some(""), Some("*")] {
            let got = apply(&fields(json!({"labels": {}})), &body, mask).expect("applies");
            assert_eq!(Value::Object(got), json!({"client": "y", "novel": 1}));
        }
    }

    #[test]
    fn a_path_through_a_list_is_refused() {
        let stored = fields(json!({"template": {"containers": [{}]}}));
        let refused = apply(&stored, &Map::new(), Some("template.containers.image"));
        assert_eq!(refused.expect_err("refused").0.code, 400);
    }
}
