//! Images in a real Docker engine: built, pushed to the local cloud's registry, pulled back, started.
//! Without an engine these tests fail.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, DownloadFromContainerOptions,
    InspectContainerOptions, RemoveContainerOptions, RemoveImageOptions,
};
use delivery::diagnostic::Code;
use delivery::event::{Event, EventSink};
use delivery::release::{Commit, ImageDigest};
use emulator::runtime::{Instance, InstanceSpec, LogSink, Runtime, StartFailure};
use emulator::{Config, Emulator};
use futures_util::StreamExt;
use ml_deploy::gcp::registry::{Client, RegistryAddress, TagPut};
use ml_deploy::image::{
    BuildRequest, Builder, BuiltImage, Engine, ImageOrigin, RunningTrial, TrialRequest,
};
use ml_deploy::secret::Secret;

/// A base image with a shell and Python, which the set-up puts in place.
const PYTHON: &str = "python:3.13-slim-trixie";
/// Time for a small server to start on a busy machine.
const GRACE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl EventSink for Events {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Events {
    fn text(&self) -> String {
        let events = self.0.lock().unwrap();
        let lines = events.iter().map(|event| match event {
            Event::ForeignText { text, .. } => text.clone(),
            other => format!("{other:?}"),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Runs no container: nothing is deployed here.
struct NoContainers;

#[async_trait]
impl Runtime for NoContainers {
    async fn start(
        &self,
        _spec: &InstanceSpec,
        _logs: LogSink,
    ) -> Result<Box<dyn Instance>, StartFailure> {
        unreachable!("nothing is deployed")
    }

    async fn shutdown(&self) {}
}

struct Cloud {
    emulator: Emulator,
    token: Secret,
}

impl Cloud {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let emulator = Emulator::start(Config::loopback(Arc::new(NoContainers)))
            .await
            .unwrap();
        let token = emulator
            .world()
            .tokens
            .issue_local("ci@demo-project.iam.gserviceaccount.com");
        Self {
            emulator,
            token: Secret::new(token),
        }
    }

    fn address(&self, image: &str) -> RegistryAddress {
        let host = self.emulator.world().config.listen.to_string();
        RegistryAddress {
            base_url: format!("http://{host}"),
            host,
            path: format!("demo-project/apis/{image}"),
        }
    }

    fn registry(&self, image: &str) -> Client {
        Client::new(self.address(image), Some(self.token.clone())).unwrap()
    }
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn context(dockerfile: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "Dockerfile", dockerfile);
    for (name, text) in files {
        write(root.path(), name, text);
    }
    root
}

async fn build(engine: &Engine, request: &BuildRequest, events: &Events) -> BuiltImage {
    match engine.build(request, events).await {
        Ok(image) => image,
        Err(diagnostics) => panic!("{diagnostics:#?}\n{}", events.text()),
    }
}

async fn docker() -> Docker {
    let docker = Docker::connect_with_defaults().unwrap();
    docker.negotiate_version().await.unwrap()
}

async fn remove(image: &str) {
    let options = RemoveImageOptions {
        force: true,
        ..RemoveImageOptions::default()
    };
    // Another test may use the same layers; what is left has no name and is pruned by anybody.
    let _ = docker()
        .await
        .remove_image(image, Some(options), None)
        .await;
}

/// Pulls by digest and lists the files of the image, with the text of one of them.
async fn pull_back(
    address: &RegistryAddress,
    digest: &ImageDigest,
    file: &str,
) -> (BTreeSet<String>, String) {
    let docker = docker().await;
    let name = format!("{}/{}@{digest}", address.host, address.path);
    let options = CreateImageOptions {
        from_image: Some(name.clone()),
        ..CreateImageOptions::default()
    };
    let mut answers = std::pin::pin!(docker.create_image(Some(options), None, None));
    while let Some(answer) = answers.next().await {
        answer.unwrap();
    }
    let body = ContainerCreateBody {
        image: Some(name.clone()),
        cmd: Some(vec!["/none".to_owned()]),
        ..ContainerCreateBody::default()
    };
    let created = docker
        .create_container(None::<CreateContainerOptions>, body)
        .await
        .unwrap();
    let options = DownloadFromContainerOptions {
        path: "/".to_owned(),
    };
    let pieces = docker.download_from_container(&created.id, Some(options));
    let bytes: Vec<u8> = pieces
        .map(|piece| piece.unwrap().to_vec())
        .collect::<Vec<_>>()
        .await
        .concat();
    let force = RemoveContainerOptions {
        force: true,
        ..RemoveContainerOptions::default()
    };
    docker
        .remove_container(&created.id, Some(force))
        .await
        .unwrap();
    remove(&name).await;
    let mut names = BTreeSet::new();
    let mut text = String::new();
    let mut archive = tar::Archive::new(Cursor::new(bytes));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry
            .path()
            .unwrap()
            .to_string_lossy()
            .trim_matches(['/', '.'])
            .to_owned();
        if path == file {
            entry.read_to_string(&mut text).unwrap();
        }
        names.insert(path);
    }
    (names, text)
}

#[tokio::test]
async fn an_image_goes_to_the_registry_and_comes_back_by_digest() {
    let cloud = Cloud::start().await;
    let engine = Engine::connect().await.unwrap();
    assert_eq!(engine.builder(), Builder::BuildKit);
    let root = context(
        "FROM scratch\nARG GREETING\nLABEL greeting=$GREETING\nCOPY . /app/\n",
        &[
            ("model.txt", "a real model"),
            ("secret.key", "no"),
            (
                "gha-creds-0123456789abcdef.json",
                "{\"type\": \"external_account\"}",
            ),
            ("deep/gha-creds-fedc.json", "{}"),
            (".dockerignore", "*.key\n!gha-creds-0123456789abcdef.json\n"),
        ],
    );
    let commit = Commit::parse("c".repeat(40)).unwrap();
    let origin = ImageOrigin {
        title: "ml-api",
        source: "https://github.com/org/ml-api",
        commit: &commit,
        version: None,
        committed_at: Some("2026-01-02T03:04:05Z"),
    };
    let mut request = BuildRequest::new(root.path());
    request.labels = origin.labels();
    request
        .build_args
        .insert("GREETING".to_owned(), "hello".to_owned());
    let events = Events::default();
    let image = build(&engine, &request, &events).await;
    assert_eq!(image.platform, "linux/amd64");
    assert!(image.bytes > 0 && image.bytes < 10_000, "{image:?}");
    assert!(events.text().contains("COPY . /app/"), "{}", events.text());
    let inspected = docker().await.inspect_image(&image.id).await.unwrap();
    let labels = inspected.config.unwrap().labels.unwrap();
    assert_eq!(labels["org.opencontainers.image.revision"], commit.as_str());
    assert_eq!(labels["greeting"], "hello");

    let (address, tag) = (cloud.address("ml-api"), format!("sha-{commit}"));
    let digest = engine
        .push(&image, &address, &tag, cloud.token.clone(), &events)
        .await
        .unwrap();
    let registry = cloud.registry("ml-api");
    assert_eq!(
        registry.resolve(&tag).await.unwrap().as_ref(),
        Some(&digest)
    );
    assert!(!registry.head(&digest).await.unwrap().unwrap().is_index());
    // Again: nothing changes.
    let again = engine
        .push(&image, &address, &tag, cloud.token.clone(), &events)
        .await
        .unwrap();
    assert_eq!(again, digest);

    // The release's tag stands for the same digest.
    assert_eq!(
        registry.put_tag(&digest, "v1.0.0").await.unwrap(),
        TagPut::Created
    );
    assert_eq!(
        registry.put_tag(&digest, "v1.0.0").await.unwrap(),
        TagPut::Present
    );
    assert_eq!(
        registry.tags().await.unwrap(),
        [tag.clone(), "v1.0.0".to_owned()]
    );

    remove(&format!("{}/{}:{tag}", address.host, address.path)).await;
    let (names, text) = pull_back(&address, &digest, "app/model.txt").await;
    assert_eq!(text, "a real model", "{names:?}");
    for absent in [
        "app/secret.key",
        "app/gha-creds-0123456789abcdef.json",
        "app/deep/gha-creds-fedc.json",
    ] {
        assert!(
            !names.contains(absent),
            "{absent} is in the image: {names:?}"
        );
    }
    cloud.emulator.stop().await;
}

#[tokio::test]
async fn a_tag_that_cannot_move_gives_the_image_it_stands_for() {
    let cloud = Cloud::start().await;
    let engine = Engine::connect().await.unwrap();
    let events = Events::default();
    let address = cloud.address("immutable");
    let mut digests = Vec::new();
    for text in ["first", "second"] {
        let root = context("FROM scratch\nCOPY text /\n", &[("text", text)]);
        let image = build(&engine, &BuildRequest::new(root.path()), &events).await;
        let digest = engine
            .push(&image, &address, "sha-1", cloud.token.clone(), &events)
            .await
            .unwrap();
        digests.push(digest);
        cloud
            .emulator
            .world()
            .registry
            .set_immutable_tags("demo-project", "apis", true);
        remove(&image.id).await;
    }
    assert_eq!(digests[0], digests[1]);
    assert!(
        events.text().contains("exists and cannot move"),
        "{}",
        events.text()
    );
    let error = cloud
        .registry("immutable")
        .put_tag(
            &ImageDigest::parse(format!("sha256:{}", "0".repeat(64))).unwrap(),
            "sha-1",
        )
        .await
        .unwrap_err();
    assert!(error.cause[0].contains(digests[0].as_str()), "{error:?}");
    cloud.emulator.stop().await;
}

#[tokio::test]
async fn a_refused_push_says_what_to_do() {
    let cloud = Cloud::start().await;
    let engine = Engine::connect().await.unwrap();
    let events = Events::default();
    let root = context("FROM scratch\nCOPY text /\n", &[("text", "refused")]);
    let image = build(&engine, &BuildRequest::new(root.path()), &events).await;
    let address = cloud.address("refused");
    let error = engine
        .push(
            &image,
            &address,
            "sha-1",
            Secret::new("wrong-token"),
            &events,
        )
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.code,
            Code::CredentialsRefused | Code::PermissionDenied
        ),
        "{error:?}"
    );
    assert!(
        !error.help.is_empty() && !format!("{error:?}").contains("wrong-token"),
        "{error:?}"
    );
    cloud.emulator.stop().await;

    let gone = RegistryAddress {
        base_url: "http://127.0.0.1:1".to_owned(),
        host: "127.0.0.1:1".to_owned(),
        path: "p/r/i".to_owned(),
    };
    let error = engine
        .push(&image, &gone, "sha-1", Secret::new("t"), &events)
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::PushFailed, "{error:?}");
    remove(&image.id).await;
}

#[tokio::test]
async fn a_failing_build_ends_with_its_last_lines() {
    let engine = Engine::connect().await.unwrap();
    let script = "RUN echo the-line-before-the-end && exit 7\n";
    for engine in [engine.clone(), engine.with_classic_builder()] {
        let root = context(&format!("FROM {PYTHON}\n{script}"), &[]);
        let events = Events::default();
        let error = engine
            .build(&BuildRequest::new(root.path()), &events)
            .await
            .unwrap_err()
            .remove(0);
        assert_eq!(error.code, Code::BuildFailed, "{error:?}");
        assert!(
            error
                .logs
                .iter()
                .any(|line| line.contains("the-line-before-the-end")),
            "{error:#?}"
        );
        assert!(error.cause.join(" ").contains('7'), "{error:?}");
    }
}

#[tokio::test]
async fn an_unknown_base_image_and_a_broken_dockerfile_are_build_failures() {
    let engine = Engine::connect().await.unwrap();
    for (dockerfile, part) in [
        (
            "FROM 127.0.0.1:1/no/such:image\n",
            "the base image cannot be pulled",
        ),
        ("FROM scratch AS a\nFRMO b\n", "FRMO"),
    ] {
        let root = context(dockerfile, &[]);
        let events = Events::default();
        let error = engine
            .build(&BuildRequest::new(root.path()), &events)
            .await
            .unwrap_err()
            .remove(0);
        assert_eq!(error.code, Code::BuildFailed, "{error:?}");
        assert!(format!("{error:?}").contains(part), "{error:#?}");
    }
}

#[tokio::test]
async fn the_builder_of_old_builds_the_same_files() {
    let engine = Engine::connect().await.unwrap().with_classic_builder();
    let root = context("FROM scratch\nCOPY text /\n", &[("text", "classic")]);
    let events = Events::default();
    let image = build(&engine, &BuildRequest::new(root.path()), &events).await;
    assert!(image.id.starts_with("sha256:"), "{image:?}");
    remove(&image.id).await;
}

const SERVER: &str = "import os, http.server\n\
class H(http.server.BaseHTTPRequestHandler):\n\
\x20   def do_GET(self):\n\
\x20       body = (os.environ['K_SERVICE'] + ' ' + os.environ['COLOUR']).encode()\n\
\x20       self.send_response(200)\n\
\x20       self.end_headers()\n\
\x20       self.wfile.write(body)\n\
print('listening', flush=True)\n\
http.server.HTTPServer(('0.0.0.0', int(os.environ['PORT'])), H).serve_forever()\n";

async fn start(
    program: &str,
    change: impl FnOnce(&mut TrialRequest),
) -> (Engine, BuiltImage, RunningTrial) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let engine = Engine::connect().await.unwrap();
    let dockerfile = format!("FROM {PYTHON}\nCOPY main.py /\nCMD [\"python3\", \"/main.py\"]\n");
    let root = context(&dockerfile, &[("main.py", program)]);
    let image = build(&engine, &BuildRequest::new(root.path()), &Events::default()).await;
    let mut request = TrialRequest::new("ml-api");
    request.env.insert("COLOUR".to_owned(), "blue".to_owned());
    change(&mut request);
    let trial = engine.try_locally(&image, &request).await.unwrap();
    (engine, image, trial)
}

async fn exists(container: &str) -> bool {
    let found = docker()
        .await
        .inspect_container(container, None::<InspectContainerOptions>)
        .await;
    found.is_ok()
}

#[tokio::test]
async fn a_trial_is_reached_and_removed() {
    let (_, image, trial) = start(SERVER, |request| request.port = 9090).await;
    let address = trial.reach("/", GRACE, &Events::default()).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = client
        .get(format!("{address}/"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(text, "ml-api blue");
    assert!(
        trial
            .logs(5)
            .await
            .unwrap()
            .contains(&"listening".to_owned())
    );
    let id = trial.id().to_owned();
    let begin = Instant::now();
    trial.stop().await.unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(7),
        "stopping took {:?}",
        begin.elapsed()
    );
    assert!(!exists(&id).await);
    remove(&image.id).await;
}

#[tokio::test]
async fn a_container_that_exits_is_told_at_once_with_its_log() {
    let (_, image, trial) = start("print('no model here'); raise SystemExit(3)\n", |_| {}).await;
    let begin = Instant::now();
    let error = trial
        .reach("/", GRACE, &Events::default())
        .await
        .unwrap_err();
    assert!(begin.elapsed() < GRACE);
    assert_eq!(error.code, Code::LocalTestsFailed);
    assert_eq!(error.cause, ["exit code 3"]);
    assert_eq!(error.logs, ["no model here"]);
    trial.stop().await.unwrap();
    remove(&image.id).await;
}

#[tokio::test]
async fn a_container_that_needs_too_much_memory_says_so() {
    let (_, image, trial) = start("x = b'x' * (200 << 20)\nprint(len(x))\n", |request| {
        request.memory_bytes = 32 << 20
    })
    .await;
    let error = trial
        .reach("/", GRACE, &Events::default())
        .await
        .unwrap_err();
    assert!(
        error
            .cause
            .iter()
            .any(|cause| cause.contains("memory limit of 32 MiB")),
        "{error:?}"
    );
    trial.stop().await.unwrap();
    remove(&image.id).await;
}

#[tokio::test]
async fn a_container_that_listens_elsewhere_says_which_port() {
    let program = SERVER.replace("'0.0.0.0', int(os.environ['PORT'])", "'127.0.0.1', 1234");
    let (_, image, trial) = start(&program, |_| {}).await;
    let error = trial
        .reach("/", Duration::from_secs(2), &Events::default())
        .await
        .unwrap_err();
    assert!(
        error.title.contains("did not answer on port 8080"),
        "{error:?}"
    );
    assert!(error.help[0].contains("0.0.0.0:$PORT"), "{error:?}");
    trial.stop().await.unwrap();
    remove(&image.id).await;
}

#[tokio::test]
async fn a_dropped_trial_is_removed_too() {
    let (_, image, trial) = start(SERVER, |_| {}).await;
    let id = trial.id().to_owned();
    assert!(exists(&id).await);
    drop(trial);
    let deadline = Instant::now() + Duration::from_secs(30);
    while exists(&id).await {
        assert!(Instant::now() < deadline, "the container is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    remove(&image.id).await;
}

#[tokio::test]
async fn a_program_that_the_image_lacks_and_a_missing_engine_are_explained() {
    let engine = Engine::connect().await.unwrap();
    let root = context(
        "FROM scratch\nCOPY text /\nCMD [\"/no-such-program\"]\n",
        &[("text", "x")],
    );
    let image = build(&engine, &BuildRequest::new(root.path()), &Events::default()).await;
    let error = engine
        .try_locally(&image, &TrialRequest::new("ml-api"))
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::LocalTestsFailed, "{error:?}");
    assert!(error.cause[0].contains("no-such-program"), "{error:?}");
    remove(&image.id).await;

    let error = Engine::connect_to("unix:///nowhere/docker.sock")
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::DockerUnavailable);
    assert!(
        error
            .help
            .iter()
            .any(|line| line.contains("runs-on: ubuntu-latest")),
        "{error:?}"
    );
    let error = Engine::connect_to("tcp://127.0.0.1:1").await.unwrap_err();
    assert_eq!(error.code, Code::DockerUnavailable);
}
