//! Real containers: an image is pushed to the local registry, pulled by the engine, and run.
#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking and say why they skip"
)]

mod cloud;
mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveImageOptionsBuilder};
use cloud::{PARENT, eventually, named, to, uri};
use emulator::Config;
use emulator::runtime::DockerRuntime;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::Local;

/// A world whose containers are real.
struct Real {
    local: Local,
    runtime: Arc<DockerRuntime>,
    docker: Docker,
    token: String,
}

/// Fails where there is no engine: `scripts/setup engine` puts one in place.
async fn start() -> Real {
    let runtime = DockerRuntime::connect()
        .await
        .expect("a Docker engine (scripts/setup engine)");
    start_on(runtime.clone(), Config::loopback(runtime)).await
}

async fn start_on(runtime: Arc<DockerRuntime>, config: Config) -> Real {
    let local = support::start_with(config).await;
    let docker = Docker::connect_with_defaults().expect("a client");
    let docker = docker.negotiate_version().await.expect("an engine");
    let token = local.token(cloud::DEPLOYER);
    Real {
        local,
        runtime,
        docker,
        token,
    }
}

/// The fixture as one static executable file, compiled once.
fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let output = directory.path().join("server");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/server.rs");
        let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let status = Command::new(compiler)
            .args([
                "--edition=2024",
                "-Ctarget-feature=+crt-static",
                "-Copt-level=s",
                "-Cstrip=symbols",
                "-o",
            ])
            .arg(&output)
            .arg(source)
            .status();
        assert!(status.expect("a compiler").success());
        std::fs::read(output).expect("the program")
    })
}

fn sha256(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

impl Real {
    async fn blob(&self, content: Vec<u8>) -> Value {
        let (digest, size) = (sha256(&content), content.len());
        let path = format!("/v2/demo/ml/real/blobs/uploads/?digest={digest}");
        let request = self
            .local
            .http
            .post(self.local.url(&path))
            .bearer_auth(&self.token);
        let answer = request.body(content).send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        json!({ "digest": digest, "size": size })
    }

    /// Pushes the fixture as an image of one layer; gives the image's name.
    async fn image(&self, tag: &str, arguments: &[&str]) -> String {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(program().len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        archive
            .append_data(&mut header, "server", program())
            .expect("an archive");
        let layer = archive.into_inner().expect("an archive");
        let diff_id = sha256(&layer);
        let config = json!({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/server"], "Cmd": arguments},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
        let mut layer = self.blob(layer).await;
        layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
        let mut config = self.blob(config.to_string().into_bytes()).await;
        config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]});
        let path = self.local.url(&format!("/v2/demo/ml/real/manifests/{tag}"));
        let request = self.local.http.put(path).bearer_auth(&self.token);
        let request = request
            .header("content-type", media_type)
            .body(manifest.to_string());
        assert_eq!(request.send().await.expect("an answer").status(), 201);
        format!("us-central1-docker.pkg.dev/demo/ml/real:{tag}")
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self
            .local
            .json(method, path, Some(&self.token), Some(body))
            .await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Writes a service and waits for the end of the operation.
    async fn write(&self, method: &str, path: &str, body: Value) -> Value {
        let mut operation = self
            .call(method, &format!("{PARENT}/services{path}"), body)
            .await;
        let wait = format!("/v2/{}:wait", operation["name"].as_str().expect("a name"));
        while operation["done"] != true {
            operation = self.call("POST", &wait, json!({})).await;
        }
        operation
    }

    async fn containers(&self) -> Vec<ContainerSummary> {
        containers(&self.docker, self.runtime.owner()).await
    }

    async fn fetch(&self, url: &str) -> String {
        let answer = self.local.http.get(url).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a text")
    }

    async fn lines(&self, revision: &str) -> Vec<Value> {
        let body = json!({"resourceNames": ["projects/demo"], "orderBy": "timestamp asc",
            "filter": format!("resource.labels.revision_name={revision}")});
        let answer = self.call("POST", "/v2/entries:list", body).await;
        answer["entries"].as_array().expect("a list").clone()
    }

    /// Removes the images that the engine has pulled from this world.
    async fn forget_images(docker: &Docker, host: &str) {
        let filters = HashMap::from([("reference", vec![format!("{host}/demo/ml/real")])]);
        let options = bollard::query_parameters::ListImagesOptionsBuilder::new()
            .filters(&filters)
            .build();
        for image in docker.list_images(Some(options)).await.expect("a list") {
            // By name: another test's world may hold the same content.
            let names = image.repo_digests.iter();
            for name in names.filter(|name| name.starts_with(&format!("{host}/"))) {
                let options = RemoveImageOptionsBuilder::new().force(true).build();
                let removed = docker.remove_image(name, Some(options), None).await;
                removed.expect("it is removed");
            }
        }
    }
}

async fn containers(docker: &Docker, owner: &str) -> Vec<ContainerSummary> {
    let filters = HashMap::from([("label", vec![format!("ml-deploy.emulator={owner}")])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    docker.list_containers(Some(options)).await.expect("a list")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_runs_as_a_container_until_the_world_stops() {
    let real = start().await;
    let image = real.image("v1", &["serve"]).await;
    real.call(
        "POST",
        "/_emulator/secrets",
        json!({"project": "demo", "name": "model", "value": "weights"}),
    )
    .await;
    let mut body = named(&image, "hello-a");
    body["invokerIamDisabled"] = json!(true);
    body["traffic"] = json!([to("hello-a", 100)]);
    body["template"]["volumes"] = json!([{"name": "files", "secret": {"secret": "model", "items": [{"path": "weights.txt"}]}}]);
    let container = &mut body["template"]["containers"][0];
    container["env"] = json!([{"name": "MODE", "value": "fast"}]);
    container["resources"] = json!({"limits": {"cpu": "0.5", "memory": "256Mi"}, "cpuIdle": true});
    container["volumeMounts"] = json!([{"name": "files", "mountPath": "/etc/model"}]);
    let operation = real.write("POST", "?serviceId=hello", body).await;
    assert!(operation["error"].is_null(), "{operation}");
    let main = uri(&operation["response"]);
    assert_eq!(
        real.fetch(&format!("{main}/env/K_REVISION")).await,
        "hello-a"
    );
    assert_eq!(real.fetch(&format!("{main}/env/MODE")).await, "fast");
    assert_eq!(real.fetch(&format!("{main}/env/PORT")).await, "8080");
    assert_eq!(
        real.fetch(&format!("{main}/file/etc/model/weights.txt"))
            .await,
        "weights"
    );

    let running = real.containers().await;
    assert_eq!(running.len(), 1);
    let labels = running[0].labels.as_ref().expect("labels");
    assert_eq!(labels["ml-deploy.revision"], "hello-a");
    assert!(running[0].names.as_ref().expect("names")[0].starts_with("/hello-a-"));
    let id = running[0].id.as_deref().expect("an identifier");
    let details = real
        .docker
        .inspect_container(id, None)
        .await
        .expect("details");
    let limits = details.host_config.expect("limits");
    assert_eq!(
        (limits.memory, limits.nano_cpus),
        (Some(256 << 20), Some(500_000_000))
    );
    let listening = eventually("the line is kept", async || {
        let lines = real.lines("hello-a").await;
        lines
            .into_iter()
            .find(|line| line["jsonPayload"]["message"] == "listening")
    })
    .await;
    assert_eq!(
        (&listening["severity"], &listening["jsonPayload"]["port"]),
        (&json!("INFO"), &json!(8080))
    );

    // A container that somebody kills is replaced with the next request.
    real.docker.kill_container(id, None).await.expect("killed");
    eventually("the exit is noticed", async || {
        let lines = real.lines("hello-a").await;
        lines
            .into_iter()
            .find(|line| line["textPayload"] == "Container called exit(137).")
    })
    .await;
    assert_eq!(real.fetch(&format!("{main}/env/MODE")).await, "fast");

    let (docker, owner, host) = (
        real.docker.clone(),
        real.runtime.owner().to_owned(),
        real.local.host().to_owned(),
    );
    real.local.stop().await;
    assert!(containers(&docker, &owner).await.is_empty());
    Real::forget_images(&docker, &host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_and_wrong_ports_fail_the_rollout() {
    let real = start().await;
    let image = real.image("crash", &["crash"]).await;
    let begun = Instant::now();
    let operation = real
        .write("POST", "?serviceId=hello", named(&image, "hello-a"))
        .await;
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "a crash is not waited out"
    );
    assert_eq!(operation["error"]["code"], 9, "{operation}");
    let message = operation["error"]["message"].as_str().expect("a text");
    assert!(
        message.contains("failed to start and listen on the port"),
        "{message}"
    );
    let lines = real.lines("hello-a").await;
    assert_eq!(
        lines[0]["textPayload"],
        "ImportError: no module named model"
    );
    assert_eq!(lines[1]["textPayload"], "Container called exit(3).");
    eventually("what failed is removed", async || {
        real.containers().await.is_empty().then_some(())
    })
    .await;

    let mut body = named(&image, "hello-b");
    body["template"]["containers"][0]["command"] = json!(["/nowhere"]);
    let operation = real
        .write("PATCH", "/hello?updateMask=template", body)
        .await;
    assert_eq!(operation["error"]["code"], 9, "{operation}");

    // The engine's port proxy accepts connections for a container that does not listen.
    let image = real.image("deaf", &["deaf"]).await;
    let mut body = named(&image, "hello-c");
    body["template"]["containers"][0]["startupProbe"] =
        json!({"tcpSocket": {}, "periodSeconds": 1, "failureThreshold": 2});
    let operation = real
        .write("PATCH", "/hello?updateMask=template", body)
        .await;
    let message = operation["error"]["message"].as_str().expect("a text");
    assert!(
        message.contains("failed the configured startup probe checks"),
        "{message}"
    );
    let (docker, host) = (real.docker.clone(), real.local.host().to_owned());
    real.local.stop().await;
    Real::forget_images(&docker, &host).await;
}

#[test]
fn a_world_that_is_dropped_leaves_no_container() {
    let executor = || tokio::runtime::Runtime::new().expect("an executor");
    let first = executor();
    let (docker, owner, host) = first.block_on(async {
        let real = start().await;
        let image = real.image("v1", &["serve"]).await;
        let operation = real
            .write("POST", "?serviceId=hello", named(&image, "hello-a"))
            .await;
        assert!(operation["error"].is_null(), "{operation}");
        assert_eq!(real.containers().await.len(), 1);
        let host = real.local.host().to_owned();
        (real.docker.clone(), real.runtime.owner().to_owned(), host)
    });
    drop(first);
    drop(docker);
    executor().block_on(async {
        let docker = Docker::connect_with_defaults().expect("a client");
        let docker = docker.negotiate_version().await.expect("an engine");
        eventually("the container is removed", async || {
            containers(&docker, &owner).await.is_empty().then_some(())
        })
        .await;
        Real::forget_images(&docker, &host).await;
    });
}

/// A world that is kept in a directory, at a port of its own choice or at a given one.
async fn open(folder: &Path, port: u16) -> Real {
    let runtime = DockerRuntime::connect_for(folder).await.expect("an engine");
    let mut config = Config::loopback(runtime.clone());
    config.listen.set_port(port);
    config.data_dir = Some(folder.to_path_buf());
    start_on(runtime, config).await
}

#[tokio::test(flavor = "multi_thread")]
#[allow(
    clippy::print_stdout,
    reason = "the process that started it reads this"
)]
async fn serve_until_killed() {
    let (Some(folder), Ok(port)) = (
        std::env::var_os("WORLD_FOLDER"),
        std::env::var("WORLD_PORT"),
    ) else {
        return;
    };
    let _real = open(Path::new(&folder), port.parse().expect("a port")).await;
    println!("ready");
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_same_address_serves_from_a_new_container() {
    let folder = tempfile::tempdir().expect("a directory");
    let real = open(folder.path(), 0).await;
    let port = real.local.emulator.world().config.listen.port();
    let image = real.image("v1", &["serve"]).await;
    let mut body = named(&image, "hello-a");
    body["invokerIamDisabled"] = json!(true);
    let operation = real.write("POST", "?serviceId=hello", body).await;
    let url = format!("{}/env/K_REVISION", uri(&operation["response"]));
    let docker = real.docker.clone();
    let owner = real.runtime.owner().to_owned();
    real.local.emulator.stop().await;

    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "serve_until_killed", "--nocapture"])
        .env("WORLD_FOLDER", folder.path())
        .env("WORLD_PORT", port.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let ready = lines.map_while(Result::ok).any(|it| it.ends_with("ready"));
    let answer = reqwest::Client::builder().no_proxy().build();
    let answer = answer.expect("a client").get(&url).send().await;
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    assert!(ready);
    assert_eq!(answer.expect("an answer").status(), 200);
    let left = containers(&docker, &owner).await;
    assert_eq!(left.len(), 1, "nobody could remove it");

    let real = open(folder.path(), port).await;
    assert!(real.containers().await.is_empty(), "the old one is removed");
    assert_eq!(real.fetch(&url).await, "hello-a");
    let running = real.containers().await;
    assert_eq!(running.len(), 1);
    assert_ne!(running[0].id, left[0].id);
    let host = real.local.host().to_owned();
    real.local.emulator.stop().await;
    assert!(containers(&docker, &owner).await.is_empty());
    Real::forget_images(&docker, &host).await;
}
