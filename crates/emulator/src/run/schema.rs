//! The fields that Cloud Run's schema names.
//!
//! Inside an operation the resource is a typed `Any`: Google's clients refuse a field there that
//! they do not know, although they tolerate it in a plain resource.

use serde_json::{Map, Value};

/// Kind of a resource or of a part of one; a field without kind is kept as it is.
type Fields = &'static [(&'static str, &'static str)];

const SERVICE: Fields = &[
    ("name", ""),
    ("description", ""),
    ("uid", ""),
    ("generation", ""),
    ("labels", ""),
    ("annotations", ""),
    ("createTime", ""),
    ("updateTime", ""),
    ("deleteTime", ""),
    ("expireTime", ""),
    ("creator", ""),
    ("lastModifier", ""),
    ("client", ""),
    ("clientVersion", ""),
    ("ingress", ""),
    ("launchStage", ""),
    ("binaryAuthorization", ""),
    ("template", "template"),
    ("traffic", "traffic"),
    ("scaling", "service scaling"),
    ("invokerIamDisabled", ""),
    ("defaultUriDisabled", ""),
    ("urls", ""),
    ("iapEnabled", ""),
    ("multiRegionSettings", ""),
    ("customAudiences", ""),
    ("observedGeneration", ""),
    ("terminalCondition", "condition"),
    ("conditions", "condition"),
    ("latestReadyRevision", ""),
    ("latestCreatedRevision", ""),
    ("trafficStatuses", "traffic"),
    ("uri", ""),
    ("satisfiesPzs", ""),
    ("threatDetectionEnabled", ""),
    ("buildConfig", ""),
    ("reconciling", ""),
    ("etag", ""),
];

/// What a template and a revision have in common.
const TEMPLATE: Fields = &[
    ("labels", ""),
    ("annotations", ""),
    ("scaling", "scaling"),
    ("vpcAccess", ""),
    ("timeout", ""),
    ("serviceAccount", ""),
    ("containers", "container"),
    ("volumes", "volume"),
    ("executionEnvironment", ""),
    ("encryptionKey", ""),
    ("maxInstanceRequestConcurrency", ""),
    ("serviceMesh", ""),
    ("encryptionKeyRevocationAction", ""),
    ("encryptionKeyShutdownDuration", ""),
    ("sessionAffinity", ""),
    ("nodeSelector", ""),
    ("gpuZonalRedundancyDisabled", ""),
    ("client", ""),
    ("clientVersion", ""),
    // Of a template only:
    ("revision", ""),
    ("healthCheckDisabled", ""),
];

/// What only a revision has.
const REVISION: Fields = &[
    ("name", ""),
    ("uid", ""),
    ("generation", ""),
    ("createTime", ""),
    ("updateTime", ""),
    ("deleteTime", ""),
    ("expireTime", ""),
    ("launchStage", ""),
    ("service", ""),
    ("reconciling", ""),
    ("conditions", "condition"),
    ("observedGeneration", ""),
    ("logUri", ""),
    ("satisfiesPzs", ""),
    ("scalingStatus", ""),
    ("creator", ""),
    ("etag", ""),
];

const CONTAINER: Fields = &[
    ("name", ""),
    ("sourceCode", ""),
    ("image", ""),
    ("command", ""),
    ("args", ""),
    ("env", "env"),
    ("resources", "resources"),
    ("ports", "port"),
    ("volumeMounts", "mount"),
    ("workingDir", ""),
    ("livenessProbe", "probe"),
    ("startupProbe", "probe"),
    ("readinessProbe", "probe"),
    ("dependsOn", ""),
    ("baseImageUri", ""),
    ("buildInfo", ""),
];

const CONDITION: Fields = &[
    ("type", ""),
    ("state", ""),
    ("message", ""),
    ("lastTransitionTime", ""),
    ("severity", ""),
    ("reason", ""),
    ("revisionReason", ""),
    ("executionReason", ""),
];

const VOLUME: Fields = &[
    ("name", ""),
    ("secret", ""),
    ("cloudSqlInstance", ""),
    ("emptyDir", ""),
    ("nfs", ""),
    ("gcs", ""),
];

const PROBE: Fields = &[
    ("initialDelaySeconds", ""),
    ("timeoutSeconds", ""),
    ("periodSeconds", ""),
    ("failureThreshold", ""),
    ("httpGet", ""),
    ("tcpSocket", ""),
    ("grpc", ""),
];

fn fields(kind: &str) -> Vec<Fields> {
    match kind {
        "service" => vec![SERVICE],
        "template" => vec![TEMPLATE],
        "revision" => vec![TEMPLATE, REVISION],
        "container" => vec![CONTAINER],
        "condition" => vec![CONDITION],
        "volume" => vec![VOLUME],
        "probe" => vec![PROBE],
        "traffic" => vec![&[
            ("type", ""),
            ("revision", ""),
            ("percent", ""),
            ("tag", ""),
            ("uri", ""),
        ]],
        "service scaling" => vec![&[
            ("minInstanceCount", ""),
            ("scalingMode", ""),
            ("maxInstanceCount", ""),
            ("manualInstanceCount", ""),
        ]],
        "scaling" => vec![&[("minInstanceCount", ""), ("maxInstanceCount", "")]],
        "env" => vec![&[("name", ""), ("value", ""), ("valueSource", "")]],
        "resources" => vec![&[("limits", ""), ("cpuIdle", ""), ("startupCpuBoost", "")]],
        "port" => vec![&[("name", ""), ("containerPort", "")]],
        "mount" => vec![&[("name", ""), ("mountPath", ""), ("subPath", "")]],
        _ => Vec::new(),
    }
}

/// A service (`"service"`) or revision (`"revision"`) as it stands in an operation: only fields of
/// the schema, and `@type`.
pub(crate) fn any(kind: &str, resource: &Value) -> Value {
    let mut typed = known(kind, resource);
    let message = if kind == "revision" {
        "Revision"
    } else {
        "Service"
    };
    if let Value::Object(fields) = &mut typed {
        fields.insert(
            "@type".to_owned(),
            Value::from(format!("type.googleapis.com/google.cloud.run.v2.{message}")),
        );
    }
    typed
}

fn known(kind: &str, value: &Value) -> Value {
    match value {
        _ if kind.is_empty() => value.clone(),
        Value::Array(elements) => elements
            .iter()
            .map(|element| known(kind, element))
            .collect(),
        Value::Object(object) => {
            let mut kept = Map::new();
            for (name, inner) in fields(kind).into_iter().flatten() {
                if let Some(field) = object.get(*name) {
                    kept.insert((*name).to_owned(), known(inner, field));
                }
            }
            Value::Object(kept)
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_holds_no_field_outside_the_schema() {
        let service = json!({"name": "n", "novel": 1, "labels": {"novel": "kept"},
            "template": {"novel": 1, "timeout": "300s", "containers": [{"image": "i", "novel": 1, "env": [{"name": "A", "novel": 1}]}]}});
        assert_eq!(
            any("service", &service),
            json!({"@type": "type.googleapis.com/google.cloud.run.v2.Service", "name": "n", "labels": {"novel": "kept"},
                "template": {"timeout": "300s", "containers": [{"image": "i", "env": [{"name": "A"}]}]}})
        );
    }
}
