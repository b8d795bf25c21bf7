//! The docker client as a process of the runner: output, end, cancellation.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::commands::Interpreter;
use super::environment::CommandLine;
use super::step::{CommandFiles, StepEnd};

/// How long the runner waits after SIGINT before it sends SIGTERM.
const INTERRUPT_GRACE: Duration = Duration::from_millis(7500);
/// How long it waits after SIGTERM before it kills the client.
const TERMINATE_GRACE: Duration = Duration::from_millis(2500);
/// How long the runner reads on when the client has ended.
const DRAIN: Duration = Duration::from_secs(5);
/// How often the client's end is looked for while no line comes.
const TICK: Duration = Duration::from_millis(20);

/// A container that runs.
pub(crate) struct Running {
    child: Child,
    container: String,
    lines: Receiver<String>,
    interpreter: Interpreter,
    raw: Vec<String>,
    files: CommandFiles,
    started: Instant,
    ended: Option<Option<i32>>,
}

/// How a cancelled step ended.
#[derive(Debug)]
pub(crate) struct Cancelled {
    /// What had to be sent.
    pub(crate) signals: Vec<&'static str>,
    /// From the first signal to the client's end.
    pub(crate) took: Duration,
}

impl Running {
    pub(super) fn start(command: CommandLine, files: CommandFiles) -> Self {
        let mut child = Command::new("docker")
            .args(&command.arguments)
            .envs(&command.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the docker client");
        drop(child.stdin.take());
        let (sender, lines) = channel();
        read_lines(child.stdout.take().expect("a pipe"), sender.clone());
        read_lines(child.stderr.take().expect("a pipe"), sender);
        Self {
            child,
            container: command.container,
            lines,
            interpreter: Interpreter::default(),
            raw: Vec::new(),
            files,
            started: Instant::now(),
            ended: None,
        }
    }

    /// Reads on until a line (as it came) satisfies the condition.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, limit: Duration, condition: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + limit;
        let mut seen = 0;
        loop {
            if self.raw[seen..].iter().any(|line| condition(line)) {
                return;
            }
            seen = self.raw.len();
            assert!(
                Instant::now() < deadline && !self.step_on(),
                "the awaited line did not come:\n{}",
                self.raw.join("\n")
            );
        }
    }

    /// Reads on until something outside the step holds.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, limit: Duration, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + limit;
        while !holds() {
            assert!(
                Instant::now() < deadline && !self.step_on(),
                "what was awaited did not come about:\n{}",
                self.raw.join("\n")
            );
        }
    }

    /// Cancels the step as the runner does: SIGINT to the client alone, then SIGTERM, then SIGKILL.
    pub(crate) fn cancel(&mut self) -> Cancelled {
        let begun = Instant::now();
        let mut signals = Vec::new();
        for (signal, grace) in [
            ("INT", INTERRUPT_GRACE),
            ("TERM", TERMINATE_GRACE),
            ("KILL", Duration::from_secs(10)),
        ] {
            send_signal(signal, self.child.id());
            signals.push(signal);
            let deadline = Instant::now() + grace;
            while Instant::now() < deadline {
                if self.step_on() {
                    let took = begun.elapsed();
                    return Cancelled { signals, took };
                }
            }
        }
        panic!("the docker client survived SIGKILL");
    }

    /// Sends a signal to the container itself.
    pub(crate) fn signal_container(&self, signal: &str) {
        // It may have ended in this moment, which is no error.
        let _ = Command::new("docker")
            .args(["kill", "--signal", signal, &self.container])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the docker client");
    }

    /// Kills the docker client alone, as the runner does at last: the container goes on. Gives what
    /// the runner finds then; what the container writes to the command files later, nobody reads.
    pub(crate) fn abandon(&mut self) -> StepEnd {
        let _ = self.child.kill();
        while !self.step_on() {}
        self.end()
    }

    /// Whether the container is still there; it can outlive a client that was killed.
    pub(crate) fn container_is_left(&self) -> bool {
        let listed = Command::new("docker")
            .args(["ps", "--all", "--quiet", "--filter"])
            .arg(format!("name=^{}$", self.container))
            .output()
            .expect("the docker client");
        !listed.stdout.is_empty()
    }

    /// Waits for the end and reads what the step left.
    #[track_caller]
    pub(crate) fn finish(mut self, limit: Duration) -> StepEnd {
        let deadline = Instant::now() + limit;
        while !self.step_on() {
            assert!(
                Instant::now() < deadline,
                "the step did not end within {limit:?}:\n{}",
                self.raw.join("\n")
            );
        }
        self.end()
    }

    fn end(&mut self) -> StepEnd {
        StepEnd::read(
            self.ended.flatten(),
            std::mem::take(&mut self.interpreter),
            std::mem::take(&mut self.raw),
            &self.files,
            self.started.elapsed(),
        )
    }

    /// Takes what came, waits a little; true when the client has ended and everything is read.
    fn step_on(&mut self) -> bool {
        if self.ended.is_some() {
            return true;
        }
        match self.lines.recv_timeout(TICK) {
            Ok(line) => self.take(line),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        let Some(status) = self.child.try_wait().expect("the client's status") else {
            return false;
        };
        let deadline = Instant::now() + DRAIN;
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            self.take(line);
        }
        self.ended = Some(status.code());
        true
    }

    fn take(&mut self, line: String) {
        self.interpreter.line(&line);
        self.raw.push(line);
    }
}

/// Nothing is left behind when a test fails in the middle.
impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = Command::new("docker")
            .args(["rm", "--force", &self.container])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

fn send_signal(signal: &str, pid: u32) {
    // The client may have ended in this moment: no such process is no error.
    let _ = Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "kill", signal])
        .arg(pid.to_string())
        .stderr(Stdio::null())
        .status()
        .expect("a shell");
}

/// Lines as .NET reads them: ended by LF, CR, or both.
fn read_lines(stream: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        let mut splitter = Splitter::default();
        let mut stream = stream;
        let mut buffer = [0; 8192];
        loop {
            let read = stream.read(&mut buffer).unwrap_or(0);
            if read == 0 {
                break;
            }
            for line in splitter.take(&buffer[..read]) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        }
        if let Some(line) = splitter.rest() {
            let _ = sender.send(line);
        }
    });
}

#[derive(Default)]
struct Splitter {
    pending: Vec<u8>,
    after_return: bool,
}

impl Splitter {
    fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in bytes {
            let second_half = self.after_return && byte == b'\n';
            self.after_return = byte == b'\r';
            match byte {
                _ if second_half => {}
                b'\n' | b'\r' => lines.push(self.line()),
                other => self.pending.push(other),
            }
        }
        lines
    }

    fn rest(&mut self) -> Option<String> {
        (!self.pending.is_empty()).then(|| self.line())
    }

    fn line(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        line
    }
}

#[test]
fn a_carriage_return_ends_a_line_too() {
    let mut splitter = Splitter::default();
    let mut lines = splitter.take(b"10 %\r20 %\r::error::x\r\n\n\r");
    lines.extend(splitter.take(b"\nend"));
    lines.extend(splitter.rest());
    assert_eq!(lines, ["10 %", "20 %", "::error::x", "", "", "end"]);
}
