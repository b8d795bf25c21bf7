//! GitHub's OIDC tokens.
//!
//! Source: <https://docs.github.com/en/actions/reference/security/oidc>.

use cloud_api::token::GitHubOidcToken;
use delivery::diagnostic::{Code, Diagnostic};
use reqwest::{Method, Url};
use serde_json::Value;

use super::jwt;
use crate::gcp::error::{Failure, GcpError};
use crate::gcp::transport::{Call, Transport};
use crate::secret::Secret;

/// Where an OIDC token is asked for, and with what.
#[derive(Debug, Clone)]
pub struct OidcRequest {
    /// `ACTIONS_ID_TOKEN_REQUEST_URL`; it has a query already.
    pub url: String,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    pub token: Secret,
}

impl OidcRequest {
    /// From the two variables; `None` when either is absent, as without `id-token: write`.
    pub fn from_lookup(lookup: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let read = |name: &str| lookup(name).filter(|text| !text.is_empty());
        Some(Self {
            url: read("ACTIONS_ID_TOKEN_REQUEST_URL")?,
            token: Secret::new(read("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?),
        })
    }
}

/// What such a token says about the job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// `repo:O/R:environment:E` and other forms; never parsed.
    pub sub: String,
    /// Number of the repository, which survives a rename.
    pub repository_id: Option<String>,
    /// The repository.
    pub repository: Option<String>,
    /// The job's GitHub environment.
    pub environment: Option<String>,
    /// The full ref.
    pub git_ref: Option<String>,
    /// `public`, `private` or `internal`.
    pub visibility: Option<String>,
}

/// Asks for a token for this audience.
///
/// # Errors
/// [`Code::CredentialsRefused`] when GitHub refuses or does not answer.
pub async fn fetch(
    transport: &Transport,
    request: &OidcRequest,
    audience: &str,
) -> Result<Secret, Diagnostic> {
    let failed = |why: String| {
        Diagnostic::error(
            Code::CredentialsRefused,
            "GitHub gave no OIDC token for this job",
        )
        .cause(why)
        .help("give the job `permissions: id-token: write`")
    };
    let mut url = Url::parse(&request.url)
        .map_err(|error| failed(format!("ACTIONS_ID_TOKEN_REQUEST_URL: {error}")))?;
    url.query_pairs_mut().append_pair("audience", audience);
    let call = Call::new(Method::GET, url).bearer(request.token.clone());
    let answer: GitHubOidcToken = transport.json(call).await.map_err(|error| match error {
        // A local cloud that plays GitHub as well: the job's permissions are not the matter.
        GcpError::Unanswered {
            failure: Failure::NobodyListens,
            ..
        } => error.into_diagnostic("get an OIDC token for this job"),
        _ => failed(error.to_string()),
    })?;
    Ok(Secret::new(answer.value))
}

/// What the token claims; not verified, for explanations only.
///
/// # Errors
/// [`Code::CredentialsRefused`] when it is no JWT.
pub fn claims(token: &Secret) -> Result<Claims, Diagnostic> {
    let Some(claims) = jwt::claims(token.expose()) else {
        return Err(Diagnostic::error(
            Code::CredentialsRefused,
            "the OIDC token is not a JSON web token",
        ));
    };
    let text = |key: &str| claims.get(key).and_then(Value::as_str).map(str::to_owned);
    Ok(Claims {
        sub: text("sub").unwrap_or_default(),
        repository_id: text("repository_id"),
        repository: text("repository"),
        environment: text("environment"),
        git_ref: text("ref"),
        visibility: text("repository_visibility"),
    })
}

impl Claims {
    /// The claims that a provider's condition usually looks at, in one line.
    pub fn describe(&self) -> String {
        let Self {
            sub,
            repository_id,
            repository,
            environment,
            git_ref,
            visibility: _,
        } = self;
        let mut text = format!("sub=`{sub}`");
        for (name, value) in [
            ("repository", repository),
            ("repository_id", repository_id),
            ("environment", environment),
            ("ref", git_ref),
        ] {
            let value = value.as_deref().unwrap_or("(none)");
            text.push_str(&format!(", {name}=`{value}`"));
        }
        text
    }
}
