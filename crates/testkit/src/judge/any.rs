//! Typed `Any`: which schema a `@type` has.

use serde_json::Value;

use super::discovery::Document;

/// How the schemas of a package are found: package, document, what stands before the message's name.
const PACKAGES: [(&str, &str, &str); 4] = [
    ("google.cloud.run.v2", "run.v2", "GoogleCloudRunV2"),
    ("google.cloud.run.v1", "run.v1", ""),
    (
        "google.devtools.artifactregistry.v1",
        "artifactregistry.v1",
        "",
    ),
    ("google.api.serviceusage.v1", "serviceusage.v1", ""),
];

/// The document and the schema of a type URL.
pub(super) fn schema_of<'a>(
    documents: &'a [Document],
    url: &str,
) -> Option<(&'a Document, &'a Value)> {
    let full = url.strip_prefix("type.googleapis.com/")?;
    let (package, message) = full.rsplit_once('.')?;
    let (_, document, prefix) = PACKAGES.iter().find(|(name, _, _)| *name == package)?;
    let document = documents.iter().find(|it| it.name == *document)?;
    Some((document, document.schema(&format!("{prefix}{message}"))?))
}

const SERVICE: &str = "type.googleapis.com/google.cloud.run.v2.Service";
const REVISION: &str = "type.googleapis.com/google.cloud.run.v2.Revision";

/// The types that the operation of a method holds, in `metadata` and in `response`: what
/// `operation_info` says in `google/cloud/run/v2/{service,revision}.proto`, which the discovery
/// documents leave out. `None`: it is not known here, or any of them is right.
pub(super) fn types_of_operation(method: &str) -> Option<&'static str> {
    match method.strip_prefix("run.projects.locations.services.")? {
        "create" | "patch" | "delete" => Some(SERVICE),
        "revisions.delete" => Some(REVISION),
        _ => None,
    }
}
