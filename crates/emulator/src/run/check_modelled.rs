//! What Cloud Run can do and the local cloud cannot: said, not passed over.

use cloud_api::run::RevisionTemplate;

use super::check::refuse;
use crate::error::ApiError;

/// Fields of a template that are in preview.
const PREVIEW: &[&str] = &["sandboxes", "ambientNetworking"];
/// The field of a container that is.
const PREVIEW_OF_CONTAINER: &str = "sandboxLauncher";

/// Refuses what is in preview, unless the service declares a launch stage that has it.
pub(crate) fn check_launch_stage(
    template: &RevisionTemplate,
    declared: &str,
) -> Result<(), ApiError> {
    if matches!(declared, "ALPHA" | "BETA") {
        return Ok(());
    }
    let in_template = PREVIEW
        .iter()
        .find(|field| template.rest.contains_key(**field));
    let in_container = template
        .containers
        .iter()
        .any(|container| container.rest.contains_key(PREVIEW_OF_CONTAINER));
    let field = match (in_template, in_container) {
        (Some(field), _) => format!("template.{field}"),
        (None, true) => format!("template.containers[0].{PREVIEW_OF_CONTAINER}"),
        (None, false) => return Ok(()),
    };
    Err(refuse(
        &field,
        "The feature is not supported in the declared launch stage.",
    ))
}

/// Refuses templates whose instances would run in another way than in the cloud.
pub(crate) fn check_modelled(template: &RevisionTemplate) -> Result<(), ApiError> {
    if template.containers.len() > 1 {
        return Err(not_modelled("more than one container per instance"));
    }
    for container in &template.containers {
        let resources = container.resources.as_ref();
        if resources.is_some_and(|resources| resources.limits.contains_key("nvidia.com/gpu")) {
            return Err(not_modelled("GPUs"));
        }
        let mut ports = container.ports.iter();
        if ports.any(|port| port.name.as_deref() == Some("h2c")) {
            return Err(not_modelled("HTTP/2 to containers (port name h2c)"));
        }
        let probe = container.startup_probe.as_ref();
        if probe.is_some_and(|probe| probe.rest.contains_key("grpc")) {
            return Err(not_modelled("gRPC probes"));
        }
    }
    if PREVIEW
        .iter()
        .any(|field| template.rest.contains_key(*field))
    {
        return Err(not_modelled("sandboxes and ambient networking"));
    }
    for volume in &template.volumes {
        if volume.secret.is_none() && !volume.rest.contains_key("emptyDir") {
            return Err(not_modelled("volumes other than secret and emptyDir"));
        }
    }
    Ok(())
}

fn not_modelled(what: &str) -> ApiError {
    ApiError::new(
        "UNIMPLEMENTED",
        format!("the local cloud does not model {what}"),
    )
}
