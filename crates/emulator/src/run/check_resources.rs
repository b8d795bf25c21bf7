//! Limits of CPU, memory and concurrency, which depend on each other.
//!
//! Source: <https://cloud.google.com/run/docs/configuring/services/cpu> and `…/memory-limits`.

use cloud_api::run::{Container, RevisionTemplate};

use super::check::refuse;
use super::quantity::{cpu_millis, memory_bytes};
use crate::error::ApiError;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Checks CPU, memory and concurrency of a template whose defaults are filled in.
pub(crate) fn check_resources(
    template: &RevisionTemplate,
    container: &Container,
) -> Result<(), ApiError> {
    let limits = container
        .resources
        .as_ref()
        .map(|resources| &resources.limits);
    let limit = |name: &str| {
        limits
            .and_then(|limits| limits.get(name))
            .map(String::as_str)
    };
    let cpu_text = limit("cpu").unwrap_or("1");
    let memory_text = limit("memory").unwrap_or("512Mi");
    let field = |name: &str| format!("template.containers[0].resources.limits.{name}");
    let cpu = cpu_millis(cpu_text)
        .filter(|millis| (80..1000).contains(millis) || [1000, 2000, 4000, 6000, 8000].contains(millis))
        .ok_or_else(|| {
            refuse(
                &field("cpu"),
                &format!("Invalid value specified for cpu: '{cpu_text}'. Allowed values are 1, 2, 4, 6, 8, and values from 0.08 to less than 1."),
            )
        })?;
    let memory = memory_bytes(memory_text).ok_or_else(|| {
        refuse(
            &field("memory"),
            &format!("Invalid value specified for memory: '{memory_text}'."),
        )
    })?;
    check_memory(template, &field("memory"), cpu, memory)?;
    check_concurrency(template, container, cpu)
}

fn check_memory(
    template: &RevisionTemplate,
    field: &str,
    cpu: u64,
    memory: u64,
) -> Result<(), ApiError> {
    let environment = template
        .rest
        .get("executionEnvironment")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    let generation_2 = environment == "EXECUTION_ENVIRONMENT_GEN2";
    let floor = match cpu {
        6000.. => 4 * GIB,
        4000.. => 2 * GIB,
        _ if generation_2 => 512 * MIB,
        _ => 128 * MIB,
    };
    let ceiling = match cpu {
        ..500 => 512 * MIB,
        500..1000 => GIB,
        1000..2000 => 4 * GIB,
        2000..4000 => 8 * GIB,
        4000..6000 => 16 * GIB,
        6000..8000 => 24 * GIB,
        _ => 32 * GIB,
    };
    if (floor..=ceiling).contains(&memory) {
        return Ok(());
    }
    let environment = if generation_2 {
        " with gen2 execution environment"
    } else {
        ""
    };
    Err(refuse(
        field,
        &format!(
            "Invalid value specified for memory{environment}. For {:?} CPU, memory must be between {} and {} inclusive.",
            cpu as f64 / 1000.0,
            show(floor),
            show(ceiling)
        ),
    ))
}

fn show(bytes: u64) -> String {
    if bytes.is_multiple_of(GIB) {
        format!("{}Gi", bytes / GIB)
    } else {
        format!("{}Mi", bytes / MIB)
    }
}

fn check_concurrency(
    template: &RevisionTemplate,
    container: &Container,
    cpu: u64,
) -> Result<(), ApiError> {
    let concurrency = template.max_instance_request_concurrency.unwrap_or(0);
    let field = "template.max_instance_request_concurrency";
    if !(1..=1000).contains(&concurrency) {
        return Err(refuse(field, "must be between 1 and 1000."));
    }
    if cpu < 1000 && concurrency > 1 {
        return Err(refuse(
            field,
            "Total cpu < 1 is not supported with concurrency > 1.",
        ));
    }
    let resources = container.resources.as_ref();
    let always_on = resources.is_some_and(|resources| resources.cpu_idle != Some(true));
    if cpu < 1000 && always_on {
        return Err(refuse(
            "template.containers[0].resources.cpu_idle",
            "Total cpu < 1 is not supported with cpu-throttling disabled.",
        ));
    }
    Ok(())
}
