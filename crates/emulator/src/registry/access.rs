//! Who may pull and push: Basic and Bearer credentials, and the token endpoint.
//!
//! Anyone may pull; that is a deviation, for an engine on this machine pulls without credentials.
//! Pushing wants a token of this world.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::RegistryError;
use super::name::repository_of;
use crate::iam::{self, Api, Resource};
use crate::tokens::{Caller, RegistryHolder, basic, bearer};
use crate::world::World;

/// User names under which Artifact Registry takes an access token as the password.
const TOKEN_USERS: [&str; 2] = ["oauth2accesstoken", "_dcgcloud_token"];

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Action {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Delete.
    Delete,
}

impl Action {
    fn scope(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
            Self::Delete => "pull,push,delete",
        }
    }

    fn permission(self) -> &'static str {
        match self {
            Self::Pull => "artifactregistry.repositories.downloadArtifacts",
            Self::Push => "artifactregistry.repositories.uploadArtifacts",
            Self::Delete => "artifactregistry.repositories.deleteArtifacts",
        }
    }
}

/// Lets the request through, or says what it lacks.
pub(super) fn check(
    world: &World,
    headers: &HeaderMap,
    name: &str,
    action: Action,
) -> Result<(), RegistryError> {
    check_api(world, name)?;
    match holder(world, headers) {
        Credential::Of(RegistryHolder::Known(caller)) => {
            permit(world, headers, &caller, name, action)
        }
        Credential::Of(RegistryHolder::Anonymous) | Credential::Absent
            if action == Action::Pull =>
        {
            Ok(())
        }
        Credential::Of(RegistryHolder::Anonymous) => Err(RegistryError::new(
            StatusCode::FORBIDDEN,
            "DENIED",
            unauthenticated(headers, name, action),
        )),
        Credential::Absent => Err(RegistryError::unauthorized(
            &challenge(world, headers, Some((name, action))),
            unauthenticated(headers, name, action),
        )),
        Credential::Wrong => Err(wrong(world, headers, Some((name, action)))),
    }
}

fn check_api(world: &World, name: &str) -> Result<(), RegistryError> {
    let Some((project, _)) = repository_of(name) else {
        return Ok(());
    };
    if world.iam.is_enabled(&project, Api::ArtifactRegistry.name()) {
        return Ok(());
    }
    let text = iam::disabled_text(Api::ArtifactRegistry, &project);
    Err(denied(text))
}

fn denied(text: String) -> RegistryError {
    RegistryError::new(StatusCode::FORBIDDEN, "DENIED", text)
}

fn permit(
    world: &World,
    headers: &HeaderMap,
    caller: &Caller,
    name: &str,
    action: Action,
) -> Result<(), RegistryError> {
    let Some((project, repository)) = repository_of(name) else {
        return Ok(());
    };
    let resource = Resource::Repository {
        project,
        location: location(headers),
        repository,
    };
    let permission = action.permission();
    iam::permit(world, caller, permission, &resource).map_err(|_| {
        let name = resource.name();
        denied(format!(
            "Permission \"{permission}\" denied on resource \"{name}\" (or it may not exist)"
        ))
    })
}

/// The region of the host that was called; `local` where the host names none.
pub(super) fn location(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.and_then(|host| host.split_once("-docker.pkg.dev"))
        .map_or("local", |(location, _)| location)
        .to_owned()
}

/// `GET /v2/`: tells a client that it needs a token. A client that gets 200 here without a
/// credential never asks for one.
pub(super) async fn ping(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    match holder(&world, &headers) {
        Credential::Of(_) => Json(json!({})).into_response(),
        Credential::Absent => {
            let challenge = challenge(&world, &headers, None);
            RegistryError::unauthorized(&challenge, "Unauthenticated request.").into_response()
        }
        Credential::Wrong => wrong(&world, &headers, None).into_response(),
    }
}

/// `GET /v2/token`: a registry token for whom the Basic credential stands for, or for nobody.
/// The scopes of the query (one or more) are not looked at: rights count when the token is used.
pub(super) async fn token(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
) -> Result<Response, RegistryError> {
    let holder = match holder(&world, &headers) {
        Credential::Of(holder) => holder,
        Credential::Absent => RegistryHolder::Anonymous,
        Credential::Wrong => return Err(wrong(&world, &headers, None)),
    };
    let (token, expires) = world.tokens.issue_registry(holder);
    let now = world.clock.now();
    Ok(Json(json!({
        "token": token,
        "access_token": token,
        "expires_in": (expires - now).num_seconds().max(0),
        "issued_at": now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    }))
    .into_response())
}

enum Credential {
    Absent,
    Wrong,
    Of(RegistryHolder),
}

fn holder(world: &World, headers: &HeaderMap) -> Credential {
    if !headers.contains_key(AUTHORIZATION) {
        return Credential::Absent;
    }
    let found = match (bearer(headers), basic(headers)) {
        (Some(token), _) => world.tokens.registry_token(token).or_else(|| {
            let caller = world.tokens.access_token(token)?;
            Some(RegistryHolder::Known(caller))
        }),
        (None, Some((user, token))) if TOKEN_USERS.contains(&user.as_str()) => {
            world.tokens.access_token(&token).map(RegistryHolder::Known)
        }
        _ => None,
    };
    found.map_or(Credential::Wrong, Credential::Of)
}

fn wrong(world: &World, headers: &HeaderMap, of: Option<(&str, Action)>) -> RegistryError {
    RegistryError::unauthorized(&challenge(world, headers, of), "authentication failed")
}

/// The host that the client knows this registry by.
fn host(world: &World, headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.map_or_else(|| world.config.listen.to_string(), str::to_owned)
}

fn challenge(world: &World, headers: &HeaderMap, of: Option<(&str, Action)>) -> String {
    let host = host(world, headers);
    let mut text = format!("Bearer realm=\"http://{host}/v2/token\",service=\"{host}\"");
    if let Some((name, action)) = of {
        text += &format!(",scope=\"repository:{name}:{}\"", action.scope());
    }
    text
}

fn unauthenticated(headers: &HeaderMap, name: &str, action: Action) -> String {
    let permission = action.permission();
    let (project, repository) = repository_of(name).unwrap_or_default();
    let location = location(headers);
    format!(
        "Unauthenticated request. Unauthenticated requests do not have permission \
         \"{permission}\" on resource \
         \"projects/{project}/locations/{location}/repositories/{repository}\" (or it may not exist)"
    )
}
