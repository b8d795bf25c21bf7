//! Evidence that an environment passed, as a run leaves it: for stories that begin in a later one.

use emulator::runtime::Behaviour;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::image::API_REPOSITORY;
use crate::world::{Failure, World, digest, expect};

/// The environments that another one follows.
const EARLIER: [&str; 3] = ["dev", "test", "staging"];
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

impl World {
    /// Puts an image of `commit` into the registry, as a build of the default branch leaves it, and
    /// says what its containers do. It has passed `dev`, `test` and `staging`, so that a story may
    /// begin in any environment. Gives the digest.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn built(&self, commit: &str, behaviour: Behaviour) -> Result<String, Failure> {
        let digest = self.built_in(API_REPOSITORY, commit, behaviour).await?;
        for environment in EARLIER {
            self.vouch(&digest, environment, &json!({})).await?;
        }
        Ok(digest)
    }

    /// The same of an image that passed nowhere yet.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn built_unproven(
        &self,
        commit: &str,
        behaviour: Behaviour,
    ) -> Result<String, Failure> {
        self.built_in(API_REPOSITORY, commit, behaviour).await
    }

    /// Attaches an unsigned statement to an image that an environment passed. What `other` says takes
    /// the place of the statement's own fields.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn vouch(
        &self,
        image: &str,
        environment: &str,
        other: &Value,
    ) -> Result<(), Failure> {
        let mut statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "ml-api", "digest": {"sha256": image.trim_start_matches("sha256:")}}],
            "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
            "predicate": {
                "result": "PASSED",
                "configuration": [{
                    "name": "service-configuration",
                    "digest": {"sha256": "0".repeat(64)},
                    "annotations": {"ml-deploy/environment": environment},
                }],
                "passedTests": ["api-tests/predicts setosa"],
            },
        });
        for (field, value) in other.as_object().into_iter().flatten() {
            statement[field] = value.clone();
        }
        let bytes = statement.to_string().into_bytes();
        self.attach(image, environment, "application/vnd.in-toto+json", &bytes)
            .await
    }

    /// Attaches any layer to an image as evidence.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn attach(
        &self,
        image: &str,
        environment: &str,
        media_type: &str,
        layer: &[u8],
    ) -> Result<(), Failure> {
        let (kind, subject) = self.manifest(image).await?;
        self.put_blob(API_REPOSITORY, b"{}").await?;
        self.put_blob(API_REPOSITORY, layer).await?;
        let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.ml-deploy.evidence.v1",
            "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
            "layers": [descriptor(media_type, layer)],
            "subject": descriptor(&kind, &subject),
            "annotations": {
                "ml-deploy/environment": environment,
                "dev.sigstore.bundle.predicateType": "https://in-toto.io/attestation/test-result/v0.1",
            },
        })
        .to_string();
        let name = digest(manifest.as_bytes());
        self.put_manifest(API_REPOSITORY, &name, MANIFEST, &manifest)
            .await
    }

    /// The statements that are attached to an image, signed or not.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn statements(&self, image: &str) -> Result<Vec<Value>, Failure> {
        let path = path_of(API_REPOSITORY);
        let mut next = Some(format!("/v2/{path}/referrers/{image}"));
        let mut found = Vec::new();
        while let Some(place) = next.take() {
            let answer = self
                .client
                .get(format!("{}{place}", self.url()))
                .send()
                .await?;
            let link = answer.headers().get("link").and_then(|it| it.to_str().ok());
            next = link
                .and_then(|link| link.strip_prefix('<')?.split_once('>'))
                .map(|(target, _)| target.to_owned());
            let index = expect(StatusCode::OK, answer).await?;
            for one in index["manifests"].as_array().into_iter().flatten() {
                found.push(one["digest"].as_str().unwrap_or_default().to_owned());
            }
        }
        let mut statements = Vec::new();
        for artifact in found {
            let (_, manifest) = self.manifest(&artifact).await?;
            let manifest: Value = serde_json::from_slice(&manifest)?;
            let layer = manifest["layers"][0]["digest"].as_str().unwrap_or_default();
            let url = format!("{}/v2/{path}/blobs/{layer}", self.url());
            let content = expect(StatusCode::OK, self.client.get(url).send().await?).await?;
            statements.push(match content["dsseEnvelope"]["payload"].as_str() {
                Some(payload) => {
                    use base64::Engine as _;
                    let bytes = base64::engine::general_purpose::STANDARD.decode(payload)?;
                    serde_json::from_slice(&bytes)?
                }
                None => content,
            });
        }
        Ok(statements)
    }

    /// Media type and bytes.
    async fn manifest(&self, reference: &str) -> Result<(String, Vec<u8>), Failure> {
        let path = path_of(API_REPOSITORY);
        let url = format!("{}/v2/{path}/manifests/{reference}", self.url());
        let answer = self.client.get(url).send().await?.error_for_status()?;
        let kind = answer.headers().get("content-type");
        let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
        Ok((kind.to_owned(), answer.bytes().await?.to_vec()))
    }

    pub(crate) async fn put_blob(&self, repository: &str, blob: &[u8]) -> Result<(), Failure> {
        let url = format!(
            "{}/v2/{}/blobs/uploads/?digest={}",
            self.url(),
            path_of(repository),
            digest(blob)
        );
        let request = self.client.post(url).body(blob.to_vec());
        let request = request.basic_auth("oauth2accesstoken", Some(self.builder()));
        expect(StatusCode::CREATED, request.send().await?).await?;
        Ok(())
    }

    pub(crate) async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        manifest: &str,
    ) -> Result<(), Failure> {
        let path = path_of(repository);
        let url = format!("{}/v2/{path}/manifests/{reference}", self.url());
        let request = self.client.put(url).body(manifest.to_owned());
        let request = request
            .basic_auth("oauth2accesstoken", Some(self.builder()))
            .header("content-type", media_type);
        expect(StatusCode::CREATED, request.send().await?).await?;
        Ok(())
    }

    /// A token of who builds.
    fn builder(&self) -> String {
        let tokens = &self.emulator.world().tokens;
        tokens.issue_local("builder@demo-project.iam.gserviceaccount.com")
    }
}

fn path_of(repository: &str) -> &str {
    repository
        .split_once('/')
        .map_or(repository, |(_, path)| path)
}
