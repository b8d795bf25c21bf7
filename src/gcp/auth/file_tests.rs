use serde_json::json;

use super::*;
use crate::gcp::endpoint::Endpoints;
use crate::gcp::testing::{MaskList, quick_transport};

fn context(endpoints: Endpoints) -> (Context, Arc<MaskList>) {
    let masks = Arc::new(MaskList::default());
    let context = Context {
        transport: quick_transport().0,
        endpoints,
        masker: masks.clone(),
        github_environment: None,
    };
    (context, masks)
}

fn external_account_file() -> Value {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {
            "url": "https://actions.example.com/token?audience=x",
            "headers": {"Authorization": "Bearer request-token"},
            "format": {"type": "json", "subject_token_field_name": "value"}
        },
        "service_account_impersonation_url":
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken"
    })
}

fn read(endpoints: Endpoints, json: &Value) -> Result<String, Diagnostic> {
    let (context, _) = context(endpoints);
    source(context, &json.to_string(), "a test").map(|source| source.describe())
}

fn local() -> Endpoints {
    Endpoints::local("http://127.0.0.1:9").unwrap()
}

#[tokio::test]
async fn a_file_is_dispatched_on_its_type() {
    let google = Endpoints::google;
    assert_eq!(
        read(google(), &external_account_file()).unwrap(),
        "a@p.iam.gserviceaccount.com, through workload identity federation"
    );
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s",
        "refresh_token": "r"});
    assert!(read(google(), &user).unwrap().starts_with("a person"));
    assert_eq!(
        read(local(), &user).err().unwrap().code,
        Code::CredentialsRefused
    );
    for wrong in [
        json!({}),
        json!({"type": "gdch_service_account"}),
        json!({"type": "service_account", "client_email": "a@b"}),
        json!({"type": "service_account", "client_email": "a@b", "private_key": "-----BEGIN"}),
        json!({"type": "authorized_user", "client_id": "c"}),
    ] {
        let refused = read(google(), &wrong).err().unwrap();
        assert_eq!(refused.code, Code::CredentialsRefused, "{wrong}");
        assert!(!refused.help.is_empty(), "{wrong}");
    }
}

#[tokio::test]
async fn broken_text_is_refused_without_being_quoted() {
    let (context, _) = context(Endpoints::google());
    let refused = source(
        context,
        "{\"private_key\": \"very-secret",
        "input `credentials_json`",
    );
    let text = format!("{:?}", refused.err().unwrap());
    assert!(text.contains("it is no JSON (line 1"), "{text}");
    assert!(!text.contains("very-secret"), "{text}");
}

#[tokio::test]
async fn token_endpoints_outside_google_are_refused() {
    for url in [
        "https://evil.example.com/token",
        "http://sts.googleapis.com/v1/token",
        "https://sts.googleapis.com.example.com/",
    ] {
        let mut file = external_account_file();
        file["token_url"] = json!(url);
        assert!(read(Endpoints::google(), &file).is_err(), "{url}");
        // Under the local cloud it is not used at all.
        assert!(read(local(), &file).is_ok(), "{url}");
    }
}

#[tokio::test]
async fn the_request_token_in_the_file_is_masked_without_its_scheme() {
    let (context, masks) = context(Endpoints::google());
    let text = external_account_file().to_string();
    assert!(source(context, &text, "a test").is_ok());
    assert_eq!(*masks.0.lock().unwrap(), ["request-token"]);
}

#[test]
fn the_account_is_read_from_the_impersonation_url() {
    let base = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/";
    assert_eq!(
        account_of(&format!("{base}a@b.c:generateAccessToken")).as_deref(),
        Some("a@b.c")
    );
    assert_eq!(
        account_of(&format!("{base}a@b.c/../x:generateAccessToken")),
        None
    );
    assert_eq!(account_of("https://example.com"), None);
}
