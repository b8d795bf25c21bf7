//! Credentials → access tokens and ID tokens.
//!
//! | module | for |
//! |---|---|
//! | [`discover`](discover()) | which credentials there are, in which order they count |
//! | `cache` | one token until near its end, masked before anything else |
//! | [`oidc`] | GitHub's OIDC tokens and what they claim |
//! | `federation` | an OIDC token → Security Token Service → service account |
//! | `key` | a service account's key |
//! | `user` | a person's refresh token |
//! | `ambient` | the metadata server and the gcloud command, through `gcp_auth` |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use delivery::diagnostic::{Code, Diagnostic};

use super::endpoint::Endpoints;
use super::transport::Transport;
use crate::secret::{Masker, Secret};

mod ambient;
mod cache;
mod discover;
mod federation;
mod file;
mod jwt;
mod key;
pub mod oidc;
mod user;

pub use discover::{AuthInputs, discover};

/// What tokens are asked for: everything that the identity's roles allow.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Lifetime of a token whose answer does not say: shorter than any of Google's.
const ASSUMED_LIFETIME: Duration = Duration::from_secs(600);

/// Gives tokens. Cheap to ask: a token is kept until 60 s before its end.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// For Google's APIs.
    ///
    /// # Errors
    /// A [`Diagnostic`] with the way out.
    async fn access_token(&self) -> Result<Secret, Diagnostic>;

    /// For a private service; the audience is its base URI, also for the address of a tag.
    ///
    /// # Errors
    /// [`Code::IdTokenUnavailable`] where the credentials cannot make one.
    async fn id_token(&self, audience: &str) -> Result<Secret, Diagnostic>;

    /// Who calls, in words and without a secret.
    fn describe(&self) -> String;

    /// Who calls, as IAM policies name it, such as `serviceAccount:EMAIL`; `None` where that is not
    /// known.
    fn member(&self) -> Option<String> {
        None
    }
}

/// A token that was just made.
struct Fresh {
    secret: Secret,
    lifetime: Duration,
}

/// Makes tokens anew each time it is asked.
#[async_trait]
trait Minter: Send + Sync {
    async fn access_token(&self) -> Result<Fresh, Diagnostic>;
    async fn id_token(&self, audience: &str) -> Result<Fresh, Diagnostic>;
    fn describe(&self) -> String;
    fn member(&self) -> Option<String> {
        None
    }
}

/// What every minter works with.
#[derive(Clone)]
struct Context {
    transport: Transport,
    endpoints: Endpoints,
    masker: Arc<dyn Masker>,
    /// The GitHub environment whose jobs are to act as the account.
    github_environment: Option<String>,
}

impl Context {
    /// Text that came to be just now and must not be shown.
    fn secret(&self, text: impl Into<Arc<str>>) -> Secret {
        let secret = Secret::new(text);
        if !secret.expose().is_empty() {
            self.masker.mask(&secret);
        }
        secret
    }
}

/// The credentials make access tokens only.
fn no_id_token(who: &str, why: &str) -> Diagnostic {
    Diagnostic::error(
        Code::IdTokenUnavailable,
        format!("no ID token can be made as {who}"),
    )
    .cause(why)
    .help("private services are tested with an ID token: use a service account (input `service_account` together with `workload_identity_provider`, or its key), with roles/run.invoker on the service")
}
