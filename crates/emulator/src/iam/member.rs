//! Whom a member of a binding stands for.
//!
//! Source: <https://cloud.google.com/iam/docs/principal-identifiers>.

use serde_json::Value;

use crate::tokens::Caller;

/// True when the member is, or holds, the caller. Groups and roles of projects are not modelled:
/// they hold nobody.
pub(super) fn includes(member: &str, caller: &Caller) -> bool {
    if matches!(member, "allUsers" | "allAuthenticatedUsers") {
        return true;
    }
    if let Some(set) = member.strip_prefix("principalSet://") {
        return in_set(set, caller);
    }
    if member.starts_with("principal://") {
        return member == caller.email;
    }
    let Some((kind, name)) = member.split_once(':') else {
        return false;
    };
    match kind {
        "serviceAccount" => caller.email == name && is_service_account(name),
        "user" => caller.email == name && !is_service_account(name),
        "domain" => {
            let domain = caller.email.split_once('@').map(|(_, domain)| domain);
            !is_service_account(&caller.email) && domain == Some(name)
        }
        _ => false,
    }
}

/// True for the e-mail of a service account.
fn is_service_account(email: &str) -> bool {
    email.ends_with(".gserviceaccount.com")
}

/// `iam.googleapis.com/POOL/*` and `iam.googleapis.com/POOL/attribute.NAME/VALUE`. Each attribute is
/// taken to be mapped from the claim of its name.
fn in_set(set: &str, caller: &Caller) -> bool {
    let Some((pool, _)) = caller
        .email
        .strip_prefix("principal://")
        .and_then(|name| name.split_once("/subject/"))
    else {
        return false;
    };
    let Some(rest) = set
        .strip_prefix(pool)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return false;
    };
    if rest == "*" {
        return true;
    }
    let Some((attribute, value)) = rest
        .strip_prefix("attribute.")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let claim = caller.claims.get(attribute).and_then(Value::as_str);
    claim.unwrap_or_default() == value
}

/// How a policy names the caller.
pub fn member(caller: &Caller) -> String {
    if caller.email.starts_with("principal://") {
        caller.email.clone()
    } else if is_service_account(&caller.email) {
        format!("serviceAccount:{}", caller.email)
    } else {
        format!("user:{}", caller.email)
    }
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

    const POOL: &str =
        "iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github";

    #[test]
    fn members_stand_for_whom_they_name() {
        let account = caller("a@p.iam.gserviceaccount.com", Value::Null);
        let user = caller("a@example.com", Value::Null);
        let job = caller(
            &format!("principal://{POOL}/subject/repo:o/r"),
            json!({"environment": "production"}),
        );
        let rows = [
            ("allUsers".to_owned(), [true, true, true]),
            (
                "serviceAccount:a@p.iam.gserviceaccount.com".to_owned(),
                [true, false, false],
            ),
            ("user:a@example.com".to_owned(), [false, true, false]),
            ("domain:example.com".to_owned(), [false, true, false]),
            ("group:a@example.com".to_owned(), [false, false, false]),
            (
                format!("principalSet://{POOL}/attribute.environment/production"),
                [false, false, true],
            ),
            (
                format!("principalSet://{POOL}/attribute.environment/dev"),
                [false, false, false],
            ),
            (format!("principalSet://{POOL}/*"), [false, false, true]),
            (format!("principalSet://{POOL}2/*"), [false, false, false]),
            (
                format!("principal://{POOL}/subject/repo:o/r"),
                [false, false, true],
            ),
            ("nonsense".to_owned(), [false, false, false]),
        ];
        for (member, expected) in rows {
            let found = [&account, &user, &job].map(|caller| includes(&member, caller));
            assert_eq!(found, expected, "{member}");
        }
    }
}
