//! One authenticated call: transport and tokens together.

use std::sync::Arc;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::TokenSource;
use super::endpoint::Endpoints;
use super::error::GcpError;
use super::transport::{Body, Call, Transport};

/// What every client of a Google API holds.
#[derive(Clone)]
pub struct Api {
    transport: Transport,
    endpoints: Endpoints,
    tokens: Arc<dyn TokenSource>,
}

impl Api {
    /// Calls are made through `transport`, to `endpoints`, with tokens of `tokens`.
    pub fn new(transport: Transport, endpoints: Endpoints, tokens: Arc<dyn TokenSource>) -> Self {
        Self {
            transport,
            endpoints,
            tokens,
        }
    }

    /// Where the APIs are.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Makes the call with an access token and reads its answer.
    ///
    /// # Errors
    /// [`GcpError`]; no token is [`GcpError::Credentials`].
    pub async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, GcpError> {
        let token = self
            .tokens
            .access_token()
            .await
            .map_err(|diagnostic| GcpError::Credentials(Box::new(diagnostic)))?;
        let answer = self.transport.json(call.bearer(token)).await;
        answer.map_err(|error: GcpError| error.of_caller(self.member()))
    }

    /// Whether an address answers at all, and not with 404. Sent once, and without a token: the
    /// address may be anybody's.
    pub async fn reaches(&self, call: Call) -> bool {
        match self.transport.once_only(call).await {
            Ok(_) => true,
            Err(error) => error.http().is_some_and(|status| status != 404),
        }
    }

    /// Says something that does not end the run.
    pub fn note(&self, text: String) {
        self.transport.note(text);
    }

    /// Who calls, as IAM policies name it, where that is known.
    pub fn member(&self) -> Option<String> {
        self.tokens.member()
    }

    /// A read.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn get<T: DeserializeOwned>(
        &self,
        url: String,
        query: Vec<(&'static str, String)>,
    ) -> Result<T, GcpError> {
        self.call(Call::new(Method::GET, url).query(query)).await
    }

    /// A POST that changes nothing, or that may be repeated.
    ///
    /// # Errors
    /// [`GcpError`].
    pub async fn ask<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        url: String,
        body: &B,
    ) -> Result<T, GcpError> {
        let call = Call::new(Method::POST, url).body(Body::json(body)?);
        self.call(call.repeatable()).await
    }
}
