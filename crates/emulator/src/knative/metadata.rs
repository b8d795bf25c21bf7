//! Labels and annotations: which of them API v2 has too.

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::run::check::{RESERVED_NAMESPACES, refuse};
use crate::run::reserved::{ReservedPart, Words};

/// What only the server writes, on services.
const OUTPUT_ANNOTATIONS: &[&str] = &[
    "serving.knative.dev/creator",
    "serving.knative.dev/lastModifier",
    "run.googleapis.com/operation-id",
    "run.googleapis.com/ingress-status",
    "run.googleapis.com/urls",
];
/// Region of a resource.
pub(super) const LOCATION_LABEL: &str = "cloud.googleapis.com/location";
/// `Default` or `Custom`, on templates and revisions.
pub(super) const PROBE_LABEL: &str = "run.googleapis.com/startupProbeType";

/// A map of texts.
///
/// # Errors
/// `INVALID_ARGUMENT` when something in it is no text.
pub(super) fn words(field: &str, value: Option<&Value>) -> Result<Words, ApiError> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries
        .map(|(name, value)| match value.as_str() {
            Some(text) => Ok((name.clone(), text.to_owned())),
            None => Err(refuse(
                &format!("service.{field}"),
                &format!(
                    "Invalid JSON payload received. Invalid value at 'service.{field}' (TYPE_STRING), {value}"
                ),
            )),
        })
        .collect()
}

/// True for a name of a namespace that v2 refuses.
fn is_reserved(name: &str) -> bool {
    let namespace = name.split_once('/').map(|(namespace, _)| namespace);
    namespace.is_some_and(|namespace| RESERVED_NAMESPACES.contains(&namespace))
}

/// Parts what v2 has too from what it has not; what the server writes is left out.
pub(super) fn part(all: Words) -> (Words, Words) {
    all.into_iter()
        .filter(|(name, _)| !OUTPUT_ANNOTATIONS.contains(&name.as_str()) && name != PROBE_LABEL)
        .partition(|(name, _)| !is_reserved(name))
}

/// The labels or annotations of a v2 resource, as the beginning of those in v1.
pub(super) fn shared(v2: &Value, field: &str) -> Map<String, Value> {
    v2.get(field)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

/// Adds what v2 has not.
pub(super) fn add(target: &mut Map<String, Value>, words: &Words) {
    let words = words.iter();
    target.extend(words.map(|(name, text)| (name.clone(), json!(text))));
}

/// Labels of a v2 resource and those that it has in v1 only.
pub(super) fn labels(v2: &Value, reserved: &ReservedPart) -> Map<String, Value> {
    let mut labels = shared(v2, "labels");
    add(&mut labels, &reserved.labels);
    labels
}

/// Puts a field in unless it is empty or null.
pub(super) fn put(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let absent = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    if !absent {
        fields.insert(name.to_owned(), value);
    }
}
