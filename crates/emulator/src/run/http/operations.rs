//! `…/operations`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use cloud_api::rpc::WaitOperationRequest;
use serde_json::{Value, json};

use super::{Answer, Authenticated, Page, no_such_method, project_of};
use crate::error::{ApiError, parse_json};
use crate::iam::Resource;
use crate::run::key::parent;
use crate::run::permit::authorize;
use crate::run::quantity::duration_millis;
use crate::run::state::{OperationRecord, State as Model};
use crate::run::view;
use crate::tokens::Caller;
use crate::world::World;

/// Operations on one page at most.
const LARGEST_PAGE: usize = 100;
/// How long a wait is held at most, and when the caller names no time.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How an operation is shown: the two APIs differ in the resource that it holds.
pub(crate) type Show = fn(&Model, &OperationRecord) -> Value;

pub(super) async fn list(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer {
    list_as(
        &world,
        &caller,
        (&project, &location),
        &page,
        view::operation,
    )
}

/// The operations of a region.
pub(crate) fn list_as(
    world: &World,
    caller: &Caller,
    (project, location): (&str, &str),
    page: &Page,
    show: Show,
) -> Answer {
    let project = project_of(world, project);
    let all = Resource::Location {
        project: project.clone(),
        location: location.to_owned(),
    };
    authorize(world, caller, "run.operations.list", &all)?;
    let done = match page.filter.replace(' ', "").as_str() {
        "" => None,
        "done:true" => Some(true),
        "done:false" => Some(false),
        other => {
            return Err(ApiError::new(
                "INVALID_ARGUMENT",
                format!("Invalid filter: {other}. It must be done:true or done:false."),
            ));
        }
    };
    let prefix = format!("{}/", parent(&project, location));
    world.run.read(|state, _| {
        let mut found: Vec<_> = state
            .operations
            .values()
            .filter(|operation| operation.name.starts_with(&prefix))
            .filter(|operation| done.is_none_or(|done| operation.end.is_some() == done))
            .collect();
        found.sort_by_key(|operation| std::cmp::Reverse(operation.order));
        page.cut_and_show("operations", found, LARGEST_PAGE, |operation| {
            show(state, operation)
        })
    })
}

pub(super) async fn get(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, id)): Path<(String, String, String)>,
) -> Answer {
    let place = (&*project, &*location, &*id);
    get_as(&world, &caller, place, view::operation)
}

/// One operation.
pub(crate) fn get_as(
    world: &World,
    caller: &Caller,
    place: (&str, &str, &str),
    show: Show,
) -> Answer {
    permit(world, caller, "run.operations.get", place)?;
    let (project, location, id) = place;
    Ok(Json(look(
        world,
        &name(world, project, location, id),
        show,
    )?))
}

pub(super) async fn post(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, id)): Path<(String, String, String)>,
    body: Bytes,
) -> Answer {
    let place = (&*project, &*location, &*id);
    wait_as(&world, &caller, place, &body, view::operation).await
}

/// `:wait`: answers as soon as the operation is done, else, not done, when the time is over.
pub(crate) async fn wait_as(
    world: &World,
    caller: &Caller,
    (project, location, id): (&str, &str, &str),
    body: &Bytes,
    show: Show,
) -> Answer {
    let Some(id) = id.strip_suffix(":wait") else {
        return Err(no_such_method("POST", id));
    };
    permit(world, caller, "run.operations.get", (project, location, id))?;
    let request: WaitOperationRequest = if body.is_empty() {
        WaitOperationRequest::default()
    } else {
        parse_json(body)?
    };
    let asked = request.timeout.as_deref().and_then(duration_millis);
    let limit = asked
        .map_or(LONGEST_WAIT, Duration::from_millis)
        .min(LONGEST_WAIT);
    let end = tokio::time::sleep(limit);
    tokio::pin!(end);
    let name = name(world, project, location, id);
    let mut changes = world.run.changes();
    let closing = world.closing.cancelled();
    tokio::pin!(closing);
    loop {
        changes.mark_unchanged();
        let operation = look(world, &name, show)?;
        if operation["done"] == json!(true) {
            return Ok(Json(operation));
        }
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return Ok(Json(operation));
                }
            }
            () = &mut end => return Ok(Json(operation)),
            () = &mut closing => return Ok(Json(operation)),
        }
    }
}

pub(crate) async fn delete(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, id)): Path<(String, String, String)>,
) -> Answer {
    permit(
        &world,
        &caller,
        "run.operations.delete",
        (&project, &location, &id),
    )?;
    let name = name(&world, &project, &location, &id);
    look(&world, &name, view::operation)?;
    world.run.write(|state| state.operations.remove(&name));
    Ok(Json(json!({})))
}

fn permit(
    world: &World,
    caller: &Caller,
    permission: &str,
    (project, location, id): (&str, &str, &str),
) -> Result<(), ApiError> {
    let operation = Resource::Operation {
        project: project_of(world, project),
        location: location.to_owned(),
        id: id.to_owned(),
    };
    authorize(world, caller, permission, &operation)
}

fn name(world: &World, project: &str, location: &str, id: &str) -> String {
    let project = project_of(world, project);
    format!("{}/operations/{id}", parent(&project, location))
}

fn look(world: &World, name: &str, show: Show) -> Result<Value, ApiError> {
    world.run.read(|state, _| {
        let operation = state.operations.get(name).ok_or_else(|| {
            ApiError::new("NOT_FOUND", format!("Operation '{name}' was not found."))
        })?;
        Ok(show(state, operation))
    })
}
