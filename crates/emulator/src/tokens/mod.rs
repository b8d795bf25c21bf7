//! Token services: GitHub OIDC, Security Token Service, IAM Credentials, OAuth token endpoint.

mod account;
mod github_oidc;
mod grant;
mod iam;
mod id_token;
mod jwt;
mod keys;
mod oauth;
mod problem;
mod public_key;
mod sts;

use std::sync::Arc;

use axum::extract::State as WorldState;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

pub use account::{Condition, Provider, ServiceAccount};
pub use grant::Caller;
pub(crate) use grant::RegistryHolder;
pub use id_token::IdTokenProblem;
pub use keys::KeyError;
pub(crate) use keys::random_bytes;
pub use public_key::PublicKeyError;

use grant::Grants;
use keys::SigningKey;

use crate::admin::Clock;
use crate::error::ApiError;
use crate::server::StartError;
use crate::storage::{Changes, Keep, Kept, KeptGuard, Storage, Table};
use crate::world::{Config, World};

/// How long an access token lives when nobody asks for another time.
const ACCESS_TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(1);

/// The text of Google's answer to a missing, unknown or expired access token.
const UNAUTHENTICATED: &str = "Request had invalid authentication credentials. Expected OAuth 2 \
     access token, login cookie or other valid authentication credential. See \
     https://developers.google.com/identity/sign-in/web/devconsole-project.";

/// The name is none of a workload identity provider.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "a provider's name is projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/\
     PROVIDER, not \"{0}\""
)]
pub struct ProviderNameError(pub String);

/// Issuers, keys, identities.
pub struct Tokens {
    clock: Clock,
    /// `http://ADDRESS:PORT`, where the issuers are.
    base: String,
    /// Signs Google's ID tokens.
    google: SigningKey,
    /// Signs GitHub's tokens.
    github: SigningKey,
    state: Kept<State>,
}

/// What changes.
struct State {
    grants: Grants<Caller>,
    registry: Grants<RegistryHolder>,
    accounts: Table<String, ServiceAccount>,
    providers: Table<String, Provider>,
    /// Signing keys by name, see [`SigningKey::obtain`].
    keys: Table<String, String>,
}

impl Keep for State {
    fn keep(&mut self, changes: &mut Changes) {
        let Self {
            grants,
            registry,
            accounts,
            providers,
            keys,
        } = self;
        grants.keep(changes);
        registry.keep(changes);
        accounts.keep(changes);
        providers.keep(changes);
        keys.keep(changes);
    }
}

impl Tokens {
    /// The keys and identities that were kept; fresh keys where there are none.
    ///
    /// # Errors
    /// When the system has no randomness to give, or what was kept cannot be read.
    pub(crate) fn new(
        config: &Config,
        storage: &Storage,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let grants = storage.table("tokens.access")?;
        let registry = storage.table("tokens.registry")?;
        let state = Kept::new(
            storage,
            State {
                grants: Grants::new(keys::random_bytes()?, grants),
                registry: Grants::new(keys::random_bytes()?, registry),
                accounts: storage.table("tokens.accounts")?,
                providers: storage.table("tokens.providers")?,
                keys: storage.table("tokens.keys")?,
            },
        );
        let obtain = |name| SigningKey::obtain(&mut state.lock().keys, name);
        Ok(Self {
            clock,
            base: format!("http://{}", config.listen),
            google: obtain("google")?,
            github: obtain("github")?,
            state,
        })
    }

    /// Who calls, from `Authorization: Bearer <access token>`.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the token is missing, unknown or expired.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let token = bearer(headers).filter(|token| !token.is_empty());
        token
            .and_then(|token| self.access_token(token))
            .ok_or_else(|| ApiError::new("UNAUTHENTICATED", UNAUTHENTICATED))
    }

    /// Who an access token stands for, unless it is unknown or has expired.
    pub fn access_token(&self, token: &str) -> Option<Caller> {
        self.lock().grants.find(token, self.clock.now())
    }

    /// An access token of a service account, for tests and `ml-deploy emulator --env`; no proof is
    /// asked for.
    pub fn issue_local(&self, email: &str) -> String {
        self.issue_local_for(email, ACCESS_TOKEN_LIFETIME)
    }

    /// The same with another lifetime.
    pub fn issue_local_for(&self, email: &str, lifetime: TimeDelta) -> String {
        self.issue(email, self.clock.now() + lifetime)
    }

    /// Registers a service account, or replaces it.
    ///
    /// # Errors
    /// [`PublicKeyError`] when its key is none.
    pub fn register_account(&self, account: ServiceAccount) -> Result<(), PublicKeyError> {
        account.public_key()?;
        self.lock().accounts.insert(account.email.clone(), account);
        Ok(())
    }

    /// Registers a workload identity provider, or replaces it. From then on providers that are not
    /// registered do not exist.
    ///
    /// # Errors
    /// [`ProviderNameError`] when the name is none of a provider.
    pub fn register_provider(&self, provider: Provider) -> Result<(), ProviderNameError> {
        if !sts::is_provider_name(&provider.name) {
            return Err(ProviderNameError(provider.name));
        }
        self.lock()
            .providers
            .insert(provider.name.clone(), provider);
        Ok(())
    }

    /// Forgets registered accounts and providers. Keys and tokens stay, so that who holds a token
    /// can go on.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.accounts.clear();
        state.providers.clear();
    }

    fn account(&self, email: &str) -> Option<ServiceAccount> {
        self.lock().accounts.get(email).cloned()
    }

    /// Who an ID token stands for when it is shown to the service whose audience (its base URI) is
    /// given.
    ///
    /// # Errors
    /// [`IdTokenProblem`] says what is wrong with it.
    pub fn verify_id_token(&self, token: &str, audience: &str) -> Result<Caller, IdTokenProblem> {
        id_token::verify(&self.google, token, audience, self.clock.now())
    }

    /// A token that only the registry takes, and when it ends: with the access token it was made
    /// from.
    pub(crate) fn issue_registry(&self, holder: RegistryHolder) -> (String, DateTime<Utc>) {
        let expires = match &holder {
            RegistryHolder::Known(caller) => caller.expires,
            RegistryHolder::Anonymous => self.clock.now() + ACCESS_TOKEN_LIFETIME,
        };
        let mut state = self.lock();
        state.registry.sweep(self.clock.now());
        (state.registry.issue("", holder, expires), expires)
    }

    /// Who holds a registry token, unless it is unknown or has expired.
    pub(crate) fn registry_token(&self, token: &str) -> Option<RegistryHolder> {
        self.lock().registry.find(token, self.clock.now())
    }

    /// Who called, for the request log: the holder of any token of this world in the headers.
    pub(crate) fn known_caller(&self, headers: &HeaderMap) -> Option<String> {
        let token = match bearer(headers) {
            Some(token) => token.to_owned(),
            None => basic(headers)?.1,
        };
        if let Some(RegistryHolder::Known(caller)) = self.registry_token(&token) {
            return Some(caller.email);
        }
        Some(self.access_token(&token)?.email)
    }

    fn lock(&self) -> KeptGuard<'_, State> {
        self.state.lock()
    }
}

/// The credential of `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    credential(headers, "Bearer")
}

/// User name and password of `Authorization: Basic`.
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let decoded = STANDARD.decode(credential(headers, "Basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn credential<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (given, credential) = value.split_once(' ')?;
    given
        .eq_ignore_ascii_case(scheme)
        .then(|| credential.trim())
}

/// The routes of this part.
pub fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/_github/oidc", get(github_oidc::token))
        .route(
            "/_github/oidc/.well-known/openid-configuration",
            get(github_oidc::discovery),
        )
        .route("/_github/oidc/.well-known/jwks", get(github_oidc::keys))
        .route("/v1/token", post(sts::exchange))
        .route(
            "/v1/projects/{project}/serviceAccounts/{call}",
            post(iam::call),
        )
        .route("/token", post(oauth::token))
        .route("/oauth2/v3/certs", get(google_keys))
}

/// The keys that Google's ID tokens are verified with.
async fn google_keys(WorldState(world): WorldState<Arc<World>>) -> Json<Value> {
    Json(world.tokens.google.key_set())
}
