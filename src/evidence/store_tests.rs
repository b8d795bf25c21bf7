//! A registry that lists as it likes: in pages, incompletely, not at all.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use delivery::attestation::test_result::TEST_RESULT;
use delivery::attestation::{Envelope, Finding};
use delivery::name::EnvironmentName;

use super::*;
use crate::evidence::find_pass;
use crate::gcp::registry::RegistryAddress;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Descriptors in one page.
const PAGE: usize = 100;

/// What the registry has.
#[derive(Default)]
struct Shelf {
    /// Manifests and blobs by digest.
    all: BTreeMap<String, Vec<u8>>,
    /// What the list of referrers shows; `None`: there is no such endpoint.
    listed: Option<Vec<Value>>,
    /// What the index under the tag shows; `None`: there is no such tag.
    indexed: Option<Vec<Value>>,
    reads: usize,
}

fn image() -> ImageDigest {
    ImageDigest::parse(format!("sha256:{}", "1".repeat(64))).unwrap()
}

fn index_of(list: &[Value]) -> String {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": list}).to_string()
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, uri: Uri) -> Response {
    let mut shelf = shelf.lock().unwrap();
    let rest = uri.path().trim_start_matches("/v2/p/r/api/").to_owned();
    let tag = image().as_str().replace(':', "-");
    if rest.starts_with("referrers/") {
        let Some(listed) = &shelf.listed else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let query = uri.query().unwrap_or_default();
        let from = query.rsplit_once("from=").map_or("0", |(_, from)| from);
        let from: usize = from.parse().unwrap();
        let to = (from + PAGE).min(listed.len());
        let page = index_of(&listed[from..to]);
        if to == listed.len() {
            return ([("content-type", INDEX)], page).into_response();
        }
        let next = format!("<{}?from={to}>; rel=\"next\"", uri.path());
        return ([("content-type", INDEX), ("link", next.as_str())], page).into_response();
    }
    if rest == "tags/list" {
        return axum::Json(json!({"tags": []})).into_response();
    }
    let name = rest.rsplit('/').next().unwrap_or_default().to_owned();
    if name == tag {
        return match &shelf.indexed {
            Some(list) => ([("content-type", INDEX)], index_of(list)).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    shelf.reads += 1;
    match shelf.all.get(&name) {
        Some(bytes) => ([("content-type", MANIFEST)], bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Shelf {
    /// Puts a verdict of an environment; gives its descriptor. The number tells equal ones apart.
    fn put(&mut self, environment: &str, number: usize, hints: bool) -> Value {
        let hex = image().as_str().trim_start_matches("sha256:").to_owned();
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": hex}}],
            "predicateType": TEST_RESULT,
            "predicate": {
                "result": "PASSED",
                "configuration": [{"annotations": {"ml-deploy/environment": environment}}],
                "url": format!("https://ci.example/{number}"),
            },
        });
        let evidence = NewEvidence {
            envelope: Envelope::unsigned(statement.to_string().into_bytes()),
            environment: environment.to_owned(),
            predicate_type: TEST_RESULT.to_owned(),
            created: "2026-01-02T03:04:05Z".to_owned(),
        };
        let stored = Stored::of(&evidence.envelope);
        let subject = RawManifest {
            media_type: MANIFEST.to_owned(),
            digest: image().to_string(),
            bytes: Vec::new(),
        };
        let mut manifest = manifest(&subject, &stored, &evidence);
        manifest["subject"]["digest"] = json!(image().as_str());
        let bytes = manifest.to_string().into_bytes();
        let name = digest_of(&bytes);
        self.all.insert(name.clone(), bytes);
        self.all.insert(digest_of(&stored.bytes), stored.bytes);
        let mut descriptor = json!({"digest": name, "artifactType": ARTIFACT_TYPE});
        if hints {
            descriptor["annotations"] = manifest["annotations"].clone();
        }
        descriptor
    }
}

/// What is found of staging, and how many requests that took.
async fn found(shelf: Shelf) -> (Finding, usize) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let shelf = Arc::new(Mutex::new(shelf));
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&shelf));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let address = RegistryAddress {
        base_url: format!("http://{host}"),
        host,
        path: "p/r/api".to_owned(),
        named_host: "us-central1-docker.pkg.dev".to_owned(),
        member: None,
    };
    let store = RegistryStore::new(Client::new(address, None).unwrap());
    let staging = EnvironmentName::parse("staging").unwrap();
    let finding = find_pass(&store, &image(), &staging, None).await;
    task.abort();
    let reads = shelf.lock().unwrap().reads;
    (finding.unwrap(), reads)
}

fn is_pass(finding: &Finding) -> bool {
    matches!(finding, Finding::Unsigned(_))
}

#[tokio::test]
async fn many_others_hide_no_pass() {
    for hints in [true, false] {
        let mut shelf = Shelf::default();
        let mut listed: Vec<Value> = (0..700)
            .map(|number| shelf.put("dev", number, hints))
            .collect();
        listed.push(shelf.put("staging", 0, hints));
        shelf.listed = Some(listed);
        let (finding, reads) = found(shelf).await;
        assert!(is_pass(&finding), "hints {hints}: {finding:?}");
        // Where the list says what is what, the others are not read: manifest and layer, of at most as
        // many as are read at once.
        assert!(!hints || reads <= 16, "{reads} requests");
    }
}

#[tokio::test]
async fn the_list_and_the_index_are_both_read() {
    let mut shelf = Shelf::default();
    let (dev, staging) = (shelf.put("dev", 0, true), shelf.put("staging", 0, true));
    for (listed, indexed, passes) in [
        // Made before the registry had a list, or copied from one that has none.
        (Some(vec![dev.clone()]), Some(vec![staging.clone()]), true),
        (Some(Vec::new()), Some(vec![staging.clone()]), true),
        (Some(vec![staging.clone()]), None, true),
        (None, Some(vec![dev.clone(), staging.clone()]), true),
        (Some(vec![dev.clone()]), None, false),
        (None, None, false),
    ] {
        let shelf = Shelf {
            all: shelf.all.clone(),
            listed,
            indexed,
            reads: 0,
        };
        let words = format!("{:?} {:?}", shelf.listed, shelf.indexed);
        let (finding, _) = found(shelf).await;
        assert_eq!(is_pass(&finding), passes, "{words}: {finding:?}");
    }
}

#[tokio::test]
async fn what_is_of_another_kind_in_the_list_is_not_read() {
    let mut shelf = Shelf::default();
    let mut foreign = shelf.put("staging", 0, true);
    foreign["artifactType"] = json!("application/vnd.example.sbom.v1");
    shelf.listed = Some(vec![foreign]);
    let (finding, reads) = found(shelf).await;
    assert_eq!((finding, reads), (Finding::Missing, 0));
}
