//! What Cloud Run asks IAM before it does something, for every face of it.

use cloud_api::run::RevisionTemplate;
use serde_json::{Map, Value};

use super::failure::{Failure, Reason};
use super::key::{ServiceKey, project_number};
use super::state::{RevisionRecord, ServiceRecord};
use crate::error::ApiError;
use crate::iam::{self, Api, Denied, Resource};
use crate::registry;
use crate::tokens::Caller;
use crate::world::World;

/// Lets its holder read an image's repository.
const READ_IMAGE: &str = "artifactregistry.repositories.downloadArtifacts";
/// Lets its holder read a secret.
const READ_SECRET: &str = "secretmanager.versions.access";

/// Refuses a call when the API is off for the project, or the region is none of Cloud Run's.
///
/// # Errors
/// `PERMISSION_DENIED` in Google's words.
pub(crate) fn enter(world: &World, project: &str, location: &str) -> Result<(), ApiError> {
    iam::check_api(world, Api::Run, project)?;
    iam::check_location(world, project, location)
}

/// [`enter`], and the permission itself.
///
/// # Errors
/// `PERMISSION_DENIED` in Google's words.
pub(super) fn authorize(
    world: &World,
    caller: &Caller,
    permission: &str,
    resource: &Resource,
) -> Result<(), ApiError> {
    let (project, location) = match resource {
        Resource::Service(key) | Resource::Revision { service: key, .. } => {
            (&key.project, &key.location)
        }
        Resource::Location { project, location }
        | Resource::Operation {
            project, location, ..
        } => (project, location),
        other => return iam::check(world, caller, permission, other),
    };
    enter(world, project, location)?;
    iam::check(world, caller, permission, resource)
}

/// A service that is about to be written, with what of it needs more than the right to write.
pub(crate) struct Deployment<'a> {
    pub(crate) key: &'a ServiceKey,
    /// The service as it is; `None` for a new one.
    pub(crate) old: Option<&'a ServiceRecord>,
    /// The fields as they are to be.
    pub(crate) spec: &'a Map<String, Value>,
    pub(crate) template: &'a RevisionTemplate,
    pub(crate) makes_revision: bool,
}

/// Checks what a write needs beside the right to write: to act as the run-time account, to read the
/// image, to set the invoker check. May be called while Cloud Run's state is locked.
///
/// # Errors
/// `PERMISSION_DENIED` or `FAILED_PRECONDITION` in Cloud Run's words.
pub(crate) fn check_deployment(
    world: &World,
    caller: &Caller,
    deployment: &Deployment,
) -> Result<(), ApiError> {
    let Deployment {
        key,
        template,
        makes_revision,
        ..
    } = deployment;
    check_invoker(world, caller, deployment)?;
    let email = template.service_account.as_deref().unwrap_or_default();
    let account = Resource::ServiceAccount(email.to_owned());
    iam::check(world, caller, "iam.serviceAccounts.actAs", &account)?;
    if !makes_revision {
        return Ok(());
    }
    let agent_email = iam::service_agent(&key.project);
    let agent = iam::account(&agent_email, caller.expires);
    if iam::permit(
        world,
        &agent,
        "iam.serviceAccounts.getAccessToken",
        &account,
    )
    .is_err()
    {
        return Err(ApiError::new(
            "PERMISSION_DENIED",
            format!(
                "Google Cloud Run Service Agent does not have permission to get access tokens for the service account {email}. Please give {agent_email} permission iam.serviceAccounts.getAccessToken on the service account. Alternatively, if the service account is unspecified or in the same project you are deploying in, ensure that the Service Agent is assigned the Google Cloud Run Service Agent role roles/run.serviceAgent."
            ),
        ));
    }
    let container = template.containers.first();
    let image = container.map_or("", |container| container.image.as_str());
    let repository = registry::repository(image);
    if repository.is_some_and(|it| iam::permit(world, caller, READ_IMAGE, &it).is_err()) {
        return Err(ApiError::new(
            "PERMISSION_DENIED",
            format!("User must have permission to read the image, {image}. {ENSURE}"),
        ));
    }
    Ok(())
}

/// The common end of the texts about an image that cannot be read.
const ENSURE: &str = "Ensure that the provided container image URL is correct and that the above account has permission to access the image. If you just enabled the Cloud Run API, the permissions might take a few minutes to propagate.";

/// To switch the invoker check on or off is to decide who may call.
fn check_invoker(world: &World, caller: &Caller, deployment: &Deployment) -> Result<(), ApiError> {
    let is_off =
        |spec: &Map<String, Value>| spec.get("invokerIamDisabled") == Some(&Value::Bool(true));
    let (was, will) = (
        deployment.old.is_some_and(|old| is_off(&old.spec)),
        is_off(deployment.spec),
    );
    if was == will {
        return Ok(());
    }
    let key = deployment.key;
    let policy = deployment.old.map(|old| old.policy.view());
    let (permission, service) = ("run.services.setIamPolicy", Resource::Service(key.clone()));
    if !world
        .iam
        .allows(caller, permission, &service, policy.as_ref())
    {
        let denied = Denied {
            permission: permission.to_owned(),
            resource: service,
        };
        return Err(denied.answer());
    }
    if will {
        world.iam.check_invoker(&key.project, &key.name())?;
    }
    Ok(())
}

/// Refuses to start a revision whose image Cloud Run's service agent must not read.
///
/// # Errors
/// `CONTAINER_PERMISSION_DENIED`, which names the agent.
pub(super) fn check_start(
    world: &World,
    key: &ServiceKey,
    revision: &RevisionRecord,
) -> Result<(), Failure> {
    let image = revision
        .template
        .get("containers")
        .and_then(|containers| containers.get(0)?.get("image")?.as_str())
        .unwrap_or_default();
    let Some(repository) = registry::repository(image) else {
        return Ok(());
    };
    let email = iam::service_agent(&key.project);
    let agent = iam::account(&email, world.clock.now());
    if iam::permit(world, &agent, READ_IMAGE, &repository).is_ok() {
        return Ok(());
    }
    let mut text = format!(
        "Google Cloud Run Service Agent {email} must have permission to read the image, {image}. {ENSURE}"
    );
    if let Resource::Repository { project, .. } = &repository
        && project_number(project) != project_number(&key.project)
    {
        text += &format!(
            " Note that the image is from project [{project}], which is not the same as this project [{}]. Permission must be granted to the Google Cloud Run Service Agent {email} from this project.",
            key.project
        );
    }
    Err(Failure::image_denied(text))
}

/// Whether the run-time account of a revision may read a secret of a project.
pub(super) fn secret_reader<'w>(
    world: &'w World,
    key: &ServiceKey,
    revision: &RevisionRecord,
) -> impl Fn(&str, &str) -> bool + use<'w> {
    let account = revision
        .template
        .get("serviceAccount")
        .and_then(Value::as_str);
    let account = iam::account(account.unwrap_or_default(), world.clock.now());
    let is_on = world
        .iam
        .is_enabled(&key.project, Api::SecretManager.name());
    move |project, name| {
        let secret = Resource::Secret {
            project: project.to_owned(),
            name: name.to_owned(),
        };
        is_on && iam::permit(world, &account, READ_SECRET, &secret).is_ok()
    }
}

/// While Secret Manager is off for the project, that is why no secret can be read.
pub(super) fn explain_secrets(world: &World, key: &ServiceKey, failure: Failure) -> Failure {
    let is_on = world
        .iam
        .is_enabled(&key.project, Api::SecretManager.name());
    if is_on || failure.reason != Reason::Common("SECRETS_ACCESS_CHECK_FAILED") {
        return failure;
    }
    let reason = iam::disabled_text(Api::SecretManager, &key.project);
    let lines = failure.text.lines().map(|line| {
        let field = line.split(": ").next().unwrap_or_default();
        format!("{field}: {reason}")
    });
    let text = lines.collect::<Vec<String>>().join("\n");
    failure.with_text(text)
}
