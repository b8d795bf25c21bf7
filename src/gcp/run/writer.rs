//! Writes, each guarded by the etag of the last own one.

use cloud_api::rpc::Operation;
use cloud_api::run::{Policy, Service, SetIamPolicyRequest};
use delivery::diagnostic::{Code, Diagnostic};
use delivery::spec::Access;
use delivery::state::STATE_ANNOTATION;
use delivery::target::Target;
use reqwest::Method;
use serde_json::Value;

use super::change::{Change, Live, Pending, WriteError};
use super::{body, policy, reader::RunReader, seen, settle, traffic};
use crate::gcp::error::GcpError;
use crate::gcp::transport::{Body, Call};

/// Tries of one write whose outcome stays unknown.
const TRIES: u32 = 3;

/// Writes to one service. It keeps what it read whole, and edits named paths in it.
///
/// A service is opened and closed by `invokerIamDisabled`, in the same etag-guarded write as
/// everything else. One that somebody opened by an `allUsers` binding is closed by removing that
/// binding; opened again, it is by `invokerIamDisabled`.
pub struct RunWriter {
    reader: RunReader,
    target: Target,
    /// As read last, or as our last write left it. Its etag guards the next write.
    service: Option<Service>,
    /// True while `service` is what the plan was made upon: it needs no further look.
    fresh: bool,
    /// True once it is known that no IAM binding opens the service.
    unbound: bool,
}

impl RunWriter {
    /// Writes to `target`.
    pub fn new(reader: RunReader, target: Target) -> Self {
        Self {
            reader,
            target,
            service: None,
            fresh: false,
            unbound: false,
        }
    }

    /// Writes to the service as it was just seen: what changes it in between is noticed by the etag
    /// of the first write.
    pub fn upon(reader: RunReader, target: Target, service: Option<Service>) -> Self {
        Self {
            service,
            fresh: true,
            ..Self::new(reader, target)
        }
    }

    /// The reads that belong to it.
    pub fn reader(&self) -> &RunReader {
        &self.reader
    }

    /// Where it writes to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} the service `{}`", self.target.service)
    }

    /// The service that the first write builds on: as it was seen for the plan, else read now.
    ///
    /// # Errors
    /// [`WriteError::Conflict`] when it is no longer the one with this etag.
    pub async fn begin(&mut self, etag: Option<&str>) -> Result<Option<Live>, WriteError> {
        let service = if std::mem::take(&mut self.fresh) {
            self.service.take()
        } else {
            let read = self.reader.service(&self.target).await;
            read.map_err(|error| failed(error, &self.doing("read")))?
        };
        if service.as_ref().map(|one| one.etag.as_str()) != etag {
            return Err(WriteError::Conflict);
        }
        let live = service.as_ref().map(seen::live).transpose();
        self.service = service;
        live.map_err(|problem| WriteError::Failed(Box::new(problem)))
    }

    /// Reads the service anew; its etag guards the next write. For the way back only: whoever calls
    /// it looks at what he gets before he writes.
    ///
    /// # Errors
    /// A [`Diagnostic`] when it cannot be read.
    pub async fn reload(&mut self) -> Result<Option<Live>, Diagnostic> {
        let service = self.get().await?;
        let live = service.as_ref().map(seen::live).transpose()?;
        self.service = service;
        Ok(live)
    }

    /// Reads the service; the next write is guarded as before.
    ///
    /// # Errors
    /// A [`Diagnostic`] when it cannot be read.
    pub async fn read(&self) -> Result<Option<Live>, Diagnostic> {
        self.get().await?.as_ref().map(seen::live).transpose()
    }

    async fn get(&self) -> Result<Option<Service>, Diagnostic> {
        let read = self.reader.service(&self.target).await;
        read.map_err(|error| error.into_diagnostic(&self.doing("read")))
    }

    /// Sends the write; it is accepted when this returns, not in effect.
    ///
    /// # Errors
    /// [`WriteError`]. A write that is refused is [`WriteError::Unknown`] all the same where it closed
    /// the service first, and that could not be put back: then its own undo is due.
    pub async fn send(&mut self, change: &Change<'_>) -> Result<Pending, WriteError> {
        let record = serde_json::to_string(change.state).map_err(defect)?;
        let closes = change.access == Some(Access::Private);
        let opened = if closes && !change.create && !self.unbound {
            self.remove_everybody().await?
        } else {
            None
        };
        let sent = self.send_guarded(change, record).await;
        match (sent, opened) {
            (Ok(pending), _) => {
                // A new service has no bindings.
                self.unbound |= change.create || closes;
                Ok(pending)
            }
            // The write that closing belongs to has no effect: neither may closing.
            (Err(error @ (WriteError::Failed(_) | WriteError::Conflict)), Some(opened)) => {
                match self.set_policy(opened).await {
                    Ok(_) => Err(error),
                    Err(left) => Err(left_closed(error, left)),
                }
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The write itself, until it is accepted, refused, or nobody knows.
    async fn send_guarded(
        &self,
        change: &Change<'_>,
        record: String,
    ) -> Result<Pending, WriteError> {
        let mut pending = Pending {
            record,
            revision: change.revision.map(|one| one.record.revision.clone()),
            expects: change.expects.cloned(),
            traffic: change.traffic.cloned(),
            ..Pending::default()
        };
        let mut tries = 1;
        let mut perhaps = false;
        loop {
            let error = match self.write(change, &pending.record).await? {
                Ok(operation) => {
                    take_operation(&mut pending, operation);
                    return Ok(pending);
                }
                Err(error) => error,
            };
            let refusal = error.refusal();
            let conflict = refusal
                .is_some_and(|one| one.is_conflict() || (change.create && one.already_exists()));
            if !conflict && !error.outcome_is_unknown() {
                let doing = self.doing(if change.create { "create" } else { "change" });
                return Err(match failed(error, &doing) {
                    // An earlier try may still arrive.
                    WriteError::Failed(problem) if perhaps => WriteError::Unknown(problem),
                    other => other,
                });
            }
            perhaps |= error.outcome_is_unknown();
            // Perhaps it arrived although the answer did not.
            let now = self.get().await.map_err(|unreadable| {
                let mut both = error_diagnostic(&self.doing("change"));
                both.cause.push(unreadable.title.clone());
                both.cause.extend(unreadable.cause);
                WriteError::Unknown(Box::new(both))
            })?;
            if now
                .as_ref()
                .is_some_and(|one| carries(one, change, &pending))
            {
                pending.generation = now.and_then(|one| one.generation.parse().ok());
                return Ok(pending);
            }
            let etag = |service: &Option<Service>| service.as_ref().map(|one| one.etag.clone());
            if conflict || etag(&now) != etag(&self.service) {
                return Err(WriteError::Conflict);
            }
            tries += 1;
            if tries > TRIES {
                return Err(failed(error, &self.doing("change")));
            }
        }
    }

    /// One try. The outer error ends it, the inner one is looked at.
    async fn write(
        &self,
        change: &Change<'_>,
        record: &str,
    ) -> Result<Result<Operation, GcpError>, WriteError> {
        let call = match (&self.service, change.create) {
            (None, true) => {
                let Target {
                    environment: _,
                    project,
                    region,
                    service,
                } = &self.target;
                let parent = format!("projects/{project}/locations/{region}/services");
                let value = body::create(change, record).map_err(defect)?;
                Call::new(Method::POST, self.reader.url(&parent))
                    .query(vec![("serviceId", service.to_string())])
                    .body(json_body(&value)?)
            }
            (Some(service), false) => {
                let body::Patch { body, mask } =
                    body::patch(service, change, record).map_err(defect)?;
                Call::new(Method::PATCH, self.reader.url(&self.target.resource_name()))
                    .query(vec![("updateMask", mask)])
                    .body(json_body(&body)?)
            }
            // It came, or went, since the plan was made.
            (Some(_), true) | (None, false) => return Err(WriteError::Conflict),
        };
        Ok(self.reader.api().call(call).await)
    }

    /// Waits until the write is in effect.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn settle(&mut self, pending: &Pending) -> Result<Live, WriteError> {
        let service = settle::settle(&self.reader, &self.target, pending).await?;
        let live = seen::live(&service).map_err(|error| WriteError::Failed(Box::new(error)))?;
        self.service = Some(service);
        Ok(live)
    }

    /// Removes strangers (`allUsers`, `allAuthenticatedUsers`) from the callers, where the policy has
    /// them; gives the policy that puts them back.
    async fn remove_everybody(&self) -> Result<Option<Policy>, WriteError> {
        let read = self.reader.policy(&self.target).await;
        let found = read.map_err(|error| failed(error, &self.doing("read who may call")))?;
        if !policy::admits_strangers(&found) {
            return Ok(None);
        }
        let written = self.set_policy(policy::closed(found.clone())).await?;
        Ok(Some(Policy {
            etag: written.etag,
            ..found
        }))
    }

    async fn set_policy(&self, policy: Policy) -> Result<Policy, WriteError> {
        let request = SetIamPolicyRequest { policy };
        let url = format!("{}:setIamPolicy", self.target.resource_name());
        let call = Call::new(Method::POST, self.reader.url(&url));
        let call = call.body(Body::json(&request).map_err(|error| failed(error, "close"))?);
        let written: Result<Policy, GcpError> = self.reader.api().call(call).await;
        match written {
            Ok(written) => Ok(written),
            Err(error) if error.http() == Some(409) => Err(WriteError::Conflict),
            Err(error) => Err(failed(error, &self.doing("change who may call"))),
        }
    }
}

/// A write was refused, and who may call is not as it was before it.
fn left_closed(error: WriteError, left: WriteError) -> WriteError {
    let mut problem = match error {
        WriteError::Failed(problem) | WriteError::Unknown(problem) => *problem,
        WriteError::Conflict | WriteError::NotReady(_) => Diagnostic::error(
            Code::ServiceBusy,
            "somebody else changed the service during this run",
        ),
    };
    let why = match left {
        WriteError::Failed(why) | WriteError::Unknown(why) => why.title,
        WriteError::Conflict => "somebody else changed who may call".to_owned(),
        WriteError::NotReady(text) => text,
    };
    problem.cause.push(format!(
        "the binding that opened the service could not be put back: {why}"
    ));
    WriteError::Unknown(Box::new(problem))
}

fn take_operation(pending: &mut Pending, operation: Operation) {
    let Operation {
        name,
        metadata,
        done,
        error,
        response,
        rest: _,
    } = operation;
    let generation = |resource: &Option<Value>| -> Option<u64> {
        let text = resource.as_ref()?.get("generation")?.as_str()?;
        text.parse().ok()
    };
    pending.generation = generation(&response).or_else(|| generation(&metadata));
    pending.operation = Some(name).filter(|name| !name.is_empty());
    pending.ended = done.then(|| error.map_or_else(|| Ok(settle::service_of(response)), Err));
}

/// True when the service is as the change wants it.
fn carries(service: &Service, change: &Change<'_>, pending: &Pending) -> bool {
    let record = service.annotations.get(STATE_ANNOTATION) == Some(&pending.record);
    let traffic = change.traffic.is_none_or(|wanted| {
        traffic::from_wire(&service.traffic).is_ok_and(|split| split == *wanted)
    });
    let revision = change.revision.is_none_or(|one| {
        let template = service.template.as_ref();
        template.and_then(|template| template.revision.as_deref())
            == Some(one.record.revision.as_str())
    });
    let access = change
        .access
        .is_none_or(|access| (access == Access::Public) == service.invoker_iam_disabled);
    record && traffic && revision && access
}

fn json_body(value: &Value) -> Result<Body, WriteError> {
    Body::json(value).map_err(|error| failed(error, "write the request"))
}

fn failed(error: GcpError, doing: &str) -> WriteError {
    let unknown = error.outcome_is_unknown();
    let diagnostic = Box::new(error.into_diagnostic(doing));
    if unknown {
        WriteError::Unknown(diagnostic)
    } else {
        WriteError::Failed(diagnostic)
    }
}

fn error_diagnostic(doing: &str) -> Diagnostic {
    Diagnostic::error(
        Code::CloudFailed,
        format!("it is not known whether Cloud Run accepted to {doing}"),
    )
    .cause("no answer came to the write, and the service cannot be read")
    .help("check the network and the API's status, then run again: it goes on from what it finds")
}

fn defect(error: serde_json::Error) -> WriteError {
    WriteError::Failed(Box::new(
        Diagnostic::error(Code::Internal, "a request has no JSON form").cause(error.to_string()),
    ))
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
