//! `…/revisions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State as WorldState};
use serde_json::Value;

use super::place::Place;
use super::{ListQuery, WriteQuery, deleted};
use crate::error::ApiError;
use crate::iam::Resource;
use crate::knative::revision::to_v1;
use crate::run::delete;
use crate::run::http::{Answer, Authenticated, revisions, with_context};
use crate::run::state::{RevisionRecord, ServiceRecord, State, not_found};
use crate::tokens::Caller;
use crate::world::World;

pub(super) async fn list(
    WorldState(world): WorldState<Arc<World>>,
    Authenticated(caller): Authenticated,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    place.authorize(&world, &caller, "run.revisions.list", &place.resource())?;
    let found = world.run.read(|state, _| {
        let mut found: Vec<_> = all(state, &place).collect();
        found.sort_by_key(|(_, revision)| std::cmp::Reverse(revision.order));
        let found = found.into_iter();
        found
            .map(|(service, revision)| to_v1(service, revision))
            .collect::<Vec<Value>>()
    });
    query.list(&place, "Revision", found).map(Json)
}

pub(super) async fn get(
    WorldState(world): WorldState<Arc<World>>,
    Authenticated(caller): Authenticated,
    place: Place,
) -> Answer {
    authorize(&world, &caller, &place, "run.revisions.get")?;
    world.run.read(|state, _| {
        let (service, revision) = one(state, &place)?;
        Ok(Json(to_v1(service, revision)))
    })
}

pub(super) async fn delete(
    WorldState(world): WorldState<Arc<World>>,
    Authenticated(caller): Authenticated,
    place: Place,
    Query(query): Query<WriteQuery>,
) -> Answer {
    let only_checks = query.only_checks()?;
    authorize(&world, &caller, &place, "run.revisions.delete")?;
    let name = &place.name;
    let uid = with_context(&world, &caller, |state, context| {
        let (service, revision) = one(state, &place)?;
        let (key, uid) = (service.key.clone(), revision.uid.clone());
        let written = delete::delete_revision(state, context, &key, name, None, only_checks)?;
        revisions::finish_delete(&world, state, &key, name, &written);
        Ok(uid)
    })?;
    Ok(Json(deleted("revisions", name, &uid)))
}

/// Refuses a caller that lacks the permission for the revision of the path.
fn authorize(
    world: &World,
    caller: &Caller,
    place: &Place,
    permission: &str,
) -> Result<(), ApiError> {
    let service = world.run.read(|state, _| {
        let found = one(state, place);
        found.map_or_else(|_| place.service(""), |(service, _)| service.key.clone())
    });
    let revision = Resource::Revision {
        service,
        revision: place.name.clone(),
    };
    place.authorize(world, caller, permission, &revision)
}

fn all<'s>(
    state: &'s State,
    place: &Place,
) -> impl Iterator<Item = (&'s ServiceRecord, &'s RevisionRecord)> {
    let services = state.services.values();
    services
        .filter(|service| place.holds(&service.key))
        .flat_map(|service| {
            let revisions = service.revisions.values();
            revisions.map(move |revision| (service, revision))
        })
}

/// The revision of the path: its name is unique in the namespace, because it begins with the
/// service's.
fn one<'s>(
    state: &'s State,
    place: &Place,
) -> Result<(&'s ServiceRecord, &'s RevisionRecord), ApiError> {
    all(state, place)
        .find(|(_, revision)| revision.name == place.name)
        .ok_or_else(|| not_found(&place.service(""), "REVISION", &place.name))
}
