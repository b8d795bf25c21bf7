//! A new revision → the service's template. What is not said stays as it is, known or not.

use cloud_api::run::{
    Container, ContainerPort, EnvVar, HttpGetAction, Probe, ResourceRequirements, RevisionTemplate,
    TcpSocketAction,
};
use delivery::plan::NewRevision;
use delivery::spec::{ProbeAction, ServiceSpec, StartupProbe, UpdateStrategy};
use delivery::state::RELEASE_ANNOTATION;

use super::body::managed_by;

mod secrets;

/// Cloud Run's port unless another is said.
const DEFAULT_PORT: u16 = 8080;
/// Longest value of a label.
const LONGEST_LABEL: usize = 63;

/// Writes the revision into the template.
pub(super) fn apply(
    mut template: RevisionTemplate,
    revision: &NewRevision,
) -> Result<RevisionTemplate, serde_json::Error> {
    let NewRevision {
        record,
        release,
        spec,
    } = revision;
    let ServiceSpec {
        env_vars: _,
        env_vars_update_strategy: _,
        secrets: _,
        secrets_update_strategy: _,
        labels,
        cpu: _,
        memory: _,
        port: _,
        concurrency,
        min_instances,
        max_instances,
        timeout_seconds,
        service_account,
        startup_probe: _,
        access: _,
    } = spec;
    template.revision = Some(record.revision.to_string());
    let release_record = serde_json::to_string(record)?;
    template
        .annotations
        .insert(RELEASE_ANNOTATION.to_owned(), release_record);
    template.labels.extend([managed_by()]);
    let mut commit = release.commit.to_string();
    commit.truncate(LONGEST_LABEL);
    template.labels.insert("commit-sha".to_owned(), commit);
    template.labels.extend(labels.clone());
    if min_instances.is_some() || max_instances.is_some() {
        let scaling = template.scaling.get_or_insert_default();
        scaling.min_instance_count = min_instances.or(scaling.min_instance_count);
        scaling.max_instance_count = max_instances.or(scaling.max_instance_count);
    }
    if let Some(seconds) = timeout_seconds {
        template.timeout = Some(format!("{seconds}s"));
    }
    if let Some(account) = service_account {
        template.service_account = Some(account.clone());
    }
    if concurrency.is_some() {
        template.max_instance_request_concurrency = *concurrency;
    }
    let index = serving_container(&mut template.containers);
    if let Some(container) = template.containers.get_mut(index) {
        container.image = release.image.to_string();
        apply_variables(container, spec);
        apply_resources(container, spec);
        apply_port(container, spec.port);
        if let Some(probe) = &spec.startup_probe {
            container.startup_probe = Some(startup_probe(probe));
        }
    }
    secrets::apply(&mut template, index, spec);
    Ok(template)
}

/// The container that takes requests: the one with a port, or the first. Sidecars stay.
fn serving_container(containers: &mut Vec<Container>) -> usize {
    if containers.is_empty() {
        containers.push(Container::default());
    }
    let with_port = containers.iter().position(|one| !one.ports.is_empty());
    with_port.unwrap_or(0)
}

fn apply_variables(container: &mut Container, spec: &ServiceSpec) {
    if spec.env_vars_update_strategy == UpdateStrategy::Overwrite {
        // Variables that come from secrets are the business of `secrets`.
        container.env.retain(|one| one.value_source.is_some());
    }
    for (name, value) in &spec.env_vars {
        let variable = EnvVar {
            name: name.clone(),
            value: Some(value.clone()),
            ..EnvVar::default()
        };
        set_variable(container, variable);
    }
}

/// Replaces the variable of this name where it stands, or adds it.
fn set_variable(container: &mut Container, variable: EnvVar) {
    match container
        .env
        .iter_mut()
        .find(|one| one.name == variable.name)
    {
        Some(known) => *known = variable,
        None => container.env.push(variable),
    }
}

fn apply_resources(container: &mut Container, spec: &ServiceSpec) {
    // An answer leaves out what is false, so resources without `cpuIdle` mean CPU at all times. Where
    // there were none, CPU during requests only is Cloud Run's default, and must be said.
    let idle = match &container.resources {
        None => true,
        Some(resources) => resources.cpu_idle.unwrap_or(false),
    };
    if spec.cpu.is_some() || spec.memory.is_some() || container.resources.is_some() {
        let resources = container
            .resources
            .get_or_insert_with(ResourceRequirements::default);
        resources.cpu_idle = Some(idle);
        let limits = [("cpu", &spec.cpu), ("memory", &spec.memory)];
        for (name, value) in limits {
            if let Some(value) = value {
                resources.limits.insert(name.to_owned(), value.clone());
            }
        }
    }
}

fn apply_port(container: &mut Container, port: Option<u16>) {
    let Some(port) = port else {
        return;
    };
    let before = match container.ports.first_mut() {
        Some(known) => std::mem::replace(&mut known.container_port, port),
        None => {
            container.ports.push(ContainerPort {
                name: None,
                container_port: port,
            });
            DEFAULT_PORT
        }
    };
    // The API writes its default probe, with the port, into what it answers. Sent back with the old
    // port, it would wait for a port that nobody listens on.
    let Some(probe) = &mut container.startup_probe else {
        return;
    };
    let ports = [
        probe.tcp_socket.as_mut().map(|action| &mut action.port),
        probe.http_get.as_mut().map(|action| &mut action.port),
    ];
    for probed in ports.into_iter().flatten() {
        if *probed == Some(before) {
            *probed = Some(port);
        }
    }
}

fn startup_probe(wanted: &StartupProbe) -> Probe {
    let StartupProbe {
        action,
        initial_delay,
        period,
        timeout,
        failure_threshold,
    } = wanted;
    let mut probe = Probe {
        initial_delay_seconds: Some(*initial_delay),
        timeout_seconds: Some(*timeout),
        period_seconds: Some(*period),
        failure_threshold: Some(*failure_threshold),
        ..Probe::default()
    };
    match action {
        ProbeAction::Tcp => probe.tcp_socket = Some(TcpSocketAction::default()),
        ProbeAction::Http(path) => {
            probe.http_get = Some(HttpGetAction {
                path: Some(path.clone()),
                ..HttpGetAction::default()
            });
        }
    }
    probe
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
