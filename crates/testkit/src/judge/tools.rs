//! Where the documents are: in packages that `scripts/setup contract-documents` installs.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Google's documents, in the order in which they are asked: where two know a path, as with the
/// operations of a location, the host decides, and without one the first.
const DOCUMENTS: [&str; 8] = [
    "run.v2",
    "run.v1",
    "iamcredentials.v1",
    "sts.v1",
    "serviceusage.v1",
    "artifactregistry.v1",
    "cloudkms.v1",
    "logging.v2",
];

/// A document cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be read ({cause}): run `scripts/setup contract-documents`")]
pub struct Missing {
    path: String,
    cause: String,
}

/// `.tools` of this repository, or what `ML_DEPLOY_TOOLS` names.
pub fn tools() -> PathBuf {
    std::env::var_os("ML_DEPLOY_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools"),
        PathBuf::from,
    )
}

fn missing(path: &Path, cause: impl ToString) -> Missing {
    Missing {
        path: path.display().to_string(),
        cause: cause.to_string(),
    }
}

/// The discovery documents that `google-api-python-client` ships, with their names.
pub(super) fn discovery_documents() -> Result<Vec<(&'static str, Value)>, Missing> {
    let library = tools().join("google/lib");
    let entries = std::fs::read_dir(&library).map_err(|error| missing(&library, error))?;
    let python = entries
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
        .ok_or_else(|| missing(&library, "there is no Python in it"))?;
    let folder = python
        .path()
        .join("site-packages/googleapiclient/discovery_cache/documents");
    DOCUMENTS
        .into_iter()
        .map(|name| {
            let file = folder.join(format!("{name}.json"));
            let text = std::fs::read(&file).map_err(|error| missing(&file, error))?;
            let document = serde_json::from_slice(&text).map_err(|error| missing(&file, error))?;
            Ok((name, document))
        })
        .collect()
}

/// GitHub's description of its REST API, from `@octokit/openapi`; 12 MB of JSON, parsed by who
/// needs it.
pub(super) fn github_description() -> Result<String, Missing> {
    let file = tools().join("octokit/api.github.com.json");
    std::fs::read_to_string(&file).map_err(|error| missing(&file, error))
}
