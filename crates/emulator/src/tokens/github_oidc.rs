//! GitHub's OIDC provider, as a job with `id-token: write` sees it.
//!
//! The job's context (repository, ref, environment, …) is in the query of the request URL, where
//! GitHub has an opaque job identifier. Source:
//! <https://docs.github.com/en/actions/concepts/security/openid-connect>.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use cloud_api::token::GitHubOidcToken;
use serde_json::{Map, Value, json};

use super::jwt::sign;
use super::{Tokens, bearer};
use crate::github::identifiers::{hex_digest, number};
use crate::world::World;

/// Seconds for which a token is good.
const LIFETIME: i64 = 300;

/// The issuer, below which discovery document and keys are served.
pub(super) fn issuer(base: &str) -> String {
    format!("{base}/_github/oidc")
}

/// `GET /_github/oidc?repository=OWNER/NAME&ref=…&environment=…&…&audience=…`.
pub(super) async fn token(
    State(world): State<Arc<World>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if bearer(&headers).is_none_or(str::is_empty) {
        return refusal(StatusCode::UNAUTHORIZED, "the request token is missing");
    }
    match world.tokens.github_token(&query) {
        Ok(value) => Json(GitHubOidcToken { value }).into_response(),
        Err((status, message)) => refusal(status, &message),
    }
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"message": message}))).into_response()
}

/// `GET /_github/oidc/.well-known/openid-configuration`.
pub(super) async fn discovery(State(world): State<Arc<World>>) -> Json<Value> {
    let issuer = issuer(&world.tokens.base);
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks"),
        "subject_types_supported": ["public", "pairwise"],
        "response_types_supported": ["id_token"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid"],
    }))
}

/// `GET /_github/oidc/.well-known/jwks`.
pub(super) async fn keys(State(world): State<Arc<World>>) -> Json<Value> {
    Json(world.tokens.github.key_set())
}

impl Tokens {
    fn github_token(
        &self,
        query: &HashMap<String, String>,
    ) -> Result<String, (StatusCode, String)> {
        let context = JobContext::read(query).map_err(|it| (StatusCode::BAD_REQUEST, it))?;
        let now = self.clock.now().timestamp();
        let mut claims = context.claims();
        let mut set = |claim: &str, value: Value| claims.insert(claim.to_owned(), value);
        set("iss", issuer(&self.base).into());
        set("aud", context.audience().into());
        set("sub", context.subject().into());
        set("iat", now.into());
        set("nbf", now.into());
        set("exp", (now + LIFETIME).into());
        set("jti", hex_digest(&format!("{now} {query:?}"), 32).into());
        sign(&self.github, &Value::Object(claims))
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }
}

/// What the query says about the job.
struct JobContext<'q> {
    query: &'q HashMap<String, String>,
    owner: &'q str,
    name: &'q str,
}

impl<'q> JobContext<'q> {
    fn read(query: &'q HashMap<String, String>) -> Result<Self, String> {
        let repository = query
            .get("repository")
            .map(String::as_str)
            .unwrap_or_default();
        match repository.split_once('/') {
            Some((owner, name)) if !owner.is_empty() && !name.is_empty() => {
                Ok(Self { query, owner, name })
            }
            _ => Err(format!(
                "the query needs repository=OWNER/NAME, not \"{repository}\""
            )),
        }
    }

    fn get(&self, name: &str) -> Option<&'q str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    fn repository_id(&self) -> String {
        let made = || number(&self.repository()).to_string();
        self.get("repository_id").map_or_else(made, str::to_owned)
    }

    fn owner_id(&self) -> String {
        let made = || number(self.owner).to_string();
        self.get("repository_owner_id")
            .map_or_else(made, str::to_owned)
    }

    fn git_ref(&self) -> &'q str {
        self.get("ref").unwrap_or("refs/heads/main")
    }

    fn audience(&self) -> String {
        let default = || format!("https://github.com/{}", self.owner);
        self.get("audience").map_or_else(default, str::to_owned)
    }

    /// The subject, with numbers in it as for repositories made since July 2026; `sub_format=old`
    /// gives the form without.
    fn subject(&self) -> String {
        let escape = |text: &str| text.replace(':', "%3A");
        let repository = match self.get("sub_format") {
            Some("old") => format!("{}/{}", escape(self.owner), escape(self.name)),
            _ => format!(
                "{}@{}/{}@{}",
                escape(self.owner),
                self.owner_id(),
                escape(self.name),
                self.repository_id()
            ),
        };
        let context = match (self.get("environment"), self.get("event_name")) {
            (Some(environment), _) => format!("environment:{}", escape(environment)),
            (None, Some("pull_request")) => "pull_request".to_owned(),
            (None, _) => format!("ref:{}", escape(self.git_ref())),
        };
        format!("repo:{repository}:{context}")
    }

    /// Every claim but those of the token itself. All values are text, numbers too.
    fn claims(&self) -> Map<String, Value> {
        let repository = self.repository();
        let git_ref = self.git_ref();
        let ref_type = if git_ref.starts_with("refs/tags/") {
            "tag"
        } else {
            "branch"
        };
        let sha = hex_digest(&format!("{repository} {git_ref}"), 40);
        let sha = self.get("sha").unwrap_or(&sha);
        let workflow = format!("{repository}/.github/workflows/deploy.yml@{git_ref}");
        let workflow = self.get("workflow_ref").unwrap_or(&workflow);
        let actor = self.get("actor").unwrap_or(self.owner);
        let or = |name: &str, default: &str| self.get(name).unwrap_or(default).to_owned();
        let mut claims = Map::new();
        for (claim, value) in [
            ("repository", repository.clone()),
            ("repository_id", self.repository_id()),
            ("repository_owner", self.owner.to_owned()),
            ("repository_owner_id", self.owner_id()),
            (
                "repository_visibility",
                or("repository_visibility", "private"),
            ),
            ("ref", git_ref.to_owned()),
            ("ref_type", or("ref_type", ref_type)),
            ("ref_protected", or("ref_protected", "false")),
            ("sha", sha.to_owned()),
            ("actor", actor.to_owned()),
            ("actor_id", or("actor_id", &number(actor).to_string())),
            ("event_name", or("event_name", "push")),
            ("head_ref", or("head_ref", "")),
            ("base_ref", or("base_ref", "")),
            ("workflow", or("workflow", "deploy")),
            ("workflow_ref", workflow.to_owned()),
            ("workflow_sha", or("workflow_sha", sha)),
            ("job_workflow_ref", or("job_workflow_ref", workflow)),
            ("job_workflow_sha", or("job_workflow_sha", sha)),
            ("run_id", or("run_id", "1")),
            ("run_number", or("run_number", "1")),
            ("run_attempt", or("run_attempt", "1")),
            ("check_run_id", or("check_run_id", "1")),
            (
                "runner_environment",
                or("runner_environment", "github-hosted"),
            ),
        ] {
            claims.insert(claim.to_owned(), value.into());
        }
        if let Some(environment) = self.get("environment") {
            claims.insert("environment".to_owned(), environment.into());
        }
        let properties = self
            .query
            .iter()
            .filter(|(name, _)| name.starts_with("repo_property_"));
        claims.extend(properties.map(|(name, value)| (name.clone(), value.clone().into())));
        claims
    }
}
