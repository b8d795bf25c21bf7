//! Names of keys, and answers that are not what was asked for.

use serde_json::{Value, json};

use super::*;
use crate::gcp::testing::{Answer, TestServer, signed_in};

const NAME: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";

fn sum(bytes: &[u8]) -> String {
    crc32c::crc32c(bytes).to_string()
}

fn signed(signature: &[u8]) -> Value {
    json!({
        "name": NAME,
        "signature": STANDARD.encode(signature),
        "signatureCrc32c": sum(signature),
        "verifiedDigestCrc32c": true,
        "protectionLevel": "SOFTWARE",
    })
}

#[test]
fn names_of_key_versions() {
    let good = [
        NAME.to_owned(),
        format!(" {NAME} "),
        format!("gcpkms://{NAME}"),
        format!("//cloudkms.googleapis.com/v1/{NAME}"),
        NAME.replace("projects/p", "projects/example.com:p"),
    ];
    for text in good {
        assert!(KeyVersion::parse(&text).is_ok(), "{text}");
    }
    let key = NAME.split("/cryptoKeyVersions").next().unwrap();
    assert_eq!(KeyVersion::parse(key), Err(KeyNameError::NoVersion));
    for text in [
        "",
        "k",
        "projects//locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
        "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/latest",
        "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/0",
        "projects/p/locations/l/keyRings/r/cryptoKeys/k?x/cryptoKeyVersions/1",
    ] {
        assert_eq!(KeyVersion::parse(text), Err(KeyNameError::Form), "{text}");
    }
}

#[tokio::test]
async fn the_hash_is_sent_with_its_checksum_and_the_signature_comes_back() {
    let server = TestServer::start(|_, _| Answer::json(200, &signed(b"made"))).await;
    let key = KeyVersion::parse(NAME).unwrap();
    // The published vector: what is signed of the smallest statement.
    let message = delivery::attestation::pae(
        "application/vnd.in-toto+json",
        br#"{"_type":"https://in-toto.io/Statement/v1"}"#,
    );
    let signature = sign(&signed_in(&server), &key, &message).await.unwrap();
    assert_eq!(signature, b"made");
    let request = &server.seen()[0];
    assert_eq!(request.path, format!("/v1/{NAME}:asymmetricSign"));
    let body = request.json();
    assert_eq!(body["digestCrc32c"], "2801293238");
    let digest = STANDARD.decode(body["digest"]["sha256"].as_str().unwrap());
    assert_eq!(
        hex::encode(digest.unwrap()),
        "57dd565335c70baa2e9fc48a46e80907434e3c6ea2342ef806dad983891349cd"
    );
}

#[tokio::test]
async fn a_damaged_answer_is_not_taken() {
    let changes: [(&str, Value); 6] = [
        ("name", json!(NAME.replace("/k/", "/other/"))),
        ("signature", json!(STANDARD.encode(b"other"))),
        ("signature", json!("no base64!")),
        ("signatureCrc32c", json!("1")),
        ("signatureCrc32c", Value::Null),
        ("verifiedDigestCrc32c", json!(false)),
    ];
    for (field, value) in changes {
        let mut answer = signed(b"made");
        answer[field] = value.clone();
        let server = TestServer::start(move |_, _| Answer::json(200, &answer)).await;
        let key = KeyVersion::parse(NAME).unwrap();
        let error = sign(&signed_in(&server), &key, b"m").await.unwrap_err();
        assert_eq!(
            error.code,
            Code::SigningKeyUnfit,
            "{field} {value}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_public_key_is_checked_and_a_refusal_names_the_role() {
    let answer = json!({"name": NAME, "pem": "PEM", "pemCrc32c": sum(b"PEM"), "algorithm": "A"});
    let server = TestServer::start(move |_, _| Answer::json(200, &answer)).await;
    let key = KeyVersion::parse(NAME).unwrap();
    let found = public_key(&signed_in(&server), &key).await.unwrap();
    assert_eq!((found.pem.as_str(), found.algorithm.as_str()), ("PEM", "A"));

    let answer = json!({"name": NAME, "pem": "PEN", "pemCrc32c": sum(b"PEM")});
    let server = TestServer::start(move |_, _| Answer::json(200, &answer)).await;
    let error = public_key(&signed_in(&server), &key).await.unwrap_err();
    assert_eq!(error.code, Code::SigningKeyUnfit);

    let denied = json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message":
        "Permission 'cloudkms.cryptoKeyVersions.viewPublicKey' denied on resource"}});
    let server = TestServer::start(move |_, _| Answer::json(403, &denied)).await;
    let error = public_key(&signed_in(&server), &key).await.unwrap_err();
    assert_eq!(error.code, Code::PermissionDenied);
    let help = error.help.join("\n");
    assert!(
        help.contains("add-iam-policy-binding k --keyring=r --location=l --project=p"),
        "{help}"
    );
    assert!(help.contains("roles/cloudkms.publicKeyViewer"), "{help}");
}
