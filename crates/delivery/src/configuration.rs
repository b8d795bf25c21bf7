//! How a revision is configured, as far as a person who approves it wants to know.
//!
//! A [`ServiceSpec`] says what is wanted and leaves the rest as it is; this says what a revision has,
//! or would have.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::NewRevision;
use crate::spec::{ProbeAction, SecretPlace, ServiceSpec, StartupProbe, UpdateStrategy};

/// The value of a variable. It is compared, and never shown: what is no secret today may be one
/// tomorrow.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Takes the value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(***)")
    }
}

/// Which version of which secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// `name` or `projects/P/secrets/name`.
    pub secret: String,
    /// `latest`, a number, or an alias.
    pub version: String,
}

/// How the container that takes requests is configured. `None`: as Cloud Run has it by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The image, by digest where it is known.
    pub image: String,
    /// Plain variables.
    pub variables: BTreeMap<String, Hidden>,
    /// Secrets.
    pub secrets: BTreeMap<SecretPlace, SecretSource>,
    /// CPUs.
    pub cpu: Option<String>,
    /// Memory.
    pub memory: Option<String>,
    /// Port that the container listens on.
    pub port: Option<u16>,
    /// Requests at once per instance.
    pub concurrency: Option<u32>,
    /// Instances kept although idle.
    pub min_instances: Option<u32>,
    /// Most instances.
    pub max_instances: Option<u32>,
    /// Longest duration of one request in seconds.
    pub timeout_seconds: Option<u32>,
    /// Run-time service account.
    pub service_account: Option<String>,
    /// Decides when the container has started.
    pub startup_probe: Option<StartupProbe>,
}

impl Configuration {
    /// What a new revision has that is made from a template like this one.
    #[must_use]
    pub fn with(&self, revision: &NewRevision) -> Self {
        let NewRevision {
            record: _,
            release,
            spec,
        } = revision;
        let ServiceSpec {
            env_vars,
            env_vars_update_strategy,
            secrets,
            secrets_update_strategy,
            labels: _,
            cpu,
            memory,
            port,
            concurrency,
            min_instances,
            max_instances,
            timeout_seconds,
            service_account,
            startup_probe,
            access: _,
        } = spec;
        let mut next = self.clone();
        next.image = release.image.to_string();
        if *env_vars_update_strategy == UpdateStrategy::Overwrite {
            next.variables.clear();
        }
        if *secrets_update_strategy == UpdateStrategy::Overwrite {
            next.secrets.clear();
        }
        for (name, value) in env_vars {
            // One name stands for one thing: the last that is said.
            next.secrets.remove(&SecretPlace::Variable(name.clone()));
            next.variables
                .insert(name.clone(), Hidden::new(value.clone()));
        }
        for binding in secrets {
            match &binding.place {
                SecretPlace::Variable(name) => {
                    next.variables.remove(name);
                }
                SecretPlace::File(path) => next.unmount_others(path, &binding.secret),
            }
            let source = SecretSource {
                secret: binding.secret.clone(),
                version: binding.version.clone(),
            };
            next.secrets.insert(binding.place.clone(), source);
        }
        next.cpu = cpu.clone().or(next.cpu);
        next.memory = memory.clone().or(next.memory);
        next.port = port.or(next.port);
        next.concurrency = concurrency.or(next.concurrency);
        next.min_instances = min_instances.or(next.min_instances);
        next.max_instances = max_instances.or(next.max_instances);
        next.timeout_seconds = timeout_seconds.or(next.timeout_seconds);
        next.service_account = service_account.clone().or(next.service_account);
        next.startup_probe = startup_probe.clone().or(next.startup_probe);
        next
    }

    /// Cloud Run mounts one secret a directory: another one takes the place of all its files.
    fn unmount_others(&mut self, path: &str, secret: &str) {
        let directory = directory(path);
        self.secrets.retain(|place, source| match place {
            SecretPlace::File(other) => {
                self::directory(other) != directory || source.secret == secret
            }
            SecretPlace::Variable(_) => true,
        });
    }
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// A probe in the form of the input `startup_probe`.
pub fn probe_in_words(probe: &StartupProbe) -> String {
    let StartupProbe {
        action,
        initial_delay,
        period,
        timeout,
        failure_threshold,
    } = probe;
    let action = match action {
        ProbeAction::Tcp => "tcp".to_owned(),
        ProbeAction::Http(path) => format!("http:{path}"),
    };
    format!(
        "{action} initial_delay={initial_delay} period={period} timeout={timeout} failure_threshold={failure_threshold}"
    )
}
