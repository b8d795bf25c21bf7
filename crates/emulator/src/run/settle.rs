//! What happens after a write: a revision becomes ready or fails, traffic moves, operations end.

use chrono::{DateTime, Utc};
use cloud_api::run::{TRAFFIC_LATEST, TrafficTarget, TrafficTargetStatus};
use serde_json::Value;

use super::failure::Failure;
use super::state::{End, Phase, ServiceRecord, State, Subject, Work, failed, succeeded};
use super::{schema, view};

/// Where one share of the requests goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// Short name.
    pub(crate) revision: String,
    /// Share of the service's address, 0 to 100.
    pub(crate) percent: u32,
    /// Tag whose address leads here too; empty: none.
    pub(crate) tag: String,
}

/// What a write's work can do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// A revision that it depends on has not settled yet.
    Wait,
    /// A later write has taken over.
    Superseded,
    /// The service was deleted.
    Gone,
    /// The traffic that is asked for cannot be.
    Refused(Failure),
    /// Traffic can go this way, once each revision has an instance.
    Routes(Vec<Route>),
}

/// Notes that a revision's first instance is up, or why it is not. False when the revision is
/// gone.
pub(crate) fn settle_revision(
    state: &mut State,
    work: &Work,
    revision: &str,
    outcome: Result<(), Failure>,
    now: DateTime<Utc>,
) -> bool {
    let outcome = outcome.map_err(|failure| state.platform.tell(failure));
    let service = state.worked_on(work);
    let Some(record) = service.and_then(|service| service.revisions.get_mut(revision)) else {
        return false;
    };
    record.settle_time = now;
    record.phase = match outcome {
        Ok(()) => Phase::Ready,
        Err(failure) => Phase::Failed(failure),
    };
    true
}

/// Decides what a write's work can do now.
pub(crate) fn next(state: &mut State, work: &Work) -> Next {
    let is_newest_ready = {
        let Some(service) = state.services.get(&work.key) else {
            return Next::Gone;
        };
        match service.revisions.get(&service.latest_created) {
            Some(latest) if service.uid == work.uid => match latest.phase {
                Phase::Pending => return Next::Wait,
                Phase::Ready => service.latest_ready != service.latest_created,
                Phase::Failed(_) => false,
            },
            _ => return Next::Gone,
        }
    };
    // Looked at first, changed only if something changes: this is asked after every step of anybody.
    if is_newest_ready && let Some(service) = state.worked_on(work) {
        service.latest_ready.clone_from(&service.latest_created);
    }
    let Some(service) = state.services.get(&work.key) else {
        return Next::Gone;
    };
    if service.generation != work.generation {
        return Next::Superseded;
    }
    let mut routes = Vec::new();
    for target in targets(service) {
        match route(service, &target) {
            Ok(Some(route)) => routes.push(route),
            Ok(None) => return Next::Wait,
            Err(failure) => return Next::Refused(failure),
        }
    }
    Next::Routes(routes)
}

/// The traffic that is asked for.
fn targets(service: &ServiceRecord) -> Vec<TrafficTarget> {
    let traffic = service.spec.get("traffic").cloned().unwrap_or(Value::Null);
    serde_json::from_value(traffic).unwrap_or_default()
}

/// `None`: the revision has not settled yet.
fn route(service: &ServiceRecord, target: &TrafficTarget) -> Result<Option<Route>, Failure> {
    let revision = if target.kind == TRAFFIC_LATEST {
        &service.latest_ready
    } else {
        &target.revision
    };
    // Without a ready revision the newest one's failure is the reason.
    let looked_up = if revision.is_empty() {
        &service.latest_created
    } else {
        revision
    };
    let record = service
        .revisions
        .get(looked_up)
        .ok_or_else(|| Failure::revision_missing(looked_up))?;
    match &record.phase {
        Phase::Pending => Ok(None),
        Phase::Failed(failure) => Err(failure.at_service(looked_up)),
        Phase::Ready => Ok(Some(Route {
            revision: looked_up.clone(),
            percent: target.percent,
            tag: target.tag.clone(),
        })),
    }
}

/// Ends a write: moves traffic where `routes` says (nothing moves on a failure), writes the
/// conditions, and ends the operation.
pub(crate) fn finish(
    state: &mut State,
    work: &Work,
    routes: Result<&[Route], Failure>,
    now: DateTime<Utc>,
) {
    let routes = routes.map_err(|failure| state.platform.tell(failure));
    let Some(service) = state.worked_on(work) else {
        return finish_gone(state, work);
    };
    if service.generation != work.generation {
        return finish_superseded(state, work);
    }
    let newest = service.revisions.get(&service.latest_created);
    let newest = match newest.map(|revision| &revision.phase) {
        Some(Phase::Failed(failure)) => Some(failure.at_service(&service.latest_created)),
        _ => None,
    };
    service.configurations_ready = match &newest {
        Some(failure) => failed("ConfigurationsReady", failure, now),
        None => succeeded("ConfigurationsReady", "", now),
    };
    // With LATEST in the traffic, a newest revision that failed is a route that cannot be made.
    let follows_latest = targets(service)
        .iter()
        .any(|target| target.kind == TRAFFIC_LATEST);
    let unrouted = match &routes {
        Err(failure) => Some(failure.clone()),
        Ok(_) => newest.clone().filter(|_| follows_latest),
    };
    service.routes_ready = match &unrouted {
        Some(failure) => failed("RoutesReady", failure, now),
        None => succeeded("RoutesReady", "", now),
    };
    if let Ok(routes) = routes {
        move_traffic(service, routes, now);
    }
    let failure = unrouted.or(newest);
    service.reconciling = false;
    service.ready = match &failure {
        Some(failure) => failed("Ready", failure, now),
        None => succeeded("Ready", "", now),
    };
    if failure.is_none() {
        service.observed_generation = service.generation;
    }
    let resource = schema::any("service", &view::service(service));
    end(state, &work.operation, resource, failure.as_ref());
}

fn move_traffic(service: &mut ServiceRecord, routes: &[Route], now: DateTime<Utc>) {
    let statuses = targets(service)
        .into_iter()
        .map(|target| TrafficTargetStatus {
            uri: service
                .tag_uris
                .get(&target.tag)
                .cloned()
                .unwrap_or_default(),
            kind: target.kind,
            revision: target.revision,
            percent: target.percent,
            tag: target.tag,
        })
        .collect();
    service.statuses = statuses;
    for revision in service.revisions.values_mut() {
        let active = routes.iter().any(|route| {
            route.revision == revision.name && (route.percent > 0 || !route.tag.is_empty())
        });
        if active != revision.active {
            revision.active = active;
            revision.active_time = now;
        }
    }
}

/// Ends an operation that a later write has overtaken: it fails only if its own revision failed.
pub(crate) fn finish_superseded(state: &mut State, work: &Work) {
    let Some(service) = state.worked_on(work) else {
        return finish_gone(state, work);
    };
    let resource = schema::any("service", &view::service(service));
    let own = work.new_revision.as_ref().and_then(|name| {
        let phase = &service.revisions.get(name)?.phase;
        match phase {
            Phase::Failed(failure) => Some(failure.at_service(name)),
            _ => None,
        }
    });
    end(state, &work.operation, resource, own.as_ref());
}

/// Ends the operation of a write whose service was deleted in between.
pub(crate) fn finish_gone(state: &mut State, work: &Work) {
    let failure = Failure::service_deleted(&work.key);
    let name = work.key.name();
    let resource = schema::any("service", &serde_json::json!({ "name": name }));
    end(state, &work.operation, resource, Some(&failure));
}

/// Ends the operation of a delete.
pub(crate) fn finish_deleted(state: &mut State, work: &Work) {
    let subject = state
        .operations
        .get(&work.operation)
        .map(|operation| &operation.subject);
    if let Some(Subject::Deleted { kind, last }) = subject {
        let resource = schema::any(kind, last);
        end(state, &work.operation, resource, None);
    }
}

fn end(state: &mut State, operation: &str, resource: Value, failure: Option<&Failure>) {
    let error = failure.map(Failure::operation_error);
    state.end_operation(operation, End { resource, error });
}
