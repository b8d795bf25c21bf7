//! Who may call, by IAM.

use cloud_api::run::{Binding, Policy};

/// The role that may call a service.
const INVOKER: &str = "roles/run.invoker";
/// Everybody, without a token.
const EVERYBODY: &str = "allUsers";

fn opens(binding: &Binding) -> bool {
    binding.role == INVOKER && binding.members.iter().any(|member| member == EVERYBODY)
}

/// True when the policy lets everybody call.
pub fn is_public(policy: &Policy) -> bool {
    policy.bindings.iter().any(opens)
}

/// The policy without that; everything else, its etag too, stays.
pub(super) fn closed(mut policy: Policy) -> Policy {
    for binding in policy.bindings.iter_mut().filter(|binding| opens(binding)) {
        binding.members.retain(|member| member != EVERYBODY);
    }
    policy
        .bindings
        .retain(|binding| !binding.members.is_empty());
    policy
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn closing_removes_everybody_and_nobody_else() {
        let policy: Policy = serde_json::from_value(json!({
            "etag": "ACAB", "version": 1, "auditConfigs": [{"service": "x"}],
            "bindings": [
                {"role": "roles/run.invoker", "members": ["allUsers", "user:a@example.com"]},
                {"role": "roles/run.viewer", "members": ["allUsers"]},
            ]
        }))
        .unwrap();
        assert!(is_public(&policy));
        let closed = closed(policy);
        assert!(!is_public(&closed));
        assert_eq!(
            serde_json::to_value(&closed).unwrap(),
            json!({
                "etag": "ACAB", "version": 1, "auditConfigs": [{"service": "x"}],
                "bindings": [
                    {"role": "roles/run.invoker", "members": ["user:a@example.com"]},
                    {"role": "roles/run.viewer", "members": ["allUsers"]},
                ]
            })
        );
    }
}
