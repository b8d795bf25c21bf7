//! To the registry and back.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};
use std::sync::Arc;

use async_trait::async_trait;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, DownloadFromContainerOptions,
    RemoveContainerOptions,
};
use delivery::diagnostic::Code;
use delivery::event::{Event, Unit};
use delivery::release::{Commit, ImageDigest};
use emulator::runtime::{Instance, InstanceSpec, LogSink, Runtime, StartFailure};
use emulator::{Config, Emulator};
use futures_util::StreamExt;
use ml_deploy::gcp::registry::{Client, RegistryAddress, TagPut};
use ml_deploy::image::{BuildRequest, Builder, Engine, ImageOrigin};
use ml_deploy::secret::Secret;

use crate::{Events, build, context, docker, remove};

/// Runs no container: nothing is deployed here.
struct NoContainers;

#[async_trait]
impl Runtime for NoContainers {
    async fn start(
        &self,
        _spec: &InstanceSpec,
        _logs: LogSink,
        _closing: &tokio_util::sync::CancellationToken,
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
            named_host: "us-central1-docker.pkg.dev".to_owned(),
            member: None,
        }
    }

    fn registry(&self, image: &str) -> Client {
        Client::new(self.address(image), Some(self.token.clone())).unwrap()
    }
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
    let bytes = |event: &Event| matches!(event, Event::Progress { unit: Unit::Bytes, done, total, .. } if Some(*done) == *total && *done > 0);
    assert!(
        events.0.lock().unwrap().iter().any(bytes),
        "no progress: {}",
        events.text()
    );
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
        let world = cloud.emulator.world();
        let now = world.clock.now();
        world
            .registry
            .put_repository("demo-project", "apis", "us-central1", true, now);
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
        named_host: "us-central1-docker.pkg.dev".to_owned(),
        member: None,
    };
    let error = engine
        .push(&image, &gone, "sha-1", Secret::new("t"), &events)
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::PushFailed, "{error:?}");
    remove(&image.id).await;
}
