//! What the Docker engine says → what to do.

use bollard::errors::Error;
use delivery::diagnostic::{Code, Diagnostic};

use crate::gcp::registry::FREE_SPACE;

/// Last log lines that go into a diagnostic.
pub(super) const LAST_LINES: usize = 20;

/// Whether a text says that the disk is full.
pub(super) fn names_full_disk(text: &str) -> bool {
    ["no space left on device", "ENOSPC", "disk quota exceeded"]
        .iter()
        .any(|words| text.contains(words))
}

/// A full disk.
pub(super) fn disk_full(title: impl Into<String>, text: &str) -> Diagnostic {
    Diagnostic::error(Code::DiskFull, title)
        .cause(text)
        .help(FREE_SPACE)
}

/// The engine's own text, without the client's words around it.
pub(super) fn text_of(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        other => {
            let mut parts = vec![other.to_string()];
            let mut source = std::error::Error::source(other);
            while let Some(inner) = source {
                let text = inner.to_string();
                if !parts.last().is_some_and(|last| last.contains(&text)) {
                    parts.push(text);
                }
                source = inner.source();
            }
            parts.join(": ")
        }
    }
}

/// Whether the engine itself answered, be it with an error.
fn is_answer(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError { .. } | Error::DockerStreamError { .. }
    )
}

/// A call to the engine that failed; `title` says what was to be done.
pub(super) fn engine_failed(fallback: Code, title: impl Into<String>, error: &Error) -> Diagnostic {
    let text = text_of(error);
    if names_full_disk(&text) {
        return disk_full(title, &text);
    }
    if is_answer(error) {
        return Diagnostic::error(fallback, title).cause(text);
    }
    Diagnostic::error(Code::DockerUnavailable, title)
        .cause(text)
        .help("the engine stopped answering: see its log, or `docker info`")
}

/// No engine answers; `tried` are the addresses.
pub(super) fn unavailable(tried: &[String], causes: Vec<String>) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(Code::DockerUnavailable, "the Docker engine does not answer")
        .at(tried.join(", "))
        .help("in GitHub Actions: use a Linux runner with Docker, such as `runs-on: ubuntu-latest`; container actions need it as well")
        .help("on your machine: start Docker (`sudo systemctl start docker`, or Docker Desktop) and see that `docker info` works for your user")
        .help("an engine elsewhere: set DOCKER_HOST, such as tcp://127.0.0.1:2375 or unix:///run/user/1000/docker.sock");
    diagnostic.cause = causes;
    diagnostic
}
