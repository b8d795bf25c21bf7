//! `…/operations`, with a Knative service in them.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use bytes::Bytes;

use crate::knative::operation::to_v1;
use crate::run::http::{Answer, Authenticated, Page, operations};
use crate::world::World;

pub(super) async fn list(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer {
    operations::list_as(&world, &caller, (&project, &location), &page, to_v1)
}

pub(super) async fn get(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, id)): Path<(String, String, String)>,
) -> Answer {
    operations::get_as(&world, &caller, (&project, &location, &id), to_v1)
}

pub(super) async fn post(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, id)): Path<(String, String, String)>,
    body: Bytes,
) -> Answer {
    let place = (&*project, &*location, &*id);
    operations::wait_as(&world, &caller, place, &body, to_v1).await
}
