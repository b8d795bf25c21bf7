//! Who may do what beside Cloud Run: the registry, tokens, logs, APIs that are off, regions, organizations.

use emulator::iam::OrganizationPolicy;
use emulator::run::project_number;
use serde_json::{Value, json};

use super::access::{allow, cloud, denied, deployer, project, repository};
use super::cloud::{PARENT, template};
use super::{Refused, assert_refused, create};

#[tokio::test]
async fn the_registry_refuses_reading_and_writing_apart() {
    let (cloud, _) = cloud().await;
    let iam = &cloud.local.emulator.world().iam;
    iam.grant(&project(), "roles/owner", "user:owner@example.com");
    let ask = |method: &'static str, path: &'static str| {
        let method: reqwest::Method = method.parse().expect("a method");
        let url = cloud.local.url(path);
        let request = cloud
            .local
            .http
            .request(method, url)
            .bearer_auth(&cloud.token);
        async move {
            let answer = request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            (status, answer.json::<Value>().await.unwrap_or(Value::Null))
        }
    };
    for (method, path, permission) in [
        ("GET", "/v2/demo/ml/api/manifests/v1", "downloadArtifacts"),
        ("GET", "/v2/demo/ml/api/tags/list", "downloadArtifacts"),
        ("POST", "/v2/demo/ml/api/blobs/uploads/", "uploadArtifacts"),
        ("DELETE", "/v2/demo/ml/api/manifests/v9", "deleteArtifacts"),
    ] {
        iam.clear_policy(&repository());
        let (status, body) = ask(method, path).await;
        let error = &body["errors"][0];
        assert_eq!((status, &error["code"]), (403, &json!("DENIED")), "{body}");
        let text = error["message"].as_str().unwrap_or_default();
        let start = format!(
            "Permission \"artifactregistry.repositories.{permission}\" denied on resource \"projects/demo/locations/"
        );
        assert!(
            text.starts_with(&start) && text.ends_with("/repositories/ml\" (or it may not exist)"),
            "{text}"
        );
        iam.grant(
            &repository(),
            "roles/artifactregistry.repoAdmin",
            &deployer(),
        );
        let (status, body) = ask(method, path).await;
        assert_ne!(status, 403, "{body}");
    }
    let path = "/v1/projects/demo/locations/us/repositories/ml/dockerImages";
    iam.clear_policy(&repository());
    let answer = ask("GET", path).await;
    assert_refused(
        &answer,
        &denied(
            "Permission 'artifactregistry.dockerimages.list' denied on resource '//artifactregistry.googleapis.com/projects/demo/locations/us/repositories/ml' (or it may not exist).",
        ),
    );
    cloud.stop().await;
}

#[tokio::test]
async fn tokens_and_logs_are_refused_with_details() {
    let (cloud, _) = cloud().await;
    allow(&cloud, &[]);
    let account = "prod@demo.iam.gserviceaccount.com";
    let credentials = format!("/v1/projects/-/serviceAccounts/{account}");
    for (path, body, permission) in [
        (
            format!("{credentials}:generateAccessToken"),
            json!({"scope": ["a"]}),
            "iam.serviceAccounts.getAccessToken",
        ),
        (
            format!("{credentials}:generateIdToken"),
            json!({"audience": "a"}),
            "iam.serviceAccounts.getOpenIdToken",
        ),
        (
            "/v2/entries:list".to_owned(),
            json!({"resourceNames": ["projects/demo"]}),
            "logging.logEntries.list",
        ),
    ] {
        allow(&cloud, &[]);
        let answer = cloud.call("POST", &path, Some(body.clone())).await;
        let text = format!("Permission '{permission}' denied on resource (or it may not exist).");
        assert_refused(&answer, &denied(&text));
        assert_eq!(
            answer.1["error"]["details"],
            json!([{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "IAM_PERMISSION_DENIED",
                "domain": "iam.googleapis.com",
                "metadata": {"permission": permission},
            }])
        );
        allow(&cloud, &[permission]);
        let (status, answer) = cloud.call("POST", &path, Some(body)).await;
        assert_eq!(status, 200, "{answer}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn an_api_that_is_off_says_how_to_switch_it_on() {
    let (cloud, _) = cloud().await;
    let world = cloud.local.emulator.world();
    let number = project_number("demo");
    let service = format!("{PARENT}/services/hello");
    let account =
        "/v1/projects/-/serviceAccounts/a@demo.iam.gserviceaccount.com:generateAccessToken";
    let sts = json!({
        "audience": format!("//iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/p/providers/q"),
        "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt", "subjectToken": "x",
    });
    let logs = json!({"resourceNames": ["projects/demo"]});
    for (api, title, method, path, body) in [
        (
            "run.googleapis.com",
            "Cloud Run Admin API",
            "GET",
            service.as_str(),
            None,
        ),
        (
            "iamcredentials.googleapis.com",
            "IAM Service Account Credentials API",
            "POST",
            account,
            Some(json!({"scope": ["a"]})),
        ),
        (
            "sts.googleapis.com",
            "Security Token Service API",
            "POST",
            "/v1/token",
            Some(sts),
        ),
        (
            "logging.googleapis.com",
            "Cloud Logging API",
            "POST",
            "/v2/entries:list",
            Some(logs),
        ),
        (
            "artifactregistry.googleapis.com",
            "Artifact Registry API",
            "GET",
            "/v1/projects/demo/locations/us/repositories",
            None,
        ),
    ] {
        world.iam.set_api("demo", api, false);
        let answer = cloud.call(method, path, body.clone()).await;
        let url = format!(
            "https://console.developers.google.com/apis/api/{api}/overview?project={number}"
        );
        let text = format!(
            "{title} has not been used in project {number} before or it is disabled. Enable it by visiting {url} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
        );
        assert_refused(&answer, &denied(&text));
        assert_eq!(
            answer.1["error"]["details"],
            json!([
                {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "Google developers console API activation", "url": url}]},
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com", "metadata": {"service": api, "consumer": format!("projects/{number}")}},
            ])
        );
        let usage = format!("/v1/projects/demo/services/{api}");
        assert_eq!(cloud.get(&usage).await["state"], "DISABLED");
        world.iam.set_api("demo", api, true);
        let (status, answer) = cloud.call(method, path, body).await;
        assert_ne!(status, 403, "{answer}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn regions_and_the_organization_refuse() {
    let (cloud, image) = cloud().await;
    let world = cloud.local.emulator.world();
    let answer = cloud
        .call(
            "GET",
            "/v2/projects/demo/locations/us-centrl1/services",
            None,
        )
        .await;
    assert_refused(
        &answer,
        &denied("Permission denied on 'locations/us-centrl1' (or it may not exist)."),
    );
    world.iam.set_organization_policy(
        "demo",
        OrganizationPolicy {
            allowed_policy_member_domains: Some(vec!["example.com".to_owned()]),
            allowed_locations: Some(vec!["us-central1".to_owned()]),
            require_invoker_iam: true,
        },
    );
    let answer = cloud
        .call("GET", "/v2/projects/demo/locations/us-east1/services", None)
        .await;
    assert_refused(
        &answer,
        &denied("Permission denied on 'locations/us-east1' (or it may not exist)."),
    );
    let info = &answer.1["error"]["details"][0];
    assert_eq!(info["reason"], "LOCATION_POLICY_VIOLATED", "{info}");
    for (member, is_permitted) in [
        ("allUsers", false),
        ("user:somebody@elsewhere.org", false),
        ("user:somebody@example.com", true),
        ("serviceAccount:a@demo.iam.gserviceaccount.com", true),
    ] {
        let policy =
            json!({"policy": {"bindings": [{"role": "roles/run.invoker", "members": [member]}]}});
        for path in [
            format!("{PARENT}/services/hello:setIamPolicy"),
            "/v1/projects/demo/locations/us-central1/services/hello:setIamPolicy".to_owned(),
        ] {
            let answer = cloud.call("POST", &path, Some(policy.clone())).await;
            if is_permitted {
                assert_eq!(answer.0, 200, "{member}: {}", answer.1);
                continue;
            }
            assert_refused(
                &answer,
                &Refused {
                    http: 400,
                    status: "FAILED_PRECONDITION",
                    text: "One or more users named in the policy do not belong to a permitted customer,  perhaps due to an organization policy.",
                    violation: None,
                },
            );
        }
    }
    let body = json!({"invokerIamDisabled": true, "template": template(&image)["template"]});
    let (http, answer) = create(&cloud, "open", body).await;
    assert_eq!(
        (http, &answer["error"]["status"]),
        (400, &json!("FAILED_PRECONDITION"))
    );
    assert!(
        answer["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("constraints/run.managed.requireInvokerIam")),
        "{answer}"
    );
    cloud.stop().await;
}

#[tokio::test]
async fn admin_gives_and_takes_roles_and_delete_frees_the_project() {
    let (cloud, _) = cloud().await;
    let path = format!("{PARENT}/services/hello");
    let policy = json!({"bindings": [{"role": "roles/run.viewer", "members": [deployer()]}]});
    let admin = "/_emulator/iam/projects/demo";
    let (status, answer) = cloud.call("PUT", admin, Some(policy)).await;
    assert_eq!(status, 200, "{answer}");
    let roles: Vec<&Value> = answer["bindings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| &it["role"])
        .collect();
    assert_eq!(
        roles,
        ["roles/run.viewer", "roles/run.serviceAgent"],
        "Google's own account keeps its role"
    );
    assert_eq!(cloud.call("GET", &path, None).await.0, 200);
    let other = cloud.local.token("other@demo.iam.gserviceaccount.com");
    assert_eq!(
        cloud.local.json("GET", &path, Some(&other), None).await.0,
        403
    );
    let take = json!({"action": "revoke", "role": "roles/run.viewer", "member": deployer()});
    assert_eq!(cloud.call("POST", admin, Some(take)).await.0, 200);
    assert_eq!(cloud.call("GET", &path, None).await.0, 403);
    let unknown = json!({"action": "grant", "role": "roles/no.such", "member": deployer()});
    assert_eq!(cloud.call("POST", admin, Some(unknown)).await.0, 400);
    assert_eq!(cloud.call("DELETE", admin, None).await.0, 204);
    assert_eq!(
        cloud.local.json("GET", &path, Some(&other), None).await.0,
        200
    );
    cloud.stop().await;
}
