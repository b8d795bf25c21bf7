//! Refusals in v1's spelling: the checks name fields as v2 does.

use serde_json::{Value, json};

use crate::error::ApiError;

/// Places of v2 and of v1, the longest first.
const PLACES: &[(&str, &str)] = &[
    ("service_id", "service.metadata.name"),
    ("template.revision", "service.spec.template.metadata.name"),
    ("template.labels", "spec.template.metadata.labels"),
    ("template.annotations", "spec.template.metadata.annotations"),
    (
        "template.scaling.min_instance_count",
        "spec.template.metadata.annotations[autoscaling.knative.dev/minScale]",
    ),
    (
        "template.scaling",
        "spec.template.metadata.annotations[autoscaling.knative.dev/maxScale]",
    ),
    (
        "scaling.max_instance_count",
        "spec.template.metadata.annotations[autoscaling.knative.dev/maxScale]",
    ),
    ("template.timeout", "spec.template.spec.timeoutSeconds"),
    (
        "template.max_instance_request_concurrency",
        "spec.template.spec.containerConcurrency",
    ),
    (
        "template.service_account",
        "spec.template.spec.serviceAccountName",
    ),
    ("template", "spec.template.spec"),
    ("traffic", "spec.traffic"),
    ("labels", "metadata.labels"),
    ("annotations", "metadata.annotations"),
    (
        "description",
        "metadata.annotations[run.googleapis.com/description]",
    ),
    (
        "ingress",
        "metadata.annotations[run.googleapis.com/ingress]",
    ),
];

/// The same refusal with its fields spelled as v1 does.
pub(super) fn in_v1(mut error: ApiError) -> ApiError {
    for detail in &mut error.0.details {
        let violations = detail.get_mut("fieldViolations");
        for violation in violations
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let Some(place) = violation["field"].as_str().map(str::to_owned) else {
                continue;
            };
            let spelled = place_in_v1(&place);
            error.0.message = error.0.message.replacen(&place, &spelled, 1);
            violation["field"] = json!(spelled);
        }
    }
    error
}

fn place_in_v1(place: &str) -> String {
    let bare = match place.strip_prefix("Violation in ") {
        Some(rest) => rest.split_once('.').map_or(rest, |(_, place)| place),
        None => place,
    };
    // Already v1's own.
    if bare.starts_with("spec.") || bare.starts_with("metadata.") {
        return bare.to_owned();
    }
    if bare.starts_with("service.spec") || bare.starts_with("service.metadata") {
        return bare.to_owned();
    }
    let bare = bare.strip_prefix("service.").unwrap_or(bare);
    // The text about a tag names no index.
    if bare.starts_with("traffic[") && bare.ends_with("].tag") {
        return "spec.traffic.tag".to_owned();
    }
    for (v2, v1) in PLACES {
        if let Some(rest) = bare.strip_prefix(v2)
            && (rest.is_empty() || rest.starts_with(['.', '[']))
        {
            return format!("{v1}{rest}");
        }
    }
    bare.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::check::{Request, refuse};

    #[test]
    fn places_are_spelled_as_in_v1() {
        for (v2, v1) in [
            (
                "Violation in CreateServiceRequest.service_id",
                "service.metadata.name",
            ),
            (
                "Violation in UpdateServiceRequest.service.template.containers[0].ports",
                "spec.template.spec.containers[0].ports",
            ),
            (
                "template.containers[0].env",
                "spec.template.spec.containers[0].env",
            ),
            ("traffic[1].tag", "spec.traffic.tag"),
            (
                "Violation in CreateServiceRequest.service.traffic[1]",
                "spec.traffic[1]",
            ),
            (
                "service.template.revision",
                "service.spec.template.metadata.name",
            ),
            ("spec.template.spec.volumes", "spec.template.spec.volumes"),
        ] {
            assert_eq!(place_in_v1(v2), v1);
        }
    }

    #[test]
    fn text_and_detail_agree() {
        for error in [
            Request::Create.violation("service.template.timeout", "too long."),
            refuse("template.timeout", "too long."),
        ] {
            let error = in_v1(error).0;
            assert_eq!(
                error.message,
                "spec.template.spec.timeoutSeconds: too long."
            );
            let field = &error.details[0]["fieldViolations"][0]["field"];
            assert_eq!(field, "spec.template.spec.timeoutSeconds");
        }
    }
}
