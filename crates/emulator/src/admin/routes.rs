//! The routes under `/_emulator/`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Exchange, Rule, Seen, setup};
use crate::error::ApiError;
use crate::world::World;

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/_emulator/health", get(health))
        .route("/_emulator/reset", post(reset))
        .route("/_emulator/clock", get(clock).put(set_clock))
        .route("/_emulator/clock/advance", post(advance_clock))
        .route(
            "/_emulator/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .route("/_emulator/requests", get(requests).delete(clear_requests))
        .route(
            "/_emulator/exchanges",
            get(exchanges).put(record_exchanges).delete(clear_exchanges),
        )
        .route("/_emulator/tokens", post(setup::token))
        .route("/_emulator/service-accounts", post(setup::service_account))
        .route(
            "/_emulator/workload-identity-providers",
            post(setup::provider),
        )
        .route(
            "/_emulator/registry/repositories/{project}/{repository}",
            put(setup::repository),
        )
        .route("/_emulator/kms/keys", post(setup::key))
        .route("/_emulator/registry/settings", put(setup::registry))
        .route(
            "/_emulator/github/repos/{owner}/{name}/environments/{environment}",
            put(setup::environment),
        )
        .route(
            "/_emulator/github/repos/{owner}/{name}/runs/{id}",
            put(setup::run),
        )
        .route(
            "/_emulator/github/repos/{owner}/{name}/refs/{*git_ref}",
            put(setup::git_ref),
        )
        .route("/_emulator/{*path}", axum::routing::any(unknown))
}

/// Reads a JSON body, whatever its content type.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::new("INVALID_ARGUMENT", format!("bad body: {error}")))
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("INVALID_ARGUMENT", message)
}

async fn unknown(Path(path): Path<String>) -> ApiError {
    ApiError::new(
        "NOT_FOUND",
        format!("there is no /_emulator/{path} with this method"),
    )
}

async fn health(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "time": world.clock.now(),
    }))
}

/// Forgets what was pushed, registered and set up, faults, requests and the clock's offset. Keys
/// and tokens stay, so that who holds a token can go on; services stay and are deleted through
/// their own API.
async fn reset(State(world): State<Arc<World>>) -> StatusCode {
    world
        .run
        .clear(|key| world.data_plane.forget_service(&world, key));
    world.logging.clear();
    world.registry.clear();
    world.tokens.clear();
    world.github.clear();
    world.iam.clear();
    world.kms.clear();
    world.faults.clear();
    world.requests.clear();
    world.exchanges.clear();
    world.clock.set_offset(TimeDelta::zero());
    StatusCode::NO_CONTENT
}

#[derive(Serialize)]
struct ClockState {
    /// RFC 3339.
    now: chrono::DateTime<chrono::Utc>,
    /// Seconds by which the clock is ahead of real time.
    offset_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offset {
    offset_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: f64,
}

async fn clock(State(world): State<Arc<World>>) -> Json<ClockState> {
    Json(ClockState {
        now: world.clock.now(),
        offset_seconds: world.clock.offset().num_seconds(),
    })
}

async fn set_clock(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<Json<ClockState>, ApiError> {
    let Offset { offset_seconds } = read(&body)?;
    let offset = TimeDelta::try_seconds(offset_seconds)
        .ok_or_else(|| invalid("offset_seconds is too large"))?;
    world.clock.set_offset(offset);
    Ok(clock(State(world)).await)
}

async fn advance_clock(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<Json<ClockState>, ApiError> {
    let Advance { seconds } = read(&body)?;
    let by = Duration::try_from_secs_f64(seconds)
        .map_err(|_| invalid("seconds must be a number that is not negative"))?;
    world.clock.advance(by);
    Ok(clock(State(world)).await)
}

async fn faults(State(world): State<Arc<World>>) -> Json<Vec<Rule>> {
    Json(world.faults.rules())
}

async fn add_fault(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<(StatusCode, Json<Vec<Rule>>), ApiError> {
    let rule: Rule = read(&body)?;
    rule.check().map_err(invalid)?;
    world.faults.add(rule);
    Ok((StatusCode::CREATED, Json(world.faults.rules())))
}

async fn clear_faults(State(world): State<Arc<World>>) -> StatusCode {
    world.faults.clear();
    StatusCode::NO_CONTENT
}

#[derive(Serialize)]
struct Requests {
    requests: Vec<Seen>,
}

async fn requests(State(world): State<Arc<World>>) -> Json<Requests> {
    Json(Requests {
        requests: world.requests.all(),
    })
}

async fn clear_requests(State(world): State<Arc<World>>) -> StatusCode {
    world.requests.clear();
    StatusCode::NO_CONTENT
}

#[derive(Serialize)]
struct Exchanges {
    recording: bool,
    /// How many made room for newer ones.
    dropped: usize,
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    recording: bool,
}

async fn exchanges(State(world): State<Arc<World>>) -> Json<Exchanges> {
    Json(Exchanges {
        recording: world.exchanges.is_recording(),
        dropped: world.exchanges.dropped(),
        exchanges: world.exchanges.all(),
    })
}

async fn record_exchanges(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let Recording { recording } = read(&body)?;
    world.exchanges.record(recording);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_exchanges(State(world): State<Arc<World>>) -> StatusCode {
    world.exchanges.clear();
    StatusCode::NO_CONTENT
}
