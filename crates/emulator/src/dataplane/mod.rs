//! The data plane: addresses of services and tags, and the way from there to instances.
//!
//! Each service and each tag has a port of its own. A port belongs to its (service, tag) for as
//! long as the world lasts: also after a tag or the service was removed, when it answers 404.

mod access;
mod backend;
mod door;
mod pool;
mod proxy;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use backend::Backend;

use axum::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;

use crate::error::ApiError;
use crate::run::{Chance, Route, ServiceKey, Work};
use crate::storage::{Changes, Keep, Kept, KeptGuard, Storage, StorageError, Table};
use crate::world::{Config, World};
use door::{Door, Table as Targets};

/// How many instances of retired revisions are kept per service, so that a rollback is quick.
const WARM: usize = 1;

/// Addresses and instances.
pub struct DataPlane {
    listen: IpAddr,
    propagation_ms: u64,
    chance: Chance,
    /// To every instance.
    client: Client<HttpConnector, Body>,
    state: Kept<State>,
}

#[derive(Default)]
struct State {
    /// Port of each service and tag, see [`Doors`].
    ports: Table<(ServiceKey, String), u16>,
    doors: BTreeMap<ServiceKey, Doors>,
    services: BTreeMap<ServiceKey, Instances>,
    /// Counts publications; a door never goes back to an earlier one.
    published: u64,
}

impl Keep for State {
    fn keep(&mut self, changes: &mut Changes) {
        self.ports.keep(changes);
    }
}

/// The doors of one service by tag; the service's own address is the tag "".
type Doors = BTreeMap<String, Arc<Door>>;

/// The backends of one service.
#[derive(Default)]
struct Instances {
    backends: BTreeMap<String, Arc<Backend>>,
    /// What the last publication refers to.
    wanted: BTreeSet<String>,
    /// Revisions that traffic or a tag has left, the latest last.
    retired: Vec<String>,
}

impl DataPlane {
    /// No instance; the addresses that were kept are still to be opened.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(config: &Config, storage: &Storage) -> Result<Self, StorageError> {
        let state = State {
            ports: storage.table("dataplane.ports")?,
            ..State::default()
        };
        Ok(Self {
            listen: config.data_plane,
            propagation_ms: config.propagation_ms,
            // Another stream of numbers than the control plane's.
            chance: Chance::new(config.seed ^ 0x5EED),
            client: door::client(),
            state: Kept::new(storage, state),
        })
    }

    /// Opens the ports that services and tags had before.
    pub(crate) fn reopen(&self, world: &Arc<World>) {
        let mut state = self.lock();
        let ports: Vec<_> = state.ports.keys().cloned().collect();
        for (key, tag) in ports {
            if let Err(error) = self.open(&mut state, world, &key, &tag) {
                let service = &key.service;
                tracing::warn!(%error, service, tag, "no port could be opened");
            }
        }
    }

    /// Opens a port for a service or tag: the one it had before, if it can be had.
    fn open(
        &self,
        state: &mut State,
        world: &Arc<World>,
        key: &ServiceKey,
        tag: &str,
    ) -> std::io::Result<Arc<Door>> {
        let row = (key.clone(), tag.to_owned());
        let before = state.ports.get(&row).copied();
        let seed = self.chance.next();
        let at = |port| door::open(world, key, SocketAddr::new(self.listen, port), seed);
        let door = match before.map(at) {
            Some(Ok(door)) => door,
            Some(Err(_)) | None => at(0)?,
        };
        let port = door.address().port();
        if before != Some(port) {
            state.ports.insert(row, port);
        }
        let doors = state.doors.entry(key.clone()).or_default();
        doors.insert(tag.to_owned(), Arc::clone(&door));
        Ok(door)
    }

    /// The address of a service (`None`) or tag; the first call opens its port.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when the system has no port to give.
    pub(crate) fn address(
        &self,
        world: &Arc<World>,
        key: &ServiceKey,
        tag: Option<&str>,
    ) -> Result<String, ApiError> {
        let mut state = self.lock();
        let tag = tag.unwrap_or_default();
        let door = state.doors.get(key).and_then(|doors| doors.get(tag));
        let door = match door.cloned() {
            Some(door) => door,
            None => self.open(&mut state, world, key, tag).map_err(|error| {
                ApiError::new("RESOURCE_EXHAUSTED", format!("no port is free: {error}"))
            })?,
        };
        let ip = match door.address().ip() {
            ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            ip => ip,
        };
        Ok(format!(
            "http://{}",
            SocketAddr::new(ip, door.address().port())
        ))
    }

    /// Takes a backend in whose first instance has started.
    pub(crate) fn adopt(&self, key: &ServiceKey, backend: Arc<Backend>) {
        let mut state = self.lock();
        let instances = state.services.entry(key.clone()).or_default();
        instances
            .backends
            .insert(backend.revision().to_owned(), backend);
    }

    /// The backend of a revision.
    pub(crate) fn backend(&self, key: &ServiceKey, revision: &str) -> Option<Arc<Backend>> {
        let state = self.lock();
        state.services.get(key)?.backends.get(revision).cloned()
    }

    /// Sends requests where they went before a restart; there is nothing to propagate.
    pub(crate) fn lead_at_once(&self, key: &ServiceKey, routes: &[Route]) {
        let mut state = self.lock();
        state.published += 1;
        let number = state.published;
        let instances = state.services.entry(key.clone()).or_default();
        let targets: Vec<(Route, Arc<Backend>)> = routes
            .iter()
            .filter_map(|route| {
                let backend = instances.backends.get(&route.revision)?;
                backend.refer();
                Some((route.clone(), Arc::clone(backend)))
            })
            .collect();
        instances.wanted = wanted(&targets);
        for (tag, door) in state.doors.get(key).into_iter().flatten() {
            door.lead(number, Arc::new(table_for(tag, &targets)));
        }
    }

    /// Sends requests the new way: at once, or, with propagation, each address after a while of
    /// its own. Every target must have a running instance.
    pub(crate) fn publish(
        &self,
        world: &Arc<World>,
        work: &Work,
        targets: &[(Route, Arc<Backend>)],
    ) {
        let mut state = self.lock();
        state.published += 1;
        let number = state.published;
        let instances = state.services.entry(work.key.clone()).or_default();
        let unwanted = std::mem::replace(&mut instances.wanted, wanted(targets));
        instances.retire(unwanted.into_iter().chain(work.new_revision.clone()));
        let doors = state.doors.get(&work.key).cloned().unwrap_or_default();
        drop(state);
        let mut longest = Duration::ZERO;
        for (tag, door) in doors {
            let table = Arc::new(table_for(&tag, targets));
            let delay = Duration::from_millis(self.chance.below(self.propagation_ms + 1));
            longest = longest.max(delay);
            if delay.is_zero() {
                door.lead(number, table);
                continue;
            }
            let clock = world.clock.clone();
            world.spawn(async move {
                clock.sleep(delay).await;
                door.lead(number, table);
            });
        }
        let (clock, key) = (world.clock.clone(), work.key.clone());
        let later = Arc::clone(world);
        if longest.is_zero() {
            self.sweep(world, &key);
        } else {
            world.spawn(async move {
                // A little more, so that the last door has changed for sure.
                clock.sleep(longest + Duration::from_millis(50)).await;
                later.data_plane.sweep(&later, &key);
            });
        }
    }

    /// Lets go of a new revision that got no traffic because its write failed.
    pub(crate) fn release(&self, world: &Arc<World>, work: &Work) {
        if let Some(instances) = self.lock().services.get_mut(&work.key) {
            instances.retire(work.new_revision.clone().into_iter());
        }
        self.sweep(world, &work.key);
    }

    /// Ends instances of revisions that nothing refers to, except for the last few.
    fn sweep(&self, world: &Arc<World>, key: &ServiceKey) {
        let mut state = self.lock();
        let in_use: BTreeSet<String> = state
            .doors
            .get(key)
            .into_iter()
            .flat_map(BTreeMap::values)
            .flat_map(|door| door.revisions())
            .collect();
        let Some(instances) = state.services.get_mut(key) else {
            return;
        };
        let idle: Vec<String> = instances
            .retired
            .iter()
            .filter(|revision| !in_use.contains(*revision))
            .cloned()
            .collect();
        let cold = idle.len().saturating_sub(WARM);
        for revision in &idle[..cold] {
            if let Some(backend) = instances.backends.get(revision) {
                backend.unrefer();
                let backend = Arc::clone(backend);
                world.spawn(async move { backend.drain().await });
            }
        }
    }

    /// Closes the addresses of a deleted service to requests and ends its instances.
    pub(crate) fn forget_service(&self, world: &Arc<World>, key: &ServiceKey) {
        let mut state = self.lock();
        state.published += 1;
        let number = state.published;
        for door in state.doors.get(key).into_iter().flat_map(BTreeMap::values) {
            door.lead(number, Arc::default());
        }
        let instances = state.services.remove(key).unwrap_or_default();
        for backend in instances.backends.into_values() {
            backend.unrefer();
            world.spawn(async move { backend.drain().await });
        }
    }

    /// Ends the instance of a deleted revision. A tag that still leads to it answers 404.
    pub(crate) fn forget_revision(&self, world: &Arc<World>, key: &ServiceKey, revision: &str) {
        let mut state = self.lock();
        state.published += 1;
        let number = state.published;
        for door in state.doors.get(key).into_iter().flat_map(BTreeMap::values) {
            door.close_to(number, revision);
        }
        let Some(instances) = state.services.get_mut(key) else {
            return;
        };
        instances.retired.retain(|name| name != revision);
        instances.wanted.remove(revision);
        if let Some(backend) = instances.backends.remove(revision) {
            backend.unrefer();
            world.spawn(async move { backend.drain().await });
        }
    }

    fn lock(&self) -> KeptGuard<'_, State> {
        self.state.lock()
    }
}

impl Instances {
    /// Notes which revisions were left; what is wanted (again) is not retired.
    fn retire(&mut self, revisions: impl Iterator<Item = String>) {
        for revision in revisions {
            self.retired.retain(|retired| *retired != revision);
            self.retired.push(revision);
        }
        let wanted = &self.wanted;
        self.retired.retain(|revision| !wanted.contains(revision));
    }
}

/// The revisions that traffic or a tag leads to.
fn wanted(targets: &[(Route, Arc<Backend>)]) -> BTreeSet<String> {
    let referred = targets
        .iter()
        .filter(|(route, _)| route.percent > 0 || !route.tag.is_empty());
    referred.map(|(route, _)| route.revision.clone()).collect()
}

/// What the address of a tag ("": the service) leads to.
fn table_for(tag: &str, targets: &[(Route, Arc<Backend>)]) -> Targets {
    let targets = targets.iter();
    let weighted: Vec<(u32, Arc<Backend>)> = if tag.is_empty() {
        targets
            .filter(|(route, _)| route.percent > 0)
            .map(|(route, backend)| (route.percent, Arc::clone(backend)))
            .collect()
    } else {
        targets
            .filter(|(route, _)| route.tag == tag)
            .map(|(_, backend)| (1, Arc::clone(backend)))
            .collect()
    };
    Targets::new(weighted)
}
