//! `…/services/S/revisions`; as the parent of a list, `-` stands for every service.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};

use super::{Answer, Authenticated, DeleteQuery, Page, key, project_of, with_context};
use crate::iam::Resource;
use crate::run::change::Written;
use crate::run::key::ServiceKey;
use crate::run::permit::authorize;
use crate::run::state::State as Model;
use crate::run::{delete, settle, view};
use crate::world::World;

/// Revisions on one page at most.
const LARGEST_PAGE: usize = 1000;

pub(super) async fn list(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, service)): Path<(String, String, String)>,
    Query(page): Query<Page>,
) -> Answer {
    let project = project_of(&world, &project);
    let all = if service == "-" {
        Resource::Location {
            project: project.clone(),
            location: location.clone(),
        }
    } else {
        Resource::Service(ServiceKey::new(&project, &location, &service))
    };
    authorize(&world, &caller, "run.revisions.list", &all)?;
    world.run.read(|state, _| {
        let records: Vec<_> = if service == "-" {
            let all = state.services.values();
            all.filter(|record| record.key.project == project && record.key.location == location)
                .collect()
        } else {
            let key = ServiceKey::new(&project, &location, &service);
            state.services.get(&key).into_iter().collect()
        };
        let mut found: Vec<_> = records
            .into_iter()
            .flat_map(|record| {
                record
                    .revisions
                    .values()
                    .map(move |revision| (record, revision))
            })
            .collect();
        found.sort_by_key(|(_, revision)| std::cmp::Reverse(revision.order));
        page.cut_and_show("revisions", found, LARGEST_PAGE, |(record, revision)| {
            view::revision(record, revision)
        })
    })
}

pub(super) async fn get(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, service, revision)): Path<(String, String, String, String)>,
) -> Answer {
    let key = key(&world, &project, &location, &service);
    let resource = Resource::Revision {
        service: key.clone(),
        revision: revision.clone(),
    };
    authorize(&world, &caller, "run.revisions.get", &resource)?;
    world.run.read(|state, _| {
        let service = state.service(&key)?;
        let revision = service.revision(&revision)?;
        Ok(Json(view::revision(service, revision)))
    })
}

pub(super) async fn delete(
    State(world): State<Arc<World>>,
    Authenticated(caller): Authenticated,
    Path((project, location, service, revision)): Path<(String, String, String, String)>,
    Query(query): Query<DeleteQuery>,
) -> Answer {
    let key = key(&world, &project, &location, &service);
    let resource = Resource::Revision {
        service: key.clone(),
        revision: revision.clone(),
    };
    authorize(&world, &caller, "run.revisions.delete", &resource)?;
    let etag = query.etag.as_deref();
    let written = with_context(&world, &caller, |state, context| {
        let only = query.validate_only;
        let written = delete::delete_revision(state, context, &key, &revision, etag, only)?;
        finish_delete(&world, state, &key, &revision, &written);
        Ok(written)
    })?;
    Ok(Json(written.operation))
}

/// Ends the delete of a revision in the same step.
pub(crate) fn finish_delete(
    world: &Arc<World>,
    state: &mut Model,
    key: &ServiceKey,
    revision: &str,
    written: &Written,
) {
    if let Some(work) = &written.work {
        world.data_plane.forget_revision(world, key, revision);
        settle::finish_deleted(state, work);
    }
}
