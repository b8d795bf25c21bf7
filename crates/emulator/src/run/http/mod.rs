//! Cloud Run's Admin API v2 over HTTP.

pub(crate) mod operations;
mod platform;
pub(crate) mod revisions;
pub(crate) mod services;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::change::Context;
use super::key::{ServiceKey, project_number};
use super::permit::{Deployment, check_deployment};
use super::state::State;
use crate::error::{ApiError, parse_json};
use crate::tokens::Caller;
use crate::world::World;

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    const PARENT: &str = "/v2/projects/{project}/locations/{location}";
    let path = |rest: &str| format!("{PARENT}{rest}");
    Router::new()
        .route(
            &path("/services"),
            get(services::list).post(services::create),
        )
        .route(
            &path("/services/{service}"),
            get(services::get)
                .post(services::post)
                .patch(services::patch)
                .delete(services::delete),
        )
        .route(&path("/services/{service}/revisions"), get(revisions::list))
        .route(
            &path("/services/{service}/revisions/{revision}"),
            get(revisions::get).delete(revisions::delete),
        )
        .route(&path("/operations"), get(operations::list))
        .route(
            &path("/operations/{operation}"),
            get(operations::get)
                .post(operations::post)
                .delete(operations::delete),
        )
        .route("/_emulator/secrets", post(put_secret))
        .route(
            "/_emulator/run/quotas/{project}/{region}",
            get(platform::quota).put(platform::put_quota),
        )
        .route(
            "/_emulator/run/error-codes",
            axum::routing::put(platform::put_codes),
        )
        .route(
            "/_emulator/run/troubles",
            post(platform::add_trouble).delete(platform::clear_troubles),
        )
}

pub(crate) type Answer = Result<Json<Value>, ApiError>;

/// The caller, who must hold an access token of this world.
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequestParts<Arc<World>> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        world: &Arc<World>,
    ) -> Result<Self, Self::Rejection> {
        world.tokens.caller(&parts.headers).map(Self)
    }
}

/// Changes the state with everything that a change needs.
pub(crate) fn with_context<T>(
    world: &Arc<World>,
    caller: &Caller,
    change: impl FnOnce(&mut State, &Context) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let address = |key: &ServiceKey, tag: Option<&str>| world.data_plane.address(world, key, tag);
    let resolve = |image: &str| world.registry.resolve(image);
    let permit = |deployment: &Deployment| check_deployment(world, caller, deployment);
    let context = Context {
        now: world.clock.now(),
        chance: &world.run.chance,
        caller: &caller.email,
        resolve: &resolve,
        address: &address,
        permit: &permit,
    };
    world.run.write(|state| change(state, &context))
}

/// The service of a path. A project's number means the same as its identifier.
fn key(world: &World, project: &str, location: &str, service: &str) -> ServiceKey {
    ServiceKey::new(&project_of(world, project), location, service)
}

pub(crate) fn project_of(world: &World, project: &str) -> String {
    if !project.bytes().all(|byte| byte.is_ascii_digit()) {
        return project.to_owned();
    }
    let known = world.run.read(|state, _| {
        let mut keys = state.services.keys();
        keys.find(|key| project_number(&key.project) == project)
            .map(|key| key.project.clone())
    });
    known.unwrap_or_else(|| project.to_owned())
}

/// Which page of a list is asked for.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Page {
    page_size: Option<usize>,
    page_token: String,
    filter: String,
}

impl Page {
    /// The same of what needs no change.
    pub(crate) fn cut<T: Serialize>(&self, field: &str, all: Vec<T>, largest: usize) -> Answer {
        self.cut_and_show(field, all, largest, |one| json!(one))
    }

    /// Cuts one page out; the token of the next one is the place where it starts.
    /// Only what is on the page is shown.
    pub(crate) fn cut_and_show<T>(
        &self,
        field: &str,
        all: Vec<T>,
        largest: usize,
        show: impl Fn(T) -> Value,
    ) -> Answer {
        let size = match self.page_size {
            None | Some(0) => largest,
            Some(size) => size.min(largest),
        };
        let invalid = |_| ApiError::new("INVALID_ARGUMENT", "Invalid page token.");
        let start: usize = match self.page_token.as_str() {
            "" => 0,
            token => token.parse().map_err(invalid)?,
        };
        let end = start.saturating_add(size);
        let more = all.len() > end;
        let page = all.into_iter().skip(start).take(size).map(show);
        let page: Vec<Value> = page.collect();
        // As protocol buffers' JSON form has it, an empty list is left out.
        let mut answer = json!({});
        if !page.is_empty() {
            answer[field] = Value::Array(page);
        }
        if more {
            answer["nextPageToken"] = json!(end.to_string());
        }
        Ok(Json(answer))
    }
}

/// Query of a delete.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct DeleteQuery {
    etag: Option<String>,
    validate_only: bool,
}

/// A custom method (`name:verb`) that the API does not have, or that is not modelled.
pub(crate) fn no_such_method(method: &str, name: &str) -> ApiError {
    ApiError::new(
        "UNIMPLEMENTED",
        format!("the local cloud has no method {method} {name}"),
    )
}

#[derive(Deserialize)]
struct NewSecret {
    project: String,
    name: String,
    value: String,
}

/// `POST /_emulator/secrets`: adds a version to a secret.
async fn put_secret(
    axum::extract::State(world): axum::extract::State<Arc<World>>,
    body: Bytes,
) -> Answer {
    let NewSecret {
        project,
        name,
        value,
    } = parse_json(&body)?;
    let version = world.run.put_secret(&project, &name, value.as_bytes());
    Ok(Json(json!({ "version": version })))
}
