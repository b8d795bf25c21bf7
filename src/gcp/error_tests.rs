use serde_json::json;

use super::*;

fn diagnostic(http: u16, status: &str, message: &str) -> Diagnostic {
    let body = json!({"error": {"code": http, "status": status, "message": message}});
    let refusal = Box::new(Refusal::parse(http, body.to_string().as_bytes()));
    let call = "PATCH run.googleapis.com/v2/x".to_owned();
    GcpError::Refused { call, refusal }.into_diagnostic("change the service `x`")
}

#[test]
fn each_refusal_has_its_code_and_its_way_out() {
    let table = [
        (
            403,
            "PERMISSION_DENIED",
            "Permission 'iam.serviceaccounts.actAs' denied on service account x (or it may not exist).",
            Code::PermissionDenied,
            "roles/iam.serviceAccountUser",
        ),
        (
            403,
            "PERMISSION_DENIED",
            "Permission 'run.services.get' denied on resource 'namespaces/p/services/s' (or resource may not exist).",
            Code::PermissionDenied,
            "roles/run.admin",
        ),
        (
            403,
            "PERMISSION_DENIED",
            "User must have permission to read the image, us-docker.pkg.dev/x. Ensure …",
            Code::PermissionDenied,
            "deploying identity",
        ),
        (
            403,
            "PERMISSION_DENIED",
            "Google Cloud Run Service Agent service-1@x must have permission to read the image, y. Ensure …",
            Code::PermissionDenied,
            "service agent",
        ),
        (
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials.",
            Code::CredentialsRefused,
            "token was refused",
        ),
        (
            404,
            "NOT_FOUND",
            "Resource 's' of kind 'SERVICE' in region 'r' in project 'p' does not exist.",
            Code::CloudFailed,
            "check inputs `project_id`, `region` and `service`",
        ),
        (
            409,
            "ABORTED",
            "Conflict for resource 's': version '1' was specified but current version is '2'.",
            Code::CloudFailed,
            "run again",
        ),
        (
            501,
            "UNIMPLEMENTED",
            "Operation is not implemented, or supported, or enabled.",
            Code::CloudFailed,
            "check the region",
        ),
        (
            400,
            "INVALID_ARGUMENT",
            "template.containers[0].env: The following reserved env names were provided: PORT. These …",
            Code::CloudFailed,
            "env_vars",
        ),
        (
            500,
            "INTERNAL",
            "oh",
            Code::CloudFailed,
            "failure of the API",
        ),
    ];
    for (http, status, message, code, help) in table {
        let diagnostic = diagnostic(http, status, message);
        assert_eq!(diagnostic.code, code, "{message}");
        assert!(
            diagnostic.help.iter().any(|line| line.contains(help)),
            "{message}: {:?}",
            diagnostic.help
        );
        assert!(
            diagnostic.cause[0].contains(message),
            "{:?}",
            diagnostic.cause
        );
    }
}

#[test]
fn a_disabled_api_names_the_command() {
    let body = json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
        "message": "Cloud Run Admin API has not been used in project 1234 before or it is disabled.",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
             "domain": "googleapis.com", "metadata": {"service": "run.googleapis.com"}}]}});
    let refusal = Refusal::parse(403, body.to_string().as_bytes());
    assert_eq!(refusal.reason.as_deref(), Some("SERVICE_DISABLED"));
    assert!(
        advice::for_refusal(&refusal, &Facts::default()).help[0]
            .contains("gcloud services enable run.googleapis.com")
    );
}

#[test]
fn violations_are_told() {
    let body = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "m",
        "details": [{"@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "service_id", "description": "too long"}]}]}});
    let refusal = Refusal::parse(400, body.to_string().as_bytes());
    assert_eq!(refusal.violations, ["service_id: too long"]);
}

#[test]
fn oauth_errors_and_other_texts_are_read() {
    let oauth = Refusal::parse(
        400,
        br#"{"error":"invalid_grant","error_description":"no"}"#,
    );
    assert_eq!(
        (oauth.status.as_str(), oauth.message.as_str()),
        ("invalid_grant", "no")
    );
    let html = Refusal::parse(502, b"<html>bad gateway</html>");
    assert_eq!(html.message, "<html>bad gateway</html>");
    assert!(
        Refusal::parse(500, "ä".repeat(9_000).as_bytes())
            .message
            .len()
            < 5_000
    );
}

#[test]
fn an_etag_that_no_longer_fits_is_a_conflict_and_a_taken_name_is_not() {
    let refusal = |status: &str, message: &str| Refusal {
        http: 409,
        status: status.to_owned(),
        message: message.to_owned(),
        ..Refusal::default()
    };
    assert!(refusal("ABORTED", "x").is_conflict());
    assert!(refusal("", "Conflict for resource 'x': version …").is_conflict());
    let taken = refusal("ALREADY_EXISTS", "Resource 'x' already exists.");
    assert!(taken.already_exists() && !taken.is_conflict());
}

#[test]
fn every_text_of_the_catalogue_has_a_way_out() {
    for (text, help) in [
        (
            "Revision 'r' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable within the allocated timeout.",
            "$PORT",
        ),
        (
            "Cloud Run error: Container failed to start. Failed to start and then listen on the port defined by the PORT environment variable.",
            "$PORT",
        ),
        (
            "The user-provided container failed the configured startup probe checks.",
            "startup_probe",
        ),
        (
            "Revision 'r' is not ready and cannot serve traffic. Image 'us-docker.pkg.dev/p/r/i:latest' not found.",
            "input `image`",
        ),
        (
            "spec.template.spec.containers[0].env[12].value_from.secret_key_ref.name: Permission denied on secret: projects/1/secrets/n/versions/latest for Revision service account sa.",
            "roles/secretmanager.secretAccessor",
        ),
        ("Max instances must be set to 3 or fewer", "max_instances"),
        ("Resource readiness deadline exceeded.", "run again"),
    ] {
        let lines = advice::for_text(text, &Facts::default())
            .map(|advice| advice.help)
            .unwrap_or_default();
        assert!(
            lines.iter().any(|line| line.contains(help)),
            "{text}: {lines:?}"
        );
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_not_quoted() {
    let source = serde_json::from_str::<Vec<u64>>(r#"["ya29.\"secret\""]"#).unwrap_err();
    let error = GcpError::Unreadable {
        call: "POST sts.googleapis.com/v1/token".to_owned(),
        source,
    };
    let diagnostic = error.into_diagnostic("get a token");
    assert!(
        !format!("{diagnostic:?}").contains("secret"),
        "{diagnostic:?}"
    );
    assert_eq!(
        diagnostic.cause[1],
        "invalid type: string \"…\", expected u64 at line 1 column 18"
    );
}
