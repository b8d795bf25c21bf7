//! Against a registry in the process that misbehaves on purpose.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use delivery::diagnostic::Code;
use delivery::event::{Event, EventSink};
use delivery::release::ImageDigest;
use sha2::{Digest, Sha256};

use super::{Client, RegistryAddress, TagPut};
use crate::secret::Secret;

const KIND: &str = "application/vnd.docker.distribution.manifest.v2+json";

struct Quiet;

impl EventSink for Quiet {
    fn emit(&self, _event: Event) {}
}

#[derive(Default)]
struct Fake {
    manifests: BTreeMap<String, Vec<u8>>,
    tags: BTreeMap<String, String>,
    /// Answers, first to last, instead of the real ones.
    faults: Vec<StatusCode>,
    wants_token: bool,
    immutable: bool,
    /// Method, path, authorization.
    seen: Vec<String>,
    /// Appears after this many looks.
    late: Option<(usize, String, String)>,
}

type Shared = Arc<Mutex<Fake>>;

fn digest(bytes: &[u8]) -> ImageDigest {
    ImageDigest::parse(format!("sha256:{}", hex::encode(Sha256::digest(bytes)))).unwrap()
}

async fn answer(
    State(fake): State<Shared>,
    Path(path): Path<String>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut fake = fake.lock().unwrap();
    let authorization = headers
        .get("authorization")
        .map_or("-", |v| v.to_str().unwrap())
        .to_owned();
    fake.seen.push(format!("{method} {path} {authorization}"));
    if path == "token" {
        return axum::Json(serde_json::json!({"token": "registry-token"})).into_response();
    }
    if !fake.faults.is_empty() {
        return (fake.faults.remove(0), [("retry-after", "0")]).into_response();
    }
    if fake.wants_token && authorization != "Bearer registry-token" {
        let host = headers.get("host").unwrap().to_str().unwrap();
        let challenge = format!(
            "Bearer realm=\"http://{host}/v2/token\",service=\"x\",scope=\"repository:p/r/i:pull\""
        );
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response();
    }
    if path == "p/r/i/tags/list" {
        return axum::Json(serde_json::json!({"tags": fake.tags.keys().collect::<Vec<_>>()}))
            .into_response();
    }
    if let Some((looks, tag, digest)) = fake.late.take() {
        if looks == 0 {
            fake.tags.insert(tag, digest);
        } else {
            fake.late = Some((looks - 1, tag, digest));
        }
    }
    let reference = path
        .strip_prefix("p/r/i/manifests/")
        .unwrap_or_default()
        .to_owned();
    if method == Method::PUT {
        if fake.immutable {
            let text = "cannot update tag v1. The repository has enabled tag immutability";
            let errors =
                serde_json::json!({"errors": [{"code": "MANIFEST_INVALID", "message": text}]});
            return (StatusCode::BAD_REQUEST, axum::Json(errors)).into_response();
        }
        assert_eq!(headers["content-type"], KIND);
        let digest = digest(&body).to_string();
        fake.manifests.insert(digest.clone(), body.to_vec());
        fake.tags.insert(reference, digest);
        return StatusCode::CREATED.into_response();
    }
    let found = fake.tags.get(&reference).cloned().unwrap_or(reference);
    match fake.manifests.get(&found) {
        Some(bytes) => (
            [
                ("docker-content-digest", found.clone()),
                ("content-type", KIND.to_owned()),
            ],
            bytes.clone(),
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

struct Running {
    fake: Shared,
    client: Client,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn registry(fake: Fake) -> Running {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fake = Arc::new(Mutex::new(fake));
    let router = Router::new()
        .route("/v2/{*path}", any(answer))
        .with_state(fake.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let address = RegistryAddress {
        base_url: format!("http://{host}"),
        host,
        path: "p/r/i".to_owned(),
        named_host: "us-central1-docker.pkg.dev".to_owned(),
        member: None,
    };
    let client = Client::new(address, Some(Secret::new("google-token"))).unwrap();
    Running { fake, client, task }
}

/// Odd spaces: a typed round trip would change them.
const MANIFEST: &[u8] = b"{ \"schemaVersion\":2 ,\n  \"layers\": [ ] }";

fn with_image() -> Fake {
    Fake {
        manifests: BTreeMap::from([(digest(MANIFEST).to_string(), MANIFEST.to_vec())]),
        ..Fake::default()
    }
}

#[tokio::test]
async fn a_tag_is_put_byte_for_byte_and_putting_it_again_changes_nothing() {
    let running = registry(with_image()).await;
    let image = digest(MANIFEST);
    assert_eq!(running.client.resolve("v1").await.unwrap(), None);
    assert_eq!(
        running.client.put_tag(&image, "v1").await.unwrap(),
        TagPut::Created
    );
    assert_eq!(
        running.client.put_tag(&image, "v1").await.unwrap(),
        TagPut::Present
    );
    assert_eq!(
        running.client.resolve("v1").await.unwrap(),
        Some(image.clone())
    );
    assert_eq!(running.client.tags().await.unwrap(), ["v1"]);
    let fake = running.fake.lock().unwrap();
    assert_eq!(fake.manifests[image.as_str()], MANIFEST);
    assert_eq!(
        fake.seen
            .iter()
            .filter(|line| line.starts_with("PUT"))
            .count(),
        1
    );
    assert!(
        !fake.seen.iter().any(|line| line.contains("/blobs/")),
        "a layer was touched"
    );
}

#[tokio::test]
async fn a_tag_of_another_image_is_never_moved() {
    let mut fake = with_image();
    let other = digest(b"other");
    fake.manifests.insert(other.to_string(), b"other".to_vec());
    fake.tags.insert("v1".to_owned(), other.to_string());
    let running = registry(fake).await;
    let error = running
        .client
        .put_tag(&digest(MANIFEST), "v1")
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::RegistryFailed);
    assert!(
        error.cause[0].contains(other.as_str())
            && error.cause[0].contains(digest(MANIFEST).as_str()),
        "{error:?}"
    );
    assert_eq!(running.fake.lock().unwrap().tags["v1"], other.to_string());
}

#[tokio::test]
async fn an_unknown_digest_and_an_immutable_tag_are_explained() {
    let running = registry(Fake::default()).await;
    let error = running
        .client
        .put_tag(&digest(MANIFEST), "v1")
        .await
        .unwrap_err();
    assert!(
        error.cause[0].contains("there is no image sha256:"),
        "{error:?}"
    );

    let running = registry(Fake {
        immutable: true,
        ..with_image()
    })
    .await;
    let error = running
        .client
        .put_tag(&digest(MANIFEST), "v1")
        .await
        .unwrap_err();
    assert!(error.cause[0].contains("tag immutability"), "{error:?}");
}

#[tokio::test]
async fn the_token_flow_is_followed_with_the_credential() {
    let running = registry(Fake {
        wants_token: true,
        ..with_image()
    })
    .await;
    assert!(
        running
            .client
            .head(&digest(MANIFEST))
            .await
            .unwrap()
            .is_some()
    );
    let fake = running.fake.lock().unwrap();
    let basic = "Basic b2F1dGgyYWNjZXNzdG9rZW46Z29vZ2xlLXRva2Vu";
    assert!(
        fake.seen[1].ends_with(&format!("token {basic}")),
        "{:?}",
        fake.seen
    );
    assert!(
        fake.seen[2].ends_with("Bearer registry-token"),
        "{:?}",
        fake.seen
    );
}

#[tokio::test]
async fn passing_failures_are_retried_and_lasting_ones_reported() {
    let faults = vec![
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let running = registry(Fake {
        faults,
        ..with_image()
    })
    .await;
    assert!(
        running
            .client
            .head(&digest(MANIFEST))
            .await
            .unwrap()
            .is_some()
    );

    let running = registry(Fake {
        faults: vec![StatusCode::BAD_GATEWAY; 5],
        ..with_image()
    })
    .await;
    let error = running.client.resolve("v1").await.unwrap_err();
    assert!(error.cause[0].contains("502"), "{error:?}");

    let running = registry(Fake {
        faults: vec![StatusCode::FORBIDDEN; 2],
        ..with_image()
    })
    .await;
    let error = running.client.resolve("v1").await.unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied, "{error:?}");
    assert!(!format!("{error:?}").contains("google-token"));
}

#[tokio::test]
async fn a_build_under_way_is_waited_for() {
    let image = digest(MANIFEST);
    let late = Some((1, "sha-abc".to_owned(), image.to_string()));
    let running = registry(Fake {
        late,
        ..with_image()
    })
    .await;
    let found = running
        .client
        .wait_for_tag("sha-abc", Duration::from_secs(20), &Quiet)
        .await
        .unwrap();
    assert_eq!(found, Some(image));
    let none = running
        .client
        .wait_for_tag("sha-def", Duration::from_millis(50), &Quiet)
        .await
        .unwrap();
    assert_eq!(none, None);
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_a_diagnostic() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let address = RegistryAddress {
        base_url: format!("http://{host}"),
        host,
        path: "p/r/i".to_owned(),
        named_host: "us-central1-docker.pkg.dev".to_owned(),
        member: None,
    };
    let client = Client::new(address, None).unwrap();
    let error = client.resolve("v1").await.unwrap_err();
    assert_eq!(error.code, Code::RegistryFailed);
    assert!(
        error.cause[0].contains("did not answer in 5 tries"),
        "{error:?}"
    );
}
