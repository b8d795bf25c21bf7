//! Deletes: the resource is gone at once, its operation says what it was.

use serde_json::Value;

use super::change::{Context, Written, check_etag, operation_name};
use super::key::ServiceKey;
use super::reserved::Reserved;
use super::state::{OperationRecord, State, Subject, Work, timestamp};
use super::view;
use crate::error::ApiError;

/// `DELETE …/services/S`: the service is gone at once, its instances follow with the work.
pub(crate) fn delete_service(
    state: &mut State,
    context: &Context,
    key: &ServiceKey,
    given_etag: Option<&str>,
    validate_only: bool,
) -> Result<Written, ApiError> {
    let service = state.service(key)?;
    check_etag(service, given_etag)?;
    let mut last = view::service(service);
    last["deleteTime"] = timestamp(context.now).into();
    last["expireTime"] = timestamp(context.now + chrono::TimeDelta::days(30)).into();
    let work = Work {
        operation: String::new(),
        key: key.clone(),
        uid: service.uid.clone(),
        generation: service.generation,
        new_revision: None,
    };
    if !validate_only {
        state.services.remove(key);
    }
    Ok(deletion(
        state,
        context,
        "service",
        last,
        work,
        validate_only,
    ))
}

/// `DELETE …/revisions/R`.
pub(crate) fn delete_revision(
    state: &mut State,
    context: &Context,
    key: &ServiceKey,
    name: &str,
    given_etag: Option<&str>,
    validate_only: bool,
) -> Result<Written, ApiError> {
    let service = state.service_mut(key)?;
    let revision = service.revision(name)?;
    let last = view::revision(service, revision);
    if given_etag.is_some_and(|etag| !etag.is_empty() && last["etag"] != etag) {
        return Err(ApiError::new(
            "ABORTED",
            format!("Conflict for resource '{name}': the etag is not the current one."),
        ));
    }
    let latest = service.latest_ready.clone();
    let serves = service.statuses.iter().any(|status| {
        let target = if status.revision.is_empty() {
            &latest
        } else {
            &status.revision
        };
        status.percent > 0 && target == name
    });
    if serves || service.latest_created == name || latest == name {
        return Err(ApiError::new(
            "FAILED_PRECONDITION",
            format!(
                "Revision \"{name}\" cannot be directly deleted because it is actively serving."
            ),
        ));
    }
    let work = Work {
        operation: String::new(),
        key: key.clone(),
        uid: service.uid.clone(),
        generation: service.generation,
        new_revision: None,
    };
    if !validate_only {
        service.revisions.remove(name);
    }
    Ok(deletion(
        state,
        context,
        "revision",
        last,
        work,
        validate_only,
    ))
}

fn deletion(
    state: &mut State,
    context: &Context,
    kind: &'static str,
    last: Value,
    mut work: Work,
    validate_only: bool,
) -> Written {
    let operation = OperationRecord {
        name: operation_name(&work.key, context.chance),
        order: state.next_order(),
        subject: Subject::Deleted {
            kind: kind.into(),
            last,
        },
        end: None,
        endless: false,
    };
    let answer = view::operation(state, &operation);
    if validate_only {
        return Written {
            operation: answer,
            work: None,
            reserved: Reserved::default(),
        };
    }
    work.operation.clone_from(&operation.name);
    state.operations.insert(operation.name.clone(), operation);
    Written {
        operation: answer,
        work: Some(work),
        reserved: Reserved::default(),
    }
}
