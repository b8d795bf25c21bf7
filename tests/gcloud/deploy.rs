//! Deployments with gcloud.

use serde_json::json;
use testkit::{World, api};

use super::{IMAGE, Told, says, scene, service};

#[tokio::test]
async fn a_service_is_created_listed_described_updated_and_deleted() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let first = world.built(&World::commit(1), api("setosa")).await?;
    let second = world.built(&World::commit(2), api("setosa")).await?;
    let ended = gcloud
        .ok(&format!(
            "gcloud run deploy hello --image {IMAGE}@{first} --region us-central1 --allow-unauthenticated --set-env-vars ML_DEPLOY_VERSION=one"
        ))
        .await?;
    let url = service(&world, "hello").await?["uri"].clone();
    let url = url.as_str().unwrap_or_default();
    says(
        &ended.err,
        &[
            "Deploying new service",
            // With a dot more for each second or so.
            "Setting IAM Policy...",
            "Creating Revision...",
            "Service [hello] revision [hello-00001-",
            "has been deployed and is serving 100 percent of traffic.",
            url,
        ],
    );
    let (status, body) = world.call("hello", "/version").await?;
    assert_eq!((status, body.contains("one")), (200, true), "{body}");

    let listed = gcloud.ok("gcloud run services list").await?.out;
    says(&listed, &["SERVICE", "✔  hello", "us-central1", url]);
    let listed = gcloud
        .ok("gcloud run services list --region us-central1")
        .await?;
    says(&listed.out, &["✔  hello", url]);
    let listed = gcloud
        .ok("gcloud run services list --region europe-west1")
        .await?;
    says(&listed.err, &["Listed 0 items."]);

    // An update: a new revision with all of the traffic, what was set before stays.
    let ended = gcloud
        .ok(&format!("gcloud run deploy hello --image {IMAGE}@{second} --min-instances 1 --max-instances 7 --memory 1Gi --concurrency 9 --labels team=ml"))
        .await?;
    says(
        &ended.err,
        &["revision [hello-00002-", "serving 100 percent"],
    );
    let described = gcloud
        .ok("gcloud run services describe hello --format=json")
        .await?
        .json()?;
    let template = &described["spec"]["template"];
    let scale = &template["metadata"]["annotations"]["autoscaling.knative.dev/maxScale"];
    assert_eq!(scale, "7");
    let now = service(&world, "hello").await?;
    assert_eq!(
        now["template"]["scaling"],
        json!({"minInstanceCount": 1, "maxInstanceCount": 7})
    );
    assert_eq!(now["template"]["maxInstanceRequestConcurrency"], 9);
    assert_eq!(now["labels"], json!({"team": "ml"}));
    let container = &now["template"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(container["resources"]["startupCpuBoost"], true);
    let (_, body) = world.call("hello", "/version").await?;
    says(&body, &["one"]);

    let ended = gcloud
        .ok("gcloud run services delete hello --quiet")
        .await?;
    says(&ended.err, &["Deleted service [hello]."]);
    assert!(world.service("hello").await?.is_none());
    let answer = reqwest::get(format!("{url}/version")).await?;
    assert_eq!(answer.status(), 404);
    let ended = gcloud.run("gcloud run services describe hello").await?;
    assert_eq!(ended.code, Some(1));
    says(&ended.err, &["Cannot find service [hello]"]);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn who_may_call_is_decided_by_the_policy() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let digest = world.built(&World::commit(1), api("setosa")).await?;
    gcloud
        .ok(&format!(
            "gcloud run deploy closed --image {IMAGE}@{digest}"
        ))
        .await?;
    assert_eq!(world.call("closed", "/health").await?.0, 403);

    let bind = "--member=allUsers --role=roles/run.invoker";
    let ended = gcloud
        .ok(&format!(
            "gcloud run services add-iam-policy-binding closed {bind}"
        ))
        .await?;
    says(&ended.err, &["Updated IAM policy for service [closed]."]);
    says(&ended.out, &["allUsers", "roles/run.invoker", "etag:"]);
    assert_eq!(world.call("closed", "/health").await?.0, 200);
    let policy = gcloud
        .ok("gcloud run services get-iam-policy closed --format=json")
        .await?
        .json()?;
    assert_eq!(
        policy["bindings"],
        json!([{"members": ["allUsers"], "role": "roles/run.invoker"}])
    );
    let ended = gcloud
        .ok(&format!(
            "gcloud run services remove-iam-policy-binding closed {bind}"
        ))
        .await?;
    says(&ended.err, &["Updated IAM policy for service [closed]."]);
    assert_eq!(world.call("closed", "/health").await?.0, 403);
    // A deployment leaves the policy as it is, unless it is told otherwise.
    let ended = gcloud
        .ok(&format!(
            "gcloud run deploy closed --image {IMAGE}@{digest} --allow-unauthenticated"
        ))
        .await?;
    assert_eq!(
        world.call("closed", "/health").await?.0,
        200,
        "{}",
        ended.err
    );
    gcloud
        .ok(&format!(
            "gcloud run deploy closed --image {IMAGE}@{digest} --no-allow-unauthenticated"
        ))
        .await?;
    assert_eq!(world.call("closed", "/health").await?.0, 403);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn settings_are_changed_one_by_one() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let digest = world.built(&World::commit(1), api("setosa")).await?;
    gcloud
        .ok(&format!(
            "gcloud run deploy hello --image {IMAGE}:sha-{} --allow-unauthenticated --set-env-vars A=1,B=2 --port 9000 --timeout 60 --service-account runner@demo-project.iam.gserviceaccount.com --no-cpu-throttling --ingress internal --description note",
            World::commit(1)
        ))
        .await?;
    let now = service(&world, "hello").await?;
    assert_eq!(now["ingress"], "INGRESS_TRAFFIC_INTERNAL_ONLY");
    assert_eq!(now["description"], "note");
    let template = &now["template"];
    assert_eq!(template["timeout"], "60s");
    assert_eq!(
        template["serviceAccount"],
        "runner@demo-project.iam.gserviceaccount.com"
    );
    let container = &template["containers"][0];
    assert_eq!(container["ports"][0]["containerPort"], 9000);
    assert!(container["resources"].get("cpuIdle") != Some(&json!(true)));

    let ended = gcloud
        .ok("gcloud run services update hello --update-env-vars ML_DEPLOY_VERSION=two --remove-env-vars A --ingress all")
        .await?;
    says(&ended.err, &["revision [hello-00002-", "100 percent"]);
    let now = service(&world, "hello").await?;
    let container = &now["template"]["containers"][0];
    assert_eq!(
        container["env"],
        json!([{"name": "B", "value": "2"}, {"name": "ML_DEPLOY_VERSION", "value": "two"}])
    );
    // gcloud pins the image that the tag stood for.
    assert_eq!(container["image"], format!("{IMAGE}@{digest}"));
    assert_eq!(container["ports"][0]["containerPort"], 9000);
    let (status, body) = world.call("hello", "/version").await?;
    assert_eq!((status, body.contains("two")), (200, true), "{body}");
    let revision = now["latestReadyRevision"].as_str().unwrap_or_default();
    let revision = revision.rsplit('/').next().unwrap_or_default();
    let described = gcloud
        .ok(&format!(
            "gcloud run revisions describe {revision} --format=json"
        ))
        .await?
        .json()?;
    assert_eq!(
        described["status"]["imageDigest"],
        format!("{IMAGE}@{digest}")
    );
    let labels = &described["metadata"]["labels"];
    assert_eq!(labels["serving.knative.dev/configurationGeneration"], "2");
    world.end().await;
    Ok(())
}
