//! Workload identity federation: a token of somebody else → Security Token Service → (mostly) a
//! service account.
//!
//! Source: <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>,
//! <https://cloud.google.com/iam/docs/reference/credentials/rest>.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use cloud_api::token::{
    GenerateAccessTokenRequest, GenerateAccessTokenResponse, GenerateIdTokenRequest,
    GenerateIdTokenResponse, OAuthToken, StsExchangeRequest,
};
use delivery::diagnostic::{Code, Diagnostic};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::oidc::{self, Claims, OidcRequest};
use super::{ASSUMED_LIFETIME, Context, Fresh, Minter, SCOPE, jwt, no_id_token};
use crate::gcp::error::{Failure, GcpError};
use crate::gcp::transport::{Body, Call};
use crate::secret::Secret;

/// Where the token to exchange comes from.
pub(super) enum SubjectSource {
    /// GitHub's OIDC endpoint, asked directly.
    GitHub {
        request: OidcRequest,
        audience: String,
    },
    /// A URL that is read with these headers.
    Url {
        url: String,
        headers: Vec<(String, Secret)>,
        field: Option<String>,
    },
    /// A file that somebody else renews.
    File {
        path: PathBuf,
        field: Option<String>,
    },
}

/// A federated identity.
pub(super) struct Federation {
    pub(super) context: Context,
    /// Audience of the exchange: `//iam.googleapis.com/projects/N/…/providers/P`.
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) subject: SubjectSource,
    /// Where the exchange is.
    pub(super) token_url: String,
    /// The account that is acted as; without one the federated principal acts itself.
    pub(super) service_account: Option<String>,
    /// The principal of the last exchange, as policies name it.
    pub(super) principal: OnceLock<String>,
}

impl Federation {
    async fn subject_token(&self) -> Result<Secret, Diagnostic> {
        let failed = |what: &str, why: String| {
            Diagnostic::error(
                Code::CredentialsRefused,
                format!("the token to exchange cannot be read from {what}"),
            )
            .cause(why)
            .help("give the job `permissions: id-token: write`, and run google-github-actions/auth in the same job")
        };
        let (what, text, field) = match &self.subject {
            SubjectSource::GitHub { request, audience } => {
                let token = oidc::fetch(&self.context.transport, request, audience).await?;
                self.context.masker.mask(&token);
                return Ok(token);
            }
            SubjectSource::Url {
                url,
                headers,
                field,
            } => {
                let what = "the URL in the credential file";
                let call = headers.iter().fold(
                    Call::new(Method::GET, url.as_str()),
                    |call, (name, value)| call.header(name.as_str(), value.clone()),
                );
                let bytes = self.context.transport.bytes(call).await;
                let bytes = bytes.map_err(|error| match error {
                    // A local cloud's file: the job's permissions are not the matter.
                    GcpError::Unanswered {
                        failure: Failure::NobodyListens,
                        ..
                    } => error.into_diagnostic("get the token to exchange"),
                    _ => failed(what, error.to_string()),
                })?;
                (what.to_owned(), bytes, field)
            }
            SubjectSource::File { path, field } => {
                let what = format!("`{}`", path.display());
                let bytes = tokio::fs::read(path).await;
                let bytes = bytes.map_err(|error| failed(&what, error.to_string()))?;
                (what, bytes, field)
            }
        };
        let token = match field {
            None => String::from_utf8_lossy(&text).trim().to_owned(),
            // The parser's own message would quote the text, which is secret.
            Some(field) => serde_json::from_slice::<Value>(&text)
                .ok()
                .and_then(|json| json.get(field)?.as_str().map(str::to_owned))
                .ok_or_else(|| failed(&what, format!("it has no text field `{field}`")))?,
        };
        Ok(self.context.secret(token))
    }

    async fn federated(&self) -> Result<Fresh, Diagnostic> {
        let subject = self.subject_token().await?;
        let request = StsExchangeRequest {
            audience: self.audience.clone(),
            grant_type: "urn:ietf:params:oauth:grant-type:token-exchange".to_owned(),
            requested_token_type: "urn:ietf:params:oauth:token-type:access_token".to_owned(),
            scope: SCOPE.to_owned(),
            subject_token_type: self.subject_token_type.clone(),
            subject_token: subject.expose().to_owned(),
        };
        let exchanged: Result<OAuthToken, GcpError> =
            self.post(self.token_url.clone(), &request, None).await;
        let token = exchanged.map_err(|error| self.exchange_refused(error, &subject))?;
        if let Ok(claims) = oidc::claims(&subject) {
            // Set once: each job has one identity.
            let _ = self.principal.set(principal(&self.audience, &claims));
        }
        Ok(Fresh {
            secret: self.context.secret(token.access_token),
            lifetime: token
                .expires_in
                .map_or(ASSUMED_LIFETIME, Duration::from_secs),
        })
    }

    async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        url: String,
        body: &B,
        bearer: Option<Secret>,
    ) -> Result<T, GcpError> {
        let mut call = Call::new(Method::POST, url).body(Body::json(body)?);
        if let Some(token) = bearer {
            call = call.bearer(token);
        }
        // Making a token twice does no harm.
        self.context.transport.json(call.repeatable()).await
    }

    /// Why the exchange was refused, told by what the token really claims.
    fn exchange_refused(&self, error: GcpError, subject: &Secret) -> Diagnostic {
        let was_refused = error.http().is_some_and(|http| (400..500).contains(&http));
        let refusal = error.refusal().cloned().unwrap_or_default();
        let mut diagnostic = error.into_diagnostic("exchange the OIDC token for a Google token");
        // That an API is off is explained already.
        if !was_refused || refusal.is_disabled() {
            return diagnostic;
        }
        diagnostic.code = Code::CredentialsRefused;
        let claims = oidc::claims(subject).ok();
        if let Some(claims) = &claims {
            diagnostic = diagnostic.cause(format!("the token claims {}", claims.describe()));
        }
        diagnostic.help = exchange_help(&self.audience, &refusal.message, claims.as_ref());
        diagnostic
            .cause(format!("the provider is `{}`", self.audience))
            .help("check number of the project, pool and provider in input `workload_identity_provider`")
    }

    /// Who is to act as the account, whoever runs this job: a job of another GitHub environment that is
    /// refused must not be let in as it asks.
    fn member(&self) -> Option<String> {
        let environment = self.context.github_environment.as_deref()?;
        Some(jobs_of(&self.audience, environment))
    }

    async fn impersonate<B: Serialize, T: DeserializeOwned>(
        &self,
        account: &str,
        method: &str,
        body: &B,
    ) -> Result<T, Diagnostic> {
        let federated = self.federated().await?;
        let base = self.context.endpoints.iam_credentials();
        let url = format!("{base}/v1/projects/-/serviceAccounts/{account}:{method}");
        let answer = self.post(url, body, Some(federated.secret)).await;
        answer.map_err(|error: GcpError| {
            let was_refused = matches!(error.http(), Some(403 | 404));
            let refusal = error.refusal().cloned().unwrap_or_default();
            let caller = self.principal.get().cloned();
            let mut diagnostic = error
                .of_caller(caller.clone())
                .into_diagnostic(&format!("act as `{account}`"));
            if let (Some(caller), Some(member)) = (caller, self.member()) {
                for line in &mut diagnostic.help {
                    *line = line.replace(&caller, &member);
                }
            }
            if !was_refused || refusal.is_disabled() {
                return diagnostic;
            }
            diagnostic.code = Code::CredentialsRefused;
            diagnostic.help("the member is the environment's set of the pool; the attribute must be mapped by the provider")
        })
    }
}

/// The jobs of a GitHub environment, as a binding names them.
fn jobs_of(audience: &str, environment: &str) -> String {
    let pool = pool(audience).trim_start_matches("//");
    format!("principalSet://{pool}/attribute.environment/{environment}")
}

/// The pool's part of a provider's name.
fn pool(audience: &str) -> &str {
    audience
        .split_once("/providers/")
        .map_or(audience, |(pool, _)| pool)
}

/// The set of principals that a job belongs to, as a binding names it: that of its GitHub environment,
/// else that of its repository.
fn principal(audience: &str, claims: &Claims) -> String {
    let pool = pool(audience).trim_start_matches("//");
    match (&claims.environment, &claims.repository_id) {
        (Some(environment), _) => jobs_of(audience, environment),
        (None, Some(id)) => format!("principalSet://{pool}/attribute.repository_id/{id}"),
        (None, None) => format!("principal://{pool}/subject/{}", claims.sub),
    }
}

/// What to change at the provider, so that it takes the token.
fn exchange_help(audience: &str, text: &str, claims: Option<&Claims>) -> Vec<String> {
    let parts: Vec<&str> = audience.split('/').collect();
    let after = |name: &str| {
        let at = parts.iter().position(|part| *part == name);
        at.and_then(|at| parts.get(at + 1))
            .copied()
            .unwrap_or_default()
    };
    let update = format!(
        "gcloud iam workload-identity-pools providers update-oidc {} --project={} --location=global --workload-identity-pool={}",
        after("providers"),
        after("projects"),
        after("workloadIdentityPools")
    );
    let mut help = Vec::new();
    if text.contains("audience in ID Token") {
        let name = audience.trim_start_matches("//iam.googleapis.com/");
        help.push(format!(
            "let the provider take its own name as the audience: `{update} --allowed-audiences=https://iam.googleapis.com/{name}`"
        ));
    } else if text.contains("attribute condition")
        && let Some(id) = claims.and_then(|claims| claims.repository_id.as_deref())
    {
        help.push(format!(
            "if this repository is to be let in: `{update} --attribute-condition=\"assertion.repository_id=='{id}'\"`"
        ));
    }
    help.push("compare these claims with the provider's attribute condition: a job without `environment:` has no environment claim, and `sub` has other forms in newer repositories, so the condition is best on repository_id and environment".to_owned());
    help
}

#[async_trait]
impl Minter for Federation {
    async fn access_token(&self) -> Result<Fresh, Diagnostic> {
        let Some(account) = &self.service_account else {
            return self.federated().await;
        };
        let request = GenerateAccessTokenRequest {
            scope: vec![SCOPE.to_owned()],
            lifetime: Some("3600s".to_owned()),
            delegates: Vec::new(),
        };
        let GenerateAccessTokenResponse {
            access_token,
            expire_time,
        } = self
            .impersonate(account, "generateAccessToken", &request)
            .await?;
        let lifetime = chrono::DateTime::parse_from_rfc3339(&expire_time)
            .ok()
            .and_then(|end| (end.to_utc() - chrono::Utc::now()).to_std().ok())
            .unwrap_or(ASSUMED_LIFETIME);
        Ok(Fresh {
            secret: self.context.secret(access_token),
            lifetime,
        })
    }

    async fn id_token(&self, audience: &str) -> Result<Fresh, Diagnostic> {
        let Some(account) = &self.service_account else {
            return Err(no_id_token(
                &self.describe(),
                "a federated principal without a service account has no ID tokens",
            ));
        };
        let request = GenerateIdTokenRequest {
            audience: audience.to_owned(),
            include_email: true,
            delegates: Vec::new(),
        };
        let GenerateIdTokenResponse { token } = self
            .impersonate(account, "generateIdToken", &request)
            .await?;
        let lifetime = jwt::lifetime(&token).unwrap_or(ASSUMED_LIFETIME);
        Ok(Fresh {
            secret: self.context.secret(token),
            lifetime,
        })
    }

    fn describe(&self) -> String {
        match &self.service_account {
            Some(account) => format!("{account}, through workload identity federation"),
            None => format!("a principal of {}", pool(&self.audience)),
        }
    }

    fn member(&self) -> Option<String> {
        match &self.service_account {
            Some(account) => Some(format!("serviceAccount:{account}")),
            None => self.principal.get().cloned(),
        }
    }
}
