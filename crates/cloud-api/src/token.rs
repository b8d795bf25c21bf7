//! Token services: GitHub's OIDC endpoint, Security Token Service, IAM Credentials.

use serde::{Deserialize, Serialize};

/// What GitHub's OIDC endpoint (`ACTIONS_ID_TOKEN_REQUEST_URL`) answers.
#[derive(Clone, Serialize, Deserialize)]
pub struct GitHubOidcToken {
    /// The JWT.
    pub value: String,
}

/// `POST https://sts.googleapis.com/v1/token`, JSON form (camelCase).
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StsExchangeRequest {
    /// `//iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
    pub audience: String,
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    pub grant_type: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    pub requested_token_type: String,
    /// Space-separated OAuth scopes.
    pub scope: String,
    /// `urn:ietf:params:oauth:token-type:jwt`.
    pub subject_token_type: String,
    /// The JWT to exchange.
    pub subject_token: String,
}

/// The answer of the Security Token Service and of the OAuth token endpoint (snake_case).
#[derive(Clone, Serialize, Deserialize)]
pub struct OAuthToken {
    /// The token, up to 12 KiB.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds; may be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// Set by the Security Token Service only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<String>,
}

/// The OAuth error form (RFC 6749 section 5.2), used by both token endpoints.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OAuthError {
    /// Code such as `invalid_grant`.
    pub error: String,
    /// Text for the developer.
    #[serde(default)]
    pub error_description: String,
}

/// `…/serviceAccounts/EMAIL:generateAccessToken`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GenerateAccessTokenRequest {
    /// OAuth scopes.
    pub scope: Vec<String>,
    /// Seconds with an `s`, at most `3600s` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<String>,
    /// Chain of delegates; empty here.
    #[serde(default)]
    pub delegates: Vec<String>,
}

/// The answer of `:generateAccessToken`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateAccessTokenResponse {
    /// The token.
    pub access_token: String,
    /// RFC 3339.
    pub expire_time: String,
}

/// `…/serviceAccounts/EMAIL:generateIdToken`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerateIdTokenRequest {
    /// Who the token is for: for Cloud Run the service's base URI.
    pub audience: String,
    /// Adds the `email` claim.
    #[serde(default)]
    pub include_email: bool,
    /// Chain of delegates; empty here.
    #[serde(default)]
    pub delegates: Vec<String>,
}

/// The answer of `:generateIdToken`.
#[derive(Clone, Serialize, Deserialize)]
pub struct GenerateIdTokenResponse {
    /// The JWT.
    pub token: String,
}
