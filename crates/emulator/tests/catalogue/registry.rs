//! The registry: what a push or a pull is told, and Artifact Registry's own API.

use serde_json::{Value, json};

use super::cloud::{Cloud, push};
use super::{Refused, admin, assert_refused};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const REPOSITORIES: &str = "/v1/projects/demo/locations/us-central1/repositories";

/// Puts a manifest: status, and code and message of the first error.
async fn put_manifest(cloud: &Cloud, path: &str, body: &Value) -> (u16, String, String) {
    let request = cloud
        .local
        .http
        .put(cloud.local.url(path))
        .bearer_auth(&cloud.token)
        .header("content-type", MANIFEST)
        .body(body.to_string());
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    let text = |field: &str| {
        let text = body["errors"][0][field].as_str();
        text.unwrap_or_default().to_owned()
    };
    (status, text("code"), text("message"))
}

fn manifest(config: &str) -> Value {
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2}})
}

#[tokio::test]
async fn a_tag_that_cannot_move_and_a_layer_that_is_not_there() {
    let cloud = Cloud::start().await;
    let (_, first) = push(&cloud.local, &cloud.token, "v1").await;
    let settings = json!({"immutable_tags": true});
    admin(&cloud, "PUT", "registry/repositories/demo/ml", settings).await;
    push(&cloud.local, &cloud.token, "other").await;
    let image = cloud
        .get(&format!("{REPOSITORIES}/ml/packages/api/tags/other"))
        .await;
    let digest = image["version"]
        .as_str()
        .expect("a version")
        .rsplit('/')
        .next()
        .expect("a digest");
    assert_ne!(digest, first);
    let raw = cloud
        .local
        .url(&format!("/v2/demo/ml/api/manifests/{digest}"));
    let raw: Value = cloud
        .local
        .http
        .get(raw)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let refused = put_manifest(&cloud, "/v2/demo/ml/api/manifests/v1", &raw).await;
    let text = "cannot update tag v1. The repository has enabled tag immutability";
    assert_eq!(
        refused,
        (400, "MANIFEST_INVALID".to_owned(), text.to_owned())
    );
    let nowhere = format!("sha256:{}", "0".repeat(64));
    let refused = put_manifest(&cloud, "/v2/demo/ml/api/manifests/v2", &manifest(&nowhere)).await;
    let text = format!("manifest references unknown blob {nowhere}");
    assert_eq!(refused, (400, "MANIFEST_BLOB_UNKNOWN".to_owned(), text));
    cloud.stop().await;
}

#[tokio::test]
async fn a_repository_must_be_created_when_the_world_says_so() {
    let cloud = Cloud::start().await;
    admin(
        &cloud,
        "PUT",
        "registry/settings",
        json!({"create_on_push": false}),
    )
    .await;
    let url = cloud.local.url("/v2/demo/ml/api/blobs/uploads/");
    let answer = cloud
        .local
        .http
        .post(&url)
        .bearer_auth(&cloud.token)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 404);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(
        body,
        json!({"errors": [{"code": "NAME_UNKNOWN", "message": "Repository \"ml\" not found"}]})
    );
    let path = format!("{REPOSITORIES}?repositoryId=ml");
    let (status, operation) = cloud
        .call("POST", &path, Some(json!({"format": "DOCKER"})))
        .await;
    assert_eq!(
        (status, &operation["done"]),
        (200, &json!(true)),
        "{operation}"
    );
    let again = cloud
        .call("POST", &path, Some(json!({"format": "DOCKER"})))
        .await;
    let expected = Refused {
        http: 409,
        status: "ALREADY_EXISTS",
        text: "the repository already exists",
        violation: None,
    };
    assert_refused(&again, &expected);
    push(&cloud.local, &cloud.token, "v1").await;
    cloud.stop().await;
}

#[tokio::test]
async fn outages_and_rate_limits_of_the_registry() {
    let cloud = Cloud::start().await;
    for (status, http, code) in [
        ("RESOURCE_EXHAUSTED", 429, "TOOMANYREQUESTS"),
        ("UNAVAILABLE", 503, "UNAVAILABLE"),
    ] {
        let fault = json!({"point": "GET /v2/demo/**", "count": 1,
            "fault": {"status": status, "message": "Quota exceeded", "retry_after": 3}});
        admin(&cloud, "POST", "faults", fault).await;
        let url = cloud.local.url("/v2/demo/ml/api/tags/list");
        let answer = cloud.local.http.get(url).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), http);
        assert_eq!(answer.headers()["retry-after"], "3");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(
            body,
            json!({"errors": [{"code": code, "message": "Quota exceeded"}]})
        );
    }
    cloud.stop().await;
}

#[tokio::test]
async fn repositories_images_and_tags_are_read_in_pages() {
    let cloud = Cloud::start().await;
    for tag in ["v1", "v2", "v3"] {
        push(&cloud.local, &cloud.token, tag).await;
    }
    let anonymous = cloud.local.json("GET", REPOSITORIES, None, None).await;
    assert_eq!(anonymous.0, 401, "{}", anonymous.1);
    let list = cloud.get(REPOSITORIES).await;
    let repository = &list["repositories"][0];
    assert_eq!(
        repository["name"],
        "projects/demo/locations/us-central1/repositories/ml"
    );
    assert_eq!(repository["format"], "DOCKER");
    assert_eq!(
        repository["registryUri"],
        "us-central1-docker.pkg.dev/demo/ml"
    );
    assert_eq!(cloud.get(&format!("{REPOSITORIES}/ml")).await, *repository);
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = cloud
            .get(&format!(
                "{REPOSITORIES}/ml/dockerImages?pageSize=2&pageToken={token}"
            ))
            .await;
        let images = page["dockerImages"].as_array().cloned().unwrap_or_default();
        assert!(images.len() <= 2);
        seen.extend(images);
        match page["nextPageToken"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    assert_eq!(seen.len(), 3);
    let name = seen[0]["name"].as_str().expect("a name");
    assert_eq!(cloud.get(&format!("/v1/{name}")).await, seen[0]);
    let tags = cloud
        .get(&format!("{REPOSITORIES}/ml/packages/api/tags"))
        .await;
    let names: Vec<&str> = tags["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tag| tag["name"].as_str()?.rsplit('/').next())
        .collect();
    assert_eq!(names, ["v1", "v2", "v3"]);
    let packages = cloud.get(&format!("{REPOSITORIES}/ml/packages")).await;
    assert_eq!(packages["packages"].as_array().map(Vec::len), Some(1));
    for path in [
        "nothing",
        "ml/packages/api/tags/v9",
        "ml/dockerImages/api@sha256:0",
        "ml/packages/other",
    ] {
        let answer = cloud
            .call("GET", &format!("{REPOSITORIES}/{path}"), None)
            .await;
        let expected = Refused {
            http: 404,
            status: "NOT_FOUND",
            text: "Requested entity was not found.",
            violation: None,
        };
        assert_refused(&answer, &expected);
    }
    cloud.stop().await;
}
