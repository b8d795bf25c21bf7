//! One address: its listener, and the table that says where its requests go.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::backend::Backend;
use super::proxy;
use crate::run::{Chance, ServiceKey};
use crate::world::World;

/// How long an idle connection to an instance is used again. Servers close theirs after two
/// (gunicorn) or five seconds (uvicorn, Node.js); a request on a connection that is being closed
/// would fail.
const IDLE: Duration = Duration::from_secs(1);

/// Where requests go, with weights.
#[derive(Default)]
pub(super) struct Table {
    targets: Vec<(u32, Arc<Backend>)>,
    sum: u64,
}

impl Table {
    pub(super) fn new(targets: Vec<(u32, Arc<Backend>)>) -> Self {
        let sum = targets.iter().map(|(weight, _)| u64::from(*weight)).sum();
        Self { targets, sum }
    }

    /// The target for a number from 0 to the sum of the weights - 1.
    fn pick(&self, mut number: u64) -> Option<&Arc<Backend>> {
        for (weight, backend) in &self.targets {
            let weight = u64::from(*weight);
            if number < weight {
                return Some(backend);
            }
            number -= weight;
        }
        None
    }
}

/// One address.
pub(super) struct Door {
    key: ServiceKey,
    address: SocketAddr,
    chance: Chance,
    led: RwLock<Led>,
}

/// The table and the number of the publication that it came with.
struct Led {
    number: u64,
    table: Arc<Table>,
}

impl Door {
    pub(super) fn key(&self) -> &ServiceKey {
        &self.key
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Uses a table from now on, unless a later one is in use already.
    pub(super) fn lead(&self, number: u64, table: Arc<Table>) {
        let mut led = self.led.write().unwrap_or_else(PoisonError::into_inner);
        if number >= led.number {
            *led = Led { number, table };
        }
    }

    /// Takes a revision out of the table.
    pub(super) fn close_to(&self, number: u64, revision: &str) {
        let mut led = self.led.write().unwrap_or_else(PoisonError::into_inner);
        let left = led.table.targets.iter();
        let left: Vec<_> = left
            .filter(|(_, backend)| backend.revision() != revision)
            .cloned()
            .collect();
        if left.len() < led.table.targets.len() {
            let table = Arc::new(Table::new(left));
            *led = Led { number, table };
        }
    }

    /// Where the next request goes.
    pub(super) fn choose(&self) -> Option<Arc<Backend>> {
        let table = {
            let led = self.led.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&led.table)
        };
        table.pick(self.chance.below(table.sum)).cloned()
    }

    /// The revisions in the table.
    pub(super) fn revisions(&self) -> Vec<String> {
        let led = self.led.read().unwrap_or_else(PoisonError::into_inner);
        let targets = led.table.targets.iter();
        targets
            .map(|(_, backend)| backend.revision().to_owned())
            .collect()
    }
}

/// Opens a port and serves it until the local cloud closes.
pub(super) fn open(
    world: &Arc<World>,
    key: &ServiceKey,
    listen: SocketAddr,
    seed: u64,
) -> std::io::Result<Arc<Door>> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let door = Arc::new(Door {
        key: key.clone(),
        address,
        chance: Chance::new(seed),
        led: RwLock::new(Led {
            number: 0,
            table: Arc::default(),
        }),
    });
    let state = proxy::Proxy {
        world: Arc::clone(world),
        door: Arc::clone(&door),
        client: world.data_plane.client.clone(),
    };
    let service = Router::new()
        .fallback(proxy::serve)
        .with_state(Arc::new(state))
        .into_make_service_with_connect_info::<SocketAddr>();
    let closing = world.closing.clone().cancelled_owned();
    world.spawn_to_end(async move {
        let served = axum::serve(listener, service).with_graceful_shutdown(closing);
        if let Err(error) = served.await {
            tracing::error!(%error, %address, "an address is not served any more");
        }
    });
    Ok(door)
}

/// The client for every instance; connections are kept by address.
pub(super) fn client() -> Client<HttpConnector, Body> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector)
}
