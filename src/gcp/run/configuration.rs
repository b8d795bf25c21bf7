//! Wire → domain: how a revision, or the template of the next one, is configured; what stands
//! before a service.

use cloud_api::run::{
    Container, EnvVar, Probe, Revision, RevisionScaling, RevisionTemplate, Service, Volume,
};
use delivery::configuration::{Configuration, Hidden, SecretSource};
use delivery::entrance::{Entrance, Ingress};
use delivery::spec::{ProbeAction, SecretPlace, StartupProbe};

/// What a template says.
pub fn of_template(template: &RevisionTemplate) -> Configuration {
    let RevisionTemplate {
        revision: _,
        labels: _,
        annotations: _,
        scaling,
        timeout,
        service_account,
        containers,
        volumes,
        max_instance_request_concurrency,
        rest: _,
    } = template;
    Configuration {
        concurrency: *max_instance_request_concurrency,
        ..of(
            (containers, volumes),
            scaling.as_ref(),
            timeout.as_deref(),
            service_account.as_deref(),
        )
    }
}

/// What a revision has.
pub(super) fn of_revision(revision: &Revision) -> Configuration {
    Configuration {
        concurrency: revision.max_instance_request_concurrency,
        ..of(
            (&revision.containers, &revision.volumes),
            revision.scaling.as_ref(),
            revision.timeout.as_deref(),
            revision.service_account.as_deref(),
        )
    }
}

fn of(
    (containers, volumes): (&[Container], &[Volume]),
    scaling: Option<&RevisionScaling>,
    timeout: Option<&str>,
    service_account: Option<&str>,
) -> Configuration {
    let mut seen = Configuration {
        min_instances: scaling.and_then(|scaling| scaling.min_instance_count),
        max_instances: scaling.and_then(|scaling| scaling.max_instance_count),
        timeout_seconds: timeout.and_then(whole_seconds),
        service_account: service_account.map(str::to_owned),
        ..Configuration::default()
    };
    // The container that takes requests, as in the template that is written.
    let with_port = containers.iter().find(|one| !one.ports.is_empty());
    let Some(container) = with_port.or_else(|| containers.first()) else {
        return seen;
    };
    seen.image.clone_from(&container.image);
    seen.port = container.ports.first().map(|port| port.container_port);
    seen.startup_probe = container.startup_probe.as_ref().and_then(probe);
    if let Some(resources) = &container.resources {
        seen.cpu = resources.limits.get("cpu").cloned();
        seen.memory = resources.limits.get("memory").cloned();
    }
    for variable in &container.env {
        add_variable(&mut seen, variable);
    }
    for mount in &container.volume_mounts {
        let secret = volumes
            .iter()
            .find(|volume| volume.name == mount.name)
            .and_then(|volume| volume.secret.as_ref());
        for item in secret.iter().flat_map(|secret| &secret.items) {
            let path = format!("{}/{}", mount.mount_path.trim_end_matches('/'), item.path);
            let source = SecretSource {
                secret: secret.map(|one| one.secret.clone()).unwrap_or_default(),
                version: version(item.version.as_deref()),
            };
            seen.secrets.insert(SecretPlace::File(path), source);
        }
    }
    seen
}

fn add_variable(seen: &mut Configuration, variable: &EnvVar) {
    let EnvVar {
        name,
        value,
        value_source,
        rest: _,
    } = variable;
    let key = value_source
        .as_ref()
        .and_then(|source| source.secret_key_ref.as_ref());
    match key {
        Some(key) => {
            let source = SecretSource {
                secret: key.secret.clone(),
                version: version(key.version.as_deref()),
            };
            let place = SecretPlace::Variable(name.clone());
            seen.secrets.insert(place, source);
        }
        // An empty value is left out of an answer.
        None => {
            let value = Hidden::new(value.clone().unwrap_or_default());
            seen.variables.insert(name.clone(), value);
        }
    }
}

fn version(said: Option<&str>) -> String {
    said.unwrap_or("latest").to_owned()
}

/// `300s` → 300.
fn whole_seconds(text: &str) -> Option<u32> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    (seconds.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&seconds))
        .then_some(seconds as u32)
}

/// A gRPC probe, which no input can say, is left out. Absent numbers are the API's defaults.
fn probe(probe: &Probe) -> Option<StartupProbe> {
    let action = match (&probe.http_get, &probe.tcp_socket) {
        (Some(http), _) => ProbeAction::Http(http.path.clone().unwrap_or_else(|| "/".to_owned())),
        (None, Some(_)) => ProbeAction::Tcp,
        (None, None) => return None,
    };
    Some(StartupProbe {
        action,
        initial_delay: probe.initial_delay_seconds.unwrap_or(0),
        period: probe.period_seconds.unwrap_or(10),
        timeout: probe.timeout_seconds.unwrap_or(1),
        failure_threshold: probe.failure_threshold.unwrap_or(3),
    })
}

/// What stands between a service's addresses and a caller; whether it answers is not looked at.
pub fn entrance(service: &Service) -> Entrance {
    let ingress = match service.ingress.as_deref() {
        None | Some("" | "INGRESS_TRAFFIC_UNSPECIFIED" | "INGRESS_TRAFFIC_ALL") => Ingress::All,
        Some("INGRESS_TRAFFIC_INTERNAL_ONLY") => Ingress::Internal,
        Some("INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER") => Ingress::InternalAndLoadBalancer,
        Some("INGRESS_TRAFFIC_NONE") => Ingress::None,
        Some(other) => Ingress::Other(other.to_owned()),
    };
    Entrance {
        ingress,
        url_disabled: service.default_uri_disabled,
        iap: service.iap_enabled,
        answers: false,
    }
}

#[cfg(test)]
#[path = "configuration_tests.rs"]
mod tests;
