//! What a permission is asked for on.

use crate::run::{ServiceKey, project_number};

/// A resource, as it appears in refusals and as the holder of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A project, by identifier or number.
    Project(String),
    /// Everything of Cloud Run in one region, as lists name it.
    Location {
        /// Project.
        project: String,
        /// Region.
        location: String,
    },
    /// A service, or one that is to be created.
    Service(ServiceKey),
    /// A revision of a service.
    Revision {
        /// Its service.
        service: ServiceKey,
        /// Short name.
        revision: String,
    },
    /// An operation.
    Operation {
        /// Project.
        project: String,
        /// Region.
        location: String,
        /// Last part of its name.
        id: String,
    },
    /// A service account, by e-mail.
    ServiceAccount(String),
    /// A repository of Artifact Registry.
    Repository {
        /// Project.
        project: String,
        /// Region or multi-region; `-` where the caller did not name one.
        location: String,
        /// Short name.
        repository: String,
    },
    /// A key of Cloud KMS, or one of its versions.
    CryptoKey {
        /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`.
        name: String,
        /// The version that is asked for.
        version: Option<String>,
    },
    /// A secret.
    Secret {
        /// Project.
        project: String,
        /// Short name.
        name: String,
    },
}

/// Which resource has a policy: the kind, its project's number and its short name. The region of a
/// repository is no part of it, for this registry answers for every region.
pub(super) type Holder = (String, String, String);

impl Resource {
    /// From a full resource name, as admin routes take it. `None` when it is none that has a policy
    /// here.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        if parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        let owned = |text: &str| text.to_owned();
        Some(match parts.as_slice() {
            ["projects", project] => Self::Project(owned(project)),
            [
                "projects",
                project,
                "locations",
                location,
                "services",
                service,
            ] => Self::Service(ServiceKey::new(project, location, service)),
            ["projects", _, "serviceAccounts", email] => Self::ServiceAccount(owned(email)),
            [
                "projects",
                project,
                "locations",
                location,
                "repositories",
                repository,
            ] => Self::Repository {
                project: owned(project),
                location: owned(location),
                repository: owned(repository),
            },
            [
                "projects",
                _,
                "locations",
                _,
                "keyRings",
                _,
                "cryptoKeys",
                _,
            ] => Self::CryptoKey {
                name: owned(name),
                version: None,
            },
            ["projects", project, "secrets", name] => Self::Secret {
                project: owned(project),
                name: owned(name),
            },
            _ => return None,
        })
    }

    /// The number of the project that it lies in; `None` for an account of Google's own.
    pub(crate) fn project(&self) -> Option<String> {
        let project = match self {
            Self::Project(project)
            | Self::Location { project, .. }
            | Self::Operation { project, .. }
            | Self::Repository { project, .. }
            | Self::Secret { project, .. } => project.as_str(),
            Self::Service(key) | Self::Revision { service: key, .. } => &key.project,
            Self::CryptoKey { name, .. } => name.split('/').nth(1)?,
            Self::ServiceAccount(email) => return project_of_account(email),
        };
        Some(project_number(project))
    }

    /// Where its own policy is kept; `None` when it has none, or Cloud Run keeps it.
    pub(super) fn holder(&self) -> Option<Holder> {
        let (kind, name) = match self {
            Self::ServiceAccount(email) => ("account", email),
            Self::Repository { repository, .. } => ("repository", repository),
            Self::Secret { name, .. } => ("secret", name),
            Self::CryptoKey { name, .. } => {
                let within = name.split('/').skip(2).collect::<Vec<_>>().join("/");
                return Some(("key".to_owned(), self.project().unwrap_or_default(), within));
            }
            _ => return None,
        };
        Some((
            kind.to_owned(),
            self.project().unwrap_or_default(),
            name.clone(),
        ))
    }

    /// The full name, as v2 spells it.
    pub fn name(&self) -> String {
        match self {
            Self::Project(project) => format!("projects/{project}"),
            Self::Location { project, location } => {
                format!("projects/{project}/locations/{location}")
            }
            Self::Service(key) => key.name(),
            Self::Revision { service, revision } => service.revision_name(revision),
            Self::Operation {
                project,
                location,
                id,
            } => format!("projects/{project}/locations/{location}/operations/{id}"),
            Self::ServiceAccount(email) => format!("projects/-/serviceAccounts/{email}"),
            Self::Repository {
                project,
                location,
                repository,
            } => format!("projects/{project}/locations/{location}/repositories/{repository}"),
            Self::CryptoKey { name, version } => match version {
                Some(version) => format!("{name}/cryptoKeyVersions/{version}"),
                None => name.clone(),
            },
            Self::Secret { project, name } => format!("projects/{project}/secrets/{name}"),
        }
    }

    /// The name as the namespaces API (v1) spells it; anything that it does not have keeps its own.
    pub fn namespaced_name(&self) -> String {
        match self {
            Self::Location { project, .. } => format!("namespaces/{project}"),
            Self::Service(key) => format!("namespaces/{}/services/{}", key.project, key.service),
            Self::Revision { service, revision } => {
                format!("namespaces/{}/revisions/{revision}", service.project)
            }
            other => other.name(),
        }
    }
}

/// The project of a service account's e-mail: `NAME@PROJECT.iam.gserviceaccount.com`, or the
/// Compute Engine default account of a project.
fn project_of_account(email: &str) -> Option<String> {
    let (name, domain) = email.split_once('@')?;
    if domain == "developer.gserviceaccount.com" {
        return name.strip_suffix("-compute").map(str::to_owned);
    }
    let project = domain.strip_suffix(".iam.gserviceaccount.com")?;
    // A project of a domain, `example.com:p`, is written `p.example.com` here.
    let project = match project.split_once('.') {
        Some((project, domain)) => format!("{domain}:{project}"),
        None => project.to_owned(),
    };
    Some(project_number(&project))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_of_an_account_is_in_its_email() {
        let number = project_number("p");
        for (email, expected) in [
            (
                "a@p.iam.gserviceaccount.com".to_owned(),
                Some(number.clone()),
            ),
            (
                format!("{number}-compute@developer.gserviceaccount.com"),
                Some(number.clone()),
            ),
            (
                "a@p.example.com.iam.gserviceaccount.com".to_owned(),
                Some(project_number("example.com:p")),
            ),
            ("somebody@example.com".to_owned(), None),
        ] {
            assert_eq!(project_of_account(&email), expected, "{email}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in [
            "projects/p",
            "projects/p/locations/l/services/s",
            "projects/p/locations/l/repositories/r",
            "projects/p/secrets/s",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k",
        ] {
            let read = Resource::parse(name).map(|resource| resource.name());
            assert_eq!(read.as_deref(), Some(name));
        }
        for name in ["", "projects/", "projects/p/locations/l", "services/s"] {
            assert_eq!(Resource::parse(name), None, "{name}");
        }
    }
}
