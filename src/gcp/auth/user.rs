//! A person's refresh token, as `gcloud auth application-default login` writes it.
//!
//! `gcp_auth` reads such a file from one fixed place only; this takes it from any path.

use std::time::Duration;

use async_trait::async_trait;
use cloud_api::token::OAuthToken;
use delivery::diagnostic::{Code, Diagnostic};
use reqwest::Method;

use super::{ASSUMED_LIFETIME, Context, Fresh, Minter, no_id_token};
use crate::gcp::error::GcpError;
use crate::gcp::transport::{Body, Call};
use crate::secret::Secret;

/// A person.
pub(super) struct AuthorizedUser {
    pub(super) context: Context,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) refresh_token: Secret,
}

#[async_trait]
impl Minter for AuthorizedUser {
    async fn access_token(&self) -> Result<Fresh, Diagnostic> {
        let call = Call::new(
            Method::POST,
            format!("{}/token", self.context.endpoints.oauth()),
        )
        .body(Body::form(&[
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose()),
            ("refresh_token", self.refresh_token.expose()),
        ]))
        .repeatable();
        let answer: Result<OAuthToken, GcpError> = self.context.transport.json(call).await;
        let token = answer.map_err(|error| {
            let refused = error.http().is_some_and(|http| (400..500).contains(&http));
            let mut diagnostic = error.into_diagnostic("refresh the user's token");
            if refused {
                diagnostic.code = Code::CredentialsRefused;
                diagnostic.help =
                    vec!["run `gcloud auth application-default login` again".to_owned()];
            }
            diagnostic
        })?;
        Ok(Fresh {
            secret: self.context.secret(token.access_token),
            lifetime: token
                .expires_in
                .map_or(ASSUMED_LIFETIME, Duration::from_secs),
        })
    }

    async fn id_token(&self, _audience: &str) -> Result<Fresh, Diagnostic> {
        Err(no_id_token(
            &self.describe(),
            "a person's credentials make no ID token for a chosen audience",
        ))
    }

    fn describe(&self) -> String {
        "a person, through application default credentials".to_owned()
    }
}

/// Used by the file reader when a field is missing.
pub(super) fn incomplete(place: &str, field: &str) -> Diagnostic {
    Diagnostic::error(
        Code::CredentialsRefused,
        "the user's credential file cannot be used",
    )
    .at(place)
    .cause(format!("it has no `{field}`"))
    .help("run `gcloud auth application-default login` again")
}
