//! Annotations that API v1 has where API v2 has a field.
//!
//! Source: the discovery document `run.v1`, `ObjectMeta.annotations`, and what gcloud writes.

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::run::check::refuse;
use crate::run::reserved::Words;

/// An annotation and its field.
pub(super) struct Annotation {
    /// Full name.
    pub(super) name: &'static str,
    /// The field in v2.
    path: &'static [&'static str],
    form: Form,
}

/// How the annotation's text stands for the field's value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// As it is.
    Text,
    /// `true` or `false` in any case; absent is false.
    Flag,
    /// A number from 0.
    Count,
    /// A number of hours, in v2 a duration in seconds.
    Hours,
    /// One of these: text of v1, value of v2.
    Choice(&'static [(&'static str, &'static str)]),
    /// As `Choice`; absent is the first.
    ChoiceOrFirst(&'static [(&'static str, &'static str)]),
    /// JSON in a text.
    Json,
}

const INGRESS: &[(&str, &str)] = &[
    ("all", "INGRESS_TRAFFIC_ALL"),
    ("internal", "INGRESS_TRAFFIC_INTERNAL_ONLY"),
    (
        "internal-and-cloud-load-balancing",
        "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
    ),
    ("none", "INGRESS_TRAFFIC_NONE"),
];
const LAUNCH_STAGE: &[(&str, &str)] = &[
    ("GA", "GA"),
    ("BETA", "BETA"),
    ("ALPHA", "ALPHA"),
    ("EARLY_ACCESS", "EARLY_ACCESS"),
    ("PRELAUNCH", "PRELAUNCH"),
    ("DEPRECATED", "DEPRECATED"),
];

/// `run.googleapis.com/NAME` or another namespace, the path, the form.
const fn annotation(name: &'static str, path: &'static [&'static str], form: Form) -> Annotation {
    Annotation { name, path, form }
}

/// Of a service.
pub(super) const SERVICE: &[Annotation] = &[
    annotation("run.googleapis.com/client-name", &["client"], Form::Text),
    annotation(
        "run.googleapis.com/client-version",
        &["clientVersion"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/description",
        &["description"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/launch-stage",
        &["launchStage"],
        Form::ChoiceOrFirst(LAUNCH_STAGE),
    ),
    annotation(
        "run.googleapis.com/ingress",
        &["ingress"],
        Form::Choice(INGRESS),
    ),
    annotation(
        "run.googleapis.com/binary-authorization-breakglass",
        &["binaryAuthorization", "breakglassJustification"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/custom-audiences",
        &["customAudiences"],
        Form::Json,
    ),
    annotation(
        "run.googleapis.com/default-url-disabled",
        &["defaultUriDisabled"],
        Form::Flag,
    ),
    annotation(
        "run.googleapis.com/invoker-iam-disabled",
        &["invokerIamDisabled"],
        Form::Flag,
    ),
    annotation(
        "run.googleapis.com/iap-enabled",
        &["iapEnabled"],
        Form::Flag,
    ),
    annotation(
        "run.googleapis.com/minScale",
        &["scaling", "minInstanceCount"],
        Form::Count,
    ),
    annotation(
        "run.googleapis.com/maxScale",
        &["scaling", "maxInstanceCount"],
        Form::Count,
    ),
    annotation(
        "run.googleapis.com/manualInstanceCount",
        &["scaling", "manualInstanceCount"],
        Form::Count,
    ),
    annotation(
        "run.googleapis.com/scalingMode",
        &["scaling", "scalingMode"],
        Form::Choice(&[("automatic", "AUTOMATIC"), ("manual", "MANUAL")]),
    ),
    annotation(
        "run.googleapis.com/build-name",
        &["buildConfig", "name"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/build-source-location",
        &["buildConfig", "sourceLocation"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/build-function-target",
        &["buildConfig", "functionTarget"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/build-image-uri",
        &["buildConfig", "imageUri"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/build-base-image",
        &["buildConfig", "baseImage"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/build-enable-automatic-updates",
        &["buildConfig", "enableAutomaticUpdates"],
        Form::Flag,
    ),
    annotation(
        "run.googleapis.com/build-environment-variables",
        &["buildConfig", "environmentVariables"],
        Form::Json,
    ),
    annotation(
        "run.googleapis.com/build-worker-pool",
        &["buildConfig", "workerPool"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/build-service-account",
        &["buildConfig", "serviceAccount"],
        Form::Text,
    ),
];

/// Of a template, and so of a revision.
pub(super) const TEMPLATE: &[Annotation] = &[
    annotation("run.googleapis.com/client-name", &["client"], Form::Text),
    annotation(
        "run.googleapis.com/client-version",
        &["clientVersion"],
        Form::Text,
    ),
    annotation(
        "autoscaling.knative.dev/minScale",
        &["scaling", "minInstanceCount"],
        Form::Count,
    ),
    annotation(
        "autoscaling.knative.dev/maxScale",
        &["scaling", "maxInstanceCount"],
        Form::Count,
    ),
    annotation(
        "run.googleapis.com/execution-environment",
        &["executionEnvironment"],
        Form::Choice(&[
            ("gen1", "EXECUTION_ENVIRONMENT_GEN1"),
            ("gen2", "EXECUTION_ENVIRONMENT_GEN2"),
        ]),
    ),
    annotation(
        "run.googleapis.com/sessionAffinity",
        &["sessionAffinity"],
        Form::Flag,
    ),
    annotation(
        "run.googleapis.com/vpc-access-connector",
        &["vpcAccess", "connector"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/vpc-access-egress",
        &["vpcAccess", "egress"],
        Form::Choice(&[
            ("all-traffic", "ALL_TRAFFIC"),
            ("all", "ALL_TRAFFIC"),
            ("private-ranges-only", "PRIVATE_RANGES_ONLY"),
        ]),
    ),
    annotation(
        "run.googleapis.com/network-interfaces",
        &["vpcAccess", "networkInterfaces"],
        Form::Json,
    ),
    annotation(
        "run.googleapis.com/encryption-key",
        &["encryptionKey"],
        Form::Text,
    ),
    annotation(
        "run.googleapis.com/post-key-revocation-action-type",
        &["encryptionKeyRevocationAction"],
        Form::Choice(&[("prevent-new", "PREVENT_NEW"), ("shut-down", "SHUTDOWN")]),
    ),
    annotation(
        "run.googleapis.com/encryption-key-shutdown-hours",
        &["encryptionKeyShutdownDuration"],
        Form::Hours,
    ),
    annotation(
        "run.googleapis.com/health-check-disabled",
        &["healthCheckDisabled"],
        Form::Flag,
    ),
    annotation(
        "run.googleapis.com/gpu-zonal-redundancy-disabled",
        &["gpuZonalRedundancyDisabled"],
        Form::Flag,
    ),
    annotation(
        "run.googleapis.com/mesh",
        &["serviceMesh", "mesh"],
        Form::Text,
    ),
];

impl Form {
    /// What a text stands for; `None`: it is none of this form.
    pub(super) fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Text => Some(json!(text)),
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "true" => Some(json!(true)),
                "false" => Some(json!(false)),
                _ => None,
            },
            Self::Count => text.parse::<u32>().ok().map(|count| json!(count)),
            Self::Hours => {
                let hours: u64 = text.parse().ok()?;
                Some(json!(format!("{}s", hours.checked_mul(3600)?)))
            }
            Self::Choice(choices) | Self::ChoiceOrFirst(choices) => choices
                .iter()
                .find(|(name, _)| *name == text)
                .map(|(_, value)| json!(value)),
            Self::Json => serde_json::from_str(text).ok(),
        }
    }

    /// The text for a value; `None` for what goes without saying, and for what v1 cannot say.
    pub(super) fn write(self, value: &Value) -> Option<String> {
        match self {
            Self::Text => value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            Self::Flag => (value == true).then(|| "true".to_owned()),
            Self::Count => value.as_u64().map(|count| count.to_string()),
            Self::Hours => {
                let seconds: u64 = value.as_str()?.strip_suffix('s')?.parse().ok()?;
                seconds
                    .is_multiple_of(3600)
                    .then(|| (seconds / 3600).to_string())
            }
            Self::Choice(choices) => choice(choices, value).map(str::to_owned),
            Self::ChoiceOrFirst(choices) => {
                let name = choice(choices, value)?;
                (name != choices.first()?.0).then(|| name.to_owned())
            }
            Self::Json => match value {
                Value::Null => None,
                value => Some(value.to_string()),
            },
        }
    }

    /// True when both values mean the same; absent means the default.
    fn same(self, left: Option<&Value>, right: Option<&Value>) -> bool {
        let unsaid = match self {
            Self::Flag => Some(json!(false)),
            Self::ChoiceOrFirst(choices) => choices.first().map(|(_, value)| json!(value)),
            _ => None,
        };
        left.or(unsaid.as_ref()) == right.or(unsaid.as_ref())
    }
}

fn choice(choices: &[(&'static str, &'static str)], value: &Value) -> Option<&'static str> {
    let value = value.as_str()?;
    let found = choices.iter().find(|(_, wanted)| *wanted == value);
    found.map(|(name, _)| *name)
}

/// The text of one annotation: as it was written, if that still means the value.
pub(super) fn spell(
    name: &str,
    form: Form,
    value: Option<&Value>,
    spelled: &Words,
) -> Option<String> {
    let written = spelled.get(name);
    let meant = written.and_then(|text| form.read(text));
    match written {
        Some(text) if meant.is_some() && form.same(meant.as_ref(), value) => Some(text.clone()),
        _ => form.write(value?),
    }
}

/// Writes the annotations that stand for fields of `v2`.
pub(super) fn write_all(
    table: &[Annotation],
    v2: &Value,
    spelled: &Words,
    annotations: &mut Map<String, Value>,
) {
    for Annotation { name, path, form } in table {
        let value = path.iter().try_fold(v2, |value, part| value.get(part));
        if let Some(text) = spell(name, *form, value, spelled) {
            annotations.insert((*name).to_owned(), json!(text));
        }
    }
}

/// Takes the annotations out that stand for fields, and sets the fields.
///
/// # Errors
/// `INVALID_ARGUMENT` for a text that is none of its form; `field` is the path of the annotations.
pub(super) fn read_all(
    table: &[Annotation],
    field: &str,
    annotations: &mut Words,
    v2: &mut Map<String, Value>,
    spelled: &mut Words,
) -> Result<(), ApiError> {
    for Annotation { name, path, form } in table {
        if let Some(value) = take(name, *form, field, annotations, spelled)?
            && !form.same(Some(&value), None)
        {
            set(v2, path, value);
        }
    }
    Ok(())
}

/// Takes one annotation out and reads it.
///
/// # Errors
/// As [`read_all`].
pub(super) fn take(
    name: &str,
    form: Form,
    field: &str,
    annotations: &mut Words,
    spelled: &mut Words,
) -> Result<Option<Value>, ApiError> {
    let Some(text) = annotations.remove(name) else {
        return Ok(None);
    };
    let Some(value) = form.read(&text) else {
        return Err(refuse(
            &format!("{field}[{name}]"),
            &format!("'{text}' is not a valid value."),
        ));
    };
    spelled.insert(name.to_owned(), text);
    Ok(Some(value))
}

/// Sets a field, with the objects on the way to it.
pub(super) fn set(fields: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            fields.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = fields
                .entry((*first).to_owned())
                .or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_while_it_means_the_field() {
        let spelled = Words::from([("a".to_owned(), "True".to_owned())]);
        let spell = |value: Option<Value>| super::spell("a", Form::Flag, value.as_ref(), &spelled);
        assert_eq!(spell(Some(json!(true))).as_deref(), Some("True"));
        assert_eq!(spell(None), None);
        let spelled = Words::from([("a".to_owned(), "False".to_owned())]);
        let spell = |value: Option<Value>| super::spell("a", Form::Flag, value.as_ref(), &spelled);
        assert_eq!(spell(None).as_deref(), Some("False"));
        assert_eq!(spell(Some(json!(true))).as_deref(), Some("true"));
    }

    #[test]
    fn every_form_reads_what_it_writes() {
        let choices: &[(&str, &str)] = &[("x", "X"), ("y", "Y")];
        for (form, value, text) in [
            (Form::Text, json!("t"), "t"),
            (Form::Flag, json!(true), "true"),
            (Form::Count, json!(3), "3"),
            (Form::Hours, json!("7200s"), "2"),
            (Form::Choice(choices), json!("X"), "x"),
            (Form::ChoiceOrFirst(choices), json!("Y"), "y"),
            (Form::Json, json!(["a"]), "[\"a\"]"),
        ] {
            assert_eq!(form.write(&value).as_deref(), Some(text), "{form:?}");
            assert_eq!(form.read(text), Some(value), "{form:?}");
        }
        assert_eq!(Form::ChoiceOrFirst(choices).write(&json!("X")), None);
        for (form, text) in [
            (Form::Flag, "yes"),
            (Form::Count, "-1"),
            (Form::Choice(choices), "z"),
            (Form::Json, "{"),
        ] {
            assert_eq!(form.read(text), None, "{form:?}");
        }
    }
}
