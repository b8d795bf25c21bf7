//! Containers and volumes in both forms.

use serde_json::{Map, Value, json};

use super::metadata::put;
use super::secrets::Aliases;
use crate::error::ApiError;

/// Fields of a container that have the same form in v1 and v2.
const SAME: &[&str] = &[
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "livenessProbe",
    "startupProbe",
    "readinessProbe",
];

/// A container of v1 in v2's form. `resources` lacks what annotations say.
pub(super) fn container_to_v2(v1: &Value, aliases: &Aliases) -> Map<String, Value> {
    let mut v2 = Map::new();
    for field in SAME {
        put(&mut v2, field, v1[field].clone());
    }
    let env = elements(&v1["env"]).map(|variable| {
        let mut v2 = Map::new();
        put(&mut v2, "name", variable["name"].clone());
        if let Some(value) = variable.get("value") {
            v2.insert("value".to_owned(), value.clone());
        }
        if let Some(secret) = variable.pointer("/valueFrom/secretKeyRef") {
            let name = aliases.path(text(&secret["name"]));
            let mut selector = json!({ "secret": name });
            if let Some(version) = secret.get("key") {
                selector["version"] = version.clone();
            }
            v2.insert(
                "valueSource".to_owned(),
                json!({ "secretKeyRef": selector }),
            );
        }
        Value::Object(v2)
    });
    put(&mut v2, "env", env.collect());
    let ports = elements(&v1["ports"]).map(|port| only(port, &["name", "containerPort"]));
    put(&mut v2, "ports", ports.collect());
    let mounts = elements(&v1["volumeMounts"]);
    let mounts = mounts.map(|mount| only(mount, &["name", "mountPath", "subPath"]));
    put(&mut v2, "volumeMounts", mounts.collect());
    let mut resources = Map::new();
    put(&mut resources, "limits", v1["resources"]["limits"].clone());
    v2.insert("resources".to_owned(), Value::Object(resources));
    v2
}

/// A container of v2 in v1's form.
pub(super) fn container_to_v1(v2: &Value, aliases: &mut Aliases) -> Value {
    let mut v1 = Map::new();
    for field in SAME {
        put(&mut v1, field, v2[field].clone());
    }
    let mut env = Vec::new();
    for variable in elements(&v2["env"]) {
        let mut v1 = Map::new();
        put(&mut v1, "name", variable["name"].clone());
        if let Some(value) = variable.get("value") {
            v1.insert("value".to_owned(), value.clone());
        }
        if let Some(secret) = variable.pointer("/valueSource/secretKeyRef") {
            let mut selector = Map::new();
            put(
                &mut selector,
                "name",
                json!(aliases.name(text(&secret["secret"]))),
            );
            put(&mut selector, "key", secret["version"].clone());
            v1.insert("valueFrom".to_owned(), json!({ "secretKeyRef": selector }));
        }
        env.push(Value::Object(v1));
    }
    put(&mut v1, "env", Value::Array(env));
    put(&mut v1, "ports", v2["ports"].clone());
    put(&mut v1, "volumeMounts", v2["volumeMounts"].clone());
    let limits = &v2["resources"]["limits"];
    if limits.is_object() {
        v1.insert("resources".to_owned(), json!({ "limits": limits }));
    }
    Value::Object(v1)
}

/// A volume of v1 in v2's form.
///
/// # Errors
/// `UNIMPLEMENTED` for a kind that the local cloud does not model.
pub(super) fn volume_to_v2(v1: &Value, aliases: &Aliases) -> Result<Value, ApiError> {
    let mut v2 = json!({ "name": v1["name"] });
    if let Some(secret) = v1.get("secret") {
        let mut source = only(secret, &["defaultMode"]);
        source["secret"] = json!(aliases.path(text(&secret["secretName"])));
        let items: Vec<Value> = elements(&secret["items"])
            .map(|item| {
                let mut v2 = only(item, &["path", "mode"]);
                if let Some(version) = item.get("key") {
                    v2["version"] = version.clone();
                }
                v2
            })
            .collect();
        if !items.is_empty() {
            source["items"] = json!(items);
        }
        v2["secret"] = source;
    } else if let Some(empty) = v1.get("emptyDir") {
        let mut source = only(empty, &["sizeLimit"]);
        let medium = text(&empty["medium"]).to_uppercase();
        if !medium.is_empty() {
            source["medium"] = json!(medium);
        }
        v2["emptyDir"] = source;
    } else {
        return Err(ApiError::new(
            "UNIMPLEMENTED",
            "the local cloud does not model volumes other than secret and emptyDir",
        ));
    }
    Ok(v2)
}

/// A volume of v2 in v1's form; a kind that is not modelled never gets here.
pub(super) fn volume_to_v1(v2: &Value, aliases: &mut Aliases) -> Value {
    let mut v1 = json!({ "name": v2["name"] });
    if let Some(secret) = v2.get("secret") {
        let mut source = only(secret, &["defaultMode"]);
        source["secretName"] = json!(aliases.name(text(&secret["secret"])));
        let items: Vec<Value> = elements(&secret["items"])
            .map(|item| {
                let mut v1 = only(item, &["path", "mode"]);
                if let Some(version) = item.get("version") {
                    v1["key"] = version.clone();
                }
                v1
            })
            .collect();
        if !items.is_empty() {
            source["items"] = json!(items);
        }
        v1["secret"] = source;
    } else if let Some(empty) = v2.get("emptyDir") {
        let mut source = only(empty, &["sizeLimit"]);
        match text(&empty["medium"]) {
            "MEMORY" => source["medium"] = json!("Memory"),
            "DISK" => source["medium"] = json!("Disk"),
            _ => {}
        }
        v1["emptyDir"] = source;
    }
    v1
}

/// The elements of a list; none of anything else.
pub(super) fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The text of a value; empty for anything else.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// These fields of an object.
fn only(object: &Value, fields: &[&str]) -> Value {
    let kept = fields
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), object.get(field)?.clone())));
    Value::Object(kept.collect())
}
