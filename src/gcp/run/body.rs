//! A change → the body and mask of a request.

use cloud_api::run::{RevisionTemplate, Service, TRAFFIC_LATEST, TrafficTarget};
use delivery::spec::Access;
use delivery::state::STATE_ANNOTATION;
use serde_json::{Map, Value, json};

use super::change::Change;
use super::template;
use super::traffic;

/// Label that says who manages the service, as other deployers set it.
const MANAGED_BY: (&str, &str) = ("managed-by", "ml-deploy");

/// The body of a PATCH, and its mask.
pub(super) struct Patch {
    /// Only the masked fields, the name and the etag.
    pub(super) body: Value,
    /// `template,traffic,…`.
    pub(super) mask: String,
}

/// The body that creates a service: closed, everything to LATEST.
pub(super) fn create(change: &Change<'_>, record: &str) -> Result<Value, serde_json::Error> {
    let mut service = Service {
        traffic: match change.traffic {
            Some(split) => traffic::to_wire(split),
            None => vec![TrafficTarget {
                kind: TRAFFIC_LATEST.to_owned(),
                percent: 100,
                ..TrafficTarget::default()
            }],
        },
        ..Service::default()
    };
    service
        .annotations
        .insert(STATE_ANNOTATION.to_owned(), record.to_owned());
    if let Some(revision) = change.revision {
        service.labels = service_labels(&service, &revision.spec.labels);
        service.template = Some(template::apply(RevisionTemplate::default(), revision)?);
    }
    service.invoker_iam_disabled = change.access == Some(Access::Public);
    serde_json::to_value(&service)
}

/// The body that changes `service`; fields that this program does not know stay as they are.
pub(super) fn patch(
    service: &Service,
    change: &Change<'_>,
    record: &str,
) -> Result<Patch, serde_json::Error> {
    let mut body = Map::new();
    let mut mask = vec!["annotations"];
    let mut annotations = service.annotations.clone();
    annotations.insert(STATE_ANNOTATION.to_owned(), record.to_owned());
    body.insert("annotations".to_owned(), json!(annotations));
    if let Some(revision) = change.revision {
        // The template that is there, whole: what other tools set in it must survive. Its revision
        // name is replaced; echoed, it would be refused.
        let before = service.template.clone().unwrap_or_default();
        let template = template::apply(before, revision)?;
        body.insert("template".to_owned(), serde_json::to_value(&template)?);
        mask.push("template");
        let labels = service_labels(service, &revision.spec.labels);
        if labels != service.labels {
            body.insert("labels".to_owned(), json!(labels));
            mask.push("labels");
        }
    }
    if let Some(split) = change.traffic {
        let wire = traffic::to_wire(split);
        body.insert("traffic".to_owned(), serde_json::to_value(&wire)?);
        mask.push("traffic");
    }
    if let Some(access) = change.access {
        let public = access == Access::Public;
        // Said only where it changes: it needs a permission of its own.
        if public != service.invoker_iam_disabled {
            body.insert("invokerIamDisabled".to_owned(), Value::Bool(public));
            mask.push("invokerIamDisabled");
        }
    }
    body.insert("name".to_owned(), Value::String(service.name.clone()));
    body.insert("etag".to_owned(), Value::String(service.etag.clone()));
    Ok(Patch {
        body: Value::Object(body),
        mask: mask.join(","),
    })
}

fn service_labels(
    service: &Service,
    wanted: &std::collections::BTreeMap<String, String>,
) -> std::collections::BTreeMap<String, String> {
    let mut labels = service.labels.clone();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels.extend(wanted.clone());
    labels
}

/// The same label on a revision.
pub(super) fn managed_by() -> (String, String) {
    (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
