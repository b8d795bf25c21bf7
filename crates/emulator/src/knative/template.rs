//! Templates in both forms; a revision has the same parts.

use serde_json::{Map, Value, json};

use super::annotations::{self, Form};
use super::container::{
    container_to_v1, container_to_v2, elements, text, volume_to_v1, volume_to_v2,
};
use super::metadata::{self, PROBE_LABEL, put, words};
use super::secrets::{self, Aliases};
use crate::error::ApiError;
use crate::run::defaults::is_default_probe;
use crate::run::reserved::ReservedPart;

const CPU_THROTTLING: &str = "run.googleapis.com/cpu-throttling";
const CPU_BOOST: &str = "run.googleapis.com/startup-cpu-boost";
const CLOUD_SQL: &str = "run.googleapis.com/cloudsql-instances";
const ACCELERATOR: &str = "run.googleapis.com/accelerator";
/// Path of a template's annotations.
const ANNOTATIONS: &str = "spec.template.metadata.annotations";

/// A template of v1 in v2's form, and what v2 has no field for.
///
/// # Errors
/// `INVALID_ARGUMENT` for what cannot be read, `UNIMPLEMENTED` for what is not modelled.
pub(super) fn to_v2(v1: &Value) -> Result<(Map<String, Value>, ReservedPart), ApiError> {
    let mut v2 = Map::new();
    let mut reserved = ReservedPart::default();
    let metadata = &v1["metadata"];
    put(&mut v2, "revision", metadata["name"].clone());
    let labels = words("spec.template.metadata.labels", metadata.get("labels"))?;
    let (labels, kept) = metadata::part(labels);
    reserved.labels = kept;
    put(&mut v2, "labels", json!(labels));
    let all = words(ANNOTATIONS, metadata.get("annotations"))?;
    let (shared, mut rest) = metadata::part(all);
    put(&mut v2, "annotations", json!(shared));
    let spelled = &mut reserved.spelled;
    annotations::read_all(
        annotations::TEMPLATE,
        ANNOTATIONS,
        &mut rest,
        &mut v2,
        spelled,
    )?;
    let mut take = |name, form| annotations::take(name, form, ANNOTATIONS, &mut rest, spelled);
    let throttled = take(CPU_THROTTLING, Form::Flag)?.unwrap_or(json!(true));
    let boost = take(CPU_BOOST, Form::Flag)?;
    let aliases = take(secrets::ANNOTATION, Form::Text)?;
    let aliases = Aliases::parse(ANNOTATIONS, aliases.as_ref().and_then(Value::as_str))?;
    if rest.contains_key(CLOUD_SQL) {
        return Err(ApiError::new(
            "UNIMPLEMENTED",
            "the local cloud does not model connections to Cloud SQL",
        ));
    }
    reserved.annotations = rest;

    let spec = &v1["spec"];
    let containers = elements(&spec["containers"]).map(|container| {
        let mut v2 = container_to_v2(container, &aliases);
        annotations::set(&mut v2, &["resources", "cpuIdle"], throttled.clone());
        if boost == Some(json!(true)) {
            annotations::set(&mut v2, &["resources", "startupCpuBoost"], json!(true));
        }
        Value::Object(v2)
    });
    put(&mut v2, "containers", containers.collect());
    let volumes = elements(&spec["volumes"]).map(|volume| volume_to_v2(volume, &aliases));
    let volumes = volumes.collect::<Result<Vec<_>, _>>()?;
    put(&mut v2, "volumes", json!(volumes));
    put(
        &mut v2,
        "serviceAccount",
        spec["serviceAccountName"].clone(),
    );
    let concurrency = spec["containerConcurrency"].clone();
    put(&mut v2, "maxInstanceRequestConcurrency", concurrency);
    if let Some(seconds) = spec.get("timeoutSeconds") {
        let seconds = seconds.as_str().map_or(seconds.to_string(), str::to_owned);
        v2.insert("timeout".to_owned(), json!(format!("{seconds}s")));
    }
    if let Some(accelerator) = spec["nodeSelector"].get(ACCELERATOR) {
        let selector = json!({ "accelerator": accelerator });
        v2.insert("nodeSelector".to_owned(), selector);
    }
    Ok((v2, reserved))
}

/// The parts of a template or revision in v1's form.
pub(super) struct Parts {
    pub(super) labels: Map<String, Value>,
    pub(super) annotations: Map<String, Value>,
    pub(super) spec: Map<String, Value>,
}

/// A template or revision of v2 in v1's form.
pub(super) fn to_v1(v2: &Value, reserved: &ReservedPart) -> Parts {
    let spelled = &reserved.spelled;
    let known = spelled.get(secrets::ANNOTATION).map(String::as_str);
    let mut aliases = Aliases::parse(ANNOTATIONS, known).unwrap_or_default();
    let containers: Vec<Value> = elements(&v2["containers"])
        .map(|container| container_to_v1(container, &mut aliases))
        .collect();
    let volumes: Vec<Value> = elements(&v2["volumes"])
        .map(|volume| volume_to_v1(volume, &mut aliases))
        .collect();

    let mut spec = Map::new();
    let concurrency = v2["maxInstanceRequestConcurrency"].clone();
    put(&mut spec, "containerConcurrency", concurrency);
    put(&mut spec, "containers", json!(containers));
    if let Some(accelerator) = v2["nodeSelector"].get("accelerator") {
        put(
            &mut spec,
            "nodeSelector",
            json!({ ACCELERATOR: accelerator }),
        );
    }
    put(
        &mut spec,
        "serviceAccountName",
        v2["serviceAccount"].clone(),
    );
    let seconds = text(&v2["timeout"]).strip_suffix('s');
    let seconds = seconds.and_then(|seconds| seconds.parse::<u64>().ok());
    put(&mut spec, "timeoutSeconds", json!(seconds));
    put(&mut spec, "volumes", json!(volumes));

    let mut annotations = metadata::shared(v2, "annotations");
    metadata::add(&mut annotations, &reserved.annotations);
    annotations::write_all(annotations::TEMPLATE, v2, spelled, &mut annotations);
    let mut say = |name: &str, text: Option<String>| {
        put(&mut annotations, name, json!(text));
    };
    say(CPU_THROTTLING, throttling(v2, spelled.get(CPU_THROTTLING)));
    let boost = v2.pointer("/containers/0/resources/startupCpuBoost");
    say(
        CPU_BOOST,
        annotations::spell(CPU_BOOST, Form::Flag, boost, spelled),
    );
    say(secrets::ANNOTATION, aliases.write());

    let mut labels = metadata::labels(v2, reserved);
    let probe = v2.pointer("/containers/0/startupProbe");
    let kind = probe.map(|probe| match is_default_probe(probe) {
        true => "Default",
        false => "Custom",
    });
    put(&mut labels, PROBE_LABEL, json!(kind));
    Parts {
        labels,
        annotations,
        spec,
    }
}

/// CPU is throttled between requests unless the annotation says otherwise.
fn throttling(v2: &Value, written: Option<&String>) -> Option<String> {
    let throttled = v2.pointer("/containers/0/resources/cpuIdle") == Some(&json!(true));
    let meant = written.map(|text| Form::Flag.read(text));
    match (written, meant) {
        (Some(text), Some(Some(meant))) if meant == json!(throttled) => Some(text.clone()),
        _ => (!throttled).then(|| "false".to_owned()),
    }
}
