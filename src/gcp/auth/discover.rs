//! Which credentials there are, and in which order they count.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use delivery::diagnostic::{Code, Diagnostic};

use super::ambient::Ambient;
use super::cache::Cached;
use super::federation::{Federation, SubjectSource};
use super::oidc::OidcRequest;
use super::{Context, TokenSource, file};
use crate::gcp::endpoint::Endpoints;
use crate::gcp::transport::Transport;
use crate::secret::{Masker, Secret};

/// Variables that name a credential file, in this order.
const FILE_VARIABLES: [&str; 3] = [
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GHA_CREDS_PATH",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
];

/// Where credentials may come from.
#[derive(Debug, Clone, Default)]
pub struct AuthInputs {
    /// Input `credentials_json`: a service account's key or an `external_account` file.
    pub credentials_json: Option<Secret>,
    /// Input `workload_identity_provider`: `projects/N/locations/global/workloadIdentityPools/…`.
    pub workload_identity_provider: Option<String>,
    /// Input `service_account`: who is acted as through the provider.
    pub service_account: Option<String>,
    /// The GitHub environment whose jobs are to act as the account: no advice lets another one.
    pub github_environment: Option<String>,
    /// Credential files that the environment names: the variable, the path.
    pub files: Vec<(String, PathBuf)>,
    /// GitHub's OIDC endpoint; absent without `permissions: id-token: write`.
    pub oidc: Option<OidcRequest>,
    /// `GCE_METADATA_HOST`, if set.
    pub metadata_host: Option<String>,
}

impl AuthInputs {
    /// What the environment holds; the inputs are put in by the caller.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| lookup(name).filter(|text| !text.is_empty());
        let files = FILE_VARIABLES
            .iter()
            .filter_map(|&name| Some((name.to_owned(), PathBuf::from(read(name)?))))
            .collect();
        Self {
            files,
            oidc: OidcRequest::from_lookup(lookup),
            metadata_host: read("GCE_METADATA_HOST"),
            ..Self::default()
        }
    }
}

/// Finds the credentials: the inputs first, then the files that the environment names, then (never
/// under the local cloud) the metadata server and the gcloud command.
///
/// # Errors
/// [`Code::NoCredentials`] when there are none, [`Code::CredentialsRefused`] when those that come
/// first cannot be used: the next ones are not tried, for they would act as somebody else.
pub async fn discover(
    inputs: AuthInputs,
    endpoints: &Endpoints,
    transport: &Transport,
    masker: Arc<dyn Masker>,
) -> Result<Arc<dyn TokenSource>, Diagnostic> {
    let AuthInputs {
        credentials_json,
        workload_identity_provider,
        github_environment,
        service_account,
        files,
        oidc,
        metadata_host,
    } = inputs;
    if let Some(request) = &oidc {
        masker.mask(&request.token);
    }
    let context = Context {
        transport: transport.clone(),
        endpoints: endpoints.clone(),
        masker,
        github_environment,
    };
    if let Some(secret) = credentials_json {
        return file::source(context, secret.expose(), "input `credentials_json`");
    }
    if let Some(provider) = workload_identity_provider {
        return federate(context, &provider, service_account, oidc);
    }
    if let Some((variable, path)) = files.into_iter().next() {
        let place = format!("{variable}={}", path.display());
        let text = tokio::fs::read_to_string(&path).await.map_err(|error| {
            Diagnostic::error(Code::NoCredentials, "the credential file cannot be read")
                .at(place.clone())
                .cause(error.to_string())
                .help("run google-github-actions/auth after actions/checkout, in the same job")
        })?;
        return file::source(context, &text, &place);
    }
    if endpoints.is_local() {
        let url = endpoints.run();
        let missing = no_credentials();
        return Err(Diagnostic {
            help: vec![format!(
                "use those of the local cloud: `eval \"$(ml-deploy emulator --env --cloud-url {url})\"`"
            )],
            ..missing.cause("under a local cloud neither the metadata server nor gcloud is asked")
        });
    }
    let metadata_host = metadata_host.unwrap_or_else(|| "metadata.google.internal".to_owned());
    match Ambient::find(context, metadata_host).await {
        Some(ambient) => Ok(Arc::new(Cached::new(ambient))),
        None => Err(no_credentials()),
    }
}

fn no_credentials() -> Diagnostic {
    Diagnostic::error(
        Code::NoCredentials,
        "no credentials for Google Cloud were found",
    )
    .cause(format!(
        "neither `credentials_json` nor `workload_identity_provider` is given, and none of {} is set",
        FILE_VARIABLES.join(", ")
    ))
    .help("in a workflow: set `workload_identity_provider` and `service_account`, and give the job `permissions: id-token: write`")
    .help("or run google-github-actions/auth in an earlier step of the same job")
    .help("on a terminal: run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS")
}

fn federate(
    context: Context,
    provider: &str,
    service_account: Option<String>,
    oidc: Option<OidcRequest>,
) -> Result<Arc<dyn TokenSource>, Diagnostic> {
    const PLACE: &str = "input `workload_identity_provider`";
    let name = provider
        .trim_start_matches("https:")
        .trim_start_matches("//iam.googleapis.com/")
        .trim_matches('/');
    let parts: Vec<&str> = name.split('/').collect();
    let fits = matches!(
        parts.as_slice(),
        ["projects", project, "locations", _, "workloadIdentityPools", _, "providers", _]
            if project.chars().all(|c| c.is_ascii_digit()) && !project.is_empty()
    );
    if !fits {
        return Err(Diagnostic::error(
            Code::InputInvalid,
            format!("`{provider}` is not the full name of a workload identity provider"),
        )
        .at(PLACE)
        .help("write projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, with the project's number"));
    }
    if let Some(account) = service_account.as_deref().filter(|a| !file::is_account(a)) {
        return Err(Diagnostic::error(
            Code::InputInvalid,
            format!("`{account}` is not the e-mail of a service account"),
        )
        .at("input `service_account`")
        .help("write NAME@PROJECT.iam.gserviceaccount.com"));
    }
    let Some(request) = oidc else {
        return Err(Diagnostic::error(
            Code::NoCredentials,
            "this job may not ask GitHub for an OIDC token",
        )
        .at(PLACE)
        .cause("ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN are not set")
        .help("give the job `permissions: id-token: write` (with `contents: read`)")
        .help(
            "a pull request from a fork gets no such token: deploy from branches and tags only",
        ));
    };
    let token_url = format!("{}/v1/token", context.endpoints.sts());
    Ok(Arc::new(Cached::new(Federation {
        context,
        audience: format!("//iam.googleapis.com/{name}"),
        subject_token_type: "urn:ietf:params:oauth:token-type:jwt".to_owned(),
        subject: SubjectSource::GitHub {
            request,
            audience: format!("https://iam.googleapis.com/{name}"),
        },
        token_url,
        service_account,
        principal: OnceLock::new(),
    })))
}

#[cfg(test)]
#[path = "discover_tests.rs"]
mod tests;
