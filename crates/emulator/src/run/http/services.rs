//! `…/services`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use cloud_api::run::SetIamPolicyRequest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer, Authenticated, DeleteQuery, Page, key, no_such_method, project_of, with_context,
};
use crate::error::{ApiError, parse_json};
use crate::iam::{self, Resource};
use crate::run::change::{self, PatchOptions, Written};
use crate::run::check::check_service_id;
use crate::run::key::ServiceKey;
use crate::run::permit::{authorize, enter};
use crate::run::reserved::Reserved;
use crate::run::state::{State as Model, Work};
use crate::run::{delete, iam as policies, rollout, settle, view};
use crate::world::World;

/// Services on one page at most.
const LARGEST_PAGE: usize = 1000;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CreateQuery {
    service_id: String,
    validate_only: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PatchQuery {
    update_mask: Option<String>,
    allow_missing: bool,
    validate_only: bool,
    force_new_revision: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AskedPermissions {
    permissions: Vec<String>,
}

pub(super) async fn list(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer {
    if location == "-" {
        return Err(ApiError::new(
            "INVALID_ARGUMENT",
            "Violation in ListServicesRequest.parent: the location must be a region.",
        ));
    }
    let project = project_of(&world, &project);
    let all = Resource::Location {
        project: project.clone(),
        location: location.clone(),
    };
    authorize(&world, &caller, "run.services.list", &all)?;
    world.run.read(|state, _| {
        let mut found: Vec<_> = state
            .services
            .values()
            .filter(|service| service.key.project == project && service.key.location == location)
            .collect();
        found.sort_by_key(|service| std::cmp::Reverse(service.order));
        page.cut_and_show("services", found, LARGEST_PAGE, view::service)
    })
}

pub(super) async fn create(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location)): Path<(String, String)>,
    Query(query): Query<CreateQuery>,
    body: Bytes,
) -> Answer {
    let body = object(&body)?;
    let service_id = if query.service_id.is_empty() {
        format!("service-{}", world.run.chance.suffix())
    } else {
        query.service_id
    };
    let key = key(&world, &project, &location, &service_id);
    let service = Resource::Service(key.clone());
    authorize(&world, &caller, "run.services.create", &service)?;
    check_service_id(&key.service)?;
    let written = with_context(&world, &caller, |state, context| {
        let none = Reserved::default();
        change::create(state, context, &key, body, none, query.validate_only)
    })?;
    Ok(accepted(&world, written))
}

pub(super) async fn get(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, name)): Path<(String, String, String)>,
) -> Answer {
    let (service, verb) = split(&name);
    let key = key(&world, &project, &location, service);
    let permission = match verb {
        Some("getIamPolicy") => "run.services.getIamPolicy",
        _ => "run.services.get",
    };
    authorize(&world, &caller, permission, &Resource::Service(key.clone()))?;
    world.run.read(|state, _| {
        let service = state.service(&key)?;
        match verb {
            None => Ok(Json(view::service(service))),
            Some("getIamPolicy") => Ok(Json(json!(service.policy.view()))),
            Some(_) => Err(no_such_method("GET", &name)),
        }
    })
}

pub(super) async fn patch(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, service)): Path<(String, String, String)>,
    Query(query): Query<PatchQuery>,
    body: Bytes,
) -> Answer {
    let body = object(&body)?;
    let key = key(&world, &project, &location, &service);
    let resource = Resource::Service(key.clone());
    authorize(&world, &caller, "run.services.update", &resource)?;
    if query.allow_missing {
        authorize(&world, &caller, "run.services.create", &resource)?;
    }
    let options = PatchOptions {
        update_mask: query.update_mask,
        allow_missing: query.allow_missing,
        validate_only: query.validate_only,
        force_new_revision: query.force_new_revision,
        reserved: None,
    };
    let written = with_context(&world, &caller, |state, context| {
        if options.allow_missing && !state.services.contains_key(&key) {
            check_service_id(&key.service)?;
        }
        change::patch(state, context, &key, body, &options)
    })?;
    Ok(accepted(&world, written))
}

pub(super) async fn delete(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, service)): Path<(String, String, String)>,
    Query(query): Query<DeleteQuery>,
) -> Answer {
    let key = key(&world, &project, &location, &service);
    let resource = Resource::Service(key.clone());
    authorize(&world, &caller, "run.services.delete", &resource)?;
    let etag = query.etag.as_deref();
    let written = with_context(&world, &caller, |state, context| {
        let written = delete::delete_service(state, context, &key, etag, query.validate_only)?;
        finish_delete(&world, state, &key, &written);
        Ok(written)
    })?;
    Ok(Json(written.operation))
}

/// Ends the delete of a service in the same step: a service of this name that is made next must
/// not be hit.
pub(crate) fn finish_delete(
    world: &Arc<World>,
    state: &mut Model,
    key: &ServiceKey,
    written: &Written,
) {
    if let Some(work) = &written.work {
        world.data_plane.forget_service(world, key);
        settle::finish_deleted(state, work);
    }
}

/// `:setIamPolicy` and `:testIamPermissions`, the same in v1.
pub(crate) async fn post(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, name)): Path<(String, String, String)>,
    body: Bytes,
) -> Answer {
    let (service, verb) = split(&name);
    let key = key(&world, &project, &location, service);
    match verb {
        Some("setIamPolicy") => {
            let resource = Resource::Service(key.clone());
            authorize(&world, &caller, "run.services.setIamPolicy", &resource)?;
            let SetIamPolicyRequest { policy } = parse_json(&body)?;
            world.iam.check_members(&key.project, &policy)?;
            let now = world.clock.now();
            let policy = world
                .run
                .write(|state| policies::set_policy(state, &key, policy, now))?;
            Ok(Json(json!(policy)))
        }
        Some("testIamPermissions") => {
            let request: AskedPermissions = parse_json(&body)?;
            enter(&world, &key.project, &key.location)?;
            let resource = Resource::Service(key);
            let mut permissions = request.permissions;
            permissions.retain(|it| iam::permit(&world, &caller, it, &resource).is_ok());
            Ok(Json(json!({ "permissions": permissions })))
        }
        _ => Err(no_such_method("POST", &name)),
    }
}

fn accepted(world: &Arc<World>, written: Written) -> Json<Value> {
    start(world, written.work);
    Json(written.operation)
}

/// Carries out what a write has left to do.
pub(crate) fn start(world: &Arc<World>, work: Option<Work>) {
    if let Some(work) = work {
        world.spawn(rollout::carry_out(Arc::clone(world), work));
    }
}

/// `name` or `name:verb`.
pub(crate) fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once(':') {
        Some((name, verb)) => (name, Some(verb)),
        None => (name, None),
    }
}

fn object(body: &[u8]) -> Result<Value, ApiError> {
    let value: Value = parse_json(body)?;
    if value.is_object() {
        return Ok(value);
    }
    Err(ApiError::new(
        "INVALID_ARGUMENT",
        "Invalid JSON payload received. A service must be an object.",
    ))
}
