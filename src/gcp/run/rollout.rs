//! Has a change come into effect? Judged by the service, not by the operation: whoever deploys may
//! not be allowed to read operations, and the operation's error codes have changed over the years.

use cloud_api::run::Service;
use delivery::state::STATE_ANNOTATION;

use super::change::Pending;
use super::seen::has_failed;
use super::traffic;

/// How a change stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is in effect.
    InEffect,
    /// Not yet.
    Waiting,
    /// It will not be, with Cloud Run's text.
    Failed(String),
    /// Somebody else wrote after it.
    Foreign,
}

/// Judges. `operation_error` is the text of the operation, where it ended with an error.
pub(super) fn judge(
    service: &Service,
    pending: &Pending,
    operation_error: Option<&str>,
) -> Standing {
    let generation = service.generation.parse::<u64>().ok();
    match (generation, pending.generation) {
        (Some(now), Some(ours)) if now < ours => return Standing::Waiting,
        (Some(now), Some(ours)) if now > ours => return Standing::Foreign,
        _ => {}
    }
    if service.annotations.get(STATE_ANNOTATION) != Some(&pending.record) {
        return Standing::Foreign;
    }
    let failed = service
        .terminal_condition
        .as_ref()
        .filter(|ready| has_failed(ready))
        .map(|ready| ready.message.as_str());
    // After a failure the observed generation stays behind for good.
    let observed = service.generation == service.observed_generation;
    let has_ended = observed || failed.is_some() || operation_error.is_some();
    if service.reconciling || !has_ended {
        return Standing::Waiting;
    }
    let text = || {
        let longest = [operation_error, failed].into_iter().flatten();
        longest.max_by_key(|text| text.len()).map(str::to_owned)
    };
    let latest_ready = traffic::short(&service.latest_ready_revision).ok();
    let serving = traffic::serving(&service.traffic_statuses, latest_ready.as_ref());
    let traffic_fits = pending
        .traffic
        .as_ref()
        .is_none_or(|wanted| traffic::is_in_effect(wanted, &serving, latest_ready.as_ref()));
    let ready = match &pending.revision {
        // What the service says about an older revision that failed does not concern this change.
        None => true,
        Some(revision) => latest_ready.as_ref() == Some(revision) && failed.is_none(),
    };
    if ready && traffic_fits {
        return Standing::InEffect;
    }
    match text() {
        Some(text) => Standing::Failed(text),
        None => Standing::Waiting,
    }
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
