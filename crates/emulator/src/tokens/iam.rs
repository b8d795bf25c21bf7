//! IAM Credentials: short-lived tokens of a service account for who may act as it.
//!
//! Source: <https://cloud.google.com/iam/docs/reference/credentials/rest>.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use chrono::{SecondsFormat, TimeDelta};
use cloud_api::token::{
    GenerateAccessTokenRequest, GenerateAccessTokenResponse, GenerateIdTokenRequest,
    GenerateIdTokenResponse,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::grant::{Caller, unique_id};
use super::{ACCESS_TOKEN_LIFETIME, Tokens, id_token};
use crate::error::ApiError;
use crate::iam::{self, Api, Denied, Resource};
use crate::world::World;

/// `POST /v1/projects/-/serviceAccounts/EMAIL:METHOD`.
pub(super) async fn call(
    State(world): State<Arc<World>>,
    Path((project, call)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let tokens = &world.tokens;
    let caller = tokens.caller(&headers)?;
    let (email, method) = call.rsplit_once(':').unwrap_or((&call, ""));
    if project != "-" {
        return Err(invalid("name", "the project must be given as \"-\""));
    }
    let account = Resource::ServiceAccount(email.to_owned());
    if let Some(project) = account.project() {
        iam::check_api(&world, Api::IamCredentials, &project)?;
    }
    match method {
        "generateAccessToken" => {
            iam::check(
                &world,
                &caller,
                "iam.serviceAccounts.getAccessToken",
                &account,
            )?;
            tokens.admit(&caller, email, "iam.serviceAccounts.getAccessToken")?;
            let answer = tokens.generate_access_token(email, &read(&body)?)?;
            Ok(Json(answer).into_response())
        }
        "generateIdToken" => {
            iam::check(
                &world,
                &caller,
                "iam.serviceAccounts.getOpenIdToken",
                &account,
            )?;
            tokens.admit(&caller, email, "iam.serviceAccounts.getOpenIdToken")?;
            let answer = tokens.generate_id_token(email, &read(&body)?)?;
            Ok(Json(answer).into_response())
        }
        _ => Err(ApiError::new(
            "UNIMPLEMENTED",
            format!("the local cloud has no method \"{method}\" of service accounts"),
        )),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        let text = format!("Invalid JSON payload received. {error}");
        ApiError::new("INVALID_ARGUMENT", text)
    })
}

fn invalid(field: &str, description: &str) -> ApiError {
    ApiError::new("INVALID_ARGUMENT", "Request contains an invalid argument.").with_detail(json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": description}],
    }))
}

impl Tokens {
    /// Lets the caller act as the account, or refuses the permission.
    fn admit(&self, caller: &Caller, email: &str, permission: &str) -> Result<(), ApiError> {
        let state = self.lock();
        if state
            .accounts
            .get(email)
            .is_none_or(|account| account.admits(caller))
        {
            return Ok(());
        }
        let denied = Denied {
            permission: permission.to_owned(),
            resource: Resource::ServiceAccount(email.to_owned()),
        };
        Err(denied.answer())
    }

    fn generate_access_token(
        &self,
        email: &str,
        request: &GenerateAccessTokenRequest,
    ) -> Result<GenerateAccessTokenResponse, ApiError> {
        if request.scope.iter().all(String::is_empty) {
            return Err(invalid("scope", "at least one scope is needed"));
        }
        let lifetime = match request.lifetime.as_deref() {
            None => ACCESS_TOKEN_LIFETIME,
            Some(text) => parse_lifetime(text)
                .ok_or_else(|| invalid("lifetime", "must be from 1s to 3600s"))?,
        };
        let expires = self.clock.now() + lifetime;
        Ok(GenerateAccessTokenResponse {
            access_token: self.issue(email, expires),
            expire_time: expires.to_rfc3339_opts(SecondsFormat::Secs, true),
        })
    }

    fn generate_id_token(
        &self,
        email: &str,
        request: &GenerateIdTokenRequest,
    ) -> Result<GenerateIdTokenResponse, ApiError> {
        if request.audience.is_empty() {
            return Err(invalid("audience", "must not be empty"));
        }
        let (audience, now) = (&request.audience, self.clock.now());
        let token = id_token::issue(&self.google, email, audience, request.include_email, now)
            .map_err(|error| ApiError::new("INTERNAL", error.to_string()))?;
        Ok(GenerateIdTokenResponse { token })
    }

    /// An access token of a service account.
    pub(super) fn issue(&self, email: &str, expires: chrono::DateTime<chrono::Utc>) -> String {
        let caller = Caller {
            email: email.to_owned(),
            subject: unique_id(email),
            expires,
            claims: serde_json::Value::Null,
        };
        self.lock().grants.issue("ya29.c.", caller, expires)
    }
}

/// `Ns`, at most an hour.
fn parse_lifetime(text: &str) -> Option<TimeDelta> {
    let seconds: i64 = text.strip_suffix('s')?.parse().ok()?;
    (1..=ACCESS_TOKEN_LIFETIME.num_seconds())
        .contains(&seconds)
        .then(|| TimeDelta::seconds(seconds))
}
