//! Cloud reads → `delivery::snapshot::Snapshot`. Holds read handles only.

use delivery::diagnostic::Diagnostic;
use delivery::entrance::Ingress;
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
    let service_and_access = async {
        let Some(service) = reader.service(target).await? else {
            return Ok(None);
        };
        let access = if service.invoker_iam_disabled {
            Access::Public
        } else {
            access_by_policy(reader, target).await?
        };
        Ok::<_, GcpError>(Some((service, access)))
    };
    let (service, revisions) = tokio::join!(service_and_access, reader.revisions(target));
    let doing = format!("observe the service `{}`", target.service);
    let service = service.map_err(|error| error.into_diagnostic(&doing))?;
    let revisions = revisions.map_err(|error| error.into_diagnostic(&doing))?;
    let service = match service {
        None => None,
        Some((service, access)) => {
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
            } = live(&service)?;
            let mut entrance = entrance(&service);
            entrance.answers = entrance.ingress != Ingress::All
                && match &uri {
                    Some(uri) => reader.answers(uri).await,
                    None => false,
                };
            let template = service.template.as_ref();
            Some(ServiceSeen {
                entrance,
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
            })
        }
    };
    Ok(Snapshot {
        target: target.clone(),
        observed_at: now,
        service,
    })
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
