//! A real engine pushes to the registry and pulls from it.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use support::start;

/// Runs the docker client with the credentials in `config`; answers what it printed.
async fn docker(config: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("docker");
    command.arg("--config").arg(config).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("the docker client ends")
        .expect("a docker client is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

fn write_credentials(directory: &Path, host: &str, token: &str) {
    let auth = STANDARD.encode(format!("oauth2accesstoken:{token}"));
    let config = serde_json::json!({"auths": {host: {"auth": auth}}});
    std::fs::write(directory.join("config.json"), config.to_string())
        .expect("a writable directory");
}

/// An image of one layer with one file of 2 MiB, made without any base image. The engine tries to
/// mount layers of this size and no small ones; the content differs with `seed` and does not
/// compress.
async fn import_image(config: &Path, reference: &str, seed: &str) {
    let root = tempfile::tempdir().expect("a directory");
    let mut content = Vec::new();
    let mut block = Sha256::digest(seed.as_bytes());
    while content.len() < 2 << 20 {
        content.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    std::fs::write(root.path().join("greeting"), content).expect("a writable directory");
    let archive = root.path().join("root.tar");
    let status = Command::new("tar")
        .args(["-C", &root.path().to_string_lossy(), "-cf"])
        .arg(&archive)
        .arg("greeting")
        .status();
    assert!(status.expect("tar is installed").success());
    let archive = archive.to_string_lossy().into_owned();
    docker(config, &["import", &archive, reference])
        .await
        .expect("the image is imported");
}

/// `docker image inspect`: the digest under which `name` was pushed or pulled.
async fn repository_digest(config: &Path, reference: &str, name: &str) -> Option<String> {
    let format = "{{range .RepoDigests}}{{println .}}{{end}}";
    let digests = docker(config, &["image", "inspect", "-f", format, reference])
        .await
        .ok()?;
    digests
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}@")).map(str::to_owned))
}

/// Removes the image that was pushed or pulled as `name`, with every name that it has.
async fn remove(config: &Path, name: &str) {
    for id in ids(name) {
        docker(config, &["image", "rm", "--force", &id])
            .await
            .expect("it is removed");
    }
}

fn ids(name: &str) -> BTreeSet<String> {
    let filter = format!("reference={name}");
    let mut command = Command::new("docker");
    command.args(["image", "ls", "--quiet", "--no-trunc", "--filter", &filter]);
    let output = command.output().expect("a docker client is installed");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Leaves no image of this name behind, however the test ends.
struct Cleanup(String);

impl Drop for Cleanup {
    fn drop(&mut self) {
        for id in ids(&self.0) {
            let _ = Command::new("docker")
                .args(["image", "rm", "--force", &id])
                .output();
        }
    }
}

#[tokio::test]
async fn an_engine_pushes_and_pulls() {
    let local = start().await;
    let config = tempfile::tempdir().expect("a directory");
    let name = format!("{}/demo-project/images/greeter", local.host());
    let tagged = format!("{name}:v1");
    let _cleanup = Cleanup(name.clone());
    import_image(config.path(), &tagged, &local.base).await;

    let refused = docker(config.path(), &["push", &tagged]).await;
    let text = refused.expect_err("a push without a token is refused");
    assert!(
        text.contains("artifactregistry.repositories.uploadArtifacts"),
        "{text}"
    );

    write_credentials(
        config.path(),
        local.host(),
        &local.token("ci@demo.iam.gserviceaccount.com"),
    );
    docker(config.path(), &["push", &tagged])
        .await
        .expect("the push is taken");
    let digest = repository_digest(config.path(), &tagged, &name)
        .await
        .expect("a digest");
    let registry = &local.emulator.world().registry;
    let resolved = registry
        .resolve("europe-west1-docker.pkg.dev/demo-project/images/greeter:v1")
        .expect("the image is there under Artifact Registry's name");
    assert_eq!(resolved.digest, digest);
    assert_eq!(resolved.pull, format!("{name}@{digest}"));

    // A second repository gets the layers by mount: no byte of a layer is sent again.
    let other = format!("{}/demo-project/other/greeter:v1", local.host());
    docker(config.path(), &["tag", &tagged, &other])
        .await
        .expect("a tag");
    docker(config.path(), &["push", &other])
        .await
        .expect("the push is taken");
    let other = registry.resolve(&other).expect("the copy is there");
    assert_eq!(other.digest, digest);

    // The engine keeps no layer of it, so that every pull asks for the bytes.
    let anonymous = tempfile::tempdir().expect("a directory");
    for reference in [&tagged, &resolved.pull] {
        remove(anonymous.path(), &name).await;
        docker(anonymous.path(), &["pull", reference])
            .await
            .expect("the pull is served");
    }
    let absent = docker(anonymous.path(), &["pull", &format!("{name}:v2")]).await;
    assert!(
        absent
            .expect_err("no such tag")
            .contains("manifest unknown")
    );

    let asked = |method: &str, part: &str| -> Vec<u16> {
        let seen = local.emulator.world().requests.all().into_iter();
        let hits = seen.filter(|seen| {
            let target = format!(
                "{}?{}",
                seen.path,
                seen.query.as_deref().unwrap_or_default()
            );
            seen.method == method && target.contains(part)
        });
        hits.map(|seen| seen.status).collect()
    };
    assert_eq!(asked("POST", "mount="), [201], "the layer is mounted");
    let pulled = asked("GET", "/blobs/sha256");
    assert_eq!(pulled, [200; 4], "configuration and layer are pulled twice");

    local.stop().await;
}
