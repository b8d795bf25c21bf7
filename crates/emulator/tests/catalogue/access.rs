//! Who may do what: each permission is taken from the caller, and what needs it is refused in the
//! words of the service, in both faces of Cloud Run; with the permission the same call gets through.

use emulator::iam::{Resource, service_agent};
use emulator::run::project_number;
use serde_json::{Value, json};

use super::cloud::{Cloud, DEPLOYER, PARENT, template};
use super::{Refused, assert_refused, create};

const HOST: &str = "us-central1-run.googleapis.com";
const V1: &str = "/apis/serving.knative.dev/v1/namespaces/demo";

pub(super) fn project() -> Resource {
    Resource::Project("demo".to_owned())
}

pub(super) fn repository() -> Resource {
    Resource::parse("projects/demo/locations/us/repositories/ml").expect("a repository")
}

pub(super) fn deployer() -> String {
    format!("serviceAccount:{DEPLOYER}")
}

pub(super) fn runtime() -> String {
    format!(
        "{}-compute@developer.gserviceaccount.com",
        project_number("demo")
    )
}

/// Gives the caller exactly these permissions in the project.
pub(super) fn allow(cloud: &Cloud, permissions: &[&str]) {
    let iam = &cloud.local.emulator.world().iam;
    let role = "projects/demo/roles/exactly";
    iam.set_custom_role(role, permissions.iter().map(|&it| it.to_owned()));
    iam.clear_policy(&project());
    iam.grant(&project(), role, &deployer());
}

/// A world with the service `hello`, whose project is free still.
pub(super) async fn cloud() -> (Cloud, String) {
    let cloud = Cloud::start().await;
    let image = cloud.version("v1").await;
    cloud.public("hello", &image).await;
    (cloud, image)
}

/// A call of the namespaces API, at its regional host.
pub(super) async fn v1(
    cloud: &Cloud,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> (u16, Value) {
    let method = method.parse().expect("a method");
    let url = cloud.local.url(&format!("{V1}{path}"));
    let mut request = cloud.local.http.request(method, url).header("host", HOST);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.bearer_auth(&cloud.token).send().await;
    let answer = answer.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

pub(super) fn denied(text: &str) -> Refused<'_> {
    Refused {
        http: 403,
        status: "PERMISSION_DENIED",
        text,
        violation: None,
    }
}

#[tokio::test]
async fn each_call_of_v2_needs_its_permission() {
    let (cloud, image) = cloud().await;
    let revisions = cloud
        .get(&format!("{PARENT}/services/hello/revisions"))
        .await;
    let full = revisions["revisions"][0]["name"].as_str().expect("a name");
    let revision = full.rsplit('/').next().expect("a short name").to_owned();
    let operations = cloud.get(&format!("{PARENT}/operations")).await;
    let operation = operations["operations"][0]["name"]
        .as_str()
        .expect("a name");
    let operation = operation.rsplit('/').next().expect("an id").to_owned();
    let body = template(&image);
    let policy = json!({"policy": {"bindings": []}});
    let rows: Vec<(&str, &str, String, Option<&Value>, String)> = vec![
        (
            "run.services.list",
            "GET",
            "/services".into(),
            None,
            String::new(),
        ),
        (
            "run.services.get",
            "GET",
            "/services/hello".into(),
            None,
            "/services/hello".into(),
        ),
        (
            "run.services.create",
            "POST",
            "/services?serviceId=new&validateOnly=true".into(),
            Some(&body),
            "/services/new".into(),
        ),
        (
            "run.services.update",
            "PATCH",
            "/services/hello?validateOnly=true".into(),
            Some(&body),
            "/services/hello".into(),
        ),
        (
            "run.services.delete",
            "DELETE",
            "/services/hello?validateOnly=true".into(),
            None,
            "/services/hello".into(),
        ),
        (
            "run.services.getIamPolicy",
            "GET",
            "/services/hello:getIamPolicy".into(),
            None,
            "/services/hello".into(),
        ),
        (
            "run.services.setIamPolicy",
            "POST",
            "/services/hello:setIamPolicy".into(),
            Some(&policy),
            "/services/hello".into(),
        ),
        (
            "run.revisions.list",
            "GET",
            "/services/hello/revisions".into(),
            None,
            "/services/hello".into(),
        ),
        (
            "run.revisions.get",
            "GET",
            format!("/services/hello/revisions/{revision}"),
            None,
            format!("/services/hello/revisions/{revision}"),
        ),
        (
            "run.revisions.delete",
            "DELETE",
            format!("/services/hello/revisions/{revision}?validateOnly=true"),
            None,
            format!("/services/hello/revisions/{revision}"),
        ),
        (
            "run.operations.list",
            "GET",
            "/operations".into(),
            None,
            String::new(),
        ),
        (
            "run.operations.get",
            "GET",
            format!("/operations/{operation}"),
            None,
            format!("/operations/{operation}"),
        ),
        (
            "run.operations.get",
            "POST",
            format!("/operations/{operation}:wait"),
            None,
            format!("/operations/{operation}"),
        ),
        (
            "run.operations.delete",
            "DELETE",
            format!("/operations/{operation}"),
            None,
            format!("/operations/{operation}"),
        ),
    ];
    for (permission, method, path, body, resource) in rows {
        let path = format!("{PARENT}{path}");
        allow(&cloud, &[]);
        let answer = cloud.call(method, &path, body.cloned()).await;
        let text = format!(
            "Permission '{permission}' denied on resource 'projects/demo/locations/us-central1{resource}' (or resource may not exist)."
        );
        assert_refused(&answer, &denied(&text));
        assert!(answer.1["error"].get("details").is_none(), "{}", answer.1);
        // What a write needs beside it is another test's business.
        let beside = [
            "iam.serviceAccounts.actAs",
            "artifactregistry.repositories.downloadArtifacts",
            "run.services.setIamPolicy",
        ];
        allow(&cloud, &[&[permission], &beside[..]].concat());
        let (status, answer) = cloud.call(method, &path, body.cloned()).await;
        assert_ne!(status, 403, "{permission}: {answer}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn each_call_of_v1_needs_its_permission_and_spells_it_its_own_way() {
    let (cloud, _) = cloud().await;
    let (_, mut service) = v1(&cloud, "GET", "/services/hello", None).await;
    let revision = service["status"]["latestReadyRevisionName"]
        .as_str()
        .expect("a revision")
        .to_owned();
    service["metadata"]["labels"]["a"] = json!("b");
    let rows: Vec<(&str, &str, String, Option<&Value>, String)> = vec![
        (
            "run.services.list",
            "GET",
            "/services".into(),
            None,
            "namespaces/demo".into(),
        ),
        (
            "run.services.get",
            "GET",
            "/services/hello".into(),
            None,
            "namespaces/demo/services/hello".into(),
        ),
        (
            "run.services.update",
            "PUT",
            "/services/hello".into(),
            Some(&service),
            "namespaces/demo/services/hello".into(),
        ),
        (
            "run.revisions.get",
            "GET",
            format!("/revisions/{revision}"),
            None,
            format!("namespaces/demo/revisions/{revision}"),
        ),
    ];
    for (permission, method, path, body, resource) in rows {
        allow(&cloud, &[]);
        let answer = v1(&cloud, method, &path, body).await;
        let text = format!(
            "Permission '{permission}' denied on resource '{resource}' (or resource may not exist)."
        );
        assert_refused(&answer, &denied(&text));
        allow(&cloud, &[permission, "iam.serviceAccounts.actAs"]);
        let (status, answer) = v1(&cloud, method, &path, body).await;
        assert_eq!(status, 200, "{permission}: {answer}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_write_needs_the_runtime_account_and_the_image() {
    let (cloud, image) = cloud().await;
    let iam = &cloud.local.emulator.world().iam;
    let act_as = "iam.serviceAccounts.actAs";
    let read = "artifactregistry.repositories.downloadArtifacts";
    let account = runtime();

    allow(&cloud, &["run.services.create"]);
    let answer = create(&cloud, "new", template(&image)).await;
    let text = format!(
        "Permission 'iam.serviceaccounts.actAs' denied on service account {account} (or it may not exist)."
    );
    assert_refused(&answer, &denied(&text));

    allow(&cloud, &["run.services.create", act_as]);
    let (http, body) = create(&cloud, "new", template(&image)).await;
    let text = body["error"]["message"].as_str().unwrap_or_default();
    let expected = format!(
        "User must have permission to read the image, {image}. Ensure that the provided container image URL is correct and that the above account has permission to access the image."
    );
    assert!(http == 403 && text.starts_with(&expected), "{body}");

    allow(&cloud, &["run.services.create", act_as, read]);
    let agent = format!("serviceAccount:{}", service_agent("demo"));
    iam.revoke(&project(), "roles/run.serviceAgent", &agent);
    let answer = create(&cloud, "new", template(&image)).await;
    let text = format!(
        "Google Cloud Run Service Agent does not have permission to get access tokens for the service account {account}. Please give {} permission iam.serviceAccounts.getAccessToken on the service account. Alternatively, if the service account is unspecified or in the same project you are deploying in, ensure that the Service Agent is assigned the Google Cloud Run Service Agent role roles/run.serviceAgent.",
        service_agent("demo")
    );
    assert_refused(&answer, &denied(&text));

    let body = json!({"invokerIamDisabled": true, "template": template(&image)["template"]});
    allow(&cloud, &["run.services.create", act_as, read]);
    let answer = create(&cloud, "new", body.clone()).await;
    let text = "Permission 'run.services.setIamPolicy' denied on resource 'projects/demo/locations/us-central1/services/new' (or resource may not exist).";
    assert_refused(&answer, &denied(text));
    allow(
        &cloud,
        &[
            "run.services.create",
            act_as,
            read,
            "run.services.setIamPolicy",
        ],
    );
    let (status, answer) = create(&cloud, "new", body).await;
    assert_eq!(status, 200, "{answer}");
    cloud.stop().await;
}

/// Creates a service and gives the error that its operation ends with.
async fn rolled_out(cloud: &Cloud, name: &str, body: Value) -> Value {
    let operation = cloud.create(name, body).await;
    assert_eq!(operation["done"], true, "{operation}");
    operation["error"].clone()
}

#[tokio::test]
async fn a_rollout_needs_cloud_runs_agent_and_the_runtime_account() {
    let (cloud, image) = cloud().await;
    let world = cloud.local.emulator.world();
    let (iam, agent) = (&world.iam, service_agent("demo"));
    let member = format!("serviceAccount:{agent}");
    iam.grant(&project(), "roles/owner", &deployer());
    // The agent keeps what it needs of accounts, and may not read images.
    iam.revoke(&project(), "roles/run.serviceAgent", &member);
    iam.grant(&project(), "roles/iam.serviceAccountTokenCreator", &member);
    let error = rolled_out(&cloud, "one", template(&image)).await;
    let text = error["message"].as_str().unwrap_or_default();
    assert_eq!(error["code"], 7, "{error}");
    let expected = format!(
        "is not ready and cannot serve traffic. Google Cloud Run Service Agent {agent} must have permission to read the image, {image}. Ensure that"
    );
    assert!(
        text.starts_with("Revision 'one-00001-") && text.contains(&expected),
        "{text}"
    );
    let revisions = cloud.get(&format!("{PARENT}/services/one/revisions")).await;
    let conditions = revisions["revisions"][0]["conditions"].as_array().cloned();
    let reasons: Vec<Value> = conditions
        .unwrap_or_default()
        .iter()
        .map(|it| it["reason"].clone())
        .collect();
    assert!(
        reasons.contains(&json!("CONTAINER_PERMISSION_DENIED")),
        "{revisions}"
    );

    iam.grant(&repository(), "roles/artifactregistry.reader", &member);
    world.run.put_secret("demo", "key", b"hidden");
    let mut body = template(&image);
    body["template"]["containers"][0]["env"] = json!([{"name": "KEY", "valueSource": {"secretKeyRef": {"secret": "key", "version": "latest"}}}]);
    let error = rolled_out(&cloud, "two", body.clone()).await;
    let text = error["message"].as_str().unwrap_or_default();
    assert_eq!(error["code"], 9, "{error}");
    let expected = format!(
        "spec.template.spec.containers[0].env[0].value_from.secret_key_ref.name: Permission denied on secret: projects/{}/secrets/key/versions/latest for Revision service account {}. The service account used must be granted the 'Secret Manager Secret Accessor' role (roles/secretmanager.secretAccessor) at the secret, project or higher level.",
        project_number("demo"),
        runtime()
    );
    assert!(text.ends_with(&expected), "{text}");

    let secret = Resource::parse("projects/demo/secrets/key").expect("a secret");
    iam.grant(
        &secret,
        "roles/secretmanager.secretAccessor",
        &format!("serviceAccount:{}", runtime()),
    );
    iam.set_api("demo", "secretmanager.googleapis.com", false);
    let error = rolled_out(&cloud, "three", body.clone()).await;
    let text = error["message"].as_str().unwrap_or_default();
    assert!(
        text.contains("secret_key_ref.name: Secret Manager API has not been used in project"),
        "{text}"
    );
    iam.set_api("demo", "secretmanager.googleapis.com", true);
    assert_eq!(rolled_out(&cloud, "four", body).await, Value::Null);
    cloud.stop().await;
}

#[tokio::test]
async fn the_invoker_check_asks_for_the_role() {
    let (cloud, image) = cloud().await;
    let world = cloud.local.emulator.world();
    cloud.create("closed", template(&image)).await;
    let uri = super::cloud::uri(&cloud.service("closed").await);
    world
        .iam
        .grant(&project(), "roles/owner", "user:owner@example.com");
    let account = "caller@demo.iam.gserviceaccount.com";
    let maker = "serviceAccount:maker@demo.iam.gserviceaccount.com";
    let resource = Resource::ServiceAccount(account.to_owned());
    world.iam.grant(
        &resource,
        "roles/iam.serviceAccountOpenIdTokenCreator",
        maker,
    );
    let (_, answer) = cloud
        .local
        .json(
            "POST",
            &format!("/v1/projects/-/serviceAccounts/{account}:generateIdToken"),
            Some(&cloud.local.token("maker@demo.iam.gserviceaccount.com")),
            Some(json!({"audience": uri, "includeEmail": true})),
        )
        .await;
    let token = answer["token"].as_str().expect("a token").to_owned();
    let call = || async {
        let request = cloud
            .local
            .http
            .get(format!("{uri}/version"))
            .bearer_auth(&token);
        let answer = request.send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.text().await.unwrap_or_default(),
        )
    };
    let (status, text) = call().await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("Your client does not have permission to get URL <code>/version</code> from this server."), "{text}");
    // The service's own policy is enough.
    let owner = cloud.local.token("owner@example.com");
    let policy = json!({"policy": {"bindings": [{"role": "roles/run.invoker", "members": [format!("serviceAccount:{account}")]}]}});
    let path = format!("{PARENT}/services/closed:setIamPolicy");
    let (status, answer) = cloud
        .local
        .json("POST", &path, Some(&owner), Some(policy))
        .await;
    assert_eq!(status, 200, "{answer}");
    let (status, text) = call().await;
    assert_eq!(status, 200, "{text}");
    cloud.stop().await;
}

#[tokio::test]
async fn what_may_be_done_is_told_by_test_iam_permissions() {
    let (cloud, _) = cloud().await;
    allow(&cloud, &["run.services.get"]);
    let asked = json!({"permissions": ["run.services.get", "run.services.setIamPolicy"]});
    for path in [
        format!("{PARENT}/services/hello:testIamPermissions"),
        "/v1/projects/demo/locations/us-central1/services/hello:testIamPermissions".to_owned(),
    ] {
        let (status, answer) = cloud.call("POST", &path, Some(asked.clone())).await;
        assert_eq!(
            (status, &answer["permissions"]),
            (200, &json!(["run.services.get"])),
            "{path}"
        );
    }
    cloud.stop().await;
}
