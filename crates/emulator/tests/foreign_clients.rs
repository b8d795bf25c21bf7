//! Clients that others wrote, against the local cloud.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use gcp_auth::{CustomServiceAccount, TokenProvider as _};
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{IMAGE_LAYER_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::json;
use support::{KEY_PAIR, Local, start};

const EMAIL: &str = "deployer@demo-project.iam.gserviceaccount.com";

fn oci_client(is_monolithic: bool) -> Client {
    Client::try_from(ClientConfig {
        protocol: ClientProtocol::Http,
        use_monolithic_push: is_monolithic,
        ..ClientConfig::default()
    })
    .expect("a client")
}

fn image(local: &Local, tag: &str) -> Reference {
    let name = format!("{}/demo-project/images/api:{tag}", local.host());
    name.parse().expect("a reference")
}

#[tokio::test]
async fn oci_client_pushes_and_pulls() {
    let local = start().await;
    let auth = RegistryAuth::Basic("oauth2accesstoken".to_owned(), local.token(EMAIL));
    for is_monolithic in [true, false] {
        let client = oci_client(is_monolithic);
        let tag = format!("monolithic-{is_monolithic}");
        let content = tag.clone().into_bytes();
        let layers = [ImageLayer::new(
            content.clone(),
            IMAGE_LAYER_MEDIA_TYPE.to_owned(),
            None,
        )];
        let config = Config::oci_v1(b"{}".to_vec(), None);
        let reference = image(&local, &tag);
        client
            .push(&reference, &layers, config, &auth, None)
            .await
            .expect("the push is taken");

        let anonymous = RegistryAuth::Anonymous;
        let reader = oci_client(true);
        let pulled = reader
            .pull(&reference, &anonymous, vec![IMAGE_LAYER_MEDIA_TYPE])
            .await;
        let pulled = pulled.expect("the pull is served");
        assert_eq!(pulled.layers[0].data, content);

        // A release tag on the digest: the manifest goes back as it came, no layer moves.
        let accepted = [OCI_IMAGE_MEDIA_TYPE];
        let raw = reader
            .pull_manifest_raw(&reference, &anonymous, &accepted)
            .await;
        let (bytes, digest) = raw.expect("the manifest");
        let media_type = OCI_IMAGE_MEDIA_TYPE.parse().expect("a header");
        let release = image(&local, "v1.0.0");
        client
            .push_manifest_raw(&release, bytes.to_vec(), media_type)
            .await
            .expect("a new tag");
        let found = reader.fetch_manifest_digest(&release, &anonymous).await;
        assert_eq!(found.expect("a digest"), digest);
    }
    let tags = oci_client(true)
        .list_tags(&image(&local, "x"), &auth, None, None)
        .await;
    let tags = tags.expect("a list").tags;
    assert_eq!(tags, ["monolithic-false", "monolithic-true", "v1.0.0"]);
    local.stop().await;
}

#[tokio::test]
async fn gcp_auth_gets_a_token_for_a_registered_key_only() {
    let local = start().await;
    let key = json!({
        "type": "service_account",
        "project_id": "demo-project",
        "private_key_id": "1",
        "private_key": KEY_PAIR.0,
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": local.url("/token"),
    });
    let scopes = ["https://www.googleapis.com/auth/cloud-platform"];
    let account = CustomServiceAccount::from_json(&key.to_string()).expect("a key");
    let refused = account.token(&scopes).await;
    assert!(refused.is_err(), "the account is not registered");

    let registration = json!({"email": EMAIL, "public_key_pem": KEY_PAIR.1});
    let path = "/_emulator/service-accounts";
    assert_eq!(
        local.json("POST", path, None, Some(registration)).await.0,
        204
    );
    let token = account.token(&scopes).await.expect("a token");
    let caller = local.emulator.world().tokens.access_token(token.as_str());
    assert_eq!(caller.expect("a token of this world").email, EMAIL);
    local.stop().await;
}
