//! The OAuth token endpoint: a signed assertion of a service-account key for a token.
//!
//! Source: <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::ServiceAccount;
use super::jwt::Jwt;
use super::problem::OAuthProblem;
use super::{ACCESS_TOKEN_LIFETIME, Tokens, id_token};
use crate::world::World;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The addresses that an assertion may be made out to, beside this endpoint's own.
const AUDIENCES: [&str; 2] = [
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
];
/// How far in the future an assertion may have been issued: clocks differ.
const SKEW: TimeDelta = TimeDelta::minutes(5);

#[derive(Deserialize)]
pub(super) struct Grant {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    assertion: String,
}

/// `POST /token`.
pub(super) async fn token(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    form: Result<Form<Grant>, FormRejection>,
) -> Result<Json<Value>, OAuthProblem> {
    let Form(grant) =
        form.map_err(|error| OAuthProblem::new("invalid_request", error.body_text()))?;
    if grant.grant_type != JWT_BEARER {
        let text = format!("Invalid grant_type: {}", grant.grant_type);
        return Err(OAuthProblem::new("unsupported_grant_type", text));
    }
    let mut audiences: Vec<String> = AUDIENCES.map(str::to_owned).to_vec();
    audiences.push(format!("{}/token", world.tokens.base));
    if let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) {
        audiences.push(format!("http://{host}/token"));
    }
    world.tokens.redeem(&grant.assertion, &audiences).map(Json)
}

impl Tokens {
    /// An access token, or an ID token when the assertion names a target audience.
    fn redeem(&self, assertion: &str, audiences: &[String]) -> Result<Value, OAuthProblem> {
        let refused = |text: &str| OAuthProblem::new("invalid_grant", text);
        let jwt = Jwt::parse(assertion).ok_or_else(|| refused("Invalid JWT."))?;
        let account = jwt.text("iss").and_then(|email| self.account(email));
        let account = account.ok_or_else(|| refused("Invalid grant: account not found"))?;
        let key = account.public_key().ok().flatten();
        let key = key.ok_or_else(|| refused("Invalid grant: account not found"))?;
        let is_rs256 = jwt.header.get("alg").and_then(Value::as_str) == Some("RS256");
        if !is_rs256 || !key.verify(jwt.signed.as_bytes(), &jwt.signature) {
            return Err(refused("Invalid JWT Signature."));
        }
        if !self.is_in_time(&jwt) {
            return Err(refused(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable \
                 timeframe. Check your iat and exp values in the JWT claim.",
            ));
        }
        if !jwt.is_for(audiences) {
            return Err(refused("Invalid JWT: Failed audience check."));
        }
        self.answer(&jwt, &account)
    }

    fn answer(&self, jwt: &Jwt, account: &ServiceAccount) -> Result<Value, OAuthProblem> {
        let now = self.clock.now();
        if let Some(audience) = jwt.text("target_audience") {
            let token = id_token::issue(&self.google, &account.email, audience, true, now)?;
            return Ok(json!({"id_token": token}));
        }
        if jwt.text("scope").is_none_or(str::is_empty) {
            let text = "Invalid OAuth scope or ID token audience provided.";
            return Err(OAuthProblem::new("invalid_scope", text));
        }
        let token = self.issue(&account.email, now + ACCESS_TOKEN_LIFETIME);
        Ok(json!({
            "access_token": token,
            // The last second is gone by the time the answer arrives.
            "expires_in": ACCESS_TOKEN_LIFETIME.num_seconds() - 1,
            "token_type": "Bearer",
        }))
    }

    fn is_in_time(&self, jwt: &Jwt) -> bool {
        let now = self.clock.now().timestamp();
        let (Some(issued), Some(expires)) = (jwt.number("iat"), jwt.number("exp")) else {
            return false;
        };
        let is_short = expires - issued <= ACCESS_TOKEN_LIFETIME.num_seconds();
        is_short && expires > now && issued <= now + SKEW.num_seconds()
    }
}
