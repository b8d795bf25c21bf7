//! Why a revision did not become ready, in Cloud Run's words.

use cloud_api::rpc::OperationError;
use cloud_api::run::Condition;

use super::key::{ServiceKey, project_number};

/// gRPC code 5.
const NOT_FOUND: i32 = 5;
/// gRPC code 7.
const PERMISSION_DENIED: i32 = 7;
/// gRPC code 9.
const FAILED_PRECONDITION: i32 = 9;
/// gRPC code 10.
const ABORTED: i32 = 10;
/// gRPC code 13.
const INTERNAL: i32 = 13;

/// Which kind of reason a condition carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `reason`.
    Common(&'static str),
    /// `revisionReason`.
    Revision(&'static str),
}

/// Why a revision is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// gRPC code of the operation's error.
    pub code: i32,
    /// Text as the revision's conditions carry it, without a prefix.
    pub text: String,
    /// Reason that the conditions carry.
    pub reason: Reason,
    /// The condition of the revision that failed beside `Ready`.
    pub condition: &'static str,
    /// What the text was until about 2024, where it was another one.
    pub(super) older: Option<&'static str>,
}

/// What a container that does not listen was told until about 2024.
const OLDER_NOT_LISTENING: &str = "Cloud Run error: Container failed to start. Failed to start and then listen on the port defined by the PORT environment variable. Logs for this revision might contain more information.";

impl Failure {
    /// The container crashed at start, or does not listen on its port.
    pub fn not_listening(key: &ServiceKey, revision: &str, port: u16) -> Self {
        let logs = logs_url(key, revision);
        let failure = Self::unhealthy(format!(
            "The user-provided container failed to start and listen on the port defined provided by the PORT={port} environment variable within the allocated timeout. This can happen when the container port is misconfigured or if the timeout is too short. The health check timeout can be extended. Logs for this revision might contain more information.\n\nLogs URL: {logs} \nFor more troubleshooting guidance, see https://cloud.google.com/run/docs/troubleshooting#container-failed-to-start"
        ));
        Self {
            older: Some(OLDER_NOT_LISTENING),
            ..failure
        }
    }

    /// The startup probe that the user configured did not pass.
    pub fn probe_failed(key: &ServiceKey, revision: &str) -> Self {
        let logs = logs_url(key, revision);
        Self::unhealthy(format!(
            "The user-provided container failed the configured startup probe checks. Logs for this revision might contain more information.\n\nLogs URL: {logs}"
        ))
    }

    /// The registry has no such image.
    pub fn image_missing(image: &str) -> Self {
        Self {
            code: NOT_FOUND,
            text: format!("Image '{image}' not found."),
            reason: Reason::Common("CONTAINER_MISSING"),
            condition: "ContainerReady",
            older: None,
        }
    }

    /// Cloud Run's service agent must not read the image.
    pub(crate) fn image_denied(text: String) -> Self {
        Self {
            code: PERMISSION_DENIED,
            text,
            reason: Reason::Common("CONTAINER_PERMISSION_DENIED"),
            condition: "ContainerReady",
            older: None,
        }
    }

    /// The platform did not import the image in its time.
    pub fn import_deadline() -> Self {
        Self {
            code: INTERNAL,
            text: "The service has encountered an error during container import. Please try again later. Resource readiness deadline exceeded.".to_owned(),
            reason: Reason::Common("PROGRESS_DEADLINE_EXCEEDED"),
            condition: "ContainerReady",
            older: None,
        }
    }

    /// Another service of the project and region has a revision of this name.
    pub fn conflicting_revision(revision: &str) -> Self {
        Self {
            code: FAILED_PRECONDITION,
            text: format!(
                "Found a conflicting revision name {revision}. Revision names must be unique within the namespace."
            ),
            reason: Reason::Common("REVISION_FAILED"),
            condition: "ResourcesAvailable",
            older: None,
        }
    }

    /// A secret is not there, or the run-time service account must not read it.
    pub fn secrets_unavailable(lines: &[String]) -> Self {
        Self {
            code: FAILED_PRECONDITION,
            text: lines.join("\n"),
            reason: Reason::Common("SECRETS_ACCESS_CHECK_FAILED"),
            condition: "ResourcesAvailable",
            older: None,
        }
    }

    /// The platform itself failed; here: the container engine.
    pub fn internal(cause: &str) -> Self {
        Self {
            code: INTERNAL,
            text: format!("The service has encountered an internal error. {cause}"),
            reason: Reason::Common("INTERNAL"),
            condition: "ResourcesAvailable",
            older: None,
        }
    }

    /// Traffic names a revision that is not there.
    pub fn revision_missing(revision: &str) -> Self {
        Self {
            code: FAILED_PRECONDITION,
            text: format!(
                "Revision '{revision}' does not exist or is deleted. Update all traffic to route to currently available revisions."
            ),
            reason: Reason::Common("REVISION_FAILED"),
            condition: "",
            older: None,
        }
    }

    fn unhealthy(text: String) -> Self {
        Self {
            code: FAILED_PRECONDITION,
            text,
            reason: Reason::Revision("HEALTH_CHECK_CONTAINER_ERROR"),
            condition: "ContainerHealthy",
            older: None,
        }
    }

    /// The same as it was told until about 2024: every failure of a rollout was INTERNAL.
    pub(crate) fn as_told_before_2024(self) -> Self {
        Self {
            code: INTERNAL,
            text: self.older.map_or(self.text, str::to_owned),
            ..self
        }
    }

    /// The service was deleted before its write was carried out.
    pub(crate) fn service_deleted(key: &ServiceKey) -> Self {
        Self {
            code: ABORTED,
            text: format!("Service '{}' was deleted.", key.service),
            reason: Reason::Common("UNKNOWN"),
            condition: "",
            older: None,
        }
    }

    /// The same failure in other words.
    pub(crate) fn with_text(self, text: String) -> Self {
        Self { text, ..self }
    }

    /// The text as service and operation carry it.
    pub(crate) fn at_service(&self, revision: &str) -> Self {
        Self {
            text: format!(
                "Revision '{revision}' is not ready and cannot serve traffic. {}",
                self.text
            ),
            ..self.clone()
        }
    }

    /// As the error of an operation.
    pub(crate) fn operation_error(&self) -> OperationError {
        OperationError {
            code: self.code,
            message: self.text.clone(),
            details: Vec::new(),
        }
    }

    /// Writes text and reason into a condition.
    pub(crate) fn explain(&self, condition: &mut Condition) {
        condition.message.clone_from(&self.text);
        match self.reason {
            Reason::Common(reason) => condition.reason = Some(reason.to_owned()),
            Reason::Revision(reason) => condition.revision_reason = Some(reason.to_owned()),
        }
    }
}

/// One line of [`Failure::secrets_unavailable`]: the secret, or a version of it, is not there. The
/// path has the form of v1 also in v2 answers.
pub(crate) fn secret_missing_line(
    key: &ServiceKey,
    field: &str,
    secret: &str,
    version: &str,
) -> String {
    let number = project_number(&key.project);
    format!(
        "spec.template.spec.{field}: Secret projects/{number}/secrets/{secret}/versions/{version} was not found"
    )
}

/// One line of [`Failure::secrets_unavailable`]: the run-time service account must not read it.
pub(crate) fn secret_denied_line(
    key: &ServiceKey,
    field: &str,
    secret: &str,
    version: &str,
    service_account: &str,
) -> String {
    let number = project_number(&key.project);
    format!(
        "spec.template.spec.{field}: Permission denied on secret: projects/{number}/secrets/{secret}/versions/{version} for Revision service account {service_account}. The service account used must be granted the 'Secret Manager Secret Accessor' role (roles/secretmanager.secretAccessor) at the secret, project or higher level."
    )
}

/// Where the console shows a revision's logs.
pub(crate) fn logs_url(key: &ServiceKey, revision: &str) -> String {
    let ServiceKey {
        project, service, ..
    } = key;
    format!(
        "https://console.cloud.google.com/logs/viewer?project={project}&resource=cloud_run_revision/service_name/{service}/revision_name/{revision}&advancedFilter=resource.type%3D%22cloud_run_revision%22%0Aresource.labels.service_name%3D%22{service}%22%0Aresource.labels.revision_name%3D%22{revision}%22"
    )
}
