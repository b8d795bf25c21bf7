//! Field masks: each path has to lead to a field of the schema.

use serde_json::Value;

use super::discovery::Document;

/// The first path of the mask that leads nowhere.
pub(super) fn stray<'m>(document: &Document, root: &str, mask: &'m str) -> Option<&'m str> {
    let root = document.schema(root)?;
    mask.split(',')
        .find(|path| *path != "*" && !leads(document, root, path))
}

fn leads(document: &Document, root: &Value, path: &str) -> bool {
    let mut schema = root;
    for name in path.split('.') {
        if let Some(target) = schema["$ref"].as_str() {
            let Some(found) = document.schema(target) else {
                return false;
            };
            schema = found;
        }
        // Below a map, each key is a field.
        if schema["additionalProperties"].is_object() {
            return true;
        }
        let Some(property) = schema["properties"].get(name) else {
            return false;
        };
        schema = property;
    }
    true
}
