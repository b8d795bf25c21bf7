//! Security Token Service: a GitHub token for a federated access token.
//!
//! Source: <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>.

use std::sync::Arc;

use axum::extract::{Form, FromRequest, Json, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use cloud_api::token::OAuthToken;
use serde::Deserialize;

use super::account::{Provider, holds};
use super::grant::Caller;
use super::jwt::Jwt;
use super::problem::OAuthProblem;
use super::{Tokens, github_oidc};
use crate::error::ApiError;
use crate::iam::{Api, check_api};
use crate::world::World;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const SUBJECT_TYPES: [&str; 2] = [
    "urn:ietf:params:oauth:token-type:jwt",
    "urn:ietf:params:oauth:token-type:id_token",
];
/// How long a federated token lives.
const LIFETIME: TimeDelta = TimeDelta::hours(1);

/// The request, in JSON (camelCase) or as a form (snake_case).
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Exchange {
    audience: String,
    #[serde(alias = "grantType")]
    grant_type: String,
    #[serde(alias = "requestedTokenType")]
    requested_token_type: String,
    scope: String,
    #[serde(alias = "subjectTokenType")]
    subject_token_type: String,
    #[serde(alias = "subjectToken")]
    subject_token: String,
}

/// `POST /v1/token`.
pub(super) async fn exchange(
    State(world): State<Arc<World>>,
    request: Request,
) -> Result<Json<OAuthToken>, Refused> {
    let exchange = read(request).await?;
    check_form(&exchange)?;
    // The front end of all of Google's APIs looks at this, so it answers in their form.
    if let Some(project) = project_of(&exchange.audience) {
        check_api(&world, Api::Sts, project)?;
    }
    let access_token = world.tokens.exchange(&exchange)?;
    Ok(Json(OAuthToken {
        access_token,
        token_type: "Bearer".to_owned(),
        // The last second is gone by the time the answer arrives.
        expires_in: Some(LIFETIME.num_seconds().unsigned_abs() - 1),
        issued_token_type: Some(ACCESS_TOKEN.to_owned()),
    }))
}

/// An error of the service itself, or of the front end before it.
pub(super) enum Refused {
    OAuth(OAuthProblem),
    Api(ApiError),
}

impl From<OAuthProblem> for Refused {
    fn from(problem: OAuthProblem) -> Self {
        Self::OAuth(problem)
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::OAuth(problem) => problem.into_response(),
            Self::Api(error) => error.into_response(),
        }
    }
}

/// The number of the project that the pool of an audience lies in.
fn project_of(audience: &str) -> Option<&str> {
    let name = audience.strip_prefix("//iam.googleapis.com/projects/")?;
    name.split('/').next()
}

async fn read(request: Request) -> Result<Exchange, OAuthProblem> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_json = content_type
        .and_then(|it| it.to_str().ok())
        .is_some_and(|it| it.starts_with("application/json"));
    let unreadable = |text: String| OAuthProblem::new("invalid_request", text);
    if is_json {
        let body = Json::from_request(request, &()).await;
        body.map(|Json(exchange)| exchange)
            .map_err(|it| unreadable(it.body_text()))
    } else {
        let body = Form::from_request(request, &()).await;
        body.map(|Form(exchange)| exchange)
            .map_err(|it| unreadable(it.body_text()))
    }
}

fn check_form(exchange: &Exchange) -> Result<(), OAuthProblem> {
    let invalid = |field: &str, value: &str| {
        let text = format!("Invalid value for \"{field}\": \"{value}\".");
        Err(OAuthProblem::new("invalid_request", text))
    };
    if exchange.grant_type != EXCHANGE {
        let text = format!("Invalid grant_type: {}", exchange.grant_type);
        return Err(OAuthProblem::new("unsupported_grant_type", text));
    }
    if exchange.requested_token_type != ACCESS_TOKEN {
        return invalid("requested_token_type", &exchange.requested_token_type);
    }
    if !SUBJECT_TYPES.contains(&exchange.subject_token_type.as_str()) {
        return invalid("subject_token_type", &exchange.subject_token_type);
    }
    if exchange.scope.is_empty() {
        return Err(OAuthProblem::new("invalid_scope", "No scope is given."));
    }
    Ok(())
}

impl Tokens {
    /// A federated token for the holder of a GitHub token.
    fn exchange(&self, exchange: &Exchange) -> Result<String, OAuthProblem> {
        let name = provider_name(&exchange.audience)?;
        let provider = self.provider(&name).ok_or_else(|| {
            OAuthProblem::new(
                "invalid_target",
                "The target service indicated by the \"audience\" parameters is invalid. This \
                 might either be because the pool or provider is disabled or deleted or because \
                 it doesn't exist.",
            )
        })?;
        let jwt = self.verified(&exchange.subject_token, &provider)?;
        if !holds(&provider.condition, &jwt.claims) {
            return Err(OAuthProblem::new(
                "unauthorized_client",
                "The given credential is rejected by the attribute condition.",
            ));
        }
        let pool = name.split("/providers/").next().unwrap_or_default();
        let subject = jwt.text("sub").unwrap_or_default().to_owned();
        let expires = self.clock.now() + LIFETIME;
        let caller = Caller {
            email: format!("principal://iam.googleapis.com/{pool}/subject/{subject}"),
            subject,
            expires,
            claims: jwt.claims,
        };
        Ok(self.lock().grants.issue("ya29.d.", caller, expires))
    }

    /// The provider; one that is registered by nobody has no condition.
    fn provider(&self, name: &str) -> Option<Provider> {
        let state = self.lock();
        if state.providers.is_empty() {
            return Some(Provider {
                name: name.to_owned(),
                ..Provider::default()
            });
        }
        state.providers.get(name).cloned()
    }

    /// The GitHub token, once issuer, signature, time and audience are right.
    fn verified(&self, token: &str, provider: &Provider) -> Result<Jwt, OAuthProblem> {
        let refused = |text: String| Err(OAuthProblem::new("invalid_grant", text));
        let Some(jwt) = Jwt::parse(token) else {
            return refused("The subject token is no JSON Web Token.".to_owned());
        };
        let issuer = github_oidc::issuer(&self.base);
        let found = jwt.text("iss").unwrap_or_default();
        if found != issuer {
            return refused(format!(
                "The issuer in ID Token {found} does not match the expected ones: {issuer}"
            ));
        }
        if !jwt.is_signed_by(&self.github) {
            return refused("The signature of the ID Token is not valid.".to_owned());
        }
        let now = self.clock.now().timestamp();
        if jwt.number("exp").is_none_or(|expires| expires <= now) {
            let issued = jwt.number("iat").unwrap_or_default();
            return refused(format!("ID Token issued at {issued} is stale to sign-in."));
        }
        let audiences = if provider.allowed_audiences.is_empty() {
            let own = format!("//iam.googleapis.com/{}", provider.name);
            vec![format!("https:{own}"), own]
        } else {
            provider.allowed_audiences.clone()
        };
        if !jwt.is_for(&audiences) {
            let audience = jwt.text("aud").unwrap_or_default();
            return refused(format!(
                "The audience in ID Token [{audience}] does not match the expected audience."
            ));
        }
        Ok(jwt)
    }
}

/// The provider's resource name from the `audience` of an exchange.
fn provider_name(audience: &str) -> Result<String, OAuthProblem> {
    let name = audience.strip_prefix("//iam.googleapis.com/");
    name.filter(|name| is_provider_name(name)).map(str::to_owned).ok_or_else(|| {
        OAuthProblem::new(
            "invalid_request",
            "Invalid value for \"audience\". This value should be the full resource name of the \
             Identity Provider. See \
             https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list \
             of possible formats.",
        )
    })
}

/// `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
pub(super) fn is_provider_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let [
        "projects",
        number,
        "locations",
        "global",
        "workloadIdentityPools",
        pool,
        "providers",
        provider,
    ] = parts.as_slice()
    else {
        return false;
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number && !pool.is_empty() && !provider.is_empty()
}
