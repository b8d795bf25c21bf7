//! What the tests of Cloud Run share: a world with scripted containers, and a client that writes
//! services and waits for operations.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::sync::Arc;
use std::time::Duration;

use emulator::Config;
use emulator::runtime::{App, Behaviour, ScriptedRuntime};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{self, Local};

pub const PARENT: &str = "/v2/projects/demo/locations/us-central1";
pub const DEPLOYER: &str = "deployer@demo.iam.gserviceaccount.com";
pub const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
pub const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

pub struct Cloud {
    pub local: Local,
    pub runtime: Arc<ScriptedRuntime>,
    pub token: String,
}

impl Cloud {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let runtime = ScriptedRuntime::new();
        let mut config = Config::loopback(runtime.clone());
        change(&mut config);
        let local = support::start_with(config).await;
        let token = local.token(DEPLOYER);
        Self {
            local,
            runtime,
            token,
        }
    }

    /// Pushes an image that behaves like this, and gives its name.
    pub async fn image(&self, tag: &str, behaviour: Behaviour) -> String {
        let (name, digest) = push(&self.local, &self.token, tag).await;
        self.runtime.image(&digest, behaviour);
        name
    }

    /// Pushes an image whose every answer says its version.
    pub async fn version(&self, version: &str) -> String {
        let answer = json!({ "version": version });
        let app = App::new()
            .get("/health", &json!({"status": "ok"}))
            .get("/version", &answer)
            .get("/", &answer)
            .post("/predict", &answer);
        self.image(version, Behaviour::Serve(app)).await
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.local.json(method, path, Some(&self.token), body).await
    }

    /// `GET`, which must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn service(&self, name: &str) -> Value {
        self.get(&format!("{PARENT}/services/{name}")).await
    }

    /// Creates a service and waits for the end of the operation.
    pub async fn create(&self, name: &str, body: Value) -> Value {
        let path = format!("{PARENT}/services?serviceId={name}");
        let (status, operation) = self.call("POST", &path, Some(body)).await;
        assert_eq!(status, 200, "{operation}");
        self.wait(&operation).await
    }

    /// Patches a service and waits for the end of the operation.
    pub async fn patch(&self, name: &str, mask: &str, body: Value) -> Value {
        let path = format!("{PARENT}/services/{name}?updateMask={mask}");
        let (status, operation) = self.call("PATCH", &path, Some(body)).await;
        assert_eq!(status, 200, "{operation}");
        self.wait(&operation).await
    }

    pub async fn wait(&self, operation: &Value) -> Value {
        let name = operation["name"].as_str().expect("a name");
        let path = format!("/v2/{name}:wait");
        for _ in 0..4 {
            let (status, operation) = self
                .call("POST", &path, Some(json!({"timeout": "30s"})))
                .await;
            assert_eq!(status, 200, "{operation}");
            if operation["done"] == true {
                return operation;
            }
        }
        panic!("{name} does not end");
    }

    /// A service that everyone may call.
    pub async fn public(&self, name: &str, image: &str) -> String {
        let mut body = template(image);
        body["invokerIamDisabled"] = json!(true);
        let operation = self.create(name, body).await;
        assert_succeeded(&operation);
        uri(&self.service(name).await)
    }

    /// Status and text of a `GET` without any token.
    pub async fn fetch(&self, url: &str) -> (u16, String) {
        let response = self.local.http.get(url).send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.text().await.expect("a body"))
    }

    /// The version that answers at an address.
    pub async fn version_at(&self, uri: &str) -> String {
        let (status, text) = self.fetch(&format!("{uri}/version")).await;
        assert_eq!(status, 200, "{text}");
        let body: Value = serde_json::from_str(&text).expect("JSON");
        body["version"].as_str().expect("a version").to_owned()
    }

    pub async fn stop(self) {
        self.local.stop().await;
    }
}

/// Pushes an image whose config is unlike all others; gives its name and digest.
pub async fn push(local: &Local, token: &str, tag: &str) -> (String, String) {
    let config = format!("{{\"architecture\":\"amd64\",\"os\":\"linux\",\"tag\":\"{tag}\"}}");
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(config.as_bytes())));
    let path = local.url(&format!("/v2/demo/ml/api/blobs/uploads/?digest={digest}"));
    let answer = local
        .http
        .post(path)
        .bearer_auth(token)
        .body(config.clone())
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status(), 201);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "layers": [],
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": config.len()}});
    let manifest = manifest.to_string();
    let answer = local
        .http
        .put(local.url(&format!("/v2/demo/ml/api/manifests/{tag}")))
        .bearer_auth(token)
        .header("content-type", media_type)
        .body(manifest.clone())
        .send()
        .await;
    assert_eq!(answer.expect("an answer").status(), 201);
    let digest = format!(
        "sha256:{}",
        hex::encode(Sha256::digest(manifest.as_bytes()))
    );
    (
        format!("us-central1-docker.pkg.dev/demo/ml/api:{tag}"),
        digest,
    )
}

pub fn template(image: &str) -> Value {
    json!({"template": {"containers": [{"image": image}]}})
}

/// A template with a revision's name.
pub fn named(image: &str, revision: &str) -> Value {
    json!({"template": {"revision": revision, "containers": [{"image": image}]}})
}

pub fn to(revision: &str, percent: u32) -> Value {
    json!({"type": REVISION, "revision": revision, "percent": percent})
}

pub fn uri(service: &Value) -> String {
    service["uri"].as_str().expect("a URI").to_owned()
}

pub fn assert_succeeded(operation: &Value) {
    assert!(operation["error"].is_null(), "{}", operation["error"]);
    assert_eq!(operation["done"], true);
}

/// Tries until `check` gives something; fails after ten seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, check: impl Fn() -> F) -> T {
    let tries = async {
        loop {
            if let Some(found) = check().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(10), tries).await {
        Ok(found) => found,
        Err(_) => panic!("not within ten seconds: {what}"),
    }
}
