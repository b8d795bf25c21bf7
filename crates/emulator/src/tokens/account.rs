//! Service accounts and workload identity providers that were registered, and whom they admit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::grant::Caller;
use super::public_key::{PublicKey, PublicKeyError};

/// Claims of a GitHub token that must have these values (`environment`, `repository_id`, …).
pub type Condition = BTreeMap<String, String>;

/// A service account as it is registered. One that is not registered admits every caller of this
/// world, so that a laptop needs no set-up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// `NAME@PROJECT.iam.gserviceaccount.com`.
    pub email: String,
    /// RSA public key (PEM, `PUBLIC KEY` or `RSA PUBLIC KEY`) that assertions of this account are
    /// verified with; without it the token endpoint knows no such account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_pem: Option<String>,
    /// Only GitHub tokens of this environment may act as the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Only GitHub tokens of this repository may act as the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
}

impl ServiceAccount {
    /// The claims that a federated caller must show.
    fn binding(&self) -> Condition {
        let claims = [
            ("environment", &self.environment),
            ("repository_id", &self.repository_id),
        ];
        let bound = claims.into_iter().filter_map(|(claim, value)| {
            let value = value.as_ref()?;
            Some((claim.to_owned(), value.clone()))
        });
        bound.collect()
    }

    /// The key, read.
    pub(super) fn public_key(&self) -> Result<Option<PublicKey>, PublicKeyError> {
        self.public_key_pem
            .as_deref()
            .map(PublicKey::from_pem)
            .transpose()
    }

    /// True when `caller` may act as this account: the account itself always, another one only
    /// when the account is bound to nothing.
    pub(super) fn admits(&self, caller: &Caller) -> bool {
        caller.email == self.email || holds(&self.binding(), &caller.claims)
    }
}

/// A workload identity provider. While none is registered, every provider exists and has no
/// condition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// `projects/N/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
    pub name: String,
    /// The attribute condition, as claims that must have these values.
    #[serde(default)]
    pub condition: Condition,
    /// Audiences that are accepted in place of the provider's own name.
    #[serde(default)]
    pub allowed_audiences: Vec<String>,
}

/// True when each claim of the condition has its value.
pub(super) fn holds(condition: &Condition, claims: &Value) -> bool {
    condition
        .iter()
        .all(|(claim, value)| claims.get(claim).and_then(Value::as_str) == Some(value))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use serde_json::json;

    use super::*;

    fn caller(email: &str, claims: Value) -> Caller {
        Caller {
            email: email.to_owned(),
            subject: "1".to_owned(),
            expires: Utc::now(),
            claims,
        }
    }

    #[test]
    fn a_bound_account_admits_itself_and_who_shows_the_claims() {
        let account = ServiceAccount {
            email: "prod@p.iam.gserviceaccount.com".to_owned(),
            environment: Some("production".to_owned()),
            repository_id: Some("7".to_owned()),
            ..ServiceAccount::default()
        };
        let right = json!({"environment": "production", "repository_id": "7"});
        for (email, claims, expected) in [
            ("principal://x", right, true),
            (
                "principal://x",
                json!({"environment": "production", "repository_id": "8"}),
                false,
            ),
            (
                "principal://x",
                json!({"environment": "dev", "repository_id": "7"}),
                false,
            ),
            ("principal://x", json!({"repository_id": "7"}), false),
            ("dev@p.iam.gserviceaccount.com", Value::Null, false),
            ("prod@p.iam.gserviceaccount.com", Value::Null, true),
        ] {
            assert_eq!(
                account.admits(&caller(email, claims.clone())),
                expected,
                "{email} {claims}"
            );
        }
    }
}
