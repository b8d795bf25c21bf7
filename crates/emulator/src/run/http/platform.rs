//! `/_emulator/run/…`: what the platform grants, which codes it answers with, what goes wrong with it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::project_of;
use crate::error::{ApiError, parse_json};
use crate::run::{ErrorCodes, Quota, TroubleRule};
use crate::world::World;

/// `PUT /_emulator/run/quotas/{project}/{region}`.
pub(super) async fn put_quota(
    State(world): State<Arc<World>>,
    Path((project, region)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Quota>, ApiError> {
    let quota: Quota = parse_json(&body)?;
    let name = format!("{}/{region}", project_of(&world, &project));
    world
        .run
        .platform(|platform| platform.quotas.insert(name, quota.clone()));
    Ok(Json(quota))
}

/// `GET /_emulator/run/quotas/{project}/{region}`.
pub(super) async fn quota(
    State(world): State<Arc<World>>,
    Path((project, region)): Path<(String, String)>,
) -> Json<Quota> {
    let name = format!("{}/{region}", project_of(&world, &project));
    let found = world
        .run
        .platform(|platform| platform.quotas.get(&name).cloned());
    Json(found.unwrap_or_default())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Codes {
    error_codes: ErrorCodes,
}

/// `PUT /_emulator/run/error-codes`.
pub(super) async fn put_codes(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<Json<Codes>, ApiError> {
    let codes: Codes = parse_json(&body)?;
    world
        .run
        .platform(|platform| platform.error_codes = codes.error_codes);
    Ok(Json(codes))
}

/// `POST /_emulator/run/troubles`.
pub(super) async fn add_trouble(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<(StatusCode, Json<Vec<TroubleRule>>), ApiError> {
    let rule: TroubleRule = parse_json(&body)?;
    let rules = world.run.platform(|platform| {
        platform.troubles.push(rule);
        platform.troubles.clone()
    });
    Ok((StatusCode::CREATED, Json(rules)))
}

/// `DELETE /_emulator/run/troubles`.
pub(super) async fn clear_troubles(State(world): State<Arc<World>>) -> StatusCode {
    world.run.platform(|platform| platform.troubles.clear());
    StatusCode::NO_CONTENT
}
