//! Cloud reads → `delivery::snapshot::Snapshot`. Holds read handles only.

use cloud_api::run::{Revision, Service};
use delivery::configuration::Configuration;
use delivery::diagnostic::Diagnostic;
use delivery::entrance::Ingress;
use delivery::plan::render::place;
use delivery::plan::{Intent, Missing, Wanted, missing};
use delivery::snapshot::{ServiceSeen, Snapshot};
use delivery::spec::Access;
use delivery::state::Timestamp;
use delivery::target::Target;

use crate::gcp::error::GcpError;
use crate::gcp::run::{Live, RunReader, entrance, is_public, live, of_template, revision_seen};

/// Looks at the target. The service (then, where it matters, who may call it) and its revisions are
/// read at the same time.
///
/// # Errors
/// A [`Diagnostic`] when something cannot be read; a service that does not exist is no error.
pub async fn observe(
    reader: &RunReader,
    target: &Target,
    now: Timestamp,
) -> Result<Snapshot, Diagnostic> {
    let (snapshot, _) = everything(reader, target, now).await?;
    Ok(snapshot)
}

/// Looks at what a plan needs; gives the service as it was read, too. A rollback is done in a hurry:
/// it reads the service and its newest revisions, and goes on only where that does not decide.
///
/// # Errors
/// As [`observe`].
pub async fn observe_for(
    reader: &RunReader,
    target: &Target,
    wanted: Option<&Wanted>,
    now: Timestamp,
) -> Result<(Snapshot, Option<Service>), Diagnostic> {
    let in_a_hurry = |wanted: &&Wanted| matches!(wanted.intent, Intent::Rollback { .. });
    let Some(wanted) = wanted.filter(in_a_hurry) else {
        return everything(reader, target, now).await;
    };
    let say = |error: GcpError| failed(error, &doing(target), target);
    let (service, page) = tokio::join!(reader.service(target), reader.newest_revisions(target));
    let (Some(service), page) = (service.map_err(say)?, page.map_err(say)?) else {
        return Ok((absent(target, now), None));
    };
    // Until the policy is read, who may call is known of an open service only.
    let known = access_without_policy(&service);
    let draft = snapshot(
        target,
        now,
        (&service, &page.revisions),
        known.unwrap_or(Access::Private),
    )?;
    let Missing { access, revisions } = missing(wanted, &draft);
    let is_complete = !revisions || page.is_last();
    if is_complete && (!access || known.is_some()) {
        return Ok((with_answer(reader, draft).await, Some(service)));
    }
    let access = async {
        match known {
            Some(known) => Ok(known),
            None => access_by_policy(reader, target).await,
        }
    };
    let (access, revisions) = tokio::join!(access, reader.older_revisions(target, page));
    let (access, revisions) = (access.map_err(say)?, revisions.map_err(say)?);
    let whole = snapshot(target, now, (&service, &revisions), access)?;
    Ok((with_answer(reader, whole).await, Some(service)))
}

async fn everything(
    reader: &RunReader,
    target: &Target,
    now: Timestamp,
) -> Result<(Snapshot, Option<Service>), Diagnostic> {
    let service_and_access = async {
        let Some(service) = reader.service(target).await? else {
            return Ok(None);
        };
        let access = match access_without_policy(&service) {
            Some(access) => access,
            None => access_by_policy(reader, target).await?,
        };
        Ok::<_, GcpError>(Some((service, access)))
    };
    let say = |error: GcpError| failed(error, &doing(target), target);
    let (service, revisions) = tokio::join!(service_and_access, reader.revisions(target));
    let (service, revisions) = (service.map_err(say)?, revisions.map_err(say)?);
    let Some((service, access)) = service else {
        return Ok((absent(target, now), None));
    };
    // Read side by side, the list may be older than the service, and lack what was made in between:
    // without its own record a revision of ours would pass for one of another tool.
    let created = last_part(&service.latest_created_revision);
    let is_listed = revisions.iter().any(|one| last_part(&one.name) == created);
    let revisions = if created.is_empty() || is_listed {
        revisions
    } else {
        reader.revisions(target).await.map_err(say)?
    };
    let seen = snapshot(target, now, (&service, &revisions), access)?;
    Ok((with_answer(reader, seen).await, Some(service)))
}

/// `api-00001-abc`, with or without the resource's path before it.
fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Where not everybody is let in, whether this machine is: its address is asked once.
async fn with_answer(reader: &RunReader, mut snapshot: Snapshot) -> Snapshot {
    if let Some(ServiceSeen { entrance, uri, .. }) = &mut snapshot.service
        && entrance.ingress != Ingress::All
        && let Some(uri) = uri
    {
        entrance.answers = reader.answers(uri).await;
    }
    snapshot
}

fn doing(target: &Target) -> String {
    format!("observe the service `{}`", target.service)
}

/// What went wrong, and where; the same missing credentials are told once for all environments.
fn failed(error: GcpError, doing: &str, target: &Target) -> Diagnostic {
    match error {
        GcpError::Credentials(diagnostic) => *diagnostic,
        error => error.into_diagnostic(doing).or_at(place(target)),
    }
}

fn absent(target: &Target, now: Timestamp) -> Snapshot {
    Snapshot {
        target: target.clone(),
        observed_at: now,
        service: None,
    }
}

fn snapshot(
    target: &Target,
    now: Timestamp,
    (service, revisions): (&Service, &[Revision]),
    access: Access,
) -> Result<Snapshot, Diagnostic> {
    let Live {
        etag,
        uri,
        traffic,
        serving,
        condition,
        latest_ready,
        latest_created,
        invoker_check_off: _,
        state,
        changed: _,
    } = live(service)?;
    let template = service.template.as_ref();
    Ok(Snapshot {
        service: Some(ServiceSeen {
            entrance: entrance(service),
            template: template.map(of_template).unwrap_or_default(),
            etag,
            uri,
            traffic,
            serving,
            condition,
            latest_ready,
            latest_created,
            access,
            state,
            revisions: revisions.iter().filter_map(revision_seen).collect(),
        }),
        ..absent(target, now)
    })
}

/// How the revision is configured that has the largest share of a service; `None` where there is no
/// such service. Needs `run.services.get` and `run.revisions.get`.
///
/// # Errors
/// A [`Diagnostic`] when it cannot be read.
pub async fn observe_configuration(
    reader: &RunReader,
    target: &Target,
) -> Result<Option<Configuration>, Diagnostic> {
    let doing = format!("look at the service `{}`", target.service);
    let failed = |error: GcpError| failed(error, &doing, target);
    let Some(service) = reader.service(target).await.map_err(failed)? else {
        return Ok(None);
    };
    let serving = live(&service)?.serving;
    let largest = serving.iter().max_by_key(|entry| entry.percent);
    let revision = match largest {
        Some(entry) => reader
            .revision(target, &entry.revision)
            .await
            .map_err(failed)?,
        None => None,
    };
    let template = || service.template.as_ref().map(of_template);
    Ok(revision
        .and_then(|revision| revision_seen(&revision))
        .map(|seen| seen.configuration)
        .or_else(template))
}

/// `None` where the policy decides.
fn access_without_policy(service: &Service) -> Option<Access> {
    service.invoker_iam_disabled.then_some(Access::Public)
}

/// Whether an IAM binding opens the service. Who may not read the policy gets an error: an open
/// service must not be taken for a closed one.
async fn access_by_policy(reader: &RunReader, target: &Target) -> Result<Access, GcpError> {
    match reader.policy(target).await {
        Ok(policy) if is_public(&policy) => Ok(Access::Public),
        Ok(_) => Ok(Access::Private),
        Err(error) if error.http() == Some(404) => Ok(Access::Private),
        Err(error) => Err(error),
    }
}
