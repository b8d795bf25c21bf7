//! Tokens for the key of a service account.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use support::{KEY_PAIR, start};

const PRODUCTION: &str = "prod@demo-project.iam.gserviceaccount.com";
const DEV: &str = "dev@demo-project.iam.gserviceaccount.com";

/// An assertion signed with the test key.
fn assertion(claims: &Value) -> String {
    let lines: String = KEY_PAIR
        .0
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let der = STANDARD.decode(lines).expect("base64");
    let key = RsaKeyPair::from_pkcs8(&der).expect("a key");
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256"})), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .expect("a signature");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_key_signed_assertion_gives_access_and_id_tokens() {
    let local = start().await;
    let account = json!({"email": DEV, "public_key_pem": KEY_PAIR.1});
    let path = "/_emulator/service-accounts";
    assert_eq!(local.json("POST", path, None, Some(account)).await.0, 204);
    let world = local.emulator.world();
    let redeem = async |claims: Value| -> (u16, Value) {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion(&claims)),
        ];
        let answer = local
            .http
            .post(local.url("/token"))
            .form(&form)
            .send()
            .await;
        let answer = answer.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    };
    let now = world.clock.now().timestamp();
    let claims = |field: &str, value: Value| {
        let mut claims = json!({
            "iss": DEV, "aud": "https://oauth2.googleapis.com/token",
            "iat": now, "exp": now + 3600,
        });
        claims[field] = value;
        claims
    };
    let (_, body) = redeem(claims("scope", json!("cloud-platform"))).await;
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(world.tokens.access_token(token).expect("known").email, DEV);
    let (_, body) = redeem(claims("target_audience", json!("https://service"))).await;
    let token = body["id_token"].as_str().expect("a token");
    let caller = world.tokens.verify_id_token(token, "https://service");
    assert_eq!(caller.expect("a good token").email, DEV);

    for (field, value, error, text) in [
        (
            "iss",
            json!(PRODUCTION),
            "invalid_grant",
            "Invalid grant: account not found",
        ),
        (
            "aud",
            json!("https://x"),
            "invalid_grant",
            "Invalid JWT: Failed audience check.",
        ),
        (
            "exp",
            json!(now + 7200),
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived",
        ),
        (
            "iat",
            json!(now - 7200),
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived",
        ),
        (
            "sub",
            json!("x"),
            "invalid_scope",
            "Invalid OAuth scope or ID token audience provided.",
        ),
    ] {
        let (status, body) = redeem(claims(field, value)).await;
        assert_eq!((status, &body["error"]), (400, &json!(error)), "{field}");
        let found = body["error_description"].as_str().expect("a text");
        assert!(found.starts_with(text), "{field}: {found}");
    }
    local.stop().await;
}

#[tokio::test]
async fn a_signature_of_another_key_is_refused() {
    let local = start().await;
    // The account's key is not the one that signs: one bit of the modulus differs.
    let mut lines: Vec<String> = KEY_PAIR.1.lines().map(str::to_owned).collect();
    let flipped = if lines[3].starts_with('A') { "B" } else { "A" };
    lines[3].replace_range(0..1, flipped);
    let account = json!({"email": DEV, "public_key_pem": lines.join("\n")});
    let path = "/_emulator/service-accounts";
    assert_eq!(local.json("POST", path, None, Some(account)).await.0, 204);
    let now = local.emulator.world().clock.now().timestamp();
    let claims = json!({
        "iss": DEV, "aud": local.url("/token"), "iat": now, "exp": now + 60, "scope": "x",
    });
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", &assertion(&claims)),
    ];
    let answer = local
        .http
        .post(local.url("/token"))
        .form(&form)
        .send()
        .await;
    let body: Value = answer.expect("an answer").json().await.expect("JSON");
    assert_eq!(body["error_description"], "Invalid JWT Signature.");
    local.stop().await;
}
