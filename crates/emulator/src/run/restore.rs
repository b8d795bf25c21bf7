//! What a restart brings back: addresses, instances on demand, traffic, and work that was under way.

use std::sync::Arc;

use super::instance::plan_instance;
use super::key::ServiceKey;
use super::permit;
use super::rollout;
use super::settle::Route;
use super::state::{Phase, RevisionRecord, ServiceRecord};
use crate::dataplane::Backend;
use crate::world::World;

/// Brings back what is kept. Called once, before the first request.
pub(crate) fn restore(world: &Arc<World>) {
    world.data_plane.reopen(world);
    let keys: Vec<ServiceKey> = world
        .run
        .read(|state, _| state.services.keys().cloned().collect());
    for key in &keys {
        relocate_images(world, key);
        restore_addresses(world, key);
        restore_traffic(world, key);
    }
    let works = world
        .run
        .read(|state, _| state.works.values().cloned().collect::<Vec<_>>());
    for work in works {
        world.spawn(rollout::carry_out(Arc::clone(world), work));
    }
}

/// The registry may be on another port now.
fn relocate_images(world: &Arc<World>, key: &ServiceKey) {
    let is_moved = |revision: &RevisionRecord| {
        let image = revision.image.as_ref();
        image.is_some_and(|image| world.registry.relocated(image) != *image)
    };
    let any = world.run.read(|state, _| {
        let service = state.services.get(key);
        service.is_some_and(|service| service.revisions.values().any(is_moved))
    });
    if !any {
        return;
    }
    world.run.write(|state| {
        let service = state.services.get_mut(key);
        let revisions = service.into_iter().flat_map(|it| it.revisions.values_mut());
        for image in revisions.filter_map(|revision| revision.image.as_mut()) {
            *image = world.registry.relocated(image);
        }
    });
}

/// Writes down addresses that could not be had again, because another program has the port now.
fn restore_addresses(world: &Arc<World>, key: &ServiceKey) {
    let address = |tag: Option<&str>| world.data_plane.address(world, key, tag);
    let (uri, tags) = world.run.read(|state, _| {
        let service = state.services.get(key);
        let tags = service.map(|it| it.tag_uris.clone()).unwrap_or_default();
        (service.map(|it| it.uri.clone()).unwrap_or_default(), tags)
    });
    let new_uri = address(None).unwrap_or_else(|_| uri.clone());
    let mut new_tags = tags.clone();
    for (tag, uri) in &mut new_tags {
        if let Ok(new) = address(Some(tag)) {
            *uri = new;
        }
    }
    if new_uri == uri && new_tags == tags {
        return;
    }
    let service = &key.service;
    tracing::warn!(
        service,
        old = uri,
        new = new_uri,
        "the service's address has changed"
    );
    world.run.write(|state| {
        if let Some(service) = state.services.get_mut(key) {
            for status in &mut service.statuses {
                if let Some(uri) = new_tags.get(&status.tag) {
                    status.uri.clone_from(uri);
                }
            }
            service.uri = new_uri;
            service.tag_uris = new_tags;
        }
    });
}

/// Each revision that can serve is started by its first request.
fn restore_traffic(world: &Arc<World>, key: &ServiceKey) {
    let (backends, routes) = world.run.read(|state, secrets| {
        let Some(service) = state.services.get(key) else {
            return (Vec::new(), Vec::new());
        };
        let ready = service.revisions.values();
        let ready = ready.filter(|revision| revision.phase == Phase::Ready);
        let backends = ready.map(|revision| {
            let plan = plan_instance(
                key,
                revision,
                secrets,
                &permit::secret_reader(world, key, revision),
            );
            Arc::new(Backend::asleep(key, &revision.name, plan))
        });
        (backends.collect(), routes(service))
    });
    for backend in backends {
        world.data_plane.adopt(key, backend);
    }
    world.data_plane.lead_at_once(key, &routes);
}

/// Where traffic went last.
fn routes(service: &ServiceRecord) -> Vec<Route> {
    let statuses = service.statuses.iter();
    let routes = statuses.map(|status| Route {
        revision: if status.revision.is_empty() {
            service.latest_ready.clone()
        } else {
            status.revision.clone()
        },
        percent: status.percent,
        tag: status.tag.clone(),
    });
    routes.collect()
}
