//! How a missing permission is answered; each service has words of its own.

use serde_json::json;

use super::Resource;
use crate::error::ApiError;

/// A permission that the caller does not have on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Such as `run.services.get`.
    pub permission: String,
    /// What it is missing on.
    pub resource: Resource,
}

impl Denied {
    /// The answer of a v2 API.
    pub fn answer(&self) -> ApiError {
        self.spelled(&self.resource.name())
    }

    /// The answer of Cloud Run's namespaces API (v1), which spells resources its own way.
    pub fn namespaced_answer(&self) -> ApiError {
        self.spelled(&self.resource.namespaced_name())
    }

    fn spelled(&self, name: &str) -> ApiError {
        let permission = &self.permission;
        if permission == "iam.serviceAccounts.actAs"
            && let Resource::ServiceAccount(email) = &self.resource
        {
            // Cloud Run writes the permission in lower case, and without details.
            return refused(format!(
                "Permission 'iam.serviceaccounts.actAs' denied on service account {email} (or it may not exist)."
            ));
        }
        let service = permission.split('.').next().unwrap_or_default();
        match service {
            "run" => refused(format!(
                "Permission '{permission}' denied on resource '{name}' (or resource may not exist)."
            )),
            "cloudkms" => refused(format!(
                "Permission '{permission}' denied on resource '{name}' (or it may not exist)."
            ))
            .with_detail(info(permission, "cloudkms.googleapis.com", Some(name))),
            "artifactregistry" => refused(format!(
                "Permission '{permission}' denied on resource '//artifactregistry.googleapis.com/{name}' (or it may not exist)."
            ))
            .with_detail(info(permission, "artifactregistry.googleapis.com", Some(name))),
            _ => refused(format!(
                "Permission '{permission}' denied on resource (or it may not exist)."
            ))
            .with_detail(info(permission, "iam.googleapis.com", None)),
        }
    }
}

fn refused(text: String) -> ApiError {
    ApiError::new("PERMISSION_DENIED", text)
}

fn info(permission: &str, domain: &str, resource: Option<&str>) -> serde_json::Value {
    let mut metadata = json!({"permission": permission});
    if let Some(resource) = resource {
        metadata["resource"] = json!(resource);
    }
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "IAM_PERMISSION_DENIED",
        "domain": domain,
        "metadata": metadata,
    })
}
