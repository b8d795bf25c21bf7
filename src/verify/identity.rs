//! Who answers at an address: the commit and version that the API tells.

use std::time::{Duration, Instant};

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink, Unit};
use delivery::release::Commit;

use super::caller::Caller;
use super::compare::clip;
use super::run::read_json;

/// Longest time for one answer while waiting; a model that loads lazily answers its first request
/// late.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// First pause between two questions.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a wait is reported.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// What an API tells about itself: `{"commit": …, "version": …}` at its version path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The commit it was built from.
    pub commit: Option<String>,
    /// The version it was released as.
    pub version: Option<String>,
}

/// Why there is no identity, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoIdentity(String);

/// Asks who answers. `path` is the version path, such as `/version`.
///
/// # Errors
/// [`NoIdentity`] when there is no answer, no 200, or no JSON with `commit` or `version`.
pub async fn identity(caller: &Caller, path: &str) -> Result<Identity, NoIdentity> {
    let answer = caller
        .get(path, ASK_TIMEOUT)
        .await
        .map_err(|error| NoIdentity(error.to_string()))?;
    if answer.status.as_u16() != 200 {
        return Err(NoIdentity(format!(
            "{path} answers {}",
            answer.status.as_u16()
        )));
    }
    let json = read_json(&answer).map_err(|line| NoIdentity(format!("{path}: {line}")))?;
    let text = |key: &str| {
        json.get(key)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let identity = Identity {
        commit: text("commit"),
        version: text("version"),
    };
    if identity.commit.is_none() && identity.version.is_none() {
        return Err(NoIdentity(format!(
            "{path} tells neither `commit` nor `version`"
        )));
    }
    Ok(identity)
}

/// What is waited for.
#[derive(Debug, Clone)]
pub enum Awaited {
    /// The version path tells this commit.
    Commit {
        /// The version path.
        path: String,
        /// The release's commit.
        commit: Commit,
    },
    /// The path answers with success; for an API that tells no version.
    Success {
        /// Such as the health path.
        path: String,
    },
}

impl Awaited {
    /// The path that is asked.
    pub fn path(&self) -> &str {
        match self {
            Self::Commit { path, .. } | Self::Success { path } => path,
        }
    }
}

/// True when the path is answered 403. Other answers than that and success are those of a new
/// address, and are waited out within the grace.
pub async fn is_forbidden(caller: &Caller, path: &str, grace: Duration) -> bool {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match caller.get(path, ASK_TIMEOUT).await {
            Ok(answer) if answer.status.as_u16() == 403 => return true,
            Ok(answer) if answer.status.is_success() => return false,
            Ok(_) | Err(_) => {}
        }
        if start.elapsed() + pause > grace {
            return false;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// Polls until the address answers as awaited. A new address answers 404 for a while, a moved one
/// still as the release before, and a new invoker's token is refused at first: all of this is
/// waited out, within the grace.
///
/// # Errors
/// [`Code::NotConfirmed`] with what was seen last, when the grace is over.
pub async fn wait_until_answers(
    caller: &Caller,
    awaited: &Awaited,
    grace: Duration,
    sink: &dyn EventSink,
) -> Result<Duration, Diagnostic> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut reported = Duration::ZERO;
    let mut tries: u64 = 0;
    loop {
        tries += 1;
        let seen = match ask(caller, awaited).await {
            Ok(()) => return Ok(start.elapsed()),
            Err(seen) => seen,
        };
        let waited = start.elapsed();
        if waited + pause > grace {
            return Err(not_confirmed(caller, awaited, grace, tries, seen));
        }
        if waited >= reported + REPORT_EVERY {
            reported = waited;
            sink.emit(Event::Progress {
                what: format!("waiting for {}: {seen}", caller.base_url),
                done: waited.as_secs(),
                total: Some(grace.as_secs()),
                unit: Unit::Seconds,
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// Asks once; the error is what was seen instead.
async fn ask(caller: &Caller, awaited: &Awaited) -> Result<(), String> {
    match awaited {
        Awaited::Commit { path, commit } => {
            let identity = identity(caller, path)
                .await
                .map_err(|error| error.to_string())?;
            match identity.commit.as_deref() {
                Some(got) if got == commit.as_str() => Ok(()),
                Some(got) => Err(format!("{path} tells commit `{}`", clip(got))),
                None => Err(format!("{path} tells no `commit`")),
            }
        }
        Awaited::Success { path } => match caller.get(path, ASK_TIMEOUT).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(format!("{path} answers {}", answer.status.as_u16())),
            Err(error) => Err(error.to_string()),
        },
    }
}

fn not_confirmed(
    caller: &Caller,
    awaited: &Awaited,
    grace: Duration,
    tries: u64,
    seen: String,
) -> Diagnostic {
    let (wanted, help) = match awaited {
        Awaited::Commit { path, commit } => (
            format!("commit `{commit}` at {path}"),
            format!(
                "let {path} answer JSON with the field `commit`, taken from the build argument of the image, \
                 or set the version path to `none`"
            ),
        ),
        Awaited::Success { path } => (
            format!("success at {path}"),
            format!(
                "let {path} answer 200 as soon as the API can predict, or name another health path"
            ),
        ),
    };
    Diagnostic::error(
        Code::NotConfirmed,
        format!("{} did not answer as the release", caller.base_url),
    )
    .cause(format!("wanted {wanted} within {} s", grace.as_secs()))
    .cause(format!("last of {tries} tries: {seen}"))
    .help(help)
}
