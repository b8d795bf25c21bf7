//! The state survives a restart, and a kill at any moment.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod cloud;
mod support;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cloud::{Cloud, DEPLOYER, PARENT, assert_succeeded, eventually, named, template, to, uri};
use emulator::runtime::{App, Behaviour, ScriptedRuntime};
use emulator::{Config, Emulator};
use serde_json::{Value, json};
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A world on a directory; the address is one that an earlier world had, or a free one.
async fn open(folder: &Path, listen: Option<SocketAddr>) -> Cloud {
    Cloud::start_with(|config| {
        config.data_dir = Some(folder.to_path_buf());
        config.listen = listen.unwrap_or(config.listen);
    })
    .await
}

/// Closes a world and opens it again at the same address, with an engine that knows `v1` and `v2`.
async fn reopen(cloud: Cloud, folder: &Path) -> Cloud {
    let (listen, token) = (
        cloud.local.emulator.world().config.listen,
        cloud.token.clone(),
    );
    cloud.stop().await;
    let mut cloud = open(folder, Some(listen)).await;
    cloud.token = token;
    cloud
}

async fn refusal(folder: &Path) -> String {
    let mut config = Config::loopback(ScriptedRuntime::new());
    config.data_dir = Some(folder.to_path_buf());
    let refused = Emulator::start(config).await.err();
    refused.expect("a refusal").to_string()
}

#[tokio::test]
async fn services_addresses_and_tokens_are_there_after_a_restart() {
    let folder = directory();
    let cloud = open(folder.path(), None).await;
    let image = cloud.version("v1").await;
    let mut body = named(&image, "hello-a");
    body["invokerIamDisabled"] = json!(true);
    body["template"]["containers"][0]["env"] = json!([{"name": "KEY", "valueSource":
        {"secretKeyRef": {"secret": "key", "version": "latest"}}}]);
    let tagged = json!({"type": cloud::REVISION, "revision": "hello-a", "tag": "c-1"});
    body["traffic"] = json!([to("hello-a", 100), tagged]);
    let secret = json!({"project": "demo", "name": "key", "value": "s"});
    cloud.call("POST", "/_emulator/secrets", Some(secret)).await;
    assert_succeeded(&cloud.create("hello", body).await);
    let policy =
        json!({"policy": {"bindings": [{"role": "roles/run.invoker", "members": ["user:a@b.c"]}]}});
    let path = format!("{PARENT}/services/hello:setIamPolicy");
    assert_eq!(cloud.call("POST", &path, Some(policy)).await.0, 200);
    let paths = [
        "/services/hello",
        "/services/hello:getIamPolicy",
        "/services/hello/revisions",
        "/operations",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(cloud.get(&format!("{PARENT}{path}")).await);
    }
    let keys = cloud.get("/oauth2/v3/certs").await;

    let cloud = reopen(cloud, folder.path()).await;
    cloud.version("v1").await;
    assert_eq!(cloud.get("/oauth2/v3/certs").await, keys);
    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(
            cloud.get(&format!("{PARENT}{path}")).await,
            *before,
            "{path}"
        );
    }
    // Nothing runs before somebody asks; then the same addresses answer.
    assert!(cloud.runtime.started().is_empty());
    assert_eq!(cloud.version_at(&uri(&before[0])).await, "v1");
    let tag = uri(&before[0]["trafficStatuses"][1]);
    assert_eq!(cloud.version_at(&tag).await, "v1");
    let started = cloud.runtime.started();
    assert_eq!(started.len(), 1);
    assert!(started[0].env.contains(&("KEY".to_owned(), "s".to_owned())));
    // The world goes on: other names than before, later versions.
    let image = cloud.version("v2").await;
    assert_succeeded(&cloud.patch("hello", "template", template(&image)).await);
    assert_succeeded(&cloud.create("other", template(&image)).await);
    let operations = cloud.get(&format!("{PARENT}/operations")).await;
    assert_eq!(
        operations["operations"].as_array().expect("a list").len(),
        3
    );
    cloud.stop().await;
}

#[tokio::test]
async fn registry_logs_identities_and_github_are_there_after_a_restart() {
    let folder = directory();
    let cloud = open(folder.path(), None).await;
    let app = App::new()
        .log("hello from the container")
        .get("/", &json!({}));
    let image = cloud.image("v1", Behaviour::Serve(app)).await;
    cloud.public("hello", &image).await;
    for (method, path, body) in [
        (
            "PUT",
            "/_emulator/registry/repositories/demo/ml",
            json!({"immutable_tags": true}),
        ),
        (
            "POST",
            "/_emulator/service-accounts",
            json!({"email": "prod@demo.iam.gserviceaccount.com", "environment": "production"}),
        ),
        (
            "PUT",
            "/_emulator/github/repos/o/r/environments/qa",
            json!({"wait_timer": 5}),
        ),
        ("PUT", "/_emulator/clock", json!({"offset_seconds": 1800})),
    ] {
        let (status, _) = cloud.call(method, path, Some(body)).await;
        assert!(status < 300, "{path}: {status}");
    }
    let bindings = json!({"bindings": [{"role": "roles/run.admin", "members": [format!("serviceAccount:{DEPLOYER}")]}]});
    for (path, body) in [
        ("/_emulator/iam/projects/other", bindings),
        (
            "/_emulator/projects/off/services/run.googleapis.com",
            json!({"state": "DISABLED"}),
        ),
    ] {
        let (status, body) = cloud.call("PUT", path, Some(body)).await;
        assert!(status < 300, "{path}: {body}");
    }
    let deployment = json!({"ref": "main", "environment": "qa", "required_contexts": []});
    let (status, _) = cloud
        .call("POST", "/repos/o/r/deployments", Some(deployment))
        .await;
    assert_eq!(status, 201);
    let reads = [
        "/v2/demo/ml/api/tags/list",
        "/v2/demo/ml/api/manifests/v1",
        "/repos/o/r/deployments",
    ];
    let mut before = Vec::new();
    for path in reads {
        before.push(cloud.get(path).await);
    }
    let query = json!({"resourceNames": ["projects/demo"], "filter": "textPayload:hello"});
    let logs = cloud
        .call("POST", "/v2/entries:list", Some(query.clone()))
        .await
        .1;
    assert!(
        logs.to_string().contains("hello from the container"),
        "{logs}"
    );

    let cloud = reopen(cloud, folder.path()).await;
    let clock = cloud.get("/_emulator/clock").await;
    assert_eq!(clock["offset_seconds"], 1800);
    for (path, before) in reads.iter().zip(before) {
        let after = cloud.get(path).await;
        assert_eq!(after, before, "{path}");
    }
    let digest = before_digest(&cloud).await;
    let blob = cloud.get(&format!("/v2/demo/ml/api/blobs/{digest}")).await;
    assert_eq!(blob["tag"], "v1");
    let after = cloud.call("POST", "/v2/entries:list", Some(query)).await.1;
    assert_eq!(after, logs);
    let environment = cloud.get("/repos/o/r/environments/qa").await;
    assert!(
        environment.to_string().contains("\"wait_timer\":5"),
        "{environment}"
    );
    let immutable = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []});
    let (status, body) = cloud
        .call("PUT", "/v2/demo/ml/api/manifests/v1", Some(immutable))
        .await;
    assert!(status >= 400, "{body}");
    let token = json!({"scope": ["https://www.googleapis.com/auth/cloud-platform"]});
    let path =
        "/v1/projects/-/serviceAccounts/prod@demo.iam.gserviceaccount.com:generateAccessToken";
    assert_eq!(cloud.call("POST", path, Some(token)).await.0, 403);
    // What was forbidden is still forbidden, what was allowed is still allowed.
    let stranger = cloud.local.token("stranger@other.iam.gserviceaccount.com");
    let path = "/v2/projects/other/locations/us-central1/services";
    let (status, _) = cloud.local.json("GET", path, Some(&stranger), None).await;
    assert_eq!((status, cloud.call("GET", path, None).await.0), (403, 200));
    let path = "/v2/projects/off/locations/us-central1/services";
    assert_eq!(cloud.call("GET", path, None).await.0, 403);
    // A reset is kept as well.
    cloud.call("POST", "/_emulator/reset", None).await;
    let cloud = reopen(cloud, folder.path()).await;
    assert_eq!(cloud.call("GET", reads[0], None).await.0, 404);
    let services = cloud.get(&format!("{PARENT}/services")).await;
    assert_eq!(services, json!({}));
    cloud.stop().await;
}

/// Digest of the config of `v1`.
async fn before_digest(cloud: &Cloud) -> String {
    let manifest = cloud.get("/v2/demo/ml/api/manifests/v1").await;
    manifest["config"]["digest"]
        .as_str()
        .expect("a digest")
        .to_owned()
}

#[tokio::test]
async fn a_rollout_that_was_under_way_goes_on() {
    let folder = directory();
    let cloud = open(folder.path(), None).await;
    let slow = cloud
        .image("v1", Behaviour::NeverListens { lines: Vec::new() })
        .await;
    let path = format!("{PARENT}/services?serviceId=hello");
    let (_, operation) = cloud.call("POST", &path, Some(template(&slow))).await;
    eventually("the container is started", || async {
        (!cloud.runtime.started().is_empty()).then_some(())
    })
    .await;
    cloud.stop().await;
    // The revision was not given up: with an engine in which it listens, it becomes ready.
    let runtime = ScriptedRuntime::new();
    runtime.image(
        &digest_of_v1(),
        Behaviour::Serve(App::new().get("/", &json!({}))),
    );
    let mut config = Config::loopback(runtime);
    config.data_dir = Some(folder.path().to_path_buf());
    let local = support::start_with(config).await;
    let token = local.token(DEPLOYER);
    let wait = format!("/v2/{}:wait", operation["name"].as_str().expect("a name"));
    let limit = Some(json!({"timeout": "30s"}));
    let (_, ended) = local.json("POST", &wait, Some(&token), limit).await;
    assert_succeeded(&ended);
    local.emulator.stop().await;
}

/// The digest that `cloud::push` gives for the tag `v1`.
fn digest_of_v1() -> String {
    use sha2::{Digest as _, Sha256};
    let sha256 = |text: &str| format!("sha256:{}", hex::encode(Sha256::digest(text.as_bytes())));
    let config = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"tag\":\"v1\"}";
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "layers": [],
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(config), "size": config.len()}});
    sha256(&manifest.to_string())
}

#[tokio::test]
async fn two_worlds_on_one_directory_are_refused() {
    let folder = directory();
    let cloud = open(folder.path(), None).await;
    let text = refusal(folder.path()).await;
    let process = std::process::id();
    assert!(
        text.contains(&format!(
            "in use by another local cloud (process {process})"
        )),
        "{text}"
    );
    cloud.stop().await;
    open(folder.path(), None).await.stop().await;
}

#[tokio::test]
async fn a_folder_of_something_else_and_another_format_are_refused() {
    let folder = directory();
    std::fs::write(folder.path().join("thesis.tex"), "mine").expect("a file");
    assert!(refusal(folder.path()).await.contains("not a local cloud's"));
    std::fs::remove_file(folder.path().join("thesis.tex")).expect("it is removed");
    open(folder.path(), None).await.stop().await;
    let journal = folder.path().join("journal");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    let text = text.replacen("format 1\n", "format 9\n", 1);
    std::fs::write(&journal, &text).expect("it is written");
    let refused = refusal(folder.path()).await;
    assert!(
        refused.contains("is of format 9, this version reads format 1"),
        "{refused}"
    );
    assert_eq!(std::fs::read_to_string(&journal).expect("a journal"), text);
}

#[tokio::test]
async fn the_last_good_state_is_used_when_the_end_is_torn() {
    let folder = directory();
    let cloud = open(folder.path(), None).await;
    let image = cloud.version("v1").await;
    assert_succeeded(&cloud.create("first", template(&image)).await);
    cloud.stop().await;
    let journal = folder.path().join("journal");
    let good = std::fs::read(&journal).expect("a journal");
    let cloud = open(folder.path(), None).await;
    cloud.version("v1").await;
    assert_succeeded(&cloud.create("second", template(&image)).await);
    cloud.stop().await;
    // A write of which only a part reached the disk.
    let mut torn = good;
    torn.extend_from_slice(b"0123456789abcdef\trun.services\t{\"project\":\"demo\"");
    std::fs::write(&journal, torn).expect("it is written");
    let cloud = open(folder.path(), None).await;
    let services = cloud.get(&format!("{PARENT}/services")).await;
    let services = services["services"].as_array().expect("a list");
    assert_eq!(services.len(), 1);
    assert!(
        services[0]["name"]
            .as_str()
            .expect("a name")
            .ends_with("/first")
    );
    cloud.stop().await;
}

/// A process of its own, which is killed.
struct Killed {
    child: Child,
    base: String,
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, port: u16) -> Killed {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "serve_until_killed", "--nocapture"])
        .env("WORLD_FOLDER", folder)
        .env("WORLD_PORT", port.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let base = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("ready ")?.1.to_owned()))
        .expect("the world starts");
    Killed { child, base }
}

#[tokio::test]
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
    let runtime = ScriptedRuntime::new();
    let app = App::new().get("/version", &json!({"version": "v1"}));
    runtime.image(&digest_of_v1(), Behaviour::Serve(app));
    let mut config = Config::loopback(runtime);
    config.listen.set_port(port.parse().expect("a port"));
    config.data_dir = Some(folder.into());
    let emulator = Emulator::start(config).await.expect("it starts");
    println!("ready {}", emulator.world().base_url());
    std::future::pending::<()>().await;
}

/// What was written, and how far the answers say that it was.
#[derive(Default)]
struct Written {
    services: Vec<Value>,
    tags: Vec<String>,
    secret: u64,
    label: u64,
}

struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.base));
        let mut request = request.bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    /// Writes until no answer comes any more.
    async fn write(&self, round: usize, written: &mut Written) -> Option<()> {
        for number in 0.. {
            let name = format!("s-{round}-{number}");
            let path = format!("{PARENT}/services?serviceId={name}");
            let mut body = template("us-central1-docker.pkg.dev/demo/ml/api:v1");
            body["invokerIamDisabled"] = json!(true);
            let (status, operation) = self.call("POST", &path, Some(body)).await?;
            assert_eq!(status, 200, "{operation}");
            written.services.push(operation);
            let secret = json!({"project": "demo", "name": "key", "value": name});
            let (_, answer) = self
                .call("POST", "/_emulator/secrets", Some(secret))
                .await?;
            written.secret = answer["version"].as_u64().expect("a number");
            let label = json!({"labels": {"count": (written.label + 1).to_string()}});
            let path = format!("{PARENT}/services/first?updateMask=labels");
            let (status, _) = self.call("PATCH", &path, Some(label)).await?;
            assert_eq!(status, 200);
            written.label += 1;
            self.push(&name).await?;
            written.tags.push(name);
        }
        None
    }

    /// Gives the pushed image one more tag.
    async fn push(&self, tag: &str) -> Option<()> {
        let (_, manifest) = self
            .call("GET", "/v2/demo/ml/api/manifests/v1", None)
            .await?;
        let request = self
            .http
            .put(format!("{}/v2/demo/ml/api/manifests/{tag}", self.base));
        let request = request.bearer_auth(&self.token);
        let request = request.header("content-type", "application/vnd.oci.image.manifest.v1+json");
        let answer = request.body(manifest.to_string()).send().await.ok()?;
        assert_eq!(answer.status(), 201);
        Some(())
    }

    async fn read(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None).await.expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Looks for everything that was answered.
    async fn check(&self, written: &Written) {
        for operation in &written.services {
            let name = operation["metadata"]["name"].as_str().expect("a name");
            let service = self.read(&format!("/v2/{name}")).await;
            assert_eq!(service["uid"], operation["metadata"]["uid"]);
        }
        let tags = self.read("/v2/demo/ml/api/tags/list").await;
        let tags = tags["tags"].as_array().expect("a list");
        for tag in &written.tags {
            assert!(tags.contains(&json!(tag)), "{tag} is not in {tags:?}");
        }
        let secret = json!({"project": "demo", "name": "key", "value": "next"});
        let (_, answer) = self
            .call("POST", "/_emulator/secrets", Some(secret))
            .await
            .expect("an answer");
        let version = answer["version"].as_u64().expect("a number");
        assert!(
            (written.secret + 1..=written.secret + 2).contains(&version),
            "{version} after {}",
            written.secret
        );
        let first = self.read(&format!("{PARENT}/services/first")).await;
        let label: u64 = first["labels"]["count"]
            .as_str()
            .expect("a text")
            .parse()
            .expect("a number");
        assert!(
            (written.label..=written.label + 1).contains(&label),
            "{label} after {}",
            written.label
        );
        // What was under way goes on to its end, and the service answers where it should.
        if let Some(operation) = written.services.last() {
            let wait = format!("/v2/{}:wait", operation["name"].as_str().expect("a name"));
            let (_, ended) = self
                .call("POST", &wait, Some(json!({"timeout": "30s"})))
                .await
                .expect("an answer");
            assert_succeeded(&ended);
            let name = operation["metadata"]["name"].as_str().expect("a name");
            let service = self.read(&format!("/v2/{name}")).await;
            let url = format!("{}/version", uri(&service));
            let answer = self.http.get(url).send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_lost_by_a_kill() {
    let folder = directory();
    // Set up by a world of this process: an image, a service, a token.
    let cloud = open(folder.path(), None).await;
    let image = cloud.version("v1").await;
    let mut body = template(&image);
    body["labels"] = json!({"count": "0"});
    assert_succeeded(&cloud.create("first", body).await);
    let port = cloud.local.emulator.world().config.listen.port();
    let token = cloud.token.clone();
    cloud.stop().await;
    let mut written = Written::default();
    for (round, pause) in [3, 17, 40, 90, 140, 211, 5, 63, 180, 29]
        .into_iter()
        .enumerate()
    {
        let mut process = spawn(folder.path(), port);
        let client = Client {
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client"),
            base: process.base.clone(),
            token: token.clone(),
        };
        client.check(&written).await;
        let (secret, label) = (written.secret, written.label);
        let writing = client.write(round, &mut written);
        let kill = async {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            process.child.kill().expect("it is killed");
        };
        let (ended, ()) = tokio::join!(writing, kill);
        assert!(ended.is_none());
        // `check` itself has added a version, and the last write may have been cut off.
        written.secret = written.secret.max(secret + 1);
        written.label = written.label.max(label);
    }
    let process = spawn(folder.path(), port);
    let client = Client {
        http: reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client"),
        base: process.base.clone(),
        token,
    };
    client.check(&written).await;
    assert!(
        written.services.len() > 10,
        "too little was written to prove anything"
    );
}
