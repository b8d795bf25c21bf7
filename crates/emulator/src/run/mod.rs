//! Cloud Run Admin API v2.
//!
//! The model is pure: `change` turns a request into a new state and an operation, `settle`
//! turns what happened to instances and traffic into another. `rollout` does what takes time in
//! between, `http` is the projection on HTTP.

mod chance;
pub(crate) mod change;
pub(crate) mod check;
mod check_modelled;
mod check_quota;
mod check_resources;
pub(crate) mod defaults;
pub(crate) mod delete;
mod enums;
pub(crate) mod etag;
mod failure;
mod failure_kept;
pub(crate) mod http;
mod iam;
mod instance;
pub(crate) mod key;
mod mask;
pub(crate) mod permit;
mod platform;
mod quantity;
pub(crate) mod reserved;
mod restore;
pub(crate) mod rollout;
mod schema;
mod secrets;
pub(crate) mod settle;
pub(crate) mod state;
pub(crate) mod view;

#[cfg(test)]
mod change_tests;

use serde_json::Value;
use tokio::sync::watch;

use self::secrets::Secrets;
use self::state::State;
use crate::storage::{Kept, KeptGuard, Storage, StorageError};
use crate::world::Config;

pub use chance::Chance;
pub use failure::{Failure, Reason};
pub(crate) use http::Page;
pub use http::routes;
pub use key::{ServiceKey, project_number};
pub use platform::{ErrorCodes, Platform, Quota, Trouble, TroubleRule};

pub(crate) use instance::InstancePlan;
pub(crate) use restore::restore;
pub(crate) use settle::Route;
pub(crate) use state::Work;

/// Services, revisions, operations, and the secrets that they read.
pub struct Run {
    state: Kept<State>,
    secrets: Kept<Secrets>,
    /// Told after each change, so that whoever waits for an operation looks again.
    changed: watch::Sender<()>,
    chance: Chance,
}

/// Who may use a service's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// True: no token is asked for.
    pub(crate) public: bool,
    /// True: answers 404 to this network.
    pub(crate) hidden: bool,
    /// True: Identity-Aware Proxy answers in the service's place.
    pub(crate) iap: bool,
    /// Audience that an ID token must name: the base URI.
    pub(crate) audience: String,
    /// Other audiences that the service accepts.
    pub(crate) custom_audiences: Vec<String>,
}

impl Run {
    /// The services that were kept.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(config: &Config, storage: &Storage) -> Result<Self, StorageError> {
        Ok(Self {
            state: Kept::new(storage, State::load(storage)?),
            secrets: Kept::new(storage, Secrets::load(storage)?),
            changed: watch::Sender::new(()),
            chance: Chance::new(config.seed),
        })
    }

    /// Adds a version to a secret (and makes the secret); gives the version's number, from 1.
    pub fn put_secret(&self, project: &str, name: &str, value: &[u8]) -> usize {
        self.secrets.lock().add(project, name, value)
    }

    /// Deletes every service, operation and secret; `forget` is told of each service.
    pub(crate) fn clear(&self, forget: impl Fn(&ServiceKey)) {
        self.secrets.lock().clear();
        self.write(|state| {
            state.services.keys().for_each(forget);
            state.clear();
        });
    }

    /// Changes quotas, error codes or troubles.
    pub(crate) fn platform<T>(&self, change: impl FnOnce(&mut Platform) -> T) -> T {
        change(&mut self.lock().platform)
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State, &Secrets) -> T) -> T {
        let secrets = self.secrets.lock();
        look(&self.lock(), &secrets)
    }

    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_replace(());
        result
    }

    /// A write that nobody has to be told of.
    pub(crate) fn write_quietly<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.lock())
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// How many instances the service itself keeps, whatever its revisions say.
    pub(crate) fn min_instances(&self, key: &ServiceKey) -> usize {
        let state = self.lock();
        let scaling = state
            .services
            .get(key)
            .and_then(|it| it.spec.get("scaling"));
        let count = scaling.and_then(|it| it.get("minInstanceCount"));
        count
            .and_then(Value::as_u64)
            .and_then(|it| usize::try_from(it).ok())
            .unwrap_or(0)
    }

    /// Who may use the addresses of a service; `None` when it does not exist.
    pub(crate) fn access(&self, key: &ServiceKey) -> Option<Access> {
        let state = self.lock();
        let service = state.services.get(key)?;
        let flag = |name: &str| service.spec.get(name) == Some(&Value::Bool(true));
        let ingress = service.spec.get("ingress").and_then(Value::as_str);
        let custom = service
            .spec
            .get("customAudiences")
            .and_then(Value::as_array);
        Some(Access {
            public: flag("invokerIamDisabled") || service.policy.is_public(),
            hidden: flag("defaultUriDisabled")
                || ingress.is_some_and(|ingress| ingress != "INGRESS_TRAFFIC_ALL"),
            iap: flag("iapEnabled"),
            audience: service.uri.clone(),
            custom_audiences: custom
                .into_iter()
                .flatten()
                .filter_map(|audience| audience.as_str().map(str::to_owned))
                .collect(),
        })
    }

    fn lock(&self) -> KeptGuard<'_, State> {
        self.state.lock()
    }
}
