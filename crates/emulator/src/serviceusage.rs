//! Service Usage: whether an API is enabled in a project. gcloud asks before a deployment.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::run::project_number;
use crate::world::World;

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new().route("/v1/projects/{project}/services/{api}", get(state))
}

async fn state(
    State(world): State<Arc<World>>,
    headers: axum::http::HeaderMap,
    Path((project, api)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    world.tokens.caller(&headers)?;
    let parent = format!("projects/{}", project_number(&project));
    Ok(Json(json!({
        "name": format!("{parent}/services/{api}"),
        "parent": parent,
        "config": {"name": api},
        "state": "ENABLED",
    })))
}
