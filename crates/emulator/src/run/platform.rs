//! What the platform does by itself: how much it grants, which codes its errors have, and what goes
//! wrong with it for which no user is to blame.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::key::ServiceKey;

/// GPUs of one kind that a project may use in a region unless a quota says otherwise: Cloud Run
/// grants three of them, without zonal redundancy, with the first use.
const GRANTED_GPUS: u64 = 3;

/// How much a project may use in a region. What is left out is not limited, except for GPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Thousandths of a CPU (`CpuAllocPerProjectRegion`).
    pub cpu_millis: Option<u64>,
    /// Bytes of memory (`MemAllocPerProjectRegion`).
    pub memory_bytes: Option<u64>,
    /// GPUs by the name of the accelerator, such as `nvidia-l4`.
    pub gpus: BTreeMap<String, u64>,
}

impl Quota {
    /// GPUs of one kind.
    pub(crate) fn gpus(&self, accelerator: &str) -> u64 {
        self.gpus.get(accelerator).copied().unwrap_or(GRANTED_GPUS)
    }
}

/// Which codes and texts the errors of rollouts have: they have changed over the years.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorCodes {
    /// Until about 2024: INTERNAL (13) for every rollout that fails.
    Older,
    /// Since then: NOT_FOUND (5) for an image, FAILED_PRECONDITION (9) for the rest.
    #[default]
    Newer,
}

/// What goes wrong with the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// The image is not imported in time.
    ImportDeadline,
    /// The rollout never comes to an end: service and operation stay under way.
    EndlessRollout,
    /// The service comes to its end, but its operation never says so.
    EndlessOperation,
}

/// Trouble for the next rollouts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TroubleRule {
    /// Short name of the service; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What goes wrong.
    pub trouble: Trouble,
    /// How many rollouts meet it.
    #[serde(default = "once")]
    pub count: u64,
}

fn once() -> u64 {
    1
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Platform {
    /// By `PROJECT/REGION`.
    pub(crate) quotas: BTreeMap<String, Quota>,
    pub(crate) error_codes: ErrorCodes,
    pub(crate) troubles: Vec<TroubleRule>,
}

impl Platform {
    /// What the service's project may use in its region.
    pub(crate) fn quota(&self, key: &ServiceKey) -> Quota {
        let name = format!("{}/{}", key.project, key.location);
        self.quotas.get(&name).cloned().unwrap_or_default()
    }

    /// The trouble that the next rollout of a service meets, if any; counts it.
    pub(crate) fn take_trouble(&mut self, key: &ServiceKey) -> Option<Trouble> {
        let meets = |rule: &TroubleRule| {
            rule.count > 0
                && rule
                    .service
                    .as_ref()
                    .is_none_or(|service| *service == key.service)
        };
        let rule = self.troubles.iter_mut().find(|rule| meets(rule))?;
        rule.count -= 1;
        let trouble = rule.trouble;
        self.troubles.retain(|rule| rule.count > 0);
        Some(trouble)
    }

    /// The failure as this platform tells it.
    pub(crate) fn tell(&self, failure: Failure) -> Failure {
        match self.error_codes {
            ErrorCodes::Newer => failure,
            ErrorCodes::Older => failure.as_told_before_2024(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_used_up_by_the_service_that_it_is_meant_for() {
        let mut platform = Platform {
            troubles: vec![TroubleRule {
                service: Some("api".to_owned()),
                trouble: Trouble::ImportDeadline,
                count: 1,
            }],
            ..Platform::default()
        };
        let key = |service: &str| ServiceKey::new("p", "r", service);
        assert_eq!(platform.take_trouble(&key("other")), None);
        assert_eq!(
            platform.take_trouble(&key("api")),
            Some(Trouble::ImportDeadline)
        );
        assert_eq!(platform.take_trouble(&key("api")), None);
    }

    #[test]
    fn older_codes_are_internal_for_everything() {
        let platform = Platform {
            error_codes: ErrorCodes::Older,
            ..Platform::default()
        };
        let key = ServiceKey::new("p", "r", "api");
        for failure in [
            Failure::image_missing("i"),
            Failure::not_listening(&key, "api-1", 8080),
            Failure::revision_missing("api-1"),
        ] {
            assert_eq!(platform.tell(failure).code, 13);
        }
        let told = platform.tell(Failure::not_listening(&key, "api-1", 8080));
        assert!(
            told.text
                .starts_with("Cloud Run error: Container failed to start."),
            "{}",
            told.text
        );
    }
}
