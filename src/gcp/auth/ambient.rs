//! What the machine has: the metadata server or the gcloud command, through `gcp_auth`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use delivery::diagnostic::{Code, Diagnostic};
use gcp_auth::{GCloudAuthorizedUser, MetadataServiceAccount, TokenProvider};
use reqwest::Method;

use super::{ASSUMED_LIFETIME, Context, Fresh, Minter, SCOPE, jwt, no_id_token};
use crate::gcp::transport::Call;
use crate::secret::Secret;

/// Longest time that the metadata server is waited for: outside Google nobody answers.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// Which of the two it is.
enum Kind {
    Metadata { host: String },
    Gcloud,
}

/// The machine's own identity.
pub(super) struct Ambient {
    context: Context,
    provider: Arc<dyn TokenProvider>,
    kind: Kind,
}

impl Ambient {
    /// Asks the metadata server first, then gcloud; `None` when neither is there.
    pub(super) async fn find(context: Context, metadata_host: String) -> Option<Self> {
        let metadata = tokio::time::timeout(METADATA_TIMEOUT, MetadataServiceAccount::new()).await;
        if let Ok(Ok(provider)) = metadata {
            return Some(Self {
                context,
                provider: Arc::new(provider),
                kind: Kind::Metadata {
                    host: metadata_host,
                },
            });
        }
        let provider = GCloudAuthorizedUser::new().await.ok()?;
        Some(Self {
            context,
            provider: Arc::new(provider),
            kind: Kind::Gcloud,
        })
    }
}

#[async_trait]
impl Minter for Ambient {
    async fn access_token(&self) -> Result<Fresh, Diagnostic> {
        let token = self.provider.token(&[SCOPE]).await.map_err(|error| {
            let mut diagnostic = Diagnostic::error(
                Code::CredentialsRefused,
                format!("no token can be made as {}", self.describe()),
            );
            diagnostic.cause.extend(crate::gcp::error::chain(&error));
            diagnostic
        })?;
        let lifetime = (token.expires_at() - chrono::Utc::now())
            .to_std()
            .unwrap_or(Duration::ZERO);
        Ok(Fresh {
            secret: self.context.secret(token.as_str()),
            lifetime,
        })
    }

    async fn id_token(&self, audience: &str) -> Result<Fresh, Diagnostic> {
        let Kind::Metadata { host } = &self.kind else {
            return Err(no_id_token(
                &self.describe(),
                "a person's credentials make no ID token for a chosen audience",
            ));
        };
        let url =
            format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/identity");
        let call = Call::new(Method::GET, url)
            .query(vec![
                ("audience", audience.to_owned()),
                ("format", "full".to_owned()),
            ])
            .header("metadata-flavor", Secret::new("Google"));
        let answer = self.context.transport.bytes(call).await;
        let bytes =
            answer.map_err(|error| error.into_diagnostic("get an ID token of this machine"))?;
        let token = String::from_utf8_lossy(&bytes).trim().to_owned();
        let lifetime = jwt::lifetime(&token).unwrap_or(ASSUMED_LIFETIME);
        Ok(Fresh {
            secret: self.context.secret(token),
            lifetime,
        })
    }

    fn describe(&self) -> String {
        match self.kind {
            Kind::Metadata { .. } => "this machine's service account".to_owned(),
            Kind::Gcloud => "the account of the gcloud command".to_owned(),
        }
    }
}
