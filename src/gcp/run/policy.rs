//! Who may call, by IAM.

use cloud_api::run::{Binding, Policy};

/// The role that may call a service.
const INVOKER: &str = "roles/run.invoker";
/// Everybody, without a token.
const EVERYBODY: &str = "allUsers";
/// Everybody with a Google account: strangers as well.
const EVERY_ACCOUNT: &str = "allAuthenticatedUsers";

fn admits(binding: &Binding, members: &[&str]) -> bool {
    let is_one = |member: &String| members.contains(&member.as_str());
    binding.role == INVOKER && binding.members.iter().any(is_one)
}

/// True when the policy lets everybody call.
pub fn is_public(policy: &Policy) -> bool {
    let admits_all = |binding| admits(binding, &[EVERYBODY]);
    policy.bindings.iter().any(admits_all)
}

/// True when the policy lets strangers call, with or without an account.
pub(super) fn admits_strangers(policy: &Policy) -> bool {
    let admits_any = |binding| admits(binding, &[EVERYBODY, EVERY_ACCOUNT]);
    policy.bindings.iter().any(admits_any)
}

/// The policy without that; everything else, its etag too, stays.
pub(super) fn closed(mut policy: Policy) -> Policy {
    let strangers = [EVERYBODY, EVERY_ACCOUNT];
    for binding in &mut policy.bindings {
        if admits(binding, &strangers) {
            let known = |member: &String| !strangers.contains(&member.as_str());
            binding.members.retain(known);
        }
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
                {"role": "roles/run.invoker", "members": ["allUsers", "allAuthenticatedUsers", "user:a@example.com"]},
                {"role": "roles/run.viewer", "members": ["allUsers"]},
            ]
        }))
        .unwrap();
        assert!(is_public(&policy));
        let closed = closed(policy);
        assert!(!is_public(&closed) && !admits_strangers(&closed));
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
