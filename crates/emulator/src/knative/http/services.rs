//! `…/services`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State as WorldState};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::place::Place;
use super::{ListQuery, WriteQuery, deleted};
use crate::error::{ApiError, parse_json};
use crate::iam::Resource;
use crate::knative::carry::carry;
use crate::knative::container::text;
use crate::knative::operation::id;
use crate::knative::service::{self, Written, etag_of};
use crate::knative::spelling::in_v1;
use crate::run::change::{self, Context, PatchOptions};
use crate::run::check::{is_name, refuse};
use crate::run::http::{Answer, Authenticated, no_such_method, services, with_context};
use crate::run::state::{ServiceRecord, State};
use crate::run::{ServiceKey, delete, view};
use crate::world::World;

pub(super) async fn list(
    WorldState(world): WorldState<Arc<World>>,
    Authenticated(caller): Authenticated,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    place.authorize(&world, &caller, "run.services.list", &place.resource())?;
    let found = world.run.read(|state, _| {
        let services = state.services.values();
        let mut found: Vec<_> = services
            .filter(|service| place.holds(&service.key))
            .collect();
        found.sort_by_key(|service| std::cmp::Reverse(service.order));
        found.into_iter().map(show).collect()
    });
    query.list(&place, "Service", found).map(Json)
}

pub(super) async fn get(
    WorldState(world): WorldState<Arc<World>>,
    Authenticated(caller): Authenticated,
    place: Place,
) -> Answer {
    let (name, verb) = services::split(&place.name);
    let key = place.service(name);
    let permission = match verb {
        Some("getIamPolicy") => "run.services.getIamPolicy",
        _ => "run.services.get",
    };
    place.authorize(&world, &caller, permission, &Resource::Service(key.clone()))?;
    world.run.read(|state, _| {
        let service = state.service(&key)?;
        match verb {
            None => Ok(Json(show(service))),
            Some("getIamPolicy") => Ok(Json(json!(service.policy.view()))),
            Some(_) => Err(no_such_method("GET", &place.name)),
        }
    })
}

pub(super) async fn create(
    WorldState(world): WorldState<Arc<World>>,
    Authenticated(caller): Authenticated,
    place: Place,
    Query(query): Query<WriteQuery>,
    body: Bytes,
) -> Answer {
    let body: Value = parse_json(&body)?;
    let only_checks = query.only_checks()?;
    let name = text(&body["metadata"]["name"]);
    let service = Resource::Service(place.service(name));
    place.authorize(&world, &caller, "run.services.create", &service)?;
    let create = |state: &mut State, context: &Context| {
        let written = read(&place, &body)?;
        check_name(&written.name)?;
        let key = place.service(&written.name);
        let Written { v2, reserved, .. } = written;
        let body = Value::Object(v2);
        let written = change::create(state, context, &key, body, reserved, only_checks)?;
        Ok((answer(state, &key, &written), written))
    };
    let (answer, written) = with_context(&world, &caller, create).map_err(in_v1)?;
    services::start(&world, written.work);
    Ok(Json(answer))
}

pub(super) async fn replace(
    WorldState(world): WorldState<Arc<World>>,
    Authenticated(caller): Authenticated,
    place: Place,
    Query(query): Query<WriteQuery>,
    body: Bytes,
) -> Answer {
    let body: Value = parse_json(&body)?;
    let validate_only = query.only_checks()?;
    let key = place.service(&place.name);
    let service = Resource::Service(key.clone());
    place.authorize(&world, &caller, "run.services.update", &service)?;
    let replace = |state: &mut State, context: &Context| {
        let written = read(&place, &body)?;
        if written.name != place.name {
            let problem = format!("must be '{}', the name in the path.", place.name);
            return Err(refuse("metadata.name", &problem));
        }
        let old = state.service(&key)?;
        let mut v2 = written.v2;
        carry(&old.spec, &expressible(old)?, &mut v2);
        if !written.resource_version.is_empty() {
            let etag = etag_of(&written.resource_version)
                .ok_or_else(|| refuse("metadata.resourceVersion", "is not a valid version."))?;
            v2.insert("etag".to_owned(), json!(etag));
        }
        let options = PatchOptions {
            reserved: Some(written.reserved),
            validate_only,
            ..PatchOptions::default()
        };
        let written = change::patch(state, context, &key, Value::Object(v2), &options)?;
        Ok((answer(state, &key, &written), written))
    };
    let (answer, written) = with_context(&world, &caller, replace).map_err(in_v1)?;
    services::start(&world, written.work);
    Ok(Json(answer))
}

pub(super) async fn delete(
    WorldState(world): WorldState<Arc<World>>,
    Authenticated(caller): Authenticated,
    place: Place,
    Query(query): Query<WriteQuery>,
) -> Answer {
    let validate_only = query.only_checks()?;
    let key = place.service(&place.name);
    let service = Resource::Service(key.clone());
    place.authorize(&world, &caller, "run.services.delete", &service)?;
    let uid = with_context(&world, &caller, |state, context| {
        let uid = state.service(&key)?.uid.clone();
        let written = delete::delete_service(state, context, &key, None, validate_only)?;
        services::finish_delete(&world, state, &key, &written);
        Ok(uid)
    })?;
    Ok(Json(deleted("services", &place.name, &uid)))
}

/// A service as it is now.
fn show(service: &ServiceRecord) -> Value {
    let operation = id(&service.last_operation);
    service::to_v1(&view::service(service), &service.reserved, operation)
}

/// What a write answers: the service, or what it would be.
fn answer(state: &State, key: &ServiceKey, written: &change::Written) -> Value {
    match (&written.work, state.services.get(key)) {
        (Some(_), Some(service)) => show(service),
        _ => {
            let would_be = &written.operation["metadata"];
            service::to_v1(would_be, &written.reserved, "")
        }
    }
}

fn read(place: &Place, body: &Value) -> Result<Written, ApiError> {
    let written = service::to_v2(body)?;
    if !written.namespace.is_empty() && !place.is_namespace(&written.namespace) {
        let problem = format!("must be '{}', the namespace in the path.", place.project);
        return Err(refuse("metadata.namespace", &problem));
    }
    Ok(written)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if is_name(name) && name.len() < 64 {
        return Ok(());
    }
    Err(refuse(
        "service.metadata.name",
        "only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen; must be less than 64 characters.",
    ))
}

/// The fields of a service that v1 can say.
fn expressible(service: &ServiceRecord) -> Result<Map<String, Value>, ApiError> {
    Ok(service::to_v2(&show(service))?.v2)
}
