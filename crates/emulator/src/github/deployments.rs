//! Deployments and their statuses; commits.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Page, Refusal, asker};
use super::identifiers::hex_digest;
use super::render::Render;
use super::state::{Deployment, DeploymentStatus, EnvironmentSettings, Repository};
use crate::world::World;

/// States that a status may have when it is written.
const STATES: [&str; 7] = [
    "error",
    "failure",
    "inactive",
    "in_progress",
    "queued",
    "pending",
    "success",
];

type Name = (String, String);
type DeploymentName = (String, String, u64);

/// `GET /repos/{owner}/{repo}/deployments`, newest first.
pub(super) async fn list(
    State(world): State<Arc<World>>,
    Path((owner, name)): Path<Name>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    asker(&headers)?;
    Ok(world.github.read(&world, &owner, &name, |render| {
        let is = |filter: &str, value: &str| query.get(filter).is_none_or(|it| it == value);
        let wanted = render.repository.deployments.iter().rev().filter(|it| {
            is("sha", &it.sha)
                && is("ref", &it.git_ref)
                && is("task", &it.task)
                && is("environment", &it.environment)
        });
        let wanted: Vec<Value> = wanted.map(|it| render.deployment(it)).collect();
        Page::read(&query).answer(&wanted, &format!("{}/deployments", render.api()))
    }))
}

/// The body of a new deployment.
#[derive(Deserialize)]
pub(super) struct NewDeployment {
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    task: Option<String>,
    payload: Option<Value>,
    environment: Option<String>,
    description: Option<String>,
    transient_environment: Option<bool>,
    production_environment: Option<bool>,
}

/// `POST /repos/{owner}/{repo}/deployments`.
pub(super) async fn create(
    State(world): State<Arc<World>>,
    Path((owner, name)): Path<Name>,
    headers: HeaderMap,
    body: Result<Json<NewDeployment>, JsonRejection>,
) -> Result<Response, Refusal> {
    let creator = asker(&headers)?;
    let Json(body) = body.map_err(|error| Refusal::unprocessable(error.body_text()))?;
    let git_ref = body.git_ref.filter(|it| !it.is_empty());
    let git_ref =
        git_ref.ok_or_else(|| Refusal::validation("Deployment", "ref", "missing_field"))?;
    let environment = body.environment.unwrap_or_else(|| "production".to_owned());
    let now = world.clock.now();
    world.github.write(&world, &owner, &name, |repository| {
        let sha = resolve(repository, &git_ref)
            .unwrap_or_else(|| hex_digest(&format!("{} {git_ref}", repository.full_name()), 40));
        if repository.environment(&environment).is_none() {
            repository.set_environment(&environment, EnvironmentSettings::default(), now);
        }
        let deployment = Deployment {
            id: repository.next_id(),
            sha,
            git_ref,
            task: body.task.unwrap_or_else(|| "deploy".to_owned()),
            payload: body.payload.unwrap_or_else(|| json!({})),
            is_transient: body.transient_environment.unwrap_or(false),
            is_production: body
                .production_environment
                .unwrap_or(environment == "production"),
            environment,
            description: body.description,
            creator,
            created: now,
            statuses: Vec::new(),
        };
        repository.deployments.push(deployment.clone());
        let render = Render {
            base: world.base_url(),
            repository,
        };
        Ok((StatusCode::CREATED, Json(render.deployment(&deployment))).into_response())
    })
}

/// `GET /repos/{owner}/{repo}/deployments/{id}`.
pub(super) async fn get(
    State(world): State<Arc<World>>,
    Path((owner, name, id)): Path<DeploymentName>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    asker(&headers)?;
    world.github.read(&world, &owner, &name, |render| {
        Ok(Json(render.deployment(find(render.repository, id)?)))
    })
}

fn find(repository: &Repository, id: u64) -> Result<&Deployment, Refusal> {
    let mut all = repository.deployments.iter();
    all.find(|it| it.id == id).ok_or_else(Refusal::not_found)
}

/// `GET /repos/{owner}/{repo}/deployments/{id}/statuses`, newest first.
pub(super) async fn statuses(
    State(world): State<Arc<World>>,
    Path((owner, name, id)): Path<DeploymentName>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    asker(&headers)?;
    world.github.read(&world, &owner, &name, |render| {
        let deployment = find(render.repository, id)?;
        let all = deployment.statuses.iter().rev();
        let all: Vec<Value> = all.map(|it| render.status(id, it)).collect();
        let address = format!("{}/deployments/{id}/statuses", render.api());
        Ok(Page::read(&query).answer(&all, &address))
    })
}

/// The body of a new status.
#[derive(Deserialize)]
pub(super) struct NewStatus {
    #[serde(default)]
    state: String,
    target_url: Option<String>,
    log_url: Option<String>,
    #[serde(default)]
    description: String,
    environment: Option<String>,
    #[serde(default)]
    environment_url: String,
    auto_inactive: Option<bool>,
}

/// `POST /repos/{owner}/{repo}/deployments/{id}/statuses`.
pub(super) async fn create_status(
    State(world): State<Arc<World>>,
    Path((owner, name, id)): Path<DeploymentName>,
    headers: HeaderMap,
    body: Result<Json<NewStatus>, JsonRejection>,
) -> Result<Response, Refusal> {
    let creator = asker(&headers)?;
    let Json(body) = body.map_err(|error| Refusal::unprocessable(error.body_text()))?;
    if !STATES.contains(&body.state.as_str()) {
        return Err(Refusal::validation("DeploymentStatus", "state", "invalid"));
    }
    let now = world.clock.now();
    world.github.write(&world, &owner, &name, |repository| {
        let environment = find(repository, id)?.environment.clone();
        let status = DeploymentStatus {
            id: repository.next_id(),
            state: body.state,
            creator,
            description: body.description,
            environment: body.environment.unwrap_or_else(|| environment.clone()),
            environment_url: body.environment_url,
            log_url: body.log_url.or(body.target_url).unwrap_or_default(),
            created: now,
        };
        if status.state == "success" && body.auto_inactive.unwrap_or(true) {
            end_earlier(repository, id, &environment, &status);
        }
        if let Some(deployment) = repository.deployments.iter_mut().find(|it| it.id == id) {
            deployment.statuses.push(status.clone());
        }
        let render = Render {
            base: world.base_url(),
            repository,
        };
        Ok((StatusCode::CREATED, Json(render.status(id, &status))).into_response())
    })
}

/// A success makes the earlier deployments of the environment inactive, but for transient and
/// production environments.
fn end_earlier(repository: &mut Repository, id: u64, environment: &str, by: &DeploymentStatus) {
    let is_earlier = |it: &Deployment| {
        it.id != id && it.environment == environment && !it.is_transient && !it.is_production
    };
    let earlier = repository.deployments.iter().filter(|it| is_earlier(it));
    let active = earlier.filter(|it| it.statuses.last().is_some_and(|s| s.state == "success"));
    let ids: Vec<u64> = active.map(|it| it.id).collect();
    for id in ids {
        let status = DeploymentStatus {
            id: repository.next_id(),
            state: "inactive".to_owned(),
            description: String::new(),
            ..by.clone()
        };
        if let Some(deployment) = repository.deployments.iter_mut().find(|it| it.id == id) {
            deployment.statuses.push(status);
        }
    }
}

/// `GET /repos/{owner}/{repo}/commits/{ref}`. Every full commit hash exists here; a branch or tag
/// exists once it is set up.
pub(super) async fn commit(
    State(world): State<Arc<World>>,
    Path((owner, name, git_ref)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    asker(&headers)?;
    world.github.read(&world, &owner, &name, |render| {
        let sha = resolve(render.repository, &git_ref)
            .ok_or_else(|| Refusal::unprocessable(format!("No commit found for SHA: {git_ref}")))?;
        Ok(Json(render.commit(&sha)))
    })
}

/// `GET /repos/{owner}/{repo}/git/ref/{ref}`, such as `tags/v1.0.0`.
pub(super) async fn reference(
    State(world): State<Arc<World>>,
    Path((owner, name, git_ref)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    asker(&headers)?;
    world.github.read(&world, &owner, &name, |render| {
        let full = format!("refs/{git_ref}");
        let sha = render
            .repository
            .refs
            .get(&full)
            .ok_or_else(Refusal::not_found)?;
        Ok(Json(json!({
            "ref": full, "node_id": format!("REF_{full}"),
            "url": format!("{}/git/{full}", render.api()),
            "object": {
                "type": "commit", "sha": sha,
                "url": format!("{}/git/commits/{sha}", render.api()),
            },
        })))
    })
}

/// The commit of a full hash, a full ref, or the short name of a branch or tag.
fn resolve(repository: &Repository, git_ref: &str) -> Option<String> {
    let is_hash = git_ref.len() == 40 && git_ref.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash {
        return Some(git_ref.to_owned());
    }
    let candidates = ["", "refs/", "refs/heads/", "refs/tags/"];
    let mut found = candidates
        .iter()
        .filter_map(|prefix| repository.refs.get(&format!("{prefix}{git_ref}")).cloned());
    found.next()
}
