//! What Cloud Run can do and the local cloud cannot: said, not passed over.

use cloud_api::run::RevisionTemplate;

use crate::error::ApiError;

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
