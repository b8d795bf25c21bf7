//! ID tokens as Google issues them: for calling private services.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::grant::{Caller, unique_id};
use super::jwt::{Jwt, sign};
use super::keys::{KeyError, SigningKey};

/// The issuer of every Google ID token.
pub(super) const ISSUER: &str = "https://accounts.google.com";

/// Why an ID token does not open the door.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IdTokenProblem {
    /// It is no JWT at all; an access token in its place is the usual cause.
    #[error("the token is no JSON Web Token")]
    Malformed,
    /// Neither issuer nor key is that of this world.
    #[error("the token was not signed by this issuer")]
    NotOurs,
    /// It ended.
    #[error("the token expired at {0}")]
    Expired(DateTime<Utc>),
    /// It is for somebody else.
    #[error("the token is for {found}, not for {wanted}")]
    WrongAudience {
        /// The token's `aud`.
        found: String,
        /// The audience of the service.
        wanted: String,
    },
}

/// An ID token of a service account for `audience`, good for one hour.
pub(super) fn issue(
    key: &SigningKey,
    email: &str,
    audience: &str,
    include_email: bool,
    now: DateTime<Utc>,
) -> Result<String, KeyError> {
    let subject = unique_id(email);
    let mut claims = json!({
        "iss": ISSUER, "aud": audience, "azp": subject, "sub": subject,
        "iat": now.timestamp(), "exp": (now + TimeDelta::hours(1)).timestamp(),
    });
    if include_email && let Value::Object(fields) = &mut claims {
        fields.insert("email".to_owned(), email.into());
        fields.insert("email_verified".to_owned(), true.into());
    }
    sign(key, &claims)
}

/// Who an ID token stands for.
pub(super) fn verify(
    key: &SigningKey,
    token: &str,
    audience: &str,
    now: DateTime<Utc>,
) -> Result<Caller, IdTokenProblem> {
    let jwt = Jwt::parse(token).ok_or(IdTokenProblem::Malformed)?;
    if jwt.text("iss") != Some(ISSUER) || !jwt.is_signed_by(key) {
        return Err(IdTokenProblem::NotOurs);
    }
    let expires = jwt
        .number("exp")
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or(IdTokenProblem::Malformed)?;
    if expires <= now {
        return Err(IdTokenProblem::Expired(expires));
    }
    if !jwt.is_for(&[audience.to_owned()]) {
        let found = jwt
            .claims
            .get("aud")
            .map(Value::to_string)
            .unwrap_or_default();
        return Err(IdTokenProblem::WrongAudience {
            found,
            wanted: audience.to_owned(),
        });
    }
    let subject = jwt.text("sub").unwrap_or_default().to_owned();
    Ok(Caller {
        email: jwt.text("email").unwrap_or(&subject).to_owned(),
        subject,
        expires,
        claims: Value::Null,
    })
}
