//! Endpoints, credentials and clients for one environment.

use std::sync::Arc;

use delivery::diagnostic::Diagnostic;
use delivery::event::EventSink;
use delivery::target::Target;

use super::shell::Shell;
use crate::gcp::api::Api;
use crate::gcp::auth::{self, AuthInputs, TokenSource};
use crate::gcp::endpoint::{Endpoints, RegistryAddress};
use crate::gcp::registry;
use crate::gcp::run::{RunReader, RunWriter};
use crate::gcp::transport::Transport;
use crate::inputs::{EnvironmentInputs, Inputs};

/// Everything to talk to the cloud with, as one identity.
pub(super) struct Session {
    pub(super) transport: Transport,
    pub(super) endpoints: Endpoints,
    pub(super) tokens: Arc<dyn TokenSource>,
}

/// Provider and service account.
type Identity<'a> = (&'a Option<String>, &'a Option<String>);

impl Session {
    /// Finds the credentials. No token is asked for yet: the short-lived ones must not grow old
    /// during a build.
    ///
    /// # Errors
    /// When there are no credentials, or those that are there cannot be used.
    pub(super) async fn open(
        shell: &Shell,
        inputs: &Inputs,
        environment: &EnvironmentInputs,
        sink: Arc<dyn EventSink>,
    ) -> Result<Self, Diagnostic> {
        Self::over(Transport::new(sink)?, shell, inputs, environment).await
    }

    /// A session for each environment, over one pool of connections. Those with the same identity are
    /// one: its tokens are made once.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) async fn open_all<'a>(
        shell: &Shell,
        inputs: &Inputs,
        environments: impl IntoIterator<Item = &'a EnvironmentInputs>,
        sink: Arc<dyn EventSink>,
    ) -> Result<Vec<Arc<Self>>, Diagnostic> {
        let transport = Transport::new(sink)?;
        let mut known: Vec<(Identity<'_>, Arc<Self>)> = Vec::new();
        let mut sessions = Vec::new();
        for environment in environments {
            let identity = (
                &environment.workload_identity_provider,
                &environment.service_account,
            );
            let session = match known.iter().find(|(other, _)| *other == identity) {
                Some((_, session)) => Arc::clone(session),
                None => {
                    let opened = Self::over(transport.clone(), shell, inputs, environment).await?;
                    let opened = Arc::new(opened);
                    known.push((identity, Arc::clone(&opened)));
                    opened
                }
            };
            sessions.push(session);
        }
        Ok(sessions)
    }

    async fn over(
        transport: Transport,
        shell: &Shell,
        inputs: &Inputs,
        environment: &EnvironmentInputs,
    ) -> Result<Self, Diagnostic> {
        let endpoints = Endpoints::choose(inputs.cloud_url.as_deref())?;
        let auth = AuthInputs {
            credentials_json: inputs.credentials_json.clone(),
            workload_identity_provider: environment.workload_identity_provider.clone(),
            service_account: environment.service_account.clone(),
            github_environment: Some(environment.environment.github_environment.clone()),
            ..AuthInputs::from_lookup(&|name| shell.variable(name))
        };
        let tokens =
            auth::discover(auth, &endpoints, &transport, Arc::clone(&shell.masker)).await?;
        Ok(Self {
            transport,
            endpoints,
            tokens,
        })
    }

    /// Reads Cloud Run.
    pub(super) fn reader(&self) -> RunReader {
        RunReader::new(self.api())
    }

    /// Calls with this identity.
    pub(super) fn api(&self) -> Api {
        Api::new(
            self.transport.clone(),
            self.endpoints.clone(),
            Arc::clone(&self.tokens),
        )
    }

    /// Writes one service.
    pub(super) fn writer(&self, target: &Target) -> RunWriter {
        RunWriter::new(self.reader(), target.clone())
    }

    /// A registry client with a fresh token, and the address it talks to.
    ///
    /// # Errors
    /// When the address is none, or there is no token.
    pub(super) async fn registry(
        &self,
        repository: &str,
    ) -> Result<(registry::Client, RegistryAddress), Diagnostic> {
        let mut address = self.endpoints.registry_address(repository)?;
        let token = self.tokens.access_token().await?;
        address.member = self.tokens.member();
        let http = self.transport.client_for(&address.base_url).clone();
        let client = registry::Client::with_http(address.clone(), Some(token), http)?;
        Ok((client.telling(self.transport.sink()), address))
    }
}
