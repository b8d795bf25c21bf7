//! Environments, runs, approvals.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Page, Refusal, asker};
use super::render::Render;
use super::state::{Approval, Deployment, DeploymentStatus, Repository, WorkflowRun};
use crate::world::World;

type Name = (String, String);

/// `GET /repos/{owner}/{repo}`.
pub(super) async fn repository(
    State(world): State<Arc<World>>,
    Path((owner, name)): Path<Name>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    asker(&headers)?;
    Ok(world
        .github
        .read(&world, &owner, &name, |render| Json(render.repository())))
}

/// `GET /repos/{owner}/{repo}/environments`.
pub(super) async fn list(
    State(world): State<Arc<World>>,
    Path((owner, name)): Path<Name>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    asker(&headers)?;
    Ok(world.github.read(&world, &owner, &name, |render| {
        let all = render.repository.environments.values();
        let all: Vec<Value> = all.map(|it| render.environment(it)).collect();
        let page = Page::read(&query);
        Json(json!({"total_count": all.len(), "environments": page.part(&all)}))
    }))
}

/// `GET /repos/{owner}/{repo}/environments/{name}`.
pub(super) async fn get(
    State(world): State<Arc<World>>,
    Path((owner, name, environment)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    asker(&headers)?;
    world.github.read(&world, &owner, &name, |render| {
        let environment = render.repository.environment(&environment);
        let environment = environment.ok_or_else(Refusal::not_found)?;
        Ok(Json(render.environment(environment)))
    })
}

/// In a run that nobody set up, the first reviewer of each environment has approved it: a job of the
/// environment would not run otherwise.
fn approved_already(repository: &Repository) -> Vec<Approval> {
    let reviewed = repository.environments.values().filter_map(|it| {
        let reviewer = it.settings.reviewers.first()?;
        Some(Approval {
            environments: vec![it.name.clone()],
            state: "approved".to_owned(),
            user: reviewer.name.clone(),
            comment: String::new(),
        })
    });
    reviewed.collect()
}

type RunName = (String, String, u64);

/// `GET /repos/{owner}/{repo}/actions/runs/{id}`.
pub(super) async fn run(
    State(world): State<Arc<World>>,
    Path((owner, name, id)): Path<RunName>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    asker(&headers)?;
    world.github.read(&world, &owner, &name, |render| {
        Ok(Json(render.run(find(render.repository, id)?)))
    })
}

/// `GET /repos/{owner}/{repo}/actions/runs/{id}/approvals`.
pub(super) async fn approvals(
    State(world): State<Arc<World>>,
    Path((owner, name, id)): Path<RunName>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    asker(&headers)?;
    Ok(world.github.read(&world, &owner, &name, |render| {
        let approvals = match render.repository.runs.get(&id) {
            Some(run) => run.approvals.clone(),
            None => approved_already(render.repository),
        };
        Json(approvals.iter().map(|it| render.approval(it)).collect())
    }))
}

/// `GET /repos/{owner}/{repo}/actions/runs/{id}/pending_deployments`.
pub(super) async fn pending(
    State(world): State<Arc<World>>,
    Path((owner, name, id)): Path<RunName>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let asker = asker(&headers)?;
    world.github.read(&world, &owner, &name, |render| {
        let run = find(render.repository, id)?;
        let waiting = run.settings.waiting_for.iter();
        Ok(Json(
            waiting
                .filter_map(|it| render.pending(run, it, &asker))
                .collect(),
        ))
    })
}

fn find(repository: &Repository, id: u64) -> Result<&WorkflowRun, Refusal> {
    repository.runs.get(&id).ok_or_else(Refusal::not_found)
}

/// The body of a review.
#[derive(Deserialize)]
pub(super) struct Review {
    environment_ids: Vec<u64>,
    state: String,
    #[serde(default)]
    comment: String,
}

/// `POST /repos/{owner}/{repo}/actions/runs/{id}/pending_deployments`: approves or rejects.
pub(super) async fn review(
    State(world): State<Arc<World>>,
    Path((owner, name, id)): Path<RunName>,
    headers: HeaderMap,
    review: Result<Json<Review>, JsonRejection>,
) -> Result<Response, Refusal> {
    let asker = asker(&headers)?;
    let Json(review) = review.map_err(|error| Refusal::unprocessable(error.body_text()))?;
    if !["approved", "rejected"].contains(&review.state.as_str()) {
        return Err(Refusal::validation("PendingDeployment", "state", "invalid"));
    }
    let names = world.github.read(&world, &owner, &name, |render| {
        reviewed(&render, find(render.repository, id)?, &review, &asker)
    })?;
    let now = world.clock.now();
    world.github.write(&world, &owner, &name, |repository| {
        let is_approved = review.state == "approved";
        let state = if is_approved { "queued" } else { "failure" };
        let mut made = Vec::new();
        for environment in &names {
            made.push(new_deployment(
                repository,
                id,
                environment,
                (&asker, state),
                now,
            ));
        }
        if let Some(run) = repository.runs.get_mut(&id) {
            run.settings.waiting_for.retain(|it| !names.contains(it));
            if !is_approved {
                run.settings.status = Some("completed".to_owned());
                run.settings.conclusion = Some("failure".to_owned());
            }
            run.approvals.push(Approval {
                environments: names.clone(),
                state: review.state.clone(),
                user: asker.clone(),
                comment: review.comment.clone(),
            });
        }
        repository.deployments.extend(made.iter().cloned());
        let render = Render {
            base: world.base_url(),
            repository,
        };
        let made: Vec<Value> = made.iter().map(|it| render.deployment(it)).collect();
        Ok(Json(made).into_response())
    })
}

/// The waiting environments that a review speaks of, if the asker may speak about each.
fn reviewed(
    render: &Render<'_>,
    run: &WorkflowRun,
    review: &Review,
    asker: &str,
) -> Result<Vec<String>, Refusal> {
    let waiting = run.settings.waiting_for.iter();
    let named = waiting.filter(|it| review.environment_ids.contains(&render.environment_id(it)));
    let names: Vec<String> = named.cloned().collect();
    if names.is_empty() || names.len() != review.environment_ids.len() {
        return Err(Refusal::unprocessable(
            "No pending deployment requests to approve or reject",
        ));
    }
    let may = |name: &String| {
        let environment = render.repository.environment(name);
        environment.is_some_and(|it| render.can_approve(run, it, asker))
    };
    if names.iter().all(may) {
        Ok(names)
    } else {
        Err(Refusal::unprocessable(format!(
            "{asker} is not a required reviewer of this environment, or started the run"
        )))
    }
}

/// The deployment that a job with an environment makes by itself, with its first status.
fn new_deployment(
    repository: &mut Repository,
    run: u64,
    environment: &str,
    (creator, state): (&str, &str),
    now: DateTime<Utc>,
) -> Deployment {
    let settings = repository
        .runs
        .get(&run)
        .map(|it| it.settings.clone())
        .unwrap_or_default();
    let status = DeploymentStatus {
        id: repository.next_id(),
        state: state.to_owned(),
        creator: creator.to_owned(),
        description: String::new(),
        environment: environment.to_owned(),
        environment_url: String::new(),
        log_url: String::new(),
        created: now,
    };
    Deployment {
        id: repository.next_id(),
        sha: settings.head_sha.unwrap_or_default(),
        git_ref: settings.head_branch.unwrap_or_else(|| "main".to_owned()),
        task: "deploy".to_owned(),
        payload: json!({}),
        environment: environment.to_owned(),
        description: None,
        is_transient: false,
        is_production: environment == "production",
        creator: creator.to_owned(),
        created: now,
        statuses: vec![status],
    }
}
