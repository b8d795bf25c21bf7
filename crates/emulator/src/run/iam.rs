//! IAM policies of services.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use cloud_api::run::Policy;
use serde::{Deserialize, Serialize};

use super::key::ServiceKey;
use super::state::State;
use crate::error::ApiError;

/// The etag of a policy that was never set.
const EMPTY_ETAG: &str = "ACAB";
/// Role that lets a caller use a service.
const INVOKER: &str = "roles/run.invoker";

/// A service's policy; version 0 means that it was never set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    policy: Policy,
    version: i64,
}

impl PolicyRecord {
    /// The policy with its etag.
    pub(crate) fn view(&self) -> Policy {
        Policy {
            etag: self.etag(),
            ..self.policy.clone()
        }
    }

    /// True when everyone may call the service.
    pub(crate) fn is_public(&self) -> bool {
        self.policy.bindings.iter().any(|binding| {
            binding.role == INVOKER && binding.members.iter().any(|member| member == "allUsers")
        })
    }

    /// Version of the write that set it; 0: none did.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    fn etag(&self) -> String {
        if self.version == 0 {
            return EMPTY_ETAG.to_owned();
        }
        // IAM's own etags start with the same byte, `BwY…`.
        let mut bytes = self.version.to_be_bytes();
        bytes[0] = 0x07;
        STANDARD.encode(bytes)
    }
}

/// Bytes in JSON may come in either alphabet of base64, padded or not: gcloud writes the one for URLs.
fn same_etag(given: &str, current: &str) -> bool {
    let plain = |etag: &str| {
        let standard = etag.replace('-', "+").replace('_', "/");
        standard.trim_end_matches('=').to_owned()
    };
    plain(given) == plain(current)
}

/// Replaces a policy.
///
/// # Errors
/// `ABORTED` when the etag is not the current one, `NOT_FOUND` without service.
pub(crate) fn set_policy(
    state: &mut State,
    key: &ServiceKey,
    policy: Policy,
    now: DateTime<Utc>,
) -> Result<Policy, ApiError> {
    let current = state.service(key)?.policy.etag();
    if !policy.etag.is_empty() && !same_etag(&policy.etag, &current) {
        return Err(ApiError::new(
            "ABORTED",
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
        ));
    }
    for binding in &policy.bindings {
        if !binding.role.contains("roles/") {
            return Err(ApiError::new(
                "INVALID_ARGUMENT",
                format!("Role {} is not supported for this resource.", binding.role),
            ));
        }
    }
    let version = state.next_version(now);
    let record = &mut state.service_mut(key)?.policy;
    let bindings = policy
        .bindings
        .into_iter()
        .filter(|binding| !binding.members.is_empty())
        .collect();
    *record = PolicyRecord {
        policy: Policy {
            version: policy.version.or(Some(1)),
            bindings,
            ..policy
        },
        version,
    };
    Ok(record.view())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_may_come_back_in_the_other_alphabet() {
        assert!(same_etag("BwY-_w", "BwY+/w=="));
        assert!(same_etag("BwY+/w==", "BwY+/w=="));
        assert!(!same_etag("BwY+/g==", "BwY+/w=="));
    }
}
