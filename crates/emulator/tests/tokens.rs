//! The way of a job's identity: GitHub token, exchange, service account, ID token.
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use std::time::Duration;
use support::{Local, start};

const PROVIDER: &str =
    "projects/123/locations/global/workloadIdentityPools/github/providers/actions";
const PRODUCTION: &str = "prod@demo-project.iam.gserviceaccount.com";
const DEV: &str = "dev@demo-project.iam.gserviceaccount.com";

fn audience() -> String {
    format!("https://iam.googleapis.com/{PROVIDER}")
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// The job's GitHub token.
async fn github_token(local: &Local, query: &[(&str, &str)], audience: &str) -> String {
    let request = local
        .http
        .get(local.url("/_github/oidc?repository=octo-org/ml-api"))
        .query(query)
        .query(&[("audience", audience)])
        .bearer_auth("request-token");
    let body: Value = request
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    body["value"].as_str().expect("a token").to_owned()
}

fn exchange_body(token: &str) -> Value {
    json!({
        "audience": format!("//iam.googleapis.com/{PROVIDER}"),
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
        "subjectToken": token,
    })
}

async fn exchange(local: &Local, token: &str) -> (u16, Value) {
    local
        .json("POST", "/v1/token", None, Some(exchange_body(token)))
        .await
}

/// The federated token of a job with this environment (none when it is empty).
async fn federated(local: &Local, environment: &str) -> String {
    let query = [("environment", environment)];
    let (status, body) = exchange(local, &github_token(local, &query, &audience()).await).await;
    assert_eq!(status, 200, "{body}");
    body["access_token"].as_str().expect("a token").to_owned()
}

fn account_path(email: &str, method: &str) -> String {
    format!("/v1/projects/-/serviceAccounts/{email}:{method}")
}

async fn access_token(local: &Local, email: &str, bearer: &str) -> (u16, Value) {
    let body = json!({"scope": ["https://www.googleapis.com/auth/cloud-platform"]});
    let path = account_path(email, "generateAccessToken");
    local.json("POST", &path, Some(bearer), Some(body)).await
}

#[tokio::test]
async fn github_tokens_carry_the_context_of_the_job() {
    let local = start().await;
    let query = [
        ("ref", "refs/tags/v1.0.0"),
        ("environment", "prod: eu"),
        ("run_id", "77"),
    ];
    let token = claims(&github_token(&local, &query, "me").await);
    let id = |name: &str| emulator::github::identifiers::number(name);
    let subject = format!(
        "repo:octo-org@{}/ml-api@{}:environment:prod%3A eu",
        id("octo-org"),
        id("octo-org/ml-api")
    );
    for (claim, value) in [
        ("sub", subject.as_str()),
        ("aud", "me"),
        ("environment", "prod: eu"),
        ("ref_type", "tag"),
        ("run_id", "77"),
        ("repository", "octo-org/ml-api"),
        ("repository_owner", "octo-org"),
        ("repository_id", &id("octo-org/ml-api").to_string()),
        (
            "job_workflow_ref",
            "octo-org/ml-api/.github/workflows/deploy.yml@refs/tags/v1.0.0",
        ),
    ] {
        assert_eq!(token[claim], value, "{claim}");
    }
    let number = |claim: &str| token[claim].as_i64().expect("a number");
    assert_eq!(number("exp") - number("iat"), 300);

    let old = [("sub_format", "old")];
    let token = claims(&github_token(&local, &old, "").await);
    assert_eq!(token["sub"], "repo:octo-org/ml-api:ref:refs/heads/main");
    assert_eq!(token["aud"], "https://github.com/octo-org");
    let pull = [("sub_format", "old"), ("event_name", "pull_request")];
    let token = claims(&github_token(&local, &pull, "").await);
    assert_eq!(token["sub"], "repo:octo-org/ml-api:pull_request");

    let path = "/_github/oidc?repository=octo-org/ml-api";
    assert_eq!(local.json("GET", path, None, None).await.0, 401);
    assert_eq!(
        local.json("GET", "/_github/oidc", Some("t"), None).await.0,
        400
    );
    local.stop().await;
}

#[tokio::test]
async fn published_keys_verify_github_and_google_tokens() {
    let local = start().await;
    let discovery = "/_github/oidc/.well-known/openid-configuration";
    let (_, document) = local.json("GET", discovery, None, None).await;
    let token = github_token(&local, &[], "me").await;
    assert_eq!(document["issuer"], claims(&token)["iss"]);
    let keys = document["jwks_uri"].as_str().expect("an address");
    let github_keys = keys
        .strip_prefix(&local.base)
        .expect("an address of this world");
    verify(&local, github_keys, &token).await;

    let body = json!({"audience": "https://service"});
    let path = account_path(DEV, "generateIdToken");
    let (_, answer) = local
        .json("POST", &path, Some(&local.token(DEV)), Some(body))
        .await;
    verify(
        &local,
        "/oauth2/v3/certs",
        answer["token"].as_str().expect("a token"),
    )
    .await;
    local.stop().await;
}

/// Verifies a token with the one key that is published at `path`, as a stranger would.
async fn verify(local: &Local, path: &str, token: &str) {
    let (_, keys) = local.json("GET", path, None, None).await;
    let key = &keys["keys"][0];
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let header = URL_SAFE_NO_PAD.decode(signed.split_once('.').expect("two parts").0);
    let header: Value = serde_json::from_slice(&header.expect("base64url")).expect("JSON");
    assert_eq!(header["kid"], key["kid"]);
    let mut point = vec![4];
    for coordinate in ["x", "y"] {
        let text = key[coordinate].as_str().expect("a coordinate");
        point.extend(URL_SAFE_NO_PAD.decode(text).expect("base64url"));
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(signed.as_bytes(), &signature)
        .expect("the signature is good");
}

#[tokio::test]
async fn a_job_becomes_a_service_account() {
    let local = start().await;
    let github = github_token(&local, &[("environment", "dev")], &audience()).await;
    let fields = exchange_body(&github);
    let form: Vec<(&str, &str)> = [
        ("audience", "audience"),
        ("grant_type", "grantType"),
        ("requested_token_type", "requestedTokenType"),
        ("scope", "scope"),
        ("subject_token_type", "subjectTokenType"),
        ("subject_token", "subjectToken"),
    ]
    .map(|(snake, camel)| (snake, fields[camel].as_str().expect("text")))
    .to_vec();
    let answer = local
        .http
        .post(local.url("/v1/token"))
        .form(&form)
        .send()
        .await;
    let body: Value = answer.expect("an answer").json().await.expect("JSON");
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("Bearer"), &json!(3599))
    );
    let federated = body["access_token"].as_str().expect("a token");
    let world = local.emulator.world();
    let caller = world
        .tokens
        .access_token(federated)
        .expect("a token of this world");
    assert!(
        caller
            .email
            .starts_with("principal://iam.googleapis.com/projects/123/")
    );

    let (status, body) = access_token(&local, DEV, federated).await;
    assert_eq!(status, 200, "{body}");
    let token = body["accessToken"].as_str().expect("a token");
    let caller = world
        .tokens
        .access_token(token)
        .expect("a token of this world");
    assert_eq!(caller.email, DEV);

    let path = account_path(DEV, "generateIdToken");
    let body = json!({"audience": "http://127.0.0.1:1", "includeEmail": true});
    let (_, body) = local.json("POST", &path, Some(token), Some(body)).await;
    let id_token = body["token"].as_str().expect("a token");
    let verified = world.tokens.verify_id_token(id_token, "http://127.0.0.1:1");
    assert_eq!(verified.expect("a good token").email, DEV);
    use emulator::tokens::IdTokenProblem as Problem;
    let other = world.tokens.verify_id_token(id_token, "http://127.0.0.1:2");
    assert!(
        matches!(other, Err(Problem::WrongAudience { .. })),
        "{other:?}"
    );
    let access = world.tokens.verify_id_token(token, "http://127.0.0.1:1");
    assert_eq!(access, Err(Problem::Malformed));
    let (head, signature) = id_token.rsplit_once('.').expect("three parts");
    let (header, _) = head.split_once('.').expect("two parts");
    let mut forged = claims(id_token);
    forged["email"] = "root@demo-project.iam.gserviceaccount.com".into();
    let forged = URL_SAFE_NO_PAD.encode(forged.to_string());
    let forged = format!("{header}.{forged}.{signature}");
    let forged = world.tokens.verify_id_token(&forged, "http://127.0.0.1:1");
    assert_eq!(forged, Err(Problem::NotOurs));

    world.clock.advance(Duration::from_secs(3601));
    let late = world.tokens.verify_id_token(id_token, "http://127.0.0.1:1");
    assert!(matches!(late, Err(Problem::Expired(_))), "{late:?}");
    let (status, body) = access_token(&local, DEV, federated).await;
    assert_eq!(
        (status, &body["error"]["status"]),
        (401, &json!("UNAUTHENTICATED"))
    );
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(
        message.starts_with("Request had invalid authentication credentials."),
        "{message}"
    );
    local.stop().await;
}

#[tokio::test]
async fn production_refuses_a_job_of_another_environment() {
    let local = start().await;
    let repository = emulator::github::identifiers::number("octo-org/ml-api").to_string();
    let account = |repository: &str| {
        json!({
            "email": PRODUCTION, "environment": "production", "repository_id": repository,
        })
    };
    let register = async |account: Value| {
        local
            .json("POST", "/_emulator/service-accounts", None, Some(account))
            .await
            .0
    };
    assert_eq!(register(account(&repository)).await, 204);
    for environment in ["staging", ""] {
        let token = federated(&local, environment).await;
        let (status, body) = access_token(&local, PRODUCTION, &token).await;
        assert_eq!(status, 403, "{environment}");
        let text = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
        assert_eq!(body["error"]["message"], text);
        assert_eq!(
            body["error"]["details"][0]["reason"],
            "IAM_PERMISSION_DENIED"
        );
        let path = account_path(PRODUCTION, "generateIdToken");
        let body = json!({"audience": "https://service"});
        let (status, body) = local.json("POST", &path, Some(&token), Some(body)).await;
        let metadata = &body["error"]["details"][0]["metadata"];
        assert_eq!(status, 403);
        assert_eq!(metadata["permission"], "iam.serviceAccounts.getOpenIdToken");
    }
    let dev = local.token(DEV);
    assert_eq!(
        access_token(&local, PRODUCTION, &dev).await.0,
        403,
        "another account"
    );
    let right = federated(&local, "production").await;
    assert_eq!(access_token(&local, PRODUCTION, &right).await.0, 200);
    assert_eq!(register(account("1")).await, 204);
    assert_eq!(
        access_token(&local, PRODUCTION, &right).await.0,
        403,
        "another repository"
    );
    local.stop().await;
}

#[tokio::test]
async fn the_exchange_refuses_what_it_must() {
    let local = start().await;
    let good = || github_token(&local, &[("environment", "dev")], "https://other");
    let (status, body) = exchange(&local, &good().await).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    let text = "The audience in ID Token [https://other] does not match the expected audience.";
    assert_eq!(body["error_description"], text);

    let provider = |condition: Value, audiences: Value| json!({"name": PROVIDER, "condition": condition, "allowed_audiences": audiences});
    let register = async |provider: Value| {
        local
            .json(
                "POST",
                "/_emulator/workload-identity-providers",
                None,
                Some(provider),
            )
            .await
            .0
    };
    let condition = json!({"environment": "production"});
    assert_eq!(
        register(provider(condition, json!(["https://other"]))).await,
        204
    );
    let (_, body) = exchange(&local, &good().await).await;
    assert_eq!(body["error"], "unauthorized_client");
    let text = "The given credential is rejected by the attribute condition.";
    assert_eq!(body["error_description"], text);
    assert_eq!(
        register(provider(json!({}), json!(["https://other"]))).await,
        204
    );
    let token = good().await;
    assert_eq!(exchange(&local, &token).await.0, 200);

    let mut other = exchange_body(&token);
    other["audience"] = format!("//iam.googleapis.com/{}", PROVIDER.replace("github", "x")).into();
    let (_, body) = local
        .json("POST", "/v1/token", None, Some(other.clone()))
        .await;
    assert_eq!(body["error"], "invalid_target");
    other["audience"] = audience().into();
    let (_, body) = local.json("POST", "/v1/token", None, Some(other)).await;
    assert_eq!(
        body["error"], "invalid_request",
        "the audience has no scheme: {body}"
    );

    let google = {
        let path = account_path(DEV, "generateIdToken");
        let body = json!({"audience": "https://other"});
        local
            .json("POST", &path, Some(&local.token(DEV)), Some(body))
            .await
            .1
    };
    let (_, body) = exchange(&local, google["token"].as_str().expect("a token")).await;
    assert_eq!(body["error"], "invalid_grant", "not GitHub's token");
    local
        .emulator
        .world()
        .clock
        .advance(Duration::from_secs(301));
    let (_, body) = exchange(&local, &token).await;
    let text = body["error_description"].as_str().expect("a text");
    assert!(text.ends_with("is stale to sign-in."), "{text}");
    local.stop().await;
}
