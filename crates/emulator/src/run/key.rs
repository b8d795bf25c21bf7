//! Names of resources.

use serde::{Deserialize, Serialize};

/// Which service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceKey {
    /// Project identifier as it came in the path.
    pub project: String,
    /// Region.
    pub location: String,
    /// Short name.
    pub service: String,
}

impl ServiceKey {
    /// From the parts of a path.
    pub fn new(project: &str, location: &str, service: &str) -> Self {
        Self {
            project: project.to_owned(),
            location: location.to_owned(),
            service: service.to_owned(),
        }
    }

    /// `projects/P/locations/L`.
    pub fn parent(&self) -> String {
        parent(&self.project, &self.location)
    }

    /// `projects/P/locations/L/services/S`.
    pub fn name(&self) -> String {
        format!("{}/services/{}", self.parent(), self.service)
    }

    /// `projects/P/locations/L/services/S/revisions/R`; empty for an empty revision.
    pub fn revision_name(&self, revision: &str) -> String {
        if revision.is_empty() {
            String::new()
        } else {
            format!("{}/revisions/{revision}", self.name())
        }
    }
}

/// `projects/P/locations/L`.
pub(super) fn parent(project: &str, location: &str) -> String {
    format!("projects/{project}/locations/{location}")
}

/// The project's number: the identifier itself where it is a number already, else twelve digits
/// that depend on nothing but the identifier (FNV-1a).
pub fn project_number(project: &str) -> String {
    if !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_digit()) {
        return project.to_owned();
    }
    let hash = project
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
    (100_000_000_000 + hash % 900_000_000_000).to_string()
}
