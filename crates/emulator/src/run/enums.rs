//! Enumerations arrive as names or as numbers (Google's REST clients send numbers): names inside.
//!
//! Numbers: `google/cloud/run/v2/*.proto`.

use serde_json::Value;

const INGRESS: &[&str] = &[
    "INGRESS_TRAFFIC_UNSPECIFIED",
    "INGRESS_TRAFFIC_ALL",
    "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
    "INGRESS_TRAFFIC_NONE",
];
const LAUNCH_STAGE: &[&str] = &[
    "LAUNCH_STAGE_UNSPECIFIED",
    "EARLY_ACCESS",
    "ALPHA",
    "BETA",
    "GA",
    "DEPRECATED",
    "UNIMPLEMENTED",
    "PRELAUNCH",
];
const TRAFFIC: &[&str] = &[
    "TRAFFIC_TARGET_ALLOCATION_TYPE_UNSPECIFIED",
    "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST",
    "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
];
const ENVIRONMENT: &[&str] = &[
    "EXECUTION_ENVIRONMENT_UNSPECIFIED",
    "EXECUTION_ENVIRONMENT_GEN1",
    "EXECUTION_ENVIRONMENT_GEN2",
];
const EGRESS: &[&str] = &[
    "VPC_EGRESS_UNSPECIFIED",
    "ALL_TRAFFIC",
    "PRIVATE_RANGES_ONLY",
];
const SCALING_MODE: &[&str] = &["SCALING_MODE_UNSPECIFIED", "AUTOMATIC", "MANUAL"];
const KEY_REVOCATION: &[&str] = &[
    "ENCRYPTION_KEY_REVOCATION_ACTION_UNSPECIFIED",
    "PREVENT_NEW",
    "SHUTDOWN",
];
const MEDIUM: &[&str] = &["MEDIUM_UNSPECIFIED", "MEMORY", "DISK"];

/// Where a numbered enumeration can stand in a service; `*` is any element of a list.
const PLACES: &[(&[&str], &[&str])] = &[
    (&["ingress"], INGRESS),
    (&["launchStage"], LAUNCH_STAGE),
    (&["traffic", "*", "type"], TRAFFIC),
    (&["scaling", "scalingMode"], SCALING_MODE),
    (&["template", "executionEnvironment"], ENVIRONMENT),
    (&["template", "vpcAccess", "egress"], EGRESS),
    (
        &["template", "encryptionKeyRevocationAction"],
        KEY_REVOCATION,
    ),
    (&["template", "volumes", "*", "emptyDir", "medium"], MEDIUM),
];

/// Replaces numbers by names; an unknown number stays, and is refused by what reads it.
pub(crate) fn name_enums(service: &mut Value) {
    for (path, names) in PLACES {
        name_at(service, path, names);
    }
}

fn name_at(value: &mut Value, path: &[&str], names: &[&str]) {
    match path {
        [] => {
            let number = value
                .as_u64()
                .and_then(|number| usize::try_from(number).ok());
            if let Some(name) = number.and_then(|number| names.get(number)) {
                *value = Value::from(*name);
            }
        }
        ["*", rest @ ..] => {
            for element in value.as_array_mut().into_iter().flatten() {
                name_at(element, rest, names);
            }
        }
        [key, rest @ ..] => {
            if let Some(inner) = value.get_mut(*key) {
                name_at(inner, rest, names);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_become_names_and_names_stay() {
        let mut service = json!({"ingress": 1, "launchStage": "BETA", "traffic": [{"type": 1}, {"type": 2}],
            "template": {"executionEnvironment": 2, "timeout": 2}});
        name_enums(&mut service);
        assert_eq!(
            service,
            json!({"ingress": "INGRESS_TRAFFIC_ALL", "launchStage": "BETA",
                "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"}, {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"}],
                "template": {"executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2", "timeout": 2}})
        );
    }
}
