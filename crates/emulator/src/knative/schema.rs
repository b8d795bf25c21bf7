//! The fields of a service in v1. An unknown one is refused, as Google's JSON front end does; one of
//! Kubernetes that Cloud Run does not support is refused too.
//!
//! Source: the discovery document `run.v1`.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::run::check::refuse;

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    /// Anything, or something that is checked elsewhere.
    Any,
    /// An object (or a list of objects) with these fields.
    Fields(Fields),
    /// In the schema, but not supported by Cloud Run.
    Unsupported,
}

type Fields = &'static [(&'static str, Kind)];

use Kind::{Any, Unsupported};

const SERVICE: Fields = &[
    ("apiVersion", Any),
    ("kind", Any),
    ("metadata", Kind::Fields(METADATA)),
    ("spec", Kind::Fields(SPEC)),
    ("status", Any),
];

const METADATA: Fields = &[
    ("annotations", Any),
    ("clusterName", Unsupported),
    ("creationTimestamp", Any),
    ("deletionGracePeriodSeconds", Unsupported),
    ("deletionTimestamp", Any),
    ("finalizers", Unsupported),
    ("generateName", Unsupported),
    ("generation", Any),
    ("labels", Any),
    ("name", Any),
    ("namespace", Any),
    ("ownerReferences", Unsupported),
    ("resourceVersion", Any),
    ("selfLink", Any),
    ("uid", Any),
];

const SPEC: Fields = &[
    ("template", Kind::Fields(TEMPLATE)),
    ("traffic", Kind::Fields(TRAFFIC)),
];

const TEMPLATE: Fields = &[
    ("metadata", Kind::Fields(METADATA)),
    ("spec", Kind::Fields(REVISION_SPEC)),
];

const TRAFFIC: Fields = &[
    ("configurationName", Unsupported),
    ("latestRevision", Any),
    ("percent", Any),
    ("revisionName", Any),
    ("tag", Any),
    ("url", Any),
];

const REVISION_SPEC: Fields = &[
    ("containerConcurrency", Any),
    ("containers", Kind::Fields(CONTAINER)),
    ("enableServiceLinks", Unsupported),
    ("imagePullSecrets", Unsupported),
    ("nodeSelector", Any),
    ("runtimeClassName", Unsupported),
    ("sandboxes", Unsupported),
    ("serviceAccountName", Any),
    ("timeoutSeconds", Any),
    ("volumes", Kind::Fields(VOLUME)),
];

const CONTAINER: Fields = &[
    ("args", Any),
    ("command", Any),
    ("env", Kind::Fields(ENV)),
    ("envFrom", Unsupported),
    ("image", Any),
    ("imagePullPolicy", Unsupported),
    ("livenessProbe", Kind::Fields(PROBE)),
    ("name", Any),
    ("ports", Kind::Fields(PORT)),
    ("readinessProbe", Kind::Fields(PROBE)),
    ("resources", Kind::Fields(RESOURCES)),
    ("sandboxLauncher", Unsupported),
    ("securityContext", Unsupported),
    ("startupProbe", Kind::Fields(PROBE)),
    ("terminationMessagePath", Unsupported),
    ("terminationMessagePolicy", Unsupported),
    ("volumeMounts", Kind::Fields(MOUNT)),
    ("workingDir", Any),
];

const ENV: Fields = &[
    ("name", Any),
    ("value", Any),
    ("valueFrom", Kind::Fields(ENV_SOURCE)),
];

const ENV_SOURCE: Fields = &[
    ("configMapKeyRef", Unsupported),
    ("secretKeyRef", Kind::Fields(SECRET_KEY)),
];

const SECRET_KEY: Fields = &[
    ("key", Any),
    ("localObjectReference", Unsupported),
    ("name", Any),
    ("optional", Unsupported),
];

const PORT: Fields = &[("containerPort", Any), ("name", Any), ("protocol", Any)];

const RESOURCES: Fields = &[("limits", Any), ("requests", Unsupported)];

const MOUNT: Fields = &[
    ("mountPath", Any),
    ("name", Any),
    ("readOnly", Any),
    ("subPath", Any),
];

const PROBE: Fields = &[
    ("exec", Unsupported),
    ("failureThreshold", Any),
    ("grpc", Any),
    ("httpGet", Kind::Fields(HTTP_GET)),
    ("initialDelaySeconds", Any),
    ("periodSeconds", Any),
    ("successThreshold", Unsupported),
    ("tcpSocket", Kind::Fields(TCP_SOCKET)),
    ("timeoutSeconds", Any),
];

const HTTP_GET: Fields = &[
    ("host", Unsupported),
    ("httpHeaders", Any),
    ("path", Any),
    ("port", Any),
    ("scheme", Unsupported),
];

const TCP_SOCKET: Fields = &[("host", Unsupported), ("port", Any)];

const VOLUME: Fields = &[
    ("configMap", Unsupported),
    ("csi", Any),
    ("emptyDir", Kind::Fields(EMPTY_DIR)),
    ("filestore", Any),
    ("name", Any),
    ("nfs", Any),
    ("secret", Kind::Fields(SECRET)),
];

const EMPTY_DIR: Fields = &[("medium", Any), ("sizeLimit", Any)];

const SECRET: Fields = &[
    ("defaultMode", Any),
    ("items", Kind::Fields(KEY_TO_PATH)),
    ("optional", Unsupported),
    ("secretName", Any),
];

const KEY_TO_PATH: Fields = &[("key", Any), ("mode", Any), ("path", Any)];

/// Refuses a body with a field that the schema does not name, or Cloud Run does not support.
pub(super) fn check(service: &Value) -> Result<(), ApiError> {
    if !service.is_object() {
        return Err(ApiError::new(
            "INVALID_ARGUMENT",
            "Invalid JSON payload received. A service must be an object.",
        ));
    }
    let mut unknown = Vec::new();
    walk(service, SERVICE, "service", &mut unknown)?;
    if unknown.is_empty() {
        return Ok(());
    }
    let texts: Vec<&str> = unknown.iter().map(|(_, text)| text.as_str()).collect();
    let violations: Vec<Value> = unknown
        .iter()
        .map(|(place, text)| json!({"field": place, "description": text}))
        .collect();
    let error = ApiError::new("INVALID_ARGUMENT", texts.join("\n"));
    Err(error.with_detail(json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": violations,
    })))
}

fn walk(
    value: &Value,
    fields: Fields,
    place: &str,
    unknown: &mut Vec<(String, String)>,
) -> Result<(), ApiError> {
    match value {
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                walk(element, fields, &format!("{place}[{index}]"), unknown)?;
            }
        }
        Value::Object(object) => {
            for (name, inner) in object {
                let known = fields.iter().find(|(known, _)| known == name);
                match known.map(|(_, kind)| *kind) {
                    None => unknown.push((
                        place.to_owned(),
                        format!(
                            "Invalid JSON payload received. Unknown name \"{name}\" at '{place}': Cannot find field."
                        ),
                    )),
                    Some(Kind::Fields(fields)) => {
                        walk(inner, fields, &format!("{place}.{name}"), unknown)?;
                    }
                    Some(Unsupported) if says_something(inner) => {
                        let place = place.strip_prefix("service.").unwrap_or(place);
                        return Err(refuse(
                            &format!("{place}.{name}"),
                            "is not supported by Cloud Run.",
                        ));
                    }
                    Some(Unsupported | Any) => {}
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: Value) -> String {
        check(&body).expect_err("refused").0.message
    }

    #[test]
    fn unknown_and_unsupported_fields_are_named_with_their_place() {
        let container = |field: &str| json!({"spec": {"template": {"spec": {"containers": [{"image": "i", field: {"a": 1}}]}}}});
        assert_eq!(
            refused(container("novel")),
            "Invalid JSON payload received. Unknown name \"novel\" at 'service.spec.template.spec.containers[0]': Cannot find field."
        );
        assert_eq!(
            refused(container("securityContext")),
            "spec.template.spec.containers[0].securityContext: is not supported by Cloud Run."
        );
        assert!(check(&json!({"spec": {"template": {"spec": {"nodeSelector": {}, "enableServiceLinks": false}}}})).is_ok());
    }
}
