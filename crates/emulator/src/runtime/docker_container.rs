//! One container: how it is made from a specification, and how it is followed.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig, PortBinding};
use bollard::query_parameters::{
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::sync::watch;

use super::{Exit, Instance, InstanceSpec, LogSink, Source};

/// Seconds from SIGTERM to SIGKILL (Cloud Run's container contract).
const GRACE_SECONDS: i32 = 10;
/// Longest line that is kept in one piece, in bytes (Cloud Logging: 256 KiB per entry).
const LONGEST_LINE: usize = 256 * 1024;

/// What the engine is asked to create.
pub(super) fn body(spec: &InstanceSpec, labels: HashMap<String, String>) -> ContainerCreateBody {
    let port = format!("{}/tcp", spec.port);
    let binding = PortBinding {
        host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
        host_port: Some(String::new()),
    };
    let filled = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let directory = &spec.working_directory;
    // An engine refuses more CPUs than its machine has; a laptop has fewer than a template may ask.
    let present = std::thread::available_parallelism().map_or(1, usize::from) as u64 * 1000;
    let memory = i64::try_from(spec.memory_bytes).ok();
    let scratch = spec.scratch.iter();
    let scratch = scratch.map(|path| (path.clone(), String::new())).collect();
    ContainerCreateBody {
        image: Some(spec.image.pull.clone()),
        env: Some(environment(&spec.env)),
        entrypoint: filled(&spec.command),
        cmd: filled(&spec.args),
        working_dir: (!directory.is_empty()).then(|| directory.clone()),
        exposed_ports: Some(vec![port.clone()]),
        labels: Some(labels),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([(port, Some(vec![binding]))])),
            nano_cpus: i64::try_from(spec.cpu_millis.min(present) * 1_000_000).ok(),
            memory,
            // The same number: no swap, so that the limit ends the process as in the cloud.
            memory_swap: memory,
            tmpfs: Some(scratch),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// `NAME=value`, the last of two entries with one name.
fn environment(pairs: &[(String, String)]) -> Vec<String> {
    let last: HashMap<&String, &String> = pairs.iter().map(|(name, value)| (name, value)).collect();
    let mut entries: Vec<String> = last
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    entries.sort_unstable();
    entries
}

/// The files as a tar archive that is unpacked at `/`.
pub(super) fn archive(files: &[(String, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o444);
        header.set_cksum();
        let path = path.trim_start_matches('/');
        archive.append_data(&mut header, path, content.as_slice())?;
    }
    archive.into_inner()
}

/// The port of this machine that leads to a port of the container.
pub(super) fn published_port(details: &ContainerInspectResponse, port: u16) -> Option<u16> {
    let ports = details.network_settings.as_ref()?.ports.as_ref()?;
    let bindings = ports.get(&format!("{port}/tcp"))?.as_ref()?;
    bindings
        .iter()
        .find_map(|binding| binding.host_port.as_ref()?.parse().ok())
}

/// A container that was started.
pub(super) struct Container {
    docker: Docker,
    id: String,
    address: SocketAddr,
    exit: watch::Receiver<Option<Exit>>,
}

impl Container {
    /// Takes its lines and waits for its end from now on. Without a port it has ended already.
    pub(super) fn follow(docker: Docker, id: String, port: Option<u16>, logs: LogSink) -> Self {
        let (sender, exit) = watch::channel(None);
        tokio::spawn(follow(docker.clone(), id.clone(), logs, sender));
        Self {
            docker,
            id,
            // Port 1 refuses connections; the exit is noticed before a probe can time out.
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(1))),
            exit,
        }
    }
}

#[async_trait]
impl Instance for Container {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn exit(&self) -> watch::Receiver<Option<Exit>> {
        self.exit.clone()
    }

    async fn stop(&self) {
        let stop = StopContainerOptionsBuilder::new().t(GRACE_SECONDS).build();
        let remove = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        let stopped = self.docker.stop_container(&self.id, Some(stop)).await;
        if stopped.is_ok() {
            // The last lines are taken before the container, and its log with it, is removed.
            let mut exit = self.exit.clone();
            let last_lines = exit.wait_for(Option::is_some);
            let _ = tokio::time::timeout(Duration::from_secs(2), last_lines).await;
        }
        if let Err(error) = self.docker.remove_container(&self.id, Some(remove)).await {
            tracing::debug!(%error, container = self.id, "a container was gone already");
        }
    }
}

/// Ends when the container has ended and its last line was taken.
async fn follow(docker: Docker, id: String, logs: LogSink, exit: watch::Sender<Option<Exit>>) {
    let options = LogsOptionsBuilder::new()
        .follow(true)
        .stdout(true)
        .stderr(true)
        .build();
    let mut output = Box::pin(docker.logs(&id, Some(options)));
    let mut lines = Lines::new(logs);
    while let Some(Ok(output)) = output.next().await {
        lines.take(output);
    }
    lines.finish();
    let options = WaitContainerOptionsBuilder::new()
        .condition("not-running")
        .build();
    let mut ended = Box::pin(docker.wait_container(&id, Some(options)));
    let code = match ended.next().await {
        Some(Ok(response)) => response.status_code,
        Some(Err(DockerError::DockerContainerWaitError { code, .. })) => code,
        // Removed from outside, or the engine is gone.
        Some(Err(_)) | None => 137,
    };
    let ended = match memory_limit_hit(&docker, &id).await {
        Some(limit) => Exit::out_of_memory(limit),
        None => Exit::with(code),
    };
    exit.send_replace(Some(ended));
}

/// The limit in bytes, when the kernel ended the container for wanting more memory.
async fn memory_limit_hit(docker: &Docker, id: &str) -> Option<u64> {
    let details = docker.inspect_container(id, None).await.ok()?;
    let killed = details.state?.oom_killed.unwrap_or(false);
    let limit = details.host_config?.memory?;
    killed.then(|| u64::try_from(limit).ok()).flatten()
}

/// Puts pieces of output together to lines.
struct Lines {
    logs: LogSink,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Lines {
    fn new(logs: LogSink) -> Self {
        Self {
            logs,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }

    fn take(&mut self, output: LogOutput) {
        let (source, pending) = match &output {
            LogOutput::StdErr { .. } => (Source::Stderr, &mut self.stderr),
            _ => (Source::Stdout, &mut self.stdout),
        };
        for byte in output.into_bytes() {
            if byte == b'\n' || pending.len() >= LONGEST_LINE {
                emit(&self.logs, source, pending);
            }
            if byte != b'\n' {
                pending.push(byte);
            }
        }
    }

    fn finish(&mut self) {
        for (source, pending) in [
            (Source::Stdout, &mut self.stdout),
            (Source::Stderr, &mut self.stderr),
        ] {
            if !pending.is_empty() {
                emit(&self.logs, source, pending);
            }
        }
    }
}

fn emit(logs: &LogSink, source: Source, pending: &mut Vec<u8>) {
    let line = String::from_utf8_lossy(pending);
    logs(source, line.trim_end_matches('\r'));
    pending.clear();
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn pieces_become_lines() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let mut lines = Lines::new(Arc::new(move |source, line: &str| {
            sink.lock().unwrap().push((source, line.to_owned()));
        }));
        for message in ["a", "b\nc\r\n", "d"] {
            lines.take(LogOutput::StdOut {
                message: message.into(),
            });
        }
        lines.take(LogOutput::StdErr {
            message: "e\n".into(),
        });
        lines.finish();
        let lines: Vec<String> = seen
            .lock()
            .unwrap()
            .iter()
            .map(|(_, line)| line.clone())
            .collect();
        assert_eq!(lines, ["ab", "c", "e", "d"]);
    }

    #[test]
    fn the_last_value_of_a_variable_wins() {
        let pairs = [("A", "1"), ("B", "2"), ("A", "3")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(environment(&pairs), ["A=3", "B=2"]);
    }
}
