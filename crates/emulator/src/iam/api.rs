//! APIs of a project that are switched off.

use serde_json::json;

use super::Iam;
use crate::error::ApiError;
use crate::run::project_number;
use crate::world::World;

/// An API that can be switched off for a project. While it is on, which is the usual, nothing is
/// noticed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Cloud Run.
    Run,
    /// Artifact Registry.
    ArtifactRegistry,
    /// IAM Credentials.
    IamCredentials,
    /// Security Token Service.
    Sts,
    /// Secret Manager.
    SecretManager,
    /// Cloud Logging.
    Logging,
    /// Cloud KMS.
    Kms,
}

impl Api {
    const ALL: [Self; 7] = [
        Self::Run,
        Self::ArtifactRegistry,
        Self::IamCredentials,
        Self::Sts,
        Self::SecretManager,
        Self::Logging,
        Self::Kms,
    ];

    /// `run.googleapis.com` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run.googleapis.com",
            Self::ArtifactRegistry => "artifactregistry.googleapis.com",
            Self::IamCredentials => "iamcredentials.googleapis.com",
            Self::Sts => "sts.googleapis.com",
            Self::SecretManager => "secretmanager.googleapis.com",
            Self::Logging => "logging.googleapis.com",
            Self::Kms => "cloudkms.googleapis.com",
        }
    }

    /// The title in Google's texts.
    fn title(self) -> &'static str {
        match self {
            Self::Run => "Cloud Run Admin API",
            Self::ArtifactRegistry => "Artifact Registry API",
            Self::IamCredentials => "IAM Service Account Credentials API",
            Self::Sts => "Security Token Service API",
            Self::SecretManager => "Secret Manager API",
            Self::Logging => "Cloud Logging API",
            Self::Kms => "Cloud Key Management Service (KMS) API",
        }
    }

    /// The API of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.name() == name)
    }
}

impl Iam {
    /// Switches an API of a project on or off.
    pub fn set_api(&self, project: &str, api: &str, is_enabled: bool) {
        let key = (project_number(project), api.to_owned());
        let mut state = self.lock();
        if is_enabled {
            state.disabled.remove(&key);
        } else {
            state.disabled.insert(key, ());
        }
    }

    /// True unless the API was switched off for the project.
    pub fn is_enabled(&self, project: &str, api: &str) -> bool {
        let key = (project_number(project), api.to_owned());
        !self.lock().disabled.contains_key(&key)
    }
}

/// Refuses a call of an API that is switched off for the project.
///
/// # Errors
/// `PERMISSION_DENIED` with the details `Help` and `ErrorInfo` (reason `SERVICE_DISABLED`).
pub fn check_api(world: &World, api: Api, project: &str) -> Result<(), ApiError> {
    if world.iam.is_enabled(project, api.name()) {
        return Ok(());
    }
    let (name, number) = (api.name(), project_number(project));
    let url =
        format!("https://console.developers.google.com/apis/api/{name}/overview?project={number}");
    let error = ApiError::new("PERMISSION_DENIED", disabled_text(api, project));
    Err(error
        .with_detail(json!({
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{"description": "Google developers console API activation", "url": url}],
        }))
        .with_detail(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "SERVICE_DISABLED",
            "domain": "googleapis.com",
            "metadata": {"service": name, "consumer": format!("projects/{number}")},
        })))
}

/// The text alone, for answers that have no details.
pub(crate) fn disabled_text(api: Api, project: &str) -> String {
    let (name, title, number) = (api.name(), api.title(), project_number(project));
    format!(
        "{title} has not been used in project {number} before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/{name}/overview?project={number} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    )
}
