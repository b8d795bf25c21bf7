//! Sets up what in the true cloud is set up before a deployment: accounts, repositories,
//! environments.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::routes::{invalid, read};
use crate::error::ApiError;
use crate::world::World;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedToken {
    /// Service account to stand for.
    email: String,
    /// How long it is good; absent: an hour.
    lifetime_seconds: Option<u32>,
}

/// The longest lifetime that IAM Credentials gives, where an organization allows it: 12 hours.
const LONGEST_LIFETIME: u32 = 12 * 3600;

/// `POST /_emulator/tokens`: an access token without proof, for tests and shells.
pub(super) async fn token(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let wanted: WantedToken = read(&body)?;
    check_email(&wanted.email)?;
    let seconds = wanted.lifetime_seconds.unwrap_or(3600);
    if !(1..=LONGEST_LIFETIME).contains(&seconds) {
        return Err(invalid(format!(
            "lifetime_seconds must be 1 to {LONGEST_LIFETIME}, not {seconds}"
        )));
    }
    let lifetime = TimeDelta::seconds(seconds.into());
    let token = world.tokens.issue_local_for(&wanted.email, lifetime);
    Ok((StatusCode::CREATED, Json(json!({"access_token": token}))))
}

fn check_email(email: &str) -> Result<(), ApiError> {
    match email.split_once('@') {
        Some((name, domain)) if !name.is_empty() && !domain.is_empty() => Ok(()),
        _ => Err(invalid(format!(
            "email must be NAME@PROJECT.iam.gserviceaccount.com, not \"{email}\""
        ))),
    }
}

/// `POST /_emulator/service-accounts`.
pub(super) async fn service_account(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let account: crate::tokens::ServiceAccount = read(&body)?;
    check_email(&account.email)?;
    let registered = world.tokens.register_account(account);
    registered.map_err(|error| invalid(error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /_emulator/workload-identity-providers`.
pub(super) async fn provider(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let registered = world.tokens.register_provider(read(&body)?);
    registered.map_err(|error| invalid(error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WantedKey {
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`.
    name: String,
}

/// `POST /_emulator/kms/keys`: a key that signs, and its ring.
pub(super) async fn key(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let WantedKey { name } = read(&body)?;
    let is_key = matches!(
        crate::iam::Resource::parse(&name),
        Some(crate::iam::Resource::CryptoKey { .. })
    );
    if !is_key {
        return Err(invalid(format!(
            "name must be projects/P/locations/L/keyRings/R/cryptoKeys/K, not \"{name}\""
        )));
    }
    let made = world.kms.put_key(&name, world.clock.now());
    made.map_err(|error| ApiError::new("INTERNAL", error.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RepositorySettings {
    #[serde(default)]
    immutable_tags: bool,
    #[serde(default = "default_location")]
    location: String,
}

fn default_location() -> String {
    "us".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrySettings {
    /// Whether a repository comes into being with its first push.
    create_on_push: Option<bool>,
    /// Whether the list of referrers is answered.
    lists_referrers: Option<bool>,
}

/// `PUT /_emulator/registry/settings`.
pub(super) async fn registry(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let RegistrySettings {
        create_on_push,
        lists_referrers,
    } = read(&body)?;
    if let Some(create_on_push) = create_on_push {
        world.registry.set_must_be_created(!create_on_push);
    }
    if let Some(lists_referrers) = lists_referrers {
        world.registry.set_lists_referrers(lists_referrers);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /_emulator/registry/repositories/{project}/{repository}`.
pub(super) async fn repository(
    State(world): State<Arc<World>>,
    Path((project, repository)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let RepositorySettings {
        immutable_tags,
        location,
    } = read(&body)?;
    let now = world.clock.now();
    world
        .registry
        .put_repository(&project, &repository, &location, immutable_tags, now);
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /_emulator/github/repos/{owner}/{name}/environments/{environment}`.
pub(super) async fn environment(
    State(world): State<Arc<World>>,
    Path((owner, name, environment)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let settings: crate::github::EnvironmentSettings = read(&body)?;
    let kinds = ["User", "Team"];
    if let Some(reviewer) = settings
        .reviewers
        .iter()
        .find(|it| !kinds.contains(&&*it.kind))
    {
        let kind = &reviewer.kind;
        return Err(invalid(format!(
            "a reviewer's type is User or Team, not \"{kind}\""
        )));
    }
    let now = world.clock.now();
    world
        .github
        .set_environment((&owner, &name), &environment, settings, now);
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /_emulator/github/repos/{owner}/{name}/runs/{id}`.
pub(super) async fn run(
    State(world): State<Arc<World>>,
    Path((owner, name, id)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let id = id
        .parse()
        .map_err(|_| invalid(format!("\"{id}\" is no run id")))?;
    let now = world.clock.now();
    world.github.set_run((&owner, &name), id, read(&body)?, now);
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    sha: String,
}

/// `PUT /_emulator/github/repos/{owner}/{name}/refs/{ref}`, such as `…/refs/tags/v1.0.0`.
pub(super) async fn git_ref(
    State(world): State<Arc<World>>,
    Path((owner, name, git_ref)): Path<(String, String, String)>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let Target { sha } = read(&body)?;
    if sha.len() != 40 || !sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid(format!(
            "sha must be a full commit hash, not \"{sha}\""
        )));
    }
    let now = world.clock.now();
    world
        .github
        .set_ref((&owner, &name), &format!("refs/{git_ref}"), &sha, now);
    Ok(StatusCode::NO_CONTENT)
}
