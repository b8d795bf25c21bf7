//! The local cloud as a process, and the one server that stands for all its containers.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use emulator::runtime::{Exit, Instance, InstanceSpec, LogSink, Runtime, Source, StartFailure};
use emulator::{Config, Emulator};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Failure;
use crate::measure::{self, Sizes};

/// First argument of the process.
pub(crate) const SERVE: &str = "serve-the-local-cloud";
const READY: &str = "ready ";

/// A server that answers everything at once.
pub(crate) struct Answering {
    pub(crate) address: SocketAddr,
}

impl Answering {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let service = Router::new().route("/", get(|| async { "{}" }));
        tokio::spawn(async move { axum::serve(listener, service).await });
        Ok(Self { address })
    }
}

/// Instances that are all the same server.
struct OneServer(SocketAddr);

struct Started(SocketAddr, watch::Sender<Option<Exit>>);

#[async_trait::async_trait]
impl Runtime for OneServer {
    async fn start(
        &self,
        _spec: &InstanceSpec,
        logs: LogSink,
        _closing: &CancellationToken,
    ) -> Result<Box<dyn Instance>, StartFailure> {
        for number in 0..5 {
            logs(Source::Stdout, &format!("line {number}"));
        }
        Ok(Box::new(Started(self.0, watch::Sender::new(None))))
    }

    async fn shutdown(&self) {}
}

#[async_trait::async_trait]
impl Instance for Started {
    fn address(&self) -> SocketAddr {
        self.0
    }

    fn exit(&self) -> watch::Receiver<Option<Exit>> {
        self.1.subscribe()
    }

    async fn stop(&self) {}
}

/// What the process does: serves until it is killed.
pub(crate) async fn serve() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(2);
    let mut next = || arguments.next().ok_or("an argument is missing");
    let (folder, port, instance) = (next()?, next()?, next()?);
    let mut config = Config::loopback(Arc::new(OneServer(instance.parse()?)));
    config.listen.set_port(port.parse()?);
    config.data_dir = Some(folder.into());
    let cloud = Emulator::start(config).await?;
    crate::write(&format!("{READY}{}\n", cloud.world().base_url()));
    std::future::pending::<()>().await;
    Ok(())
}

/// The process.
pub(crate) struct Cloud {
    child: Child,
    pub(crate) base: String,
    pub(crate) port: u16,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

impl Cloud {
    /// Starts it; the time is from the start of the process to its first answer.
    pub(crate) async fn start(
        folder: &Path,
        port: u16,
        instance: SocketAddr,
    ) -> Result<(Self, Duration), Failure> {
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(folder)
            .args([port.to_string(), instance.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let base = BufReader::new(output)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix(READY)?.to_owned()));
        let base = base.ok_or("the local cloud did not start")?;
        let health = reqwest::get(format!("{base}/_emulator/health")).await?;
        health.error_for_status()?;
        let time = begun.elapsed();
        let port = base.rsplit(':').next().unwrap_or_default().parse()?;
        Ok((Self { child, base, port }, time))
    }

    pub(crate) fn memory(&self) -> Result<Sizes, Failure> {
        measure::memory(self.child.id())
    }

    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}
