//! What the tests of the local cloud's edges share: a world on a free port and a client for it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::sync::{LazyLock, Once};

use emulator::runtime::ScriptedRuntime;
use emulator::{Config, Emulator};
use rsa::PrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use serde_json::Value;

/// An RSA key pair in PEM, made for this run: (private in PKCS #8, public).
pub static KEY_PAIR: LazyLock<(String, String)> = LazyLock::new(|| {
    let private = PrivateKey::new(&mut rand::rng(), 2048).expect("a key of 2048 bits");
    let pem = private
        .to_pkcs8_pem(LineEnding::LF)
        .expect("a key in PKCS #8");
    let public = private
        .to_public_key()
        .to_public_key_pem(LineEnding::LF)
        .expect("a public key in PEM");
    (pem.to_string(), public)
});

/// A running world and a client for it.
pub struct Local {
    pub emulator: Emulator,
    pub http: reqwest::Client,
    pub base: String,
}

/// Starts a world on a free port that runs no container.
pub async fn start() -> Local {
    start_with(Config::loopback(ScriptedRuntime::new())).await
}

/// Starts a world.
pub async fn start_with(config: Config) -> Local {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .expect("no provider is installed yet");
    });
    let emulator = Emulator::start(config).await.expect("the world starts");
    emulator.world().exchanges.record(true);
    let base = emulator.world().base_url();
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    Local {
        emulator,
        http,
        base,
    }
}

impl Local {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Stops everything. Before, documents that are not ours judge whatever was answered.
    pub async fn stop(self) {
        testkit::judge::answers_at_the_end(&self.emulator);
        self.emulator.stop().await;
    }

    pub fn token(&self, email: &str) -> String {
        self.emulator.world().tokens.issue_local(email)
    }

    /// Sends JSON; answers status and JSON (`null` when the body is none).
    pub async fn json(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, self.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }
}
