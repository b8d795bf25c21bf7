//! Carries accepted writes out: starts instances, moves traffic, ends operations.

use std::sync::Arc;

use super::failure::Failure;
use super::instance::plan_instance;
use super::settle::{self, Next, Route};
use super::state::Work;
use crate::dataplane::Backend;
use crate::world::World;

/// Brings up the revision that a write has made, then moves traffic, then ends the operation.
pub(crate) async fn carry_out(world: Arc<World>, work: Work) {
    if let Some(revision) = &work.new_revision {
        let outcome = bring_up(&world, &work, revision).await;
        let now = world.clock.now();
        world.run.write(|state| {
            settle::settle_revision(state, &work, revision, outcome, now);
        });
    }
    let mut changes = world.run.changes();
    loop {
        changes.mark_unchanged();
        match world.run.write_quietly(|state| settle::next(state, &work)) {
            Next::Wait => {
                if changes.changed().await.is_err() {
                    return;
                }
            }
            Next::Gone => return world.run.write(|state| settle::finish_gone(state, &work)),
            Next::Superseded => {
                return world
                    .run
                    .write(|state| settle::finish_superseded(state, &work));
            }
            Next::Refused(failure) => {
                let now = world.clock.now();
                world
                    .run
                    .write(|state| settle::finish(state, &work, Err(failure), now));
                world.data_plane.release(&world, &work);
                return;
            }
            Next::Routes(routes) => return route(&world, &work, &routes).await,
        }
    }
}

/// Starts the revision's first instance.
async fn bring_up(world: &Arc<World>, work: &Work, revision: &str) -> Result<(), Failure> {
    let planned = world.run.read(|state, secrets| {
        let record = state.services.get(&work.key)?.revisions.get(revision)?;
        Some(plan_instance(&work.key, record, secrets))
    });
    let Some(planned) = planned else {
        return Err(Failure::revision_missing(revision));
    };
    let backend = Arc::new(Backend::new(&work.key, revision, planned?));
    backend.ensure(world).await?;
    world.data_plane.adopt(&work.key, backend);
    Ok(())
}

/// Makes sure that each revision has an instance before traffic moves, then moves it.
async fn route(world: &Arc<World>, work: &Work, routes: &[Route]) {
    let mut targets = Vec::new();
    let mut failure = None;
    for route in routes {
        match backend(world, work, &route.revision).await {
            Ok(backend) => targets.push((route.clone(), backend)),
            Err(reason) => {
                failure = Some(reason.at_service(&route.revision));
                break;
            }
        }
    }
    let now = world.clock.now();
    if let Some(failure) = failure {
        world
            .run
            .write(|state| settle::finish(state, work, Err(failure), now));
        return world.data_plane.release(world, work);
    }
    // Somebody may have written while instances were being started.
    let current = world.run.write_quietly(|state| settle::next(state, work));
    if current != Next::Routes(routes.to_vec()) {
        return Box::pin(carry_out(
            Arc::clone(world),
            Work {
                new_revision: None,
                ..work.clone()
            },
        ))
        .await;
    }
    world.data_plane.publish(world, work, &targets);
    world
        .run
        .write(|state| settle::finish(state, work, Ok(routes), now));
}

/// The revision's backend with a running instance.
async fn backend(world: &Arc<World>, work: &Work, revision: &str) -> Result<Arc<Backend>, Failure> {
    let backend = world
        .data_plane
        .backend(&work.key, revision)
        .ok_or_else(|| Failure::revision_missing(revision))?;
    backend.refer();
    backend.ensure(world).await?;
    Ok(backend)
}

/// Ends what a deleted service or revision has left running, then the operation.
pub(crate) async fn carry_out_deletion(world: Arc<World>, work: Work) {
    match &work.new_revision {
        Some(revision) => world
            .data_plane
            .forget_revision(&world, &work.key, revision),
        None => world.data_plane.forget_service(&world, &work.key),
    }
    world
        .run
        .write(|state| settle::finish_deleted(state, &work));
}
