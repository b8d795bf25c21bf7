use reqwest::Url;
use serde_json::json;

use super::*;
use crate::gcp::auth::jwt;
use crate::gcp::testing::{Answer, MaskList, Seen, TestServer, quick_transport};

const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/pool/providers/github";
const ACCOUNT: &str = "deployer@demo.iam.gserviceaccount.com";

/// GitHub's OIDC endpoint, the Security Token Service and IAM Credentials in one.
async fn token_world(exchange_status: u16) -> TestServer {
    TestServer::start(move |request, _| answer(request, exchange_status)).await
}

fn answer(request: &Seen, exchange_status: u16) -> Answer {
    let subject = jwt::unsigned(
        &json!({"iat": 0, "exp": 300, "sub": "repo:o/r:ref:refs/heads/main",
        "repository": "o/r", "repository_id": "42"}),
    );
    if request.path == "/oidc" {
        return Answer::json(200, &json!({"value": subject}));
    }
    if request.path == "/v1/token" && exchange_status != 200 {
        return Answer::json(
            exchange_status,
            &json!({"error": "unauthorized_client",
                "error_description": "The given credential is rejected by the attribute condition."}),
        );
    }
    if request.path == "/v1/token" {
        return Answer::json(
            200,
            &json!({"access_token": "federated", "token_type": "Bearer", "expires_in": 3599}),
        );
    }
    if request.path.ends_with(":generateAccessToken") {
        let end = chrono::Utc::now() + chrono::Duration::hours(1);
        return Answer::json(
            200,
            &json!({"accessToken": "impersonated", "expireTime": end.to_rfc3339()}),
        );
    }
    if request.path.ends_with(":generateIdToken") {
        let token =
            jwt::unsigned(&json!({"iat": 0, "exp": 3600, "aud": request.json()["audience"]}));
        return Answer::json(200, &json!({"token": token}));
    }
    Answer::json(404, &json!({}))
}

async fn find(
    server: &TestServer,
    inputs: AuthInputs,
) -> (Result<Arc<dyn TokenSource>, Diagnostic>, Arc<MaskList>) {
    let masks = Arc::new(MaskList::default());
    let endpoints = Endpoints::local(&server.base).unwrap();
    let (transport, _) = quick_transport();
    let found = discover(inputs, &endpoints, &transport, masks.clone()).await;
    (found, masks)
}

fn github(server: &TestServer, service_account: Option<&str>) -> AuthInputs {
    AuthInputs {
        workload_identity_provider: Some(PROVIDER.to_owned()),
        service_account: service_account.map(str::to_owned),
        oidc: Some(OidcRequest {
            url: format!("{}/oidc?api-version=2", server.base),
            token: Secret::new("request-token"),
        }),
        ..AuthInputs::default()
    }
}

#[tokio::test]
async fn github_to_a_service_account_and_its_id_token() {
    let server = token_world(200).await;
    let (found, masks) = find(&server, github(&server, Some(ACCOUNT))).await;
    let source = found.unwrap();
    assert_eq!(
        source.access_token().await.unwrap().expose(),
        "impersonated"
    );
    source.access_token().await.unwrap();
    let id_token = source.id_token("https://svc.example").await.unwrap();
    let claims = jwt::claims(id_token.expose()).unwrap();
    assert_eq!(claims["aud"], "https://svc.example");

    let seen = server.seen();
    let once = [
        "GET /oidc".to_owned(),
        "POST /v1/token".to_owned(),
        format!("POST /v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"),
    ];
    assert_eq!(
        server.lines()[..3],
        once,
        "the second ask is answered from the cache"
    );
    assert_eq!(seen.len(), 6);
    let query = Url::parse(&format!("http://x/?{}", seen[0].query)).unwrap();
    let audience = query.query_pairs().find(|(key, _)| key == "audience");
    assert_eq!(
        audience.unwrap().1,
        format!("https://iam.googleapis.com/{PROVIDER}")
    );
    assert_eq!(seen[0].authorization, "Bearer request-token");
    let exchange = seen[1].json();
    assert_eq!(
        exchange["audience"],
        format!("//iam.googleapis.com/{PROVIDER}")
    );
    assert_eq!(
        exchange["grantType"],
        "urn:ietf:params:oauth:grant-type:token-exchange"
    );
    assert_eq!(seen[2].authorization, "Bearer federated");

    let masks = masks.0.lock().unwrap();
    for secret in [
        "request-token",
        "federated",
        "impersonated",
        id_token.expose(),
    ] {
        assert!(
            masks.iter().any(|mask| mask == secret),
            "{secret} is not masked"
        );
    }
    let subject = exchange["subjectToken"].as_str().unwrap();
    assert!(masks.iter().any(|mask| mask == subject));
}

#[tokio::test]
async fn a_refused_exchange_tells_the_real_claims_and_no_token() {
    let server = token_world(401).await;
    let (found, _) = find(&server, github(&server, Some(ACCOUNT))).await;
    let refused = found.unwrap().access_token().await.unwrap_err();
    assert_eq!(refused.code, Code::CredentialsRefused);
    let text = format!("{refused:?}");
    for part in [
        "attribute condition",
        "sub=`repo:o/r:ref:refs/heads/main`",
        "repository_id=`42`",
        "environment=`(none)`",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let subject = server.seen()[1].json()["subjectToken"].clone();
    assert!(!text.contains(subject.as_str().unwrap()), "{text}");
}

#[tokio::test]
async fn without_a_service_account_there_is_no_id_token() {
    let server = token_world(200).await;
    let (found, _) = find(&server, github(&server, None)).await;
    let source = found.unwrap();
    assert_eq!(source.access_token().await.unwrap().expose(), "federated");
    let refused = source.id_token("https://svc.example").await.unwrap_err();
    assert_eq!(refused.code, Code::IdTokenUnavailable);
    assert!(refused.help[0].contains("service_account"));
}

#[tokio::test]
async fn without_the_oidc_variables_the_permission_is_named() {
    let server = token_world(200).await;
    let inputs = AuthInputs {
        oidc: None,
        ..github(&server, Some(ACCOUNT))
    };
    let refused = find(&server, inputs).await.0.err().unwrap();
    assert_eq!(refused.code, Code::NoCredentials);
    assert!(refused.help[0].contains("permissions: id-token: write"));
}

#[tokio::test]
async fn a_provider_must_be_named_in_full() {
    let server = token_world(200).await;
    for wrong in [
        "github",
        "projects/demo/locations/global/workloadIdentityPools/a/providers/b",
    ] {
        let inputs = AuthInputs {
            workload_identity_provider: Some(wrong.to_owned()),
            ..github(&server, None)
        };
        let refused = find(&server, inputs).await.0.err().unwrap();
        assert_eq!(refused.code, Code::InputInvalid, "{wrong}");
    }
}

#[tokio::test]
async fn the_file_of_the_auth_action_goes_to_the_local_endpoints() {
    let server = token_world(200).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gha-creds-1.json");
    let file = json!({
        "type": "external_account",
        "audience": format!("//iam.googleapis.com/{PROVIDER}"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {
            "url": format!("{}/oidc?audience=x", server.base),
            "headers": {"Authorization": "Bearer request-token"},
            "format": {"type": "json", "subject_token_field_name": "value"}
        },
        "service_account_impersonation_url": format!(
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken")
    });
    std::fs::write(&path, file.to_string()).unwrap();
    let inputs = AuthInputs::from_lookup(&|name| {
        (name == "GOOGLE_GHA_CREDS_PATH").then(|| path.display().to_string())
    });
    let source = find(&server, inputs).await.0.unwrap();
    assert_eq!(
        source.access_token().await.unwrap().expose(),
        "impersonated"
    );
    assert_eq!(server.seen()[0].authorization, "Bearer request-token");
}

#[tokio::test]
async fn a_subject_token_is_read_from_a_file() {
    let server = token_world(200).await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "subject\n").unwrap();
    let file = json!({
        "type": "external_account",
        "audience": format!("//iam.googleapis.com/{PROVIDER}"),
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": token},
    });
    let inputs = AuthInputs {
        credentials_json: Some(Secret::new(file.to_string())),
        ..AuthInputs::default()
    };
    let source = find(&server, inputs).await.0.unwrap();
    assert_eq!(source.access_token().await.unwrap().expose(), "federated");
    assert_eq!(server.seen()[0].json()["subjectToken"], "subject");
}

#[tokio::test]
async fn nothing_found_says_what_to_do_and_asks_no_machine() {
    let server = token_world(200).await;
    let refused = find(&server, AuthInputs::default()).await.0.err().unwrap();
    assert_eq!(refused.code, Code::NoCredentials);
    let base = &server.base;
    assert_eq!(
        refused.help,
        [format!(
            "use those of the local cloud: `eval \"$(ml-deploy emulator --env --cloud-url {base})\"`"
        )]
    );
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_missing_file_is_told_with_its_variable() {
    let server = token_world(200).await;
    let inputs = AuthInputs::from_lookup(&|name| {
        (name == "GOOGLE_APPLICATION_CREDENTIALS").then(|| "/nowhere/key.json".to_owned())
    });
    let refused = find(&server, inputs).await.0.err().unwrap();
    assert_eq!(refused.code, Code::NoCredentials);
    assert_eq!(
        refused.at.as_deref(),
        Some("GOOGLE_APPLICATION_CREDENTIALS=/nowhere/key.json")
    );
}
