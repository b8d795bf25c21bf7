//! Waits until a change is in effect: the operation's long poll first, then its plain reading, then
//! the service alone, whichever of them the caller is allowed and the server knows.

use std::time::Duration;

use cloud_api::rpc::{Operation, OperationError};
use cloud_api::run::Service;
use delivery::diagnostic::{Code, Diagnostic};
use delivery::snapshot::Readiness;
use delivery::target::Target;
use delivery::traffic::Destination;
use serde_json::Value;
use tokio::time::Instant;

use super::change::{Pending, WriteError};
use super::reader::RunReader;
use super::rollout::{Standing, judge};
use crate::gcp::advice::{Facts, for_refusal};
use crate::gcp::error::{GcpError, explained, operation_refusal};

/// Longest wait. Cloud Run itself gives up earlier: a startup probe has at most 240 s, an import
/// of an image a few minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(1_200);
/// First and longest pause between two readings.
const PAUSES: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(2));

/// How long an operation alone is asked before the service is looked at as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the traffic that is seen may lag behind a change of traffic alone. Until then a failure
/// that is reported may be that of an older revision, which such an operation ends with as well.
const TRAFFIC_LAG: Duration = Duration::from_secs(5);

/// How the operation is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Wait,
    Get,
    Service,
}

/// Growing pauses.
struct Pause(Duration);

impl Pause {
    fn new() -> Self {
        Self(PAUSES.0)
    }

    async fn rest(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 3 / 2).min(PAUSES.1);
    }
}

/// Waits; gives the service in which the change is in effect.
pub(super) async fn settle(
    reader: &RunReader,
    target: &Target,
    pending: &Pending,
) -> Result<Service, WriteError> {
    let started = Instant::now();
    let followed = match &pending.ended {
        Some(end) => end.clone(),
        None => follow(reader, target, pending, started).await,
    };
    // The operation's own answer has the service, nearly always with the change in effect.
    let (mut answered, ended) = match followed {
        Ok(service) => (service, None),
        Err(error) => (None, Some(error)),
    };
    if let Some(error) = &ended
        && operation_refusal(error).is_conflict()
    {
        return Err(WriteError::Conflict);
    }
    let brings_nothing = pending.revision.is_none() && pending.expects.is_none();
    let mut failing_since = None;
    let mut pause = Pause::new();
    loop {
        let service = match answered.take() {
            Some(service) if judge(&service, pending, None) == Standing::InEffect => *service,
            _ => {
                let read = reader.service(target).await.map_err(|error| {
                    WriteError::Unknown(Box::new(error.into_diagnostic("follow the change")))
                })?;
                read.ok_or(WriteError::Conflict)?
            }
        };
        let message = ended.as_ref().map(|error| error.message.as_str());
        match judge(&service, pending, message) {
            Standing::InEffect => match expected(reader, target, pending).await? {
                Readiness::Ready => return Ok(service),
                Readiness::Failed(text) => return Err(WriteError::NotReady(text)),
                Readiness::Pending => {}
            },
            Standing::Foreign => return Err(WriteError::Conflict),
            Standing::Failed(text) => {
                let since: &mut Instant = failing_since.get_or_insert_with(Instant::now);
                if !brings_nothing || since.elapsed() >= TRAFFIC_LAG {
                    return Err(failed(target, pending, ended, text));
                }
            }
            Standing::Waiting => {}
        }
        if started.elapsed() >= LONGEST_WAIT {
            return Err(WriteError::Unknown(Box::new(
                Diagnostic::error(Code::CloudFailed, "the change did not come into effect")
                    .cause(format!(
                        "Cloud Run still reports it as under way after {} s",
                        started.elapsed().as_secs()
                    ))
                    .help("look at the service in the console, then run again"),
            )));
        }
        pause.rest().await;
    }
}

/// How the revision stands that must be ready; ready where there is none.
async fn expected(
    reader: &RunReader,
    target: &Target,
    pending: &Pending,
) -> Result<Readiness, WriteError> {
    let Some(name) = &pending.expects else {
        return Ok(Readiness::Ready);
    };
    let read = reader.revision(target, name).await.map_err(|error| {
        WriteError::Unknown(Box::new(
            error.into_diagnostic(&format!("read the revision `{name}`")),
        ))
    })?;
    let seen = read.as_ref().and_then(super::seen::revision_seen);
    Ok(seen.map_or_else(
        || Readiness::Failed(format!("the revision `{name}` does not exist any more")),
        |seen| seen.readiness,
    ))
}

fn failed(
    target: &Target,
    pending: &Pending,
    ended: Option<OperationError>,
    text: String,
) -> WriteError {
    // A tag that leads to a revision that is gone is not the candidate's fault.
    let of_candidate = !text.contains(GONE);
    if of_candidate && (pending.revision.is_some() || pending.expects.is_some()) {
        return WriteError::NotReady(text);
    }
    let error = ended.unwrap_or(OperationError {
        code: 9,
        message: text,
        details: Vec::new(),
    });
    let refusal = operation_refusal(&error);
    let diagnostic = Diagnostic::error(
        Code::CloudFailed,
        "Cloud Run could not bring the change into effect",
    )
    .cause(refusal.message.clone());
    let facts = Facts::of_call(pending.operation.as_deref().unwrap_or_default())
        .with("service", target.service.to_string())
        .with("tag", tag_to_missing(pending, &refusal.message));
    WriteError::Failed(Box::new(explained(diagnostic, &refusal, &facts)))
}

/// A deployer may lack `run.operations.get`. The change is followed all the same, but without the
/// operation's own words.
fn tell_denied(reader: &RunReader, error: &GcpError) {
    let GcpError::Refused { call, refusal } = error else {
        return;
    };
    if refusal.http != 403 {
        return;
    }
    let advice = for_refusal(refusal, &Facts::of_call(call));
    let mut lines = vec![
        "the operation may not be read; the service itself is looked at in its place".to_owned(),
    ];
    lines.extend([advice.cause]);
    lines.extend(advice.help.into_iter().take(1));
    reader.api().note(lines.join("; "));
}

/// In Cloud Run's text about traffic to a revision that was deleted.
const GONE: &str = "does not exist or is deleted";

/// The tag of the written traffic that leads to the revision which a text says is gone.
fn tag_to_missing(pending: &Pending, text: &str) -> String {
    let tags = pending.traffic.iter().flat_map(|split| split.tags());
    let mut to_missing = tags.filter(|tag| match &tag.to {
        Destination::Revision(revision) => text.contains(&format!("Revision '{revision}'")),
        Destination::Latest => false,
    });
    to_missing
        .next()
        .map(|tag| tag.name.to_string())
        .unwrap_or_default()
}

/// The service in an operation's answer.
pub(super) fn service_of(response: Option<Value>) -> Option<Box<Service>> {
    serde_json::from_value(response?).ok().map(Box::new)
}

/// Follows the operation to its end; `None` when it can no longer be followed, or its answer has no
/// service.
async fn follow(
    reader: &RunReader,
    target: &Target,
    pending: &Pending,
    started: Instant,
) -> Result<Option<Box<Service>>, OperationError> {
    let Some(name) = pending.operation.as_deref() else {
        return Ok(None);
    };
    let mut by = By::Wait;
    let mut pause = Pause::new();
    while started.elapsed() < LONGEST_WAIT {
        let asked = Instant::now();
        let answer = match by {
            By::Wait => reader.wait(name).await,
            By::Get => reader.operation(name).await,
            By::Service => return Ok(None),
        };
        match answer {
            Ok(Operation {
                done: true,
                error,
                response,
                ..
            }) => return error.map_or_else(|| Ok(service_of(response)), Err),
            // The operation may never say what the service says already.
            Ok(_)
                if started.elapsed() >= PATIENCE && has_settled(reader, target, pending).await =>
            {
                return Ok(None);
            }
            // A server that does not hold the call must not be asked without a pause.
            Ok(_) if by == By::Get || asked.elapsed() < PAUSES.1 => pause.rest().await,
            Ok(_) => {}
            // Not implemented, not found, not allowed, or out of order: the next way.
            Err(_) if by == By::Wait => by = By::Get,
            Err(error) => {
                tell_denied(reader, &error);
                by = By::Service;
            }
        }
    }
    Ok(None)
}

/// True when the service itself says that the change has come to its end.
async fn has_settled(reader: &RunReader, target: &Target, pending: &Pending) -> bool {
    let read = reader.service(target).await;
    read.is_ok_and(|service| {
        service.is_some_and(|service| judge(&service, pending, None) != Standing::Waiting)
    })
}
