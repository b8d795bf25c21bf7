//! The registry over HTTP, as the distribution specification and Artifact Registry have it.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, LINK, LOCATION, RANGE, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::{Local, start};

const NAME: &str = "demo-project/images/api";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CI: &str = "ci@demo-project.iam.gserviceaccount.com";

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Sends and reads: status and the first error's code and message.
async fn refused(request: RequestBuilder) -> (u16, String, String) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let body: Value = response.json().await.expect("the error is JSON");
    let text = |field: &str| {
        body["errors"][0][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (status, text("code"), text("message"))
}

/// Pushes as one account to one image.
struct Pusher<'l> {
    local: &'l Local,
    token: String,
    name: &'static str,
}

impl<'l> Pusher<'l> {
    fn new(local: &'l Local, name: &'static str) -> Self {
        let token = local.token(CI);
        Self { local, token, name }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = self.local.url(&format!("/v2/{}/{path}", self.name));
        let method = method.parse().expect("a method");
        self.local
            .http
            .request(method, url)
            .bearer_auth(&self.token)
    }

    async fn send(&self, method: &str, path: &str) -> Response {
        self.request(method, path).send().await.expect("an answer")
    }

    /// Pushes a blob in one request.
    async fn blob(&self, content: &[u8]) -> String {
        let digest = digest_of(content);
        let path = format!("blobs/uploads/?digest={digest}");
        let response = self
            .request("POST", &path)
            .body(content.to_vec())
            .send()
            .await;
        assert_eq!(response.expect("an answer").status(), 201);
        digest
    }

    fn put_manifest(&self, reference: &str, media_type: &str, body: &str) -> RequestBuilder {
        self.request("PUT", &format!("manifests/{reference}"))
            .header(CONTENT_TYPE, media_type)
            .body(body.to_owned())
    }

    /// Pushes an image of one layer whose content is `content`; answers manifest and digest.
    async fn image(&self, tag: &str, content: &str) -> (String, String) {
        let config = self
            .blob(format!("{{\"for\": \"{content}\"}}").as_bytes())
            .await;
        let layer = self.blob(content.as_bytes()).await;
        let manifest = manifest(&config, &layer);
        let response = self.put_manifest(tag, OCI_MANIFEST, &manifest).send().await;
        assert_eq!(response.expect("an answer").status(), 201);
        let digest = digest_of(manifest.as_bytes());
        (manifest, digest)
    }
}

/// A manifest with odd spacing, which a registry that writes JSON anew would lose.
fn manifest(config: &str, layer: &str) -> String {
    format!(
        "{{\n\t\"schemaVersion\": 2,   \"mediaType\": \"{OCI_MANIFEST}\",\n \"config\": \
         {{\"mediaType\": \"application/vnd.oci.image.config.v1+json\", \"digest\": \"{config}\", \
         \"size\": 2}}, \"layers\": [{{\"mediaType\": \"application/vnd.oci.image.layer.v1.tar\", \
         \"digest\": \"{layer}\", \"size\": 3}}]}}\n"
    )
}

#[tokio::test]
async fn what_is_pushed_is_read_back_byte_for_byte() {
    let local = start().await;
    let pusher = Pusher::new(&local, NAME);
    let (body, digest) = pusher.image("v1", "layer one").await;
    for reference in ["v1", &digest] {
        let path = format!("manifests/{reference}");
        let head = pusher.send("HEAD", &path).await;
        assert_eq!(head.headers()["docker-content-digest"], *digest);
        assert_eq!(head.headers()["content-length"], body.len().to_string());
        let answer = pusher.send("GET", &path).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], OCI_MANIFEST);
        assert_eq!(answer.text().await.expect("a body"), body);
    }
    let path = format!("blobs/{}", digest_of(b"layer one"));
    let head = pusher.send("HEAD", &path).await;
    assert_eq!(head.headers()["content-length"], "9");
    let part = pusher
        .request("GET", &path)
        .header(RANGE, "bytes=6-")
        .send()
        .await;
    let part = part.expect("an answer");
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()[CONTENT_RANGE], "bytes 6-8/9");
    assert_eq!(part.text().await.expect("a body"), "one");

    let registry = &local.emulator.world().registry;
    let image = "us-central1-docker.pkg.dev/demo-project/images/api";
    let resolved = registry
        .resolve(&format!("{image}:v1"))
        .expect("the tag is known");
    assert_eq!(resolved.digest, digest);
    assert_eq!(
        registry.resolve(&format!("{image}@{digest}")),
        Some(resolved)
    );
    assert_eq!(registry.resolve(&format!("{image}:v2")), None);
    local.stop().await;
}

#[tokio::test]
async fn a_blob_comes_in_chunks() {
    let local = start().await;
    let pusher = Pusher::new(&local, NAME);
    let begun = pusher.send("POST", "blobs/uploads/").await;
    assert_eq!(begun.status(), 202);
    let address = begun.headers()[LOCATION].to_str().expect("text").to_owned();
    let request = |method: &str, query: &str| {
        let url = local.url(&format!("{address}{query}"));
        let method = method.parse().expect("a method");
        local.http.request(method, url).bearer_auth(&pusher.token)
    };
    let chunk = request("PATCH", "")
        .header(CONTENT_RANGE, "0-4")
        .body("hello");
    let taken = chunk.send().await.expect("an answer");
    assert_eq!(taken.status(), 202);
    assert_eq!(taken.headers()[RANGE], "0-4");

    let gap = request("PATCH", "")
        .header(CONTENT_RANGE, "9-12")
        .body("late");
    let gap = gap.send().await.expect("an answer");
    assert_eq!(gap.status(), 416);
    assert_eq!(gap.headers()[RANGE], "0-4");
    let status = request("GET", "").send().await.expect("an answer");
    assert_eq!(status.status(), 204);
    assert_eq!(status.headers()[RANGE], "0-4");

    let digest = digest_of(b"hello world");
    let ended = request("PUT", &format!("?digest={digest}"))
        .body(" world")
        .send()
        .await;
    assert_eq!(ended.expect("an answer").status(), 201);
    let blob = pusher.send("GET", &format!("blobs/{digest}")).await;
    assert_eq!(blob.text().await.expect("a body"), "hello world");
    assert_eq!(
        refused(request("PATCH", "").body("more")).await.1,
        "BLOB_UPLOAD_UNKNOWN"
    );
    local.stop().await;
}

#[tokio::test]
async fn wrong_digests_and_missing_parts_are_refused() {
    let local = start().await;
    let pusher = Pusher::new(&local, NAME);
    let other = digest_of(b"other");
    let request = pusher
        .request("POST", &format!("blobs/uploads/?digest={other}"))
        .body("content");
    let (status, code, message) = refused(request).await;
    assert_eq!(
        (status, code.as_str()),
        (400, "DIGEST_INVALID"),
        "{message}"
    );
    assert_eq!(
        pusher
            .send("HEAD", &format!("blobs/{other}"))
            .await
            .status(),
        404
    );

    let config = pusher.blob(b"{}").await;
    let body = manifest(&config, &other);
    let (status, code, message) = refused(pusher.put_manifest("v1", OCI_MANIFEST, &body)).await;
    assert_eq!((status, code.as_str()), (400, "MANIFEST_BLOB_UNKNOWN"));
    assert!(message.contains(&other), "{message}");

    let index = json!({"schemaVersion": 2, "manifests": [{"digest": other}]}).to_string();
    let (_, code, _) = refused(pusher.put_manifest("v1", OCI_INDEX, &index)).await;
    assert_eq!(code, "MANIFEST_BLOB_UNKNOWN");
    let (_, code, _) = refused(pusher.put_manifest("v1", OCI_MANIFEST, "no JSON")).await;
    assert_eq!(code, "MANIFEST_INVALID");

    let layer = pusher.blob(b"layer").await;
    let body = manifest(&config, &layer);
    let (_, code, _) = refused(pusher.put_manifest(&other, OCI_MANIFEST, &body)).await;
    assert_eq!(code, "DIGEST_INVALID");
    let (_, code, _) = refused(pusher.put_manifest("v1", OCI_INDEX, &body)).await;
    assert_eq!(code, "MANIFEST_INVALID", "the body says another media type");
    let large = format!("{}{}", body, " ".repeat(4 << 20));
    let (_, code, _) = refused(pusher.put_manifest("v1", OCI_MANIFEST, &large)).await;
    assert_eq!(code, "MANIFEST_INVALID");

    let request = pusher.request("GET", "manifests/v1");
    let (status, code, message) = refused(request).await;
    assert_eq!((status, code.as_str()), (404, "MANIFEST_UNKNOWN"));
    assert_eq!(message, "Failed to fetch \"v1\"");
    local.stop().await;
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_image() {
    let local = start().await;
    let digest = Pusher::new(&local, NAME).blob(b"shared").await;
    let other = Pusher::new(&local, "demo-project/other/api");
    assert_eq!(
        other
            .send("HEAD", &format!("blobs/{digest}"))
            .await
            .status(),
        404
    );
    let from = |from: &str| format!("blobs/uploads/?mount={digest}&from={from}");
    let absent = other.send("POST", &from("demo-project/none/api")).await;
    assert_eq!(
        absent.status(),
        202,
        "an upload begins where there is nothing to mount"
    );
    let never = digest_of(b"never pushed");
    let never = format!("blobs/uploads/?mount={never}&from={NAME}");
    assert_eq!(other.send("POST", &never).await.status(), 202);
    assert_eq!(other.send("POST", &from(NAME)).await.status(), 201);
    let blob = other.send("GET", &format!("blobs/{digest}")).await;
    assert_eq!(blob.text().await.expect("a body"), "shared");
    local.stop().await;
}

#[tokio::test]
async fn immutable_tags_do_not_move() {
    let local = start().await;
    let pusher = Pusher::new(&local, NAME);
    let (first, digest) = pusher.image("v3", "first").await;
    let path = "/_emulator/registry/repositories/demo-project/images";
    let settings = Some(json!({"immutable_tags": true}));
    assert_eq!(local.json("PUT", path, None, settings).await.0, 204);

    let (second, _) = pusher.image("v4", "second").await;
    let refusal = refused(pusher.put_manifest("v3", OCI_MANIFEST, &second)).await;
    let text = "cannot update tag v3. The repository has enabled tag immutability";
    assert_eq!(
        refusal,
        (400, "MANIFEST_INVALID".to_owned(), text.to_owned())
    );
    let head = pusher.send("HEAD", "manifests/v3").await;
    assert_eq!(head.headers()["docker-content-digest"], *digest);
    let again = pusher.put_manifest("v3", OCI_MANIFEST, &first).send().await;
    assert_eq!(
        again.expect("an answer").status(),
        201,
        "the same digest is no move"
    );
    assert_eq!(pusher.send("DELETE", "manifests/v3").await.status(), 400);
    local.stop().await;
}

#[tokio::test]
async fn pushes_want_a_token_of_this_world() {
    let local = start().await;
    let begin = |name: &str| {
        local
            .http
            .post(local.url(&format!("/v2/{name}/blobs/uploads/")))
    };
    let answer = begin(NAME).send().await.expect("an answer");
    let host = local.host();
    let challenge = format!(
        "Bearer realm=\"http://{host}/v2/token\",service=\"{host}\",scope=\"repository:{NAME}:pull,push\""
    );
    assert_eq!(answer.headers()[WWW_AUTHENTICATE], *challenge);
    let (status, _, message) = refused(begin(NAME)).await;
    assert_eq!(status, 401);
    assert!(
        message.contains("\"artifactregistry.repositories.uploadArtifacts\""),
        "{message}"
    );
    assert!(
        message.contains("repositories/images\" (or it may not exist)"),
        "{message}"
    );

    let token_url = local.url(&format!(
        "/v2/token?service={host}&scope=repository:{NAME}:pull"
    ));
    let registry_token = async |request: RequestBuilder| -> String {
        let body: Value = request
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        body["token"].as_str().expect("a token").to_owned()
    };
    let anonymous = registry_token(local.http.get(&token_url)).await;
    let ping = async |token: &str| {
        let request = local.http.get(local.url("/v2/")).bearer_auth(token);
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(ping(&anonymous).await, 200);
    let (status, code, _) = refused(begin(NAME).bearer_auth(&anonymous)).await;
    assert_eq!((status, code.as_str()), (403, "DENIED"));

    let access = local.token(CI);
    let basic = || {
        local
            .http
            .get(&token_url)
            .basic_auth("oauth2accesstoken", Some(&access))
    };
    let token = registry_token(basic()).await;
    let status =
        async |request: RequestBuilder| request.send().await.expect("an answer").status().as_u16();
    assert_eq!(status(begin(NAME).bearer_auth(&token)).await, 202);
    assert_eq!(
        status(begin(NAME).basic_auth("oauth2accesstoken", Some(&access))).await,
        202
    );
    assert_eq!(
        status(begin(NAME).basic_auth("somebody", Some(&access))).await,
        401
    );
    assert_eq!(status(begin(NAME).bearer_auth("forged")).await, 401);
    let cloud_run = local.emulator.world().tokens.access_token(&token);
    assert_eq!(cloud_run, None, "a registry token opens nothing else");

    let hour = std::time::Duration::from_secs(3601);
    local.emulator.world().clock.advance(hour);
    assert_eq!(status(begin(NAME).bearer_auth(&token)).await, 401);
    assert_eq!(status(basic()).await, 401);
    local.stop().await;
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let local = start().await;
    let pusher = Pusher::new(&local, NAME);
    let (body, _) = pusher.image("b", "layer").await;
    for tag in ["d", "a", "c"] {
        pusher
            .put_manifest(tag, OCI_MANIFEST, &body)
            .send()
            .await
            .expect("an answer");
    }
    let mut path = "tags/list?n=3".to_owned();
    let mut pages = Vec::new();
    loop {
        let answer = pusher.send("GET", &path).await;
        let link = answer
            .headers()
            .get(LINK)
            .map(|it| it.to_str().expect("text").to_owned());
        let body: Value = answer.json().await.expect("JSON");
        pages.push(body["tags"].clone());
        let Some(link) = link else { break };
        let (next, _) = link[1..].split_once('>').expect("an address");
        path = next.trim_start_matches(&format!("/v2/{NAME}/")).to_owned();
    }
    assert_eq!(pages, [json!(["a", "b", "c"]), json!(["d"])]);
    let (status, code, _) = refused(pusher.request("GET", "tags/list?n=x")).await;
    assert_eq!((status, code.as_str()), (400, "PAGINATION_NUMBER_INVALID"));
    local.stop().await;
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted() {
    let local = start().await;
    let pusher = Pusher::new(&local, NAME);
    let (_, digest) = pusher.image("v1", "layer").await;
    let layer = digest_of(b"layer");
    let index = json!({"schemaVersion": 2, "manifests": [{"digest": digest}]}).to_string();
    let put = pusher.put_manifest("all", OCI_INDEX, &index).send().await;
    assert_eq!(put.expect("an answer").status(), 201);

    let delete = |path: String| pusher.request("DELETE", &path);
    let manifest = || delete(format!("manifests/{digest}"));
    assert_eq!(refused(manifest()).await.1, "GOOGLE_MANIFEST_DANGLING_TAG");
    assert_eq!(pusher.send("DELETE", "manifests/v1").await.status(), 202);
    assert_eq!(
        refused(manifest()).await.1,
        "GOOGLE_MANIFEST_DANGLING_PARENT_IMAGE"
    );
    assert_eq!(
        refused(delete(format!("blobs/{layer}"))).await.1,
        "UNSUPPORTED"
    );
    assert_eq!(pusher.send("DELETE", "manifests/all").await.status(), 202);
    let index = format!("manifests/{}", digest_of(index.as_bytes()));
    assert_eq!(pusher.send("DELETE", &index).await.status(), 202);
    assert_eq!(manifest().send().await.expect("an answer").status(), 202);
    assert_eq!(refused(manifest()).await.1, "MANIFEST_UNKNOWN");
    assert_eq!(
        pusher
            .send("DELETE", &format!("blobs/{layer}"))
            .await
            .status(),
        202
    );
    assert_eq!(
        refused(delete(format!("blobs/{layer}"))).await.1,
        "BLOB_UNKNOWN"
    );
    local.stop().await;
}

#[tokio::test]
async fn names_and_paths_that_are_none_get_a_clear_answer() {
    let local = start().await;
    let get = |path: &str| local.http.get(local.url(path));
    let (status, code, message) = refused(get("/v2/demo/api/manifests/v1")).await;
    assert_eq!((status, code.as_str()), (400, "NAME_INVALID"));
    assert!(message.starts_with("Missing image name."), "{message}");
    let refusal = refused(get("/v2/demo-project/none/api/tags/list")).await;
    let text = "Repository \"none\" not found";
    assert_eq!(refusal, (404, "NAME_UNKNOWN".to_owned(), text.to_owned()));
    let absent = format!("/v2/{NAME}/referrers/{}", digest_of(b""));
    // Nothing refers to what is not there: an empty list, as the specification has it.
    let listed = get(&absent).send().await.expect("an answer");
    assert_eq!(listed.status(), 200);
    local.emulator.world().registry.set_lists_referrers(false);
    assert_eq!(refused(get(&absent)).await.0, 404);
    let (status, body) = local
        .json("GET", "/v2/projects/p/strange", None, None)
        .await;
    assert_eq!(status, 501);
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.contains("GET /v2/projects/p/strange"), "{message}");
    local.stop().await;
}
