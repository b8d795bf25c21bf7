//! Policies of the organization, and regions.

use cloud_api::regions::REGIONS;
use cloud_api::run::Policy;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Iam;
use crate::error::ApiError;
use crate::run::project_number;
use crate::world::World;

/// What the organization forbids in a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrganizationPolicy {
    /// `constraints/iam.allowedPolicyMemberDomains`: domains whose members policies may name, and no
    /// others; service accounts are the organization's own. `None`: anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_policy_member_domains: Option<Vec<String>>,
    /// `constraints/gcp.resourceLocations`: regions in which something may be created. `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_locations: Option<Vec<String>>,
    /// `constraints/run.managed.requireInvokerIam`: the invoker check of a service must stay on.
    pub require_invoker_iam: bool,
}

impl Iam {
    /// Sets what the organization forbids in a project.
    pub fn set_organization_policy(&self, project: &str, policy: OrganizationPolicy) {
        self.lock()
            .organization
            .insert(project_number(project), policy);
    }

    /// What the organization forbids in a project.
    pub fn organization_policy(&self, project: &str) -> OrganizationPolicy {
        let state = self.lock();
        let policy = state.organization.get(&project_number(project));
        policy.cloned().unwrap_or_default()
    }

    /// Refuses a service's policy that names whom the organization does not permit.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` in IAM's words.
    pub fn check_members(&self, project: &str, policy: &Policy) -> Result<(), ApiError> {
        let Some(domains) = self
            .organization_policy(project)
            .allowed_policy_member_domains
        else {
            return Ok(());
        };
        let mut members = policy.bindings.iter().flat_map(|it| &it.members);
        if members.all(|member| is_permitted(member, &domains)) {
            return Ok(());
        }
        // The two spaces are IAM's own.
        Err(ApiError::new(
            "FAILED_PRECONDITION",
            "One or more users named in the policy do not belong to a permitted customer,  perhaps due to an organization policy.",
        ))
    }

    /// Refuses a service without invoker check where the organization asks for the check.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` with the constraint's name.
    pub(crate) fn check_invoker(&self, project: &str, service: &str) -> Result<(), ApiError> {
        if !self.organization_policy(project).require_invoker_iam {
            return Ok(());
        }
        let text = format!(
            "Operation denied by org policy on resource '{service}': [\"constraints/run.managed.requireInvokerIam\": \"The invoker IAM check of Cloud Run services must be enabled.\"]."
        );
        Err(
            ApiError::new("FAILED_PRECONDITION", text).with_detail(json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "CUSTOM_ORG_POLICY_VIOLATION",
                "domain": "googleapis.com",
                "metadata": {
                    "service": "run.googleapis.com",
                    "customConstraints": "constraints/run.managed.requireInvokerIam",
                },
            })),
        )
    }
}

fn is_permitted(member: &str, domains: &[String]) -> bool {
    let Some((kind, name)) = member.split_once(':') else {
        // `allUsers` and `allAuthenticatedUsers` belong to nobody.
        return false;
    };
    match kind {
        "serviceAccount" | "principal" | "principalSet" => true,
        "domain" => domains.iter().any(|domain| domain == name),
        _ => domains
            .iter()
            .any(|domain| name.split_once('@').is_some_and(|(_, it)| it == domain)),
    }
}

/// Refuses a region that Cloud Run does not have, or that the organization does not allow.
///
/// # Errors
/// `PERMISSION_DENIED` about the region, in Google's words.
pub fn check_location(world: &World, project: &str, location: &str) -> Result<(), ApiError> {
    if !REGIONS.contains(&location) {
        return Err(ApiError::new(
            "PERMISSION_DENIED",
            format!("Permission denied on 'locations/{location}' (or it may not exist)."),
        ));
    }
    let allowed = world.iam.organization_policy(project).allowed_locations;
    if allowed.is_none_or(|all| all.iter().any(|it| it == location)) {
        return Ok(());
    }
    let text = format!("Permission denied on 'locations/{location}' (or it may not exist).");
    let number = project_number(project);
    Err(ApiError::new("PERMISSION_DENIED", text).with_detail(json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "LOCATION_POLICY_VIOLATED",
        "domain": "googleapis.com",
        "metadata": {
            "service": "run.googleapis.com",
            "consumer": format!("projects/{number}"),
            "location": location,
        },
    })))
}
