//! What the server refuses at once, with its text.

use cloud_api::run::{Container, Probe, RevisionTemplate, TrafficTarget};
use serde_json::{Map, Value, json};

use super::check_modelled::{check_launch_stage, check_modelled};
use super::check_quota::check_quota;
use super::check_resources::check_resources;
use super::key::ServiceKey;
use super::platform::Quota;
use super::quantity::duration_millis;
use crate::error::ApiError;

/// Variables that the platform sets itself.
const RESERVED_ENV: &[&str] = &["PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"];
/// Namespaces of labels and annotations that v2 refuses.
pub(crate) const RESERVED_NAMESPACES: &[&str] = &[
    "run.googleapis.com",
    "cloud.googleapis.com",
    "serving.knative.dev",
    "autoscaling.knative.dev",
];
/// Longest sum of the lengths of a tag and the service's name.
const TAG_AND_SERVICE: usize = 46;

/// The two writes; their names are part of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// `POST …/services`.
    Create,
    /// `PATCH …/services/S`.
    Update,
}

impl Request {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "CreateServiceRequest",
            Self::Update => "UpdateServiceRequest",
        }
    }

    /// The usual form of a violation, which carries the server's own error as well.
    pub(crate) fn violation(self, field: &str, description: &str) -> ApiError {
        let field = format!("Violation in {}.{field}", self.name());
        refuse(&field, description).with_detail(json!({
            "@type": "type.googleapis.com/google.rpc.DebugInfo",
            "detail": format!("[ORIGINAL ERROR] generic::invalid_argument: {field}: {description}"),
        }))
    }
}

/// `INVALID_ARGUMENT` about one field.
pub(crate) fn refuse(field: &str, description: &str) -> ApiError {
    ApiError::new("INVALID_ARGUMENT", format!("{field}: {description}")).with_detail(json!({
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": field, "description": description}],
    }))
}

/// Checks the name that a create asks for.
pub(crate) fn check_service_id(service: &str) -> Result<(), ApiError> {
    if is_name(service) && service.len() < 50 {
        return Ok(());
    }
    Err(Request::Create.violation(
        "service_id",
        "only lowercase, digits, and hyphens; must begin with letter, and cannot end with hyphen; must be less than 50 characters.",
    ))
}

/// True for a name as services and revisions have.
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Checks a service's writable fields after defaults; gives back its template and traffic.
pub(crate) fn check_spec(
    request: Request,
    key: &ServiceKey,
    spec: &Map<String, Value>,
    quota: &Quota,
) -> Result<(RevisionTemplate, Vec<TrafficTarget>), ApiError> {
    let Some(template) = spec.get("template") else {
        return Err(request.violation("service.template", "must be present."));
    };
    let template: RevisionTemplate = read("service.template", template)?;
    let traffic = spec.get("traffic").cloned().unwrap_or_else(|| json!([]));
    let traffic: Vec<TrafficTarget> = read("service.traffic", &traffic)?;
    for field in ["labels", "annotations"] {
        check_namespaces(&format!("service.{field}"), request, spec.get(field))?;
    }
    let description = spec
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if description.chars().count() > 512 {
        return Err(request.violation("service.description", "must be at most 512 characters."));
    }
    let stage = spec.get("launchStage").and_then(Value::as_str);
    check_launch_stage(&template, stage.unwrap_or_default())?;
    check_template(request, key, &template, quota)?;
    check_traffic(request, key, &traffic)?;
    Ok((template, traffic))
}

fn read<T: serde::de::DeserializeOwned>(field: &str, value: &Value) -> Result<T, ApiError> {
    T::deserialize(value)
        .map_err(|error| refuse(field, &format!("Invalid JSON payload received. {error}")))
}

fn check_namespaces(field: &str, request: Request, map: Option<&Value>) -> Result<(), ApiError> {
    let keys = map.and_then(Value::as_object).into_iter().flatten();
    for (key, _) in keys {
        let namespace = key.split('/').next().unwrap_or_default();
        if key.contains('/') && RESERVED_NAMESPACES.contains(&namespace) {
            return Err(request.violation(
                field,
                &format!(
                    "'{key}': the namespace '{namespace}' is reserved and not supported in v2."
                ),
            ));
        }
    }
    Ok(())
}

fn check_template(
    request: Request,
    key: &ServiceKey,
    template: &RevisionTemplate,
    quota: &Quota,
) -> Result<(), ApiError> {
    for (field, map) in [
        ("labels", &template.labels),
        ("annotations", &template.annotations),
    ] {
        check_namespaces(
            &format!("service.template.{field}"),
            request,
            Some(&json!(map)),
        )?;
    }
    if let Some(revision) = &template.revision {
        check_revision_name(request, key, revision)?;
    }
    let Some(container) = template.containers.first() else {
        return Err(request.violation(
            "service.template.containers",
            "must contain at least one container.",
        ));
    };
    check_quota(template, container, quota)?;
    check_modelled(template)?;
    check_container(request, container)?;
    check_resources(template, container)?;
    let seconds = template.timeout.as_deref().and_then(duration_millis);
    if !seconds.is_some_and(|millis| (1_000..=3_600_000).contains(&millis)) {
        return Err(request.violation(
            "service.template.timeout",
            "must be a duration between 1s and 3600s.",
        ));
    }
    if let Some(scaling) = &template.scaling
        && let (Some(min), Some(max)) = (scaling.min_instance_count, scaling.max_instance_count)
        && min > max
    {
        return Err(request.violation(
            "service.template.scaling",
            "min_instance_count must not be greater than max_instance_count.",
        ));
    }
    Ok(())
}

fn check_revision_name(request: Request, key: &ServiceKey, revision: &str) -> Result<(), ApiError> {
    if !is_name(revision) || revision.len() >= 64 {
        return Err(request.violation(
            "service.template.revision",
            "only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen; must be less than 64 characters.",
        ));
    }
    if !revision.starts_with(&format!("{}-", key.service)) {
        return Err(request.violation(
            "service.template.revision",
            &format!(
                "must be prefixed with the name of the service, '{}-'.",
                key.service
            ),
        ));
    }
    Ok(())
}

fn check_container(request: Request, container: &Container) -> Result<(), ApiError> {
    let field = |name: &str| format!("service.template.containers[0].{name}");
    check_image(request, &field("image"), &container.image)?;
    if container.ports.len() > 1 {
        return Err(request.violation(&field("ports"), "ports should contain 0 or 1 port."));
    }
    for port in &container.ports {
        let name = port.name.as_deref().unwrap_or("http1");
        if port.container_port == 0 || !["http1", "h2c"].contains(&name) {
            return Err(request.violation(
                &field("ports"),
                "port must be between 1 and 65535 and its name must be http1 or h2c.",
            ));
        }
    }
    let reserved: Vec<&str> = container
        .env
        .iter()
        .map(|variable| variable.name.as_str())
        .filter(|name| RESERVED_ENV.contains(name))
        .collect();
    if !reserved.is_empty() {
        return Err(refuse(
            "template.containers[0].env",
            &format!(
                "The following reserved env names were provided: {}. These values are automatically set by the system.",
                reserved.join(", ")
            ),
        ));
    }
    for variable in &container.env {
        let too_long = variable
            .value
            .as_ref()
            .is_some_and(|value| value.len() > 32_768);
        if variable.name.is_empty() || variable.name.contains('=') || too_long {
            return Err(request.violation(
                &field("env"),
                &format!("'{}': a name must not be empty or contain '=', a value has at most 32768 bytes.", variable.name),
            ));
        }
    }
    container.startup_probe.as_ref().map_or(Ok(()), |probe| {
        check_probe(request, &field("startup_probe"), probe)
    })
}

fn check_image(request: Request, field: &str, image: &str) -> Result<(), ApiError> {
    if image.is_empty() {
        return Err(request.violation(field, "must be present."));
    }
    let (first, rest) = image.split_once('/').unwrap_or(("docker.io", image));
    let host = if first.contains('.') || first.contains(':') || first == "localhost" {
        first
    } else {
        "docker.io"
    };
    let bare = host.split(':').next().unwrap_or(host);
    let known = host == "docker.io"
        || host == "gcr.io"
        || host.ends_with(".gcr.io")
        || host.ends_with("-docker.pkg.dev")
        || ["127.0.0.1", "localhost"].contains(&bare);
    if known && !rest.is_empty() {
        return Ok(());
    }
    Err(request.violation(
        field,
        &format!(
            "Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained {image}."
        ),
    ))
}

fn check_probe(request: Request, field: &str, probe: &Probe) -> Result<(), ApiError> {
    let period = probe.period_seconds.unwrap_or(10);
    let timeout = probe.timeout_seconds.unwrap_or(1);
    let delay = probe.initial_delay_seconds.unwrap_or(0);
    let problem = if !(1..=240).contains(&period) {
        "period_seconds must be between 1 and 240."
    } else if timeout == 0 || timeout > period {
        "timeout_seconds must be at least 1 and not greater than period_seconds."
    } else if delay > 240 {
        "initial_delay_seconds must be between 0 and 240."
    } else if probe.failure_threshold == Some(0) {
        "failure_threshold must be at least 1."
    } else if probe.http_get.is_some() && probe.tcp_socket.is_some() {
        "exactly one of http_get, tcp_socket and grpc must be set."
    } else {
        return Ok(());
    };
    Err(request.violation(field, problem))
}

fn check_traffic(
    request: Request,
    key: &ServiceKey,
    traffic: &[TrafficTarget],
) -> Result<(), ApiError> {
    let mut tags: Vec<&str> = Vec::new();
    for (index, target) in traffic.iter().enumerate() {
        let field = format!("service.traffic[{index}]");
        let latest = target.kind == cloud_api::run::TRAFFIC_LATEST;
        if !latest && target.kind != cloud_api::run::TRAFFIC_REVISION {
            return Err(request.violation(&field, &format!("unknown type '{}'.", target.kind)));
        }
        if latest != target.revision.is_empty() {
            return Err(request.violation(
                &field,
                "revision must be set for type REVISION, and only for it.",
            ));
        }
        if target.percent > 100 {
            return Err(request.violation(&field, "percent must be between 0 and 100."));
        }
        if target.tag.is_empty() {
            continue;
        }
        check_tag(key, index, &target.tag)?;
        if tags.contains(&target.tag.as_str()) {
            return Err(request.violation(
                &format!("{field}.tag"),
                &format!("traffic tag '{}' is used more than once.", target.tag),
            ));
        }
        tags.push(&target.tag);
    }
    let sum: u32 = traffic.iter().map(|target| target.percent).sum();
    if sum != 100 {
        return Err(request.violation(
            "service.traffic",
            &format!("the percents of all traffic targets must sum to 100, but sum to {sum}."),
        ));
    }
    Ok(())
}

fn check_tag(key: &ServiceKey, index: usize, tag: &str) -> Result<(), ApiError> {
    let field = format!("traffic[{index}].tag");
    if !is_name(tag) {
        return Err(refuse(
            &field,
            "only lowercase, digits, and hyphens; must begin with letter, and may not end with hyphen.",
        ));
    }
    if tag.len() + key.service.len() > TAG_AND_SERVICE {
        return Err(refuse(
            &field,
            &format!(
                "traffic tag '{tag}' and service name '{}' together are too long. Combined traffic tag and service name cannot exceed {TAG_AND_SERVICE} characters.",
                key.service
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
