//! How a service is to be configured. What is not said stays as the service has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Whether settings are added to what the service has, or replace it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateStrategy {
    /// Added; what is named twice is replaced.
    #[default]
    Merge,
    /// What is not named is removed.
    Overwrite,
}

/// Who may call the service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Everybody.
    Public,
    /// Callers with an ID token and the invoker role.
    #[default]
    Private,
}

impl Access {
    /// As the input says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// Where a secret appears in the container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretPlace {
    /// As an environment variable.
    Variable(String),
    /// As a file, by absolute path.
    File(String),
}

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretBinding {
    /// Where it appears.
    pub place: SecretPlace,
    /// `name` or `projects/P/secrets/name`.
    pub secret: String,
    /// `latest`, a number, or an alias.
    pub version: String,
}

/// What the startup probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeAction {
    /// Opens a connection to the port.
    Tcp,
    /// Asks this path.
    Http(String),
}

/// The startup probe. All times in seconds, none above 240 (the API's limit).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartupProbe {
    /// What it asks.
    pub action: ProbeAction,
    /// Seconds before the first try.
    pub initial_delay: u32,
    /// Seconds between tries, 1 to 240.
    pub period: u32,
    /// Seconds for one try, at most the period.
    pub timeout: u32,
    /// Failed tries that end it.
    pub failure_threshold: u32,
}

/// The wanted configuration. `None` and empty mean: as the service has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Plain environment variables.
    pub env_vars: BTreeMap<String, String>,
    /// How they are combined with those of the service.
    pub env_vars_update_strategy: UpdateStrategy,
    /// Secrets.
    pub secrets: Vec<SecretBinding>,
    /// How they are combined with those of the service.
    pub secrets_update_strategy: UpdateStrategy,
    /// Labels of service and revision.
    pub labels: BTreeMap<String, String>,
    /// CPUs, such as `1` or `0.5`.
    pub cpu: Option<String>,
    /// Memory, such as `512Mi`.
    pub memory: Option<String>,
    /// Port that the container listens on; Cloud Run's default is 8080.
    pub port: Option<u16>,
    /// Requests at once per instance, 1 to 1000.
    pub concurrency: Option<u32>,
    /// Instances kept although idle.
    pub min_instances: Option<u32>,
    /// Most instances.
    pub max_instances: Option<u32>,
    /// Longest duration of one request in seconds, at most 3600.
    pub timeout_seconds: Option<u32>,
    /// Run-time service account.
    pub service_account: Option<String>,
    /// Decides when the container has started.
    pub startup_probe: Option<StartupProbe>,
    /// Who may call.
    pub access: Access,
}

/// Hash of a wanted configuration: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigHash(pub String);

impl ServiceSpec {
    /// The hash over everything that shapes a revision. `access` is left out: it belongs to the
    /// service, and opening a service must not look like a new revision.
    pub fn hash(&self) -> ConfigHash {
        let mut shaping = self.clone();
        shaping.access = Access::default();
        // Serialising a struct of maps with string keys, numbers and strings cannot fail; an empty
        // text would only make two configurations look alike, which the digest still tells apart.
        let canonical = serde_json::to_string(&shaping).unwrap_or_default();
        ConfigHash(hex::encode(Sha256::digest(canonical.as_bytes())))
    }
}
