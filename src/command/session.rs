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
        let endpoints = Endpoints::choose(inputs.cloud_url.as_deref())?;
        let transport = Transport::new(sink)?;
        let auth = AuthInputs {
            credentials_json: inputs.credentials_json.clone(),
            workload_identity_provider: environment.workload_identity_provider.clone(),
            service_account: environment.service_account.clone(),
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
        Ok((client, address))
    }
}
