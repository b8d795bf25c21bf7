//! What the local cloud costs, and how each figure grows with ten times as many services: start-up,
//! control plane, what it adds to a data-plane request, memory.
//!
//! The local cloud is a process of its own, kept in a directory. Its containers are all one server of
//! this process, so that nothing but the local cloud is measured. Figures differ from machine to
//! machine; how they grow does not.

mod measure;
mod serve;

use std::time::{Duration, Instant};

use measure::{Client, Sizes, quantile};
use serve::{Answering, Cloud, SERVE};

/// Services in the first round, and in the second.
const ROUNDS: [usize; 2] = [1_000, 10_000];
/// Requests for a distribution.
const SAMPLES: usize = 4_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The figures of one round.
struct Figures {
    services: usize,
    create: f64,
    get: f64,
    list: Duration,
    logs: Duration,
    direct: [Duration; 2],
    through: [Duration; 2],
    memory: Sizes,
    start: Duration,
}

fn main() -> Result<(), Failure> {
    let executor = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if std::env::args().nth(1).as_deref() == Some(SERVE) {
        return executor.block_on(serve::serve());
    }
    executor.block_on(bench())
}

async fn bench() -> Result<(), Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir()?;
    let instance = Answering::start().await?;
    let (mut cloud, empty) = Cloud::start(folder.path(), 0, instance.address).await?;
    let client = Client::new(&cloud.base).await?;
    client.push_image().await?;
    let mut told = String::new();
    let mut made = 0;
    for services in ROUNDS {
        let begun = Instant::now();
        client.create(made..services).await?;
        let create = (services - made) as f64 / begun.elapsed().as_secs_f64();
        made = services;
        let uri = client.public(services / 2).await?;
        let get = client.gets(services).await?;
        let list = client.list().await?;
        let logs = client.logs(services / 2).await?;
        let direct = client
            .latencies(&format!("http://{}/", instance.address), SAMPLES)
            .await?;
        let through = client.latencies(&uri, SAMPLES).await?;
        let memory = cloud.memory()?;
        let port = cloud.port;
        cloud.kill()?;
        let (again, start) = Cloud::start(folder.path(), port, instance.address).await?;
        cloud = again;
        told.push_str(&line(&Figures {
            services,
            create,
            get,
            list,
            logs,
            direct: [quantile(&direct, 0.5), quantile(&direct, 0.99)],
            through: [quantile(&through, 0.5), quantile(&through, 0.99)],
            memory,
            start,
        }));
    }
    cloud.kill()?;
    write(&format!(
        "The local cloud on {} cores ({} build); start-up with nothing kept: {}\n\n{}{told}",
        std::thread::available_parallelism()?,
        if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        },
        milliseconds(empty),
        head(),
    ));
    Ok(())
}

fn head() -> String {
    let row = "| services | start-up | create/s | get/s | list of 20 | logs of one | added p50 | added p99 | direct p50, p99 | memory |\n";
    let rule = "|---|---|---|---|---|---|---|---|---|---|\n";
    format!("{row}{rule}")
}

fn line(figures: &Figures) -> String {
    let Figures {
        services,
        create,
        get,
        list,
        logs,
        direct: [direct_half, direct_most],
        through: [through_half, through_most],
        memory,
        start,
    } = figures;
    format!(
        "| {services} | {} | {create:.0} | {get:.0} | {} | {} | {} | {} | {}, {} | {} MB |\n",
        milliseconds(*start),
        milliseconds(*list),
        milliseconds(*logs),
        milliseconds(through_half.saturating_sub(*direct_half)),
        milliseconds(through_most.saturating_sub(*direct_most)),
        milliseconds(*direct_half),
        milliseconds(*direct_most),
        memory.resident >> 20,
    )
}

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 10.0 {
        format!("{milliseconds:.2} ms")
    } else {
        format!("{milliseconds:.0} ms")
    }
}

fn write(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
