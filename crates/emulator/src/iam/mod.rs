//! Who may do what: principals, roles, policies.
//!
//! A project is free, and every caller may do everything in it, until a policy is set for it through
//! admin. From then on each call needs its permission, from the project's policy or from that of the
//! resource itself.

mod admin;
mod api;
mod denied;
mod member;
mod organization;
mod resource;
mod role;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use cloud_api::run::{Binding, Policy};

pub use admin::routes;
pub(crate) use api::disabled_text;
pub use api::{Api, check_api};
pub use denied::Denied;
pub use member::member;
pub use organization::{OrganizationPolicy, check_location};
pub use resource::Resource;

use crate::error::ApiError;
use crate::run::project_number;
use crate::storage::{Changes, Keep, Kept, KeptGuard, Storage, StorageError, Table};
use crate::tokens::Caller;
use crate::world::World;
use resource::Holder;

/// The role that Google gives Cloud Run's service agent when the API is enabled.
const SERVICE_AGENT: &str = "roles/run.serviceAgent";

/// Policies, custom roles, disabled APIs, organization policies.
pub struct Iam {
    state: Kept<State>,
}

struct State {
    /// By the project's number; a project without one is free.
    projects: Table<String, Policy>,
    /// Of service accounts, repositories and secrets. Cloud Run keeps those of services.
    resources: Table<Holder, Policy>,
    /// `projects/P/roles/NAME` → permissions.
    custom_roles: Table<String, BTreeSet<String>>,
    /// (project number, API).
    disabled: Table<(String, String), ()>,
    /// By project number.
    organization: Table<String, OrganizationPolicy>,
}

impl Keep for State {
    fn keep(&mut self, changes: &mut Changes) {
        let Self {
            projects,
            resources,
            custom_roles,
            disabled,
            organization,
        } = self;
        projects.keep(changes);
        resources.keep(changes);
        custom_roles.keep(changes);
        disabled.keep(changes);
        organization.keep(changes);
    }
}

/// Lets the caller do what it asks for, or says which permission it lacks. Must not be called about a
/// resource of Cloud Run while Cloud Run's state is locked.
///
/// # Errors
/// `PERMISSION_DENIED` in the words of the service (as v2 spells them).
pub fn check(
    world: &World,
    caller: &Caller,
    permission: &str,
    resource: &Resource,
) -> Result<(), ApiError> {
    permit(world, caller, permission, resource).map_err(|denied| denied.answer())
}

/// The same, with the refusal as a value, so that a face can spell it its own way.
///
/// # Errors
/// What is missing.
pub fn permit(
    world: &World,
    caller: &Caller,
    permission: &str,
    resource: &Resource,
) -> Result<(), Denied> {
    let own = match resource {
        Resource::Service(key) | Resource::Revision { service: key, .. } => world
            .run
            .read(|state, _| Some(state.services.get(key)?.policy.view())),
        _ => None,
    };
    if world.iam.allows(caller, permission, resource, own.as_ref()) {
        return Ok(());
    }
    Err(Denied {
        permission: permission.to_owned(),
        resource: resource.clone(),
    })
}

/// Cloud Run's service agent of a project.
pub fn service_agent(project: &str) -> String {
    format!(
        "service-{}@serverless-robot-prod.iam.gserviceaccount.com",
        project_number(project)
    )
}

/// A service account as a caller, for checks of what acts in the background.
pub(crate) fn account(email: &str, now: DateTime<Utc>) -> Caller {
    Caller {
        email: email.to_owned(),
        subject: String::new(),
        expires: now,
        claims: serde_json::Value::Null,
    }
}

impl Iam {
    /// The policies that were kept.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(storage: &Storage) -> Result<Self, StorageError> {
        let state = State {
            projects: storage.table("iam.projects")?,
            resources: storage.table("iam.resources")?,
            custom_roles: storage.table("iam.roles")?,
            disabled: storage.table("iam.disabled")?,
            organization: storage.table("iam.organization")?,
        };
        Ok(Self {
            state: Kept::new(storage, state),
        })
    }

    /// Sets the policy of a project, a service account, a repository or a secret; the policy of a
    /// project makes that project enforced. Cloud Run's service agent keeps its role in a project
    /// unless the policy has a binding of that role.
    pub fn set_policy(&self, resource: &Resource, mut policy: Policy) {
        let mut state = self.lock();
        if let Resource::Project(project) = resource {
            if !policy.bindings.iter().any(|it| it.role == SERVICE_AGENT) {
                let agent = format!("serviceAccount:{}", service_agent(project));
                change(&mut policy, SERVICE_AGENT, &agent, Change::Add);
            }
            state.projects.insert(project_number(project), policy);
        } else if let Some(holder) = resource.holder() {
            state.resources.insert(holder, policy);
        }
    }

    /// The policy of a project, a service account, a repository or a secret.
    pub fn policy(&self, resource: &Resource) -> Option<Policy> {
        let state = self.lock();
        match resource {
            Resource::Project(project) => state.projects.get(&project_number(project)).cloned(),
            other => state.resources.get(&other.holder()?).cloned(),
        }
    }

    /// Removes a policy; a project without one is free again.
    pub fn clear_policy(&self, resource: &Resource) {
        let mut state = self.lock();
        if let Resource::Project(project) = resource {
            state.projects.remove(&project_number(project));
        } else if let Some(holder) = resource.holder() {
            state.resources.remove(&holder);
        }
    }

    /// Gives a role to a member. A project that was free becomes enforced.
    pub fn grant(&self, resource: &Resource, role: &str, member: &str) {
        let mut policy = self.policy(resource).unwrap_or_default();
        change(&mut policy, role, member, Change::Add);
        self.set_policy(resource, policy);
    }

    /// Takes a role from a member, and leaves the binding in place, so that a role of Google's own
    /// account is not given back.
    pub fn revoke(&self, resource: &Resource, role: &str, member: &str) {
        let mut policy = self.policy(resource).unwrap_or_default();
        change(&mut policy, role, member, Change::Remove);
        self.set_policy(resource, policy);
    }

    /// Makes a custom role, or replaces it; `name` is `projects/P/roles/NAME`.
    pub fn set_custom_role(&self, name: &str, permissions: impl IntoIterator<Item = String>) {
        let permissions = permissions.into_iter().collect();
        self.lock()
            .custom_roles
            .insert(name.to_owned(), permissions);
    }

    /// The permissions of a role, predefined or custom; `None` when there is no such role.
    pub fn permissions_of(&self, role: &str) -> Option<BTreeSet<String>> {
        self.lock().permissions_of(role)
    }

    /// True while a policy is set for the project.
    pub fn is_enforced(&self, project: &str) -> bool {
        self.lock().projects.contains_key(&project_number(project))
    }

    /// Forgets everything: every project is free.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.projects.clear();
        state.resources.clear();
        state.custom_roles.clear();
        state.disabled.clear();
        state.organization.clear();
    }

    /// True when the caller has the permission; `own` is the policy that another part keeps of the
    /// resource.
    pub(crate) fn allows(
        &self,
        caller: &Caller,
        permission: &str,
        resource: &Resource,
        own: Option<&Policy>,
    ) -> bool {
        let state = self.lock();
        let Some(project) = resource
            .project()
            .and_then(|project| state.projects.get(&project))
        else {
            return true;
        };
        let kept = resource
            .holder()
            .and_then(|holder| state.resources.get(&holder));
        [Some(project), kept, own]
            .into_iter()
            .flatten()
            .flat_map(|policy| &policy.bindings)
            .filter(|binding| state.has(&binding.role, permission))
            .flat_map(|binding| &binding.members)
            .any(|member| member::includes(member, caller))
    }

    fn lock(&self) -> KeptGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn has(&self, role: &str, permission: &str) -> bool {
        match self.custom_roles.get(role) {
            Some(permissions) => permissions.contains(permission),
            None => role::permissions(role).is_some_and(|all| all.contains(&permission)),
        }
    }

    fn permissions_of(&self, role: &str) -> Option<BTreeSet<String>> {
        if let Some(permissions) = self.custom_roles.get(role) {
            return Some(permissions.clone());
        }
        let all = role::permissions(role)?;
        Some(all.into_iter().map(str::to_owned).collect())
    }
}

/// Whether a member gets a role or loses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}

fn change(policy: &mut Policy, role: &str, member: &str, change: Change) {
    let at = policy.bindings.iter().position(|it| it.role == role);
    let at = at.unwrap_or_else(|| {
        policy.bindings.push(Binding {
            role: role.to_owned(),
            ..Binding::default()
        });
        policy.bindings.len() - 1
    });
    let members = &mut policy.bindings[at].members;
    members.retain(|known| known != member);
    if change == Change::Add {
        members.push(member.to_owned());
    }
}
