//! Where a request of v1 points to.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::super::service::API_VERSION;
use crate::error::ApiError;
use crate::iam::{self, Api, Resource};
use crate::proxy;
use crate::run::http::project_of;
use crate::run::permit::enter;
use crate::run::{ServiceKey, project_number};
use crate::tokens::Caller;
use crate::world::World;

/// Project, region and name of the path; the region of a path that names none is the host's.
pub(super) struct Place {
    pub(super) project: String,
    /// `-` stands for every region.
    pub(super) location: String,
    /// The last part; empty for a list.
    pub(super) name: String,
    /// True for a path under `/apis/`; refusals spell resources as the path does.
    is_namespaced: bool,
}

impl FromRequestParts<Arc<World>> for Place {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        world: &Arc<World>,
    ) -> Result<Self, Self::Rejection> {
        let read = Path::<BTreeMap<String, String>>::from_request_parts(parts, world).await;
        let Path(mut names) = read
            .map_err(|error| ApiError::new("INVALID_ARGUMENT", format!("Invalid path: {error}")))?;
        let named = names.remove("location");
        let is_namespaced = named.is_none();
        let location = named.or_else(|| proxy::region(&parts.uri, &parts.headers));
        let Some(location) = location else {
            return Err(ApiError::new(
                "INVALID_ARGUMENT",
                "the path names no region, and the host must: REGION-run.googleapis.com. Point the client at the local cloud as its HTTP proxy, or send that Host header",
            ));
        };
        let project = names.remove("project").unwrap_or_default();
        Ok(Self {
            project: project_of(world, &project),
            location,
            name: names.into_values().next().unwrap_or_default(),
            is_namespaced,
        })
    }
}

impl Place {
    /// Refuses a caller that lacks the permission, an API that is off, a region that is none.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` in v1's words.
    pub(super) fn authorize(
        &self,
        world: &World,
        caller: &Caller,
        permission: &str,
        resource: &Resource,
    ) -> Result<(), ApiError> {
        if self.location == "-" {
            iam::check_api(world, Api::Run, &self.project)?;
        } else {
            enter(world, &self.project, &self.location)?;
        }
        iam::permit(world, caller, permission, resource).map_err(|denied| {
            if self.is_namespaced {
                denied.namespaced_answer()
            } else {
                denied.answer()
            }
        })
    }

    /// All that is here.
    pub(super) fn resource(&self) -> Resource {
        Resource::Location {
            project: self.project.clone(),
            location: self.location.clone(),
        }
    }

    /// The service of this name here.
    pub(super) fn service(&self, name: &str) -> ServiceKey {
        ServiceKey::new(&self.project, &self.location, name)
    }

    /// True for a service that is here.
    pub(super) fn holds(&self, key: &ServiceKey) -> bool {
        key.project == self.project && (self.location == "-" || key.location == self.location)
    }

    /// True when a body's namespace is this project, by identifier or number.
    pub(super) fn is_namespace(&self, namespace: &str) -> bool {
        namespace == self.project || namespace == project_number(&self.project)
    }

    /// `selfLink` of a list of `Service` or `Revision`.
    pub(super) fn link(&self, kind: &str) -> String {
        let namespace = project_number(&self.project);
        let kind = kind.to_lowercase();
        format!("/apis/{API_VERSION}/namespaces/{namespace}/{kind}s")
    }
}
