//! A service account's key: signed assertions → tokens.
//!
//! `gcp_auth` reads the key and signs; the exchange goes through our own transport, which knows the
//! proxy, retries, and tells what the server said.
//!
//! Source: <https://developers.google.com/identity/protocols/oauth2/service-account>.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud_api::token::OAuthToken;
use delivery::diagnostic::{Code, Diagnostic};
use gcp_auth::CustomServiceAccount;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ASSUMED_LIFETIME, Context, Fresh, Minter, SCOPE, jwt};
use crate::gcp::error::GcpError;
use crate::gcp::transport::{Body, Call};

/// Lifetime of an assertion, in seconds. Google allows at most one hour.
const ASSERTION_SECONDS: i64 = 600;

/// A key that can sign.
pub(super) struct ServiceAccountKey {
    context: Context,
    account: CustomServiceAccount,
    email: String,
    key_id: Option<String>,
    token_url: String,
}

#[derive(Deserialize)]
struct IdTokenAnswer {
    id_token: String,
}

impl ServiceAccountKey {
    /// Reads the key; `token_url` is where tokens are made.
    pub(super) fn parse(
        context: Context,
        json: &Value,
        token_url: String,
        place: &str,
    ) -> Result<Self, Diagnostic> {
        let unusable = |why: &str| {
            Diagnostic::error(
                Code::CredentialsRefused,
                "the service account's key cannot be used",
            )
            .at(place)
            .cause(why)
            .help("make a new JSON key, and store the whole file as the secret")
        };
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let email = text("client_email").ok_or_else(|| unusable("it has no `client_email`"))?;
        let pem = text("private_key").ok_or_else(|| unusable("it has no `private_key`"))?;
        context.secret(pem.clone());
        let mut whole = json.clone();
        if let Some(fields) = whole.as_object_mut() {
            fields.insert("token_uri".to_owned(), Value::String(token_url.clone()));
        }
        // Only the fixed words of the error: a parser's message may quote what it read.
        let account = CustomServiceAccount::from_json(&whole.to_string())
            .map_err(|_| unusable("its `private_key` is no PKCS #8 RSA key in PEM form"))?;
        Ok(Self {
            context,
            account,
            email,
            key_id: text("private_key_id").filter(|id| !id.is_empty()),
            token_url,
        })
    }

    fn assertion(&self, extra: (&str, &str)) -> Result<String, Diagnostic> {
        let now = chrono::Utc::now().timestamp();
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.key_id {
            header["kid"] = Value::String(id.clone());
        }
        let mut claims = json!({
            "iss": self.email,
            "sub": self.email,
            "aud": self.token_url,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        });
        claims[extra.0] = Value::String(extra.1.to_owned());
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = self.account.signer().sign(signed.as_bytes()).map_err(|_| {
            Diagnostic::error(
                Code::CredentialsRefused,
                "the service account's key cannot sign",
            )
        })?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    async fn exchange<T: DeserializeOwned>(&self, extra: (&str, &str)) -> Result<T, Diagnostic> {
        let assertion = self.context.secret(self.assertion(extra)?);
        let call = Call::new(Method::POST, self.token_url.as_str())
            .body(Body::form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", assertion.expose()),
            ]))
            .repeatable();
        let answer = self.context.transport.json(call).await;
        answer.map_err(|error: GcpError| {
            let refused = error.http().is_some_and(|http| (400..500).contains(&http));
            let doing = format!("get a token with the key of `{}`", self.email);
            let mut diagnostic = error.into_diagnostic(&doing);
            if refused {
                diagnostic.code = Code::CredentialsRefused;
                diagnostic.help = vec![
                    "check that the key was not deleted or disabled, and that the account exists"
                        .to_owned(),
                    "check this machine's clock: an assertion is good for ten minutes".to_owned(),
                ];
            }
            diagnostic
        })
    }
}

#[async_trait]
impl Minter for ServiceAccountKey {
    async fn access_token(&self) -> Result<Fresh, Diagnostic> {
        let token: OAuthToken = self.exchange(("scope", SCOPE)).await?;
        Ok(Fresh {
            secret: self.context.secret(token.access_token),
            lifetime: token
                .expires_in
                .map_or(ASSUMED_LIFETIME, Duration::from_secs),
        })
    }

    async fn id_token(&self, audience: &str) -> Result<Fresh, Diagnostic> {
        let IdTokenAnswer { id_token } = self.exchange(("target_audience", audience)).await?;
        let lifetime = jwt::lifetime(&id_token).unwrap_or(ASSUMED_LIFETIME);
        Ok(Fresh {
            secret: self.context.secret(id_token),
            lifetime,
        })
    }

    fn describe(&self) -> String {
        format!("{}, with its key", self.email)
    }

    fn member(&self) -> Option<String> {
        Some(format!("serviceAccount:{}", self.email))
    }
}
