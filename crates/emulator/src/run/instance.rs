//! What to start for a revision.

use std::time::Duration;

use cloud_api::run::{Container, Probe, RevisionTemplate, Volume};
use serde_json::{Value, json};

use super::defaults::{DEFAULT_PORT, is_default_probe};
use super::failure::{Failure, secret_denied_line, secret_missing_line};
use super::key::ServiceKey;
use super::quantity::{cpu_millis, duration_millis, memory_bytes};
use super::secrets::{Secrets, locate};
use super::state::RevisionRecord;
use crate::runtime::{Check, InstanceSpec, ProbePlan};

/// How a revision's instances are started and used.
#[derive(Debug, Clone)]
pub(crate) struct InstancePlan {
    pub(crate) spec: InstanceSpec,
    pub(crate) probe: ProbePlan,
    /// Image as the template names it.
    pub(crate) image: String,
    /// Name of the container in texts.
    pub(crate) container: String,
    /// Longest time of one request.
    pub(crate) timeout: Duration,
    /// Requests in one instance at a time.
    pub(crate) concurrency: usize,
    /// Instances that are kept without a request.
    pub(crate) min_instances: usize,
    /// Instances at most.
    pub(crate) max_instances: usize,
}

/// Works out how to start a revision's instances.
///
/// # Errors
/// When the image is not in the registry or a secret cannot be read.
pub(crate) fn plan_instance(
    key: &ServiceKey,
    revision: &RevisionRecord,
    secrets: &Secrets,
    may_read: &MayRead,
) -> Result<InstancePlan, Failure> {
    let template = Value::Object(revision.template.clone());
    let template: RevisionTemplate =
        serde_json::from_value(template).map_err(|error| Failure::internal(&error.to_string()))?;
    let container = template
        .containers
        .first()
        .ok_or_else(|| Failure::internal("The template has no container."))?;
    let image = revision
        .image
        .clone()
        .ok_or_else(|| Failure::image_missing(&container.image))?;
    let mut reader = SecretReader {
        key,
        secrets,
        account: template.service_account.as_deref().unwrap_or_default(),
        may_read,
        problems: Vec::new(),
    };
    let mut env = environment(container, &mut reader);
    let files = files(&template.volumes, container, &mut reader);
    if !reader.problems.is_empty() {
        return Err(Failure::secrets_unavailable(&reader.problems));
    }
    let default_port = u16::try_from(DEFAULT_PORT).unwrap_or(8080);
    let port = container
        .ports
        .first()
        .map_or(default_port, |port| port.container_port);
    for (name, value) in [
        ("PORT", port.to_string()),
        ("K_SERVICE", key.service.clone()),
        ("K_REVISION", revision.name.clone()),
        ("K_CONFIGURATION", key.service.clone()),
    ] {
        env.push((name.to_owned(), value));
    }
    let limit = |name: &str| container.resources.as_ref()?.limits.get(name);
    let timeout = template.timeout.as_deref().and_then(duration_millis);
    let scaling = template.scaling.clone().unwrap_or_default();
    let count = |number: Option<u32>| number.and_then(|it| usize::try_from(it).ok());
    let directory = container.rest.get("workingDir").and_then(Value::as_str);
    Ok(InstancePlan {
        spec: InstanceSpec {
            name: revision.name.clone(),
            image,
            env,
            port,
            cpu_millis: limit("cpu").and_then(|cpu| cpu_millis(cpu)).unwrap_or(1000),
            memory_bytes: limit("memory")
                .and_then(|memory| memory_bytes(memory))
                .unwrap_or(512 << 20),
            command: container.command.clone(),
            args: container.args.clone(),
            working_directory: directory.unwrap_or_default().to_owned(),
            files,
            scratch: scratch(&template.volumes, container),
            labels: vec![
                ("ml-deploy.project".to_owned(), key.project.clone()),
                ("ml-deploy.location".to_owned(), key.location.clone()),
                ("ml-deploy.service".to_owned(), key.service.clone()),
                ("ml-deploy.revision".to_owned(), revision.name.clone()),
            ],
        },
        probe: probe_plan(container.startup_probe.as_ref()),
        image: container.image.clone(),
        container: container.name.clone(),
        timeout: Duration::from_millis(timeout.unwrap_or(300_000)),
        concurrency: count(template.max_instance_request_concurrency).unwrap_or(80),
        min_instances: count(scaling.min_instance_count).unwrap_or(0),
        max_instances: count(scaling.max_instance_count).unwrap_or(100),
    })
}

/// Says whether what the revision runs as may read a secret: its project and its name.
pub(crate) type MayRead<'a> = dyn Fn(&str, &str) -> bool + 'a;

/// Reads secrets, and collects those that cannot be read.
struct SecretReader<'a> {
    key: &'a ServiceKey,
    secrets: &'a Secrets,
    /// What the revision runs as.
    account: &'a str,
    may_read: &'a MayRead<'a>,
    problems: Vec<String>,
}

impl<'a> SecretReader<'a> {
    /// The value, or a line about what is wrong. The permission is looked at first, as Secret
    /// Manager does: who may not read a secret does not learn whether it is there.
    fn read(&mut self, field: &str, secret: &str, version: &str) -> Option<&'a [u8]> {
        let (project, name) = locate(&self.key.project, secret);
        let problem = if !(self.may_read)(project, name) {
            secret_denied_line(self.key, field, name, version, self.account)
        } else {
            match self.secrets.get(&self.key.project, secret, version) {
                Some(value) => return Some(value),
                None => secret_missing_line(self.key, field, name, version),
            }
        };
        self.problems.push(problem);
        None
    }
}

fn environment(container: &Container, reader: &mut SecretReader) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for (index, variable) in container.env.iter().enumerate() {
        let source = variable.value_source.as_ref();
        let Some(reference) = source.and_then(|source| source.secret_key_ref.as_ref()) else {
            let value = variable.value.clone().unwrap_or_default();
            env.push((variable.name.clone(), value));
            continue;
        };
        let version = reference.version.as_deref().unwrap_or("latest");
        let field = format!("containers[0].env[{index}].value_from.secret_key_ref.name");
        if let Some(value) = reader.read(&field, &reference.secret, version) {
            let value = String::from_utf8_lossy(value).into_owned();
            env.push((variable.name.clone(), value));
        }
    }
    env
}

/// Secrets that are mounted as files.
fn files(
    volumes: &[Volume],
    container: &Container,
    reader: &mut SecretReader,
) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for mount in &container.volume_mounts {
        let found = volumes
            .iter()
            .enumerate()
            .find(|(_, volume)| volume.name == mount.name);
        let Some((index, Some(source))) = found.map(|(index, volume)| (index, &volume.secret))
        else {
            continue;
        };
        let (_, name) = locate(&reader.key.project, &source.secret);
        let items: Vec<(&str, &str)> = if source.items.is_empty() {
            vec![(name, "latest")]
        } else {
            let items = source.items.iter();
            items
                .map(|item| {
                    (
                        item.path.as_str(),
                        item.version.as_deref().unwrap_or("latest"),
                    )
                })
                .collect()
        };
        for (path, version) in items {
            let field = format!("volumes[{index}].secret.secret_name");
            if let Some(value) = reader.read(&field, &source.secret, version) {
                let directory = mount.mount_path.trim_end_matches('/');
                files.push((format!("{directory}/{path}"), value.to_vec()));
            }
        }
    }
    files
}

/// Where `emptyDir` volumes are mounted.
fn scratch(volumes: &[Volume], container: &Container) -> Vec<String> {
    let mounts = container.volume_mounts.iter();
    mounts
        .filter(|mount| {
            volumes
                .iter()
                .any(|volume| volume.name == mount.name && volume.rest.contains_key("emptyDir"))
        })
        .map(|mount| mount.mount_path.clone())
        .collect()
}

/// The startup probe; where there is none, one that passes with the first connection.
fn probe_plan(probe: Option<&Probe>) -> ProbePlan {
    let default = Probe::default();
    let probe = probe.unwrap_or(&default);
    let seconds = |number: Option<u32>, otherwise: u32| {
        Duration::from_secs(u64::from(number.unwrap_or(otherwise)))
    };
    let check = match &probe.http_get {
        None => Check::Tcp,
        Some(get) => Check::Http {
            path: get.path.clone().unwrap_or_else(|| "/".to_owned()),
            headers: headers(get.rest.get("httpHeaders")),
        },
    };
    ProbePlan {
        check,
        initial_delay: seconds(probe.initial_delay_seconds, 0),
        timeout: seconds(probe.timeout_seconds, 1),
        period: seconds(probe.period_seconds, 10),
        failure_threshold: probe.failure_threshold.unwrap_or(3).max(1),
        configured: !is_default_probe(&json!(probe)),
    }
}

fn headers(list: Option<&Value>) -> Vec<(String, String)> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|header| {
        let text = |field: &str| header.get(field).and_then(Value::as_str);
        Some((
            text("name")?.to_owned(),
            text("value").unwrap_or_default().to_owned(),
        ))
    })
    .collect()
}
