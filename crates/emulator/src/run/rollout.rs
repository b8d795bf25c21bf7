//! Carries accepted writes out: starts instances, moves traffic, ends operations.

use std::sync::Arc;

use super::failure::Failure;
use super::instance::plan_instance;
use super::permit;
use super::platform::Trouble;
use super::settle::{self, Next, Route};
use super::state::{Phase, State, Work};
use crate::dataplane::Backend;
use crate::world::World;

/// Brings up the revision that a write has made, then moves traffic, then ends the operation.
pub(crate) async fn carry_out(world: Arc<World>, work: Work) {
    let trouble = world.run.write_quietly(|state| meet_trouble(state, &work));
    if trouble == Some(Trouble::EndlessRollout) {
        return;
    }
    if let Some(revision) = &work.new_revision
        && !has_settled(&world, &work, revision)
    {
        let outcome = match trouble {
            Some(Trouble::ImportDeadline) => Err(Failure::import_deadline()),
            _ => bring_up(&world, &work, revision).await,
        };
        if world.closing.is_cancelled() {
            // Nothing has failed; who opens the world again goes on from here.
            return;
        }
        settle(&world, &work, revision, outcome);
    }
    let mut changes = world.run.changes();
    loop {
        changes.mark_unchanged();
        let now = world.clock.now();
        match world.run.write_quietly(|state| settle::next(state, &work)) {
            Next::Wait => {
                if changes.changed().await.is_err() {
                    return;
                }
            }
            Next::Gone => return world.run.write(|state| settle::finish_gone(state, &work)),
            Next::Superseded => {
                world
                    .run
                    .write(|state| settle::finish_superseded(state, &work));
                return world.data_plane.release(&world, &work);
            }
            Next::Refused(failure) => {
                world
                    .run
                    .write(|state| settle::finish(state, &work, Err(failure), now));
                return world.data_plane.release(&world, &work);
            }
            Next::Routes(routes) => {
                if route(&world, &work, &routes).await == Moved::Yes {
                    return;
                }
            }
        }
    }
}

/// True when an earlier process has brought the revision up already, or has failed to.
fn has_settled(world: &World, work: &Work, revision: &str) -> bool {
    world.run.read(|state, _| {
        let service = state.services.get(&work.key);
        let record = service.and_then(|service| service.revisions.get(revision));
        record.is_some_and(|record| record.phase != Phase::Pending)
    })
}

/// What goes wrong with the platform during this rollout, if anything.
fn meet_trouble(state: &mut State, work: &Work) -> Option<Trouble> {
    let trouble = state.platform.take_trouble(&work.key);
    if trouble == Some(Trouble::EndlessOperation)
        && let Some(operation) = state.operations.get_mut(&work.operation)
    {
        operation.endless = true;
    }
    trouble
}

/// Starts the revision's first instance.
async fn bring_up(
    world: &Arc<World>,
    work: &Work,
    revision: &str,
) -> Result<Arc<Backend>, Failure> {
    let planned = world.run.read(|state, secrets| {
        let record = state.services.get(&work.key)?.revisions.get(revision)?;
        if state.has_elsewhere(&work.key, record) {
            return Some(Err(Failure::conflicting_revision(revision)));
        }
        let may_read = permit::secret_reader(world, &work.key, record);
        Some(
            permit::check_start(world, &work.key, record)
                .and_then(|()| plan_instance(&work.key, record, secrets, &may_read))
                .map_err(|failure| permit::explain_secrets(world, &work.key, failure)),
        )
    });
    let planned = planned.ok_or_else(|| Failure::revision_missing(revision))?;
    let backend = Arc::new(Backend::new(&work.key, revision, planned?));
    backend.ensure(world).await?;
    Ok(backend)
}

/// Notes how the start of a revision ended. An instance that nobody knows any more, because its
/// revision was deleted while it started, is ended.
fn settle(world: &Arc<World>, work: &Work, revision: &str, outcome: Result<Arc<Backend>, Failure>) {
    let (backend, outcome) = match outcome {
        Ok(backend) => (Some(backend), Ok(())),
        Err(failure) => (None, Err(failure)),
    };
    let now = world.clock.now();
    let orphan = world.run.write(|state| {
        let known = settle::settle_revision(state, work, revision, outcome, now);
        match backend {
            Some(backend) if known => {
                world.data_plane.adopt(&work.key, backend);
                None
            }
            other => other,
        }
    });
    if let Some(orphan) = orphan {
        orphan.unrefer();
        world.spawn(async move { orphan.drain().await });
    }
}

/// Whether traffic was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    /// The operation has ended, or the world has.
    Yes,
    /// Somebody wrote in between: the world has to be looked at again.
    NotYet,
}

/// Makes sure that each revision has an instance before traffic moves, then moves it.
async fn route(world: &Arc<World>, work: &Work, routes: &[Route]) -> Moved {
    let mut targets = Vec::new();
    for route in routes {
        match backend(world, work, &route.revision).await {
            Ok(backend) => targets.push((route.clone(), backend)),
            Err(_) if world.closing.is_cancelled() => return Moved::Yes,
            Err(reason) => {
                let failure = reason.at_service(&route.revision);
                let now = world.clock.now();
                world
                    .run
                    .write(|state| settle::finish(state, work, Err(failure), now));
                world.data_plane.release(world, work);
                return Moved::Yes;
            }
        }
    }
    let now = world.clock.now();
    // In one step, so that no write comes between the look and the move.
    world.run.write(|state| {
        if settle::next(state, work) != Next::Routes(routes.to_vec()) {
            return Moved::NotYet;
        }
        world.data_plane.publish(world, work, &targets);
        settle::finish(state, work, Ok(routes), now);
        Moved::Yes
    })
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
