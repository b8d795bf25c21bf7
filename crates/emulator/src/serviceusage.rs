//! Service Usage: whether an API is enabled in a project. gcloud asks before a deployment, and
//! `gcloud services enable` mends what is missing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{ApiError, parse_json};
use crate::iam::{self, Resource};
use crate::run::project_number;
use crate::world::World;

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    let api = "/v1/projects/{project}/services/{api}";
    Router::new().route(api, get(state).post(change)).route(
        "/v1/projects/{project}/services:batchEnable",
        post(enable_all),
    )
}

type Answer = Result<Json<Value>, ApiError>;

async fn state(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    Path((project, api)): Path<(String, String)>,
) -> Answer {
    authorize(&world, &headers, "serviceusage.services.get", &project)?;
    Ok(Json(view(&world, &project, &api)))
}

/// `:enable` and `:disable`. They are done at once.
async fn change(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    Path((project, call)): Path<(String, String)>,
) -> Answer {
    let (api, permission, on) = match call.split_once(':') {
        Some((api, "enable")) => (api, "serviceusage.services.enable", true),
        Some((api, "disable")) => (api, "serviceusage.services.disable", false),
        _ => {
            let text = format!("the local cloud has no method POST {call}");
            return Err(ApiError::new("UNIMPLEMENTED", text));
        }
    };
    authorize(&world, &headers, permission, &project)?;
    world.iam.set_api(&project, api, on);
    let (kind, name) = match on {
        true => ("EnableServiceResponse", "acat"),
        false => ("DisableServiceResponse", "dcat"),
    };
    let number = project_number(&project);
    Ok(Json(json!({
        "name": format!("operations/{name}.p2-{number}-{api}"),
        "done": true,
        "response": {
            "@type": format!("type.googleapis.com/google.api.serviceusage.v1.{kind}"),
            "service": view(&world, &project, api),
        },
    })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchEnable {
    service_ids: Vec<String>,
}

/// `services:batchEnable`, what gcloud does when an API that it needs is off.
async fn enable_all(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    Path(project): Path<String>,
    body: Bytes,
) -> Answer {
    authorize(&world, &headers, "serviceusage.services.enable", &project)?;
    let BatchEnable { service_ids } = parse_json(&body)?;
    for api in &service_ids {
        world.iam.set_api(&project, api, true);
    }
    let services: Vec<Value> = service_ids
        .iter()
        .map(|api| view(&world, &project, api))
        .collect();
    let number = project_number(&project);
    Ok(Json(json!({
        "name": format!("operations/acf.p2-{number}-batch"),
        "done": true,
        "response": {
            "@type": "type.googleapis.com/google.api.serviceusage.v1.BatchEnableServicesResponse",
            "services": services,
        },
    })))
}

fn authorize(
    world: &World,
    headers: &HeaderMap,
    permission: &str,
    project: &str,
) -> Result<(), ApiError> {
    let caller = world.tokens.caller(headers)?;
    let project = Resource::Project(project.to_owned());
    iam::check(world, &caller, permission, &project)
}

fn view(world: &World, project: &str, api: &str) -> Value {
    let parent = format!("projects/{}", project_number(project));
    let state = match world.iam.is_enabled(project, api) {
        true => "ENABLED",
        false => "DISABLED",
    };
    json!({
        "name": format!("{parent}/services/{api}"),
        "parent": parent,
        "config": {"name": api},
        "state": state,
    })
}
