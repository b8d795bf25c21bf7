//! What a project may use in a region: instances × CPU, memory and GPUs.
//!
//! Source: <https://cloud.google.com/run/quotas>. What other services use is not counted in: the
//! answer depends on the request alone.

use cloud_api::run::{Container, RevisionTemplate};
use serde_json::Value;

use super::check::refuse;
use super::platform::Quota;
use super::quantity::{cpu_millis, memory_bytes};
use crate::error::ApiError;

/// Field of the violations.
const FIELD: &str = "scaling.max_instance_count";
/// Second paragraph of the text.
const ADVICE: &str = "Consider running your workload in a region with greater capacity, or requesting an increase in quota for this region if you are seeing sustained usage near this limit, see https://cloud.google.com/run/quotas. Your project may gain access to further scaling by adding billing information to your account.";

/// One resource that is limited.
struct Use {
    /// How the text calls it.
    what: &'static str,
    /// Name of the quota.
    quota: &'static str,
    /// For one instance.
    each: u64,
    allowed: u64,
}

/// Checks a template whose defaults are filled in.
pub(crate) fn check_quota(
    template: &RevisionTemplate,
    container: &Container,
    quota: &Quota,
) -> Result<(), ApiError> {
    let most = template.scaling.as_ref();
    let most = u64::from(most.and_then(|it| it.max_instance_count).unwrap_or(100));
    check_gpus(template, container, quota, most)?;
    let limits = container.resources.as_ref().map(|it| &it.limits);
    let limit = |name: &str| limits.and_then(|it| it.get(name)).map(String::as_str);
    let uses = [
        quota.cpu_millis.map(|allowed| Use {
            what: "CPU",
            quota: "CpuAllocPerProjectRegion",
            each: cpu_millis(limit("cpu").unwrap_or("1")).unwrap_or(1000),
            allowed,
        }),
        quota.memory_bytes.map(|allowed| Use {
            what: "memory",
            quota: "MemAllocPerProjectRegion",
            each: memory_bytes(limit("memory").unwrap_or("512Mi")).unwrap_or(512 << 20),
            allowed,
        }),
    ];
    let violated: Vec<Use> = uses
        .into_iter()
        .flatten()
        .filter(|it| it.each.saturating_mul(most) > it.allowed)
        .collect();
    let Some(first) = violated.first() else {
        return Ok(());
    };
    let fits = violated.iter().map(|it| it.allowed / it.each.max(1)).min();
    let lines: Vec<String> = violated
        .iter()
        .map(|it| {
            let requested = it.each.saturating_mul(most);
            format!(
                "{} requested: {requested} allowed: {}",
                it.quota, it.allowed
            )
        })
        .collect();
    Err(refuse(
        FIELD,
        &format!(
            "Max instances must be set to {} or fewer to set the requested total {}.\n{ADVICE}\n\nQuota violated:\n{}",
            fits.unwrap_or(0),
            first.what,
            lines.join("\n")
        ),
    ))
}

fn check_gpus(
    template: &RevisionTemplate,
    container: &Container,
    quota: &Quota,
    most: u64,
) -> Result<(), ApiError> {
    let limits = container.resources.as_ref().map(|it| &it.limits);
    let each = limits.and_then(|it| it.get("nvidia.com/gpu"));
    let each: u64 = each.and_then(|text| text.parse().ok()).unwrap_or(0);
    let accelerator = template
        .rest
        .get("nodeSelector")
        .and_then(|selector| selector.get("accelerator"))
        .and_then(Value::as_str)
        .unwrap_or("nvidia-l4");
    let allowed = quota.gpus(accelerator);
    let requested = each.saturating_mul(most);
    if requested <= allowed {
        return Ok(());
    }
    let single_zone = template.rest.get("gpuZonalRedundancyDisabled") == Some(&Value::Bool(true));
    let zones = if single_zone { "NoZonalRedundancy" } else { "" };
    Err(refuse(
        FIELD,
        &format!(
            "Max instances must be set to {} or fewer in order to set GPU requirements.\nTo request quota: g.co/cloudrun/gpu-quota\n\nQuota violated:\n{}GpuAlloc{zones}PerProjectRegion requested: {requested} allowed: {allowed}",
            allowed / each.max(1),
            quota_name(accelerator)
        ),
    ))
}

/// `nvidia-l4` → `NvidiaL4`.
fn quota_name(accelerator: &str) -> String {
    accelerator
        .split('-')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_ascii_uppercase() + rest
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(template: Value, quota: &Quota) -> Result<(), String> {
        let template: RevisionTemplate = serde_json::from_value(template).unwrap();
        check_quota(&template, &template.containers[0], quota).map_err(|error| error.0.message)
    }

    #[test]
    fn instances_times_cpu_and_memory_must_fit() {
        let quota = Quota {
            cpu_millis: Some(20_000),
            memory_bytes: Some(40 << 30),
            ..Quota::default()
        };
        let template = |most: u32, cpu: &str, memory: &str| {
            json!({"scaling": {"maxInstanceCount": most}, "containers": [
                {"image": "i", "resources": {"limits": {"cpu": cpu, "memory": memory}}}]})
        };
        assert_eq!(checked(template(10, "2", "4Gi"), &quota), Ok(()));
        let text = checked(template(60, "1", "512Mi"), &quota).unwrap_err();
        assert!(text.starts_with("scaling.max_instance_count: Max instances must be set to 20 or fewer to set the requested total CPU.\n"), "{text}");
        assert!(
            text.ends_with(
                "Quota violated:\nCpuAllocPerProjectRegion requested: 60000 allowed: 20000"
            ),
            "{text}"
        );
        let text = checked(template(11, "1", "4Gi"), &quota).unwrap_err();
        assert!(
            text.contains("10 or fewer to set the requested total memory."),
            "{text}"
        );
    }

    #[test]
    fn three_gpus_are_granted() {
        let template = |most: u32| {
            json!({"scaling": {"maxInstanceCount": most}, "gpuZonalRedundancyDisabled": true,
                "nodeSelector": {"accelerator": "nvidia-l4"}, "containers": [
                {"image": "i", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]})
        };
        assert_eq!(checked(template(3), &Quota::default()), Ok(()));
        let text = checked(template(10), &Quota::default()).unwrap_err();
        assert!(
            text.ends_with(
                "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion requested: 10 allowed: 3"
            ),
            "{text}"
        );
    }
}
