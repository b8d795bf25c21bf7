//! Evidence in a registry that is not ours: Debian's docker-registry, which lists no referrers. It is
//! a program, not a container (`scripts/setup registry`); without it the test is skipped, but not in
//! CI.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use delivery::attestation::test_result::TEST_RESULT;
use delivery::attestation::{Envelope, Finding, SeenEvidence};
use delivery::name::EnvironmentName;
use delivery::release::ImageDigest;
use ml_deploy::evidence::{
    EvidenceStore as _, NewEvidence, RegistryStore, copy_all, find_pass, read_all,
};
use ml_deploy::gcp::registry::{Client, RegistryAddress};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// A registry of its own, stopped when it is dropped.
struct Registry {
    child: Child,
    host: String,
    _folder: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    fn start() -> Option<Self> {
        let program = testkit::judge::tools().join("bin/docker-registry");
        if !program.exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "{} is missing: run `scripts/setup registry`",
                program.display()
            );
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yml");
        let data = folder.path().join("data");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n",
            data.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(program)
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let host = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.split('"').next()?.to_owned())
        });
        // What it logs from now on must go somewhere, or it would wait.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            child,
            host: host.unwrap(),
            _folder: folder,
        })
    }

    fn client(&self, path: &str) -> Client {
        let address = RegistryAddress {
            base_url: format!("http://{}", self.host),
            host: self.host.clone(),
            path: path.to_owned(),
            named_host: "us-central1-docker.pkg.dev".to_owned(),
            member: None,
        };
        Client::new(address, None).unwrap()
    }

    /// Pushes an image of one layer.
    async fn push(&self, path: &str) -> ImageDigest {
        let http = reqwest::Client::new();
        let hash = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        let (config, layer) = (b"{\"os\":\"linux\"}".to_vec(), vec![7_u8; 300_000]);
        for blob in [&config, &layer] {
            let url = format!("http://{}/v2/{path}/blobs/uploads/", self.host);
            let begun = http.post(url).send().await.unwrap();
            let mut place: reqwest::Url = begun.headers()["location"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            place.query_pairs_mut().append_pair("digest", &hash(blob));
            let put = http.put(place).body(blob.clone()).send().await.unwrap();
            assert_eq!(put.status(), 201);
        }
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": kind,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": hash(&config), "size": config.len()},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": hash(&layer), "size": layer.len()}],
        })
        .to_string();
        let url = format!("http://{}/v2/{path}/manifests/sha-1", self.host);
        let put = http
            .put(url)
            .header("content-type", kind)
            .body(manifest.clone());
        assert_eq!(put.send().await.unwrap().status(), 201);
        ImageDigest::parse(hash(manifest.as_bytes())).unwrap()
    }
}

fn evidence(digest: &ImageDigest, environment: &str) -> NewEvidence {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.as_str().trim_start_matches("sha256:")}}],
        "predicateType": TEST_RESULT,
        "predicate": {
            "result": "PASSED",
            "configuration": [{"annotations": {"ml-deploy/environment": environment}}],
        },
    });
    NewEvidence {
        envelope: Envelope::unsigned(statement.to_string().into_bytes()),
        environment: environment.to_owned(),
        predicate_type: TEST_RESULT.to_owned(),
        created: "2026-01-02T03:04:05Z".to_owned(),
    }
}

fn environments(seen: &[SeenEvidence]) -> Vec<String> {
    let mut names: Vec<String> = seen
        .iter()
        .filter_map(|it| it.environment.clone())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_registry_without_referrers_keeps_evidence_under_a_tag() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(registry) = Registry::start() else {
        return;
    };
    let digest = registry.push("p/r/api").await;
    let store = RegistryStore::new(registry.client("p/r/api"));
    assert_eq!(store.list(&digest).await.unwrap(), []);
    // Two writers at once, and one of them twice: nothing is lost, nothing is there twice.
    let (dev, test) = (evidence(&digest, "dev"), evidence(&digest, "test"));
    let other = RegistryStore::new(registry.client("p/r/api"));
    let (one, two) = tokio::join!(store.attach(&digest, &dev), other.attach(&digest, &test));
    one.and(two).unwrap();
    store.attach(&digest, &dev).await.unwrap();
    store.attach(&digest, &test).await.unwrap();
    let seen = read_all(&store, &digest).await.unwrap();
    assert_eq!(environments(&seen), ["dev", "test"]);
    for (name, passed) in [("dev", true), ("staging", false)] {
        let name = EnvironmentName::parse(name).unwrap();
        let finding = find_pass(&store, &digest, &name, None).await.unwrap();
        assert_eq!(
            matches!(finding, Finding::Unsigned(_)),
            passed,
            "{finding:?}"
        );
    }
    let tag = digest.as_str().replace(':', "-");
    let tags = registry.client("p/r/api").tags().await.unwrap();
    assert_eq!(tags, ["sha-1".to_owned(), tag]);
}

#[tokio::test]
async fn image_and_evidence_go_to_another_repository_and_to_another_registry() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (Some(first), Some(second)) = (Registry::start(), Registry::start()) else {
        return;
    };
    let digest = first.push("p/r/api").await;
    let store = RegistryStore::new(first.client("p/r/api"));
    store
        .attach(&digest, &evidence(&digest, "dev"))
        .await
        .unwrap();
    // Within a registry the layers are mounted, between two they are sent through.
    for target in [first.client("p/prod/api"), second.client("p/prod/api")] {
        let source = first.client("p/r/api");
        target.copy_from(&source, &digest).await.unwrap();
        target.copy_from(&source, &digest).await.unwrap();
        assert!(target.head(&digest).await.unwrap().is_some());
        let copied = RegistryStore::new(target);
        assert_eq!(copy_all(&store, &copied, &digest, &[]).await.unwrap(), 1);
        assert_eq!(copy_all(&store, &copied, &digest, &[]).await.unwrap(), 0);
        let seen = read_all(&copied, &digest).await.unwrap();
        assert_eq!(environments(&seen), ["dev"]);
    }
}
