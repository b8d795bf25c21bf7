//! `POST /v2/entries:list`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::filter::Filter;
use crate::error::{ApiError, parse_json};
use crate::iam::{self, Api, Resource};
use crate::world::World;

/// Entries on a page unless the caller says otherwise, and at most (API limits).
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 1000;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ListRequest {
    filter: String,
    order_by: String,
    page_size: Option<usize>,
    page_token: String,
    resource_names: Vec<String>,
    project_ids: Vec<String>,
}

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new().route("/v2/entries:list", post(list))
}

async fn list(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let caller = world.tokens.caller(&headers)?;
    let request: ListRequest = parse_json(&body)?;
    let invalid = |message: String| ApiError::new("INVALID_ARGUMENT", message);
    let filter = Filter::parse(&request.filter)
        .map_err(|problem| invalid(format!("Unparseable filter: {problem}")))?;
    let newest_first = match request.order_by.trim() {
        "" | "timestamp" | "timestamp asc" => false,
        "timestamp desc" => true,
        other => return Err(invalid(format!("Invalid order_by: {other}"))),
    };
    let projects: Vec<&str> = request
        .resource_names
        .iter()
        .filter_map(|name| name.strip_prefix("projects/"))
        .chain(request.project_ids.iter().map(String::as_str))
        .map(|name| name.split('/').next().unwrap_or(name))
        .collect();
    if projects.is_empty() {
        return Err(invalid("No resource names were given.".to_owned()));
    }
    for project in &projects {
        iam::check_api(&world, Api::Logging, project)?;
        let resource = Resource::Project((*project).to_owned());
        iam::check(&world, &caller, "logging.logEntries.list", &resource)?;
    }
    let mut found: Vec<_> = projects
        .into_iter()
        .flat_map(|project| world.logging.of_project(project, &filter))
        .filter(|(_, _, entry)| filter.matches(entry))
        .collect();
    found.sort_by_key(|(time, number, _)| (*time, *number));
    if newest_first {
        found.reverse();
    }
    let size = match request.page_size {
        None | Some(0) => PAGE,
        Some(size) => size.min(LARGEST_PAGE),
    };
    let start: usize = if request.page_token.is_empty() {
        0
    } else {
        let token = request.page_token.parse();
        token.map_err(|_| invalid("Invalid page_token.".to_owned()))?
    };
    let end = start.saturating_add(size);
    let more = found.len() > end;
    let entries: Vec<Value> = found
        .into_iter()
        .skip(start)
        .take(size)
        .map(|(_, _, entry)| entry)
        .collect();
    let mut answer = json!({ "entries": entries });
    if more {
        answer["nextPageToken"] = json!(end.to_string());
    }
    Ok(Json(answer))
}
