//! Wire → domain: a service, a revision.

use cloud_api::run::{CONDITION_FAILED, CONDITION_SUCCEEDED, Condition, Revision, Service};
use delivery::diagnostic::{Code, Diagnostic};
use delivery::snapshot::{Readiness, RevisionSeen, ServiceCondition, StateSeen};
use delivery::state::{
    RELEASE_ANNOTATION, RevisionRecord, STATE_ANNOTATION, StateRecord, Timestamp,
};

use super::change::Live;
use super::configuration::of_revision;
use super::traffic;

/// A service as it is now.
///
/// # Errors
/// [`Code::CloudFailed`] when its traffic is not understood: writing it back would lose something.
pub fn live(service: &Service) -> Result<Live, Diagnostic> {
    let Service {
        name,
        uid: _,
        generation,
        labels: _,
        annotations,
        create_time: _,
        update_time,
        client: _,
        ingress: _,
        template: _,
        traffic,
        invoker_iam_disabled,
        default_uri_disabled: _,
        iap_enabled: _,
        observed_generation,
        terminal_condition,
        conditions: _,
        latest_ready_revision,
        latest_created_revision,
        traffic_statuses,
        uri,
        urls: _,
        reconciling,
        etag,
        rest: _,
    } = service;
    let split = traffic::from_wire(traffic).map_err(|why| {
        Diagnostic::error(
            Code::CloudFailed,
            format!("the traffic of `{name}` is not understood"),
        )
        .cause(why)
        .help("set its traffic with gcloud or the console, then run again")
    })?;
    let latest_ready = traffic::short(latest_ready_revision).ok();
    let observed = generation == observed_generation;
    let ended = terminal_condition.as_ref();
    let ended = ended.map_or(Timestamp(0), |ready| timestamp(&ready.last_transition_time));
    Ok(Live {
        etag: etag.clone(),
        uri: Some(uri.clone()).filter(|uri| !uri.is_empty()),
        traffic: split,
        serving: traffic::serving(traffic_statuses, latest_ready.as_ref()),
        condition: service_condition(terminal_condition.as_ref(), *reconciling, observed),
        latest_created: traffic::short(latest_created_revision).ok(),
        latest_ready,
        invoker_check_off: *invoker_iam_disabled,
        changed: timestamp(update_time).max(ended),
        state: state_seen(annotations.get(STATE_ANNOTATION).map(String::as_str)),
    })
}

/// After a failure the observed generation stays behind, so it counts for a success only.
fn service_condition(
    ready: Option<&Condition>,
    reconciling: bool,
    observed: bool,
) -> ServiceCondition {
    match ready {
        Some(ready) if !reconciling && has_failed(ready) => {
            ServiceCondition::Failed(ready.message.clone())
        }
        Some(ready) if !reconciling && observed && ready.state == CONDITION_SUCCEEDED => {
            ServiceCondition::Ready
        }
        _ => ServiceCondition::Reconciling,
    }
}

/// A failed condition counts only with severity ERROR, which is also meant when none is given:
/// a healthy revision without traffic has failed conditions of severity INFO.
pub(super) fn has_failed(condition: &Condition) -> bool {
    condition.state == CONDITION_FAILED && matches!(condition.severity.as_str(), "" | "ERROR")
}

/// Our record, from its annotation.
fn state_seen(annotation: Option<&str>) -> StateSeen {
    annotation.map_or(StateSeen::Absent, StateRecord::parse)
}

/// A revision as it is now; `None` for one whose name is not ours to read.
pub fn revision_seen(revision: &Revision) -> Option<RevisionSeen> {
    let Revision {
        name,
        uid: _,
        generation: _,
        labels: _,
        annotations,
        create_time,
        service: _,
        scaling: _,
        timeout: _,
        service_account: _,
        containers: _,
        volumes: _,
        max_instance_request_concurrency: _,
        conditions,
        observed_generation: _,
        log_uri: _,
        reconciling: _,
        etag: _,
        rest: _,
    } = revision;
    let name = traffic::short(name).ok()?;
    Some(RevisionSeen {
        readiness: readiness(conditions),
        record: annotations
            .get(RELEASE_ANNOTATION)
            .and_then(|text| RevisionRecord::parse(text, &name)),
        created_at: timestamp(create_time),
        configuration: of_revision(revision),
        name,
    })
}

fn readiness(conditions: &[Condition]) -> Readiness {
    let ready = conditions.iter().find(|one| one.kind == "Ready");
    match ready {
        Some(ready) if ready.state == CONDITION_SUCCEEDED => Readiness::Ready,
        Some(ready) if has_failed(ready) => Readiness::Failed(ready.message.clone()),
        Some(_) => Readiness::Pending,
        None => conditions
            .iter()
            .find(|one| has_failed(one))
            .map_or(Readiness::Pending, |one| {
                Readiness::Failed(one.message.clone())
            }),
    }
}

/// RFC 3339 → seconds; 0 for what is no time.
fn timestamp(text: &str) -> Timestamp {
    let time = chrono::DateTime::parse_from_rfc3339(text);
    Timestamp(time.map_or(0, |time| time.timestamp()))
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
