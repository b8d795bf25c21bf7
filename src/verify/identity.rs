//! Who answers at an address: the commit and version that the API tells.

use std::time::{Duration, Instant};

use super::caller::Caller;
use super::run::read_json;

/// Longest time for one answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// First and longest pause between two questions.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

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

/// True when the path is answered 403. Other answers than that and success are those of a new
/// address, and are waited out within the grace.
pub async fn is_forbidden(caller: &Caller, path: &str, grace: Duration) -> bool {
    let start = Instant::now();
    let mut pause = PAUSES.0;
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
        pause = (pause * 3 / 2).min(PAUSES.1);
    }
}
