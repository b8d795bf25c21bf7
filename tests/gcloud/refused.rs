//! What gcloud says when something is refused or fails.

use testkit::{Behaviour, World, api};

use super::gcloud::Gcloud;
use super::{Failure, IMAGE, Told, says, scene};

/// Runs a command that must fail, and gives what it says.
async fn fails(gcloud: &Gcloud, line: &str) -> Result<String, Failure> {
    let ended = gcloud.run(line).await?;
    if ended.code != Some(1) {
        return Err(format!("{line} ended with {:?}\n{}", ended.code, ended.err).into());
    }
    Ok(ended.err)
}

#[tokio::test]
async fn a_revision_that_does_not_start_fails_the_deployment() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let good = world.built(&World::commit(1), api("setosa")).await?;
    let crash = Behaviour::crash(&["no model"]);
    let bad = world.built(&World::commit(2), crash).await?;
    let deploy = |digest: &str, more: &str| {
        format!("gcloud run deploy hello --image {IMAGE}@{digest} --allow-unauthenticated {more}")
    };
    gcloud.ok(&deploy(&good, "")).await?;
    let said = fails(&gcloud, &deploy(&bad, "")).await?;
    says(
        &said,
        &[
            "ERROR: (gcloud.run.deploy) Revision 'hello-00002-",
            "is not ready and cannot serve traffic. The user-provided container failed to start and listen on the port defined provided by the PORT=8080 environment variable",
            "Logs URL: https://console.cloud.google.com/logs/viewer?project=demo-project",
        ],
    );
    // The old revision serves on, and the list shows that something is wrong.
    assert_eq!(world.call("hello", "/health").await?.0, 200);
    says(
        &gcloud.ok("gcloud run services list").await?.out,
        &["!  hello"],
    );
    let revisions = gcloud
        .ok("gcloud run revisions list --service hello")
        .await?;
    says(&revisions.out, &["X  hello-00002-", "✔  hello-00001-"]);
    says(
        &gcloud.ok("gcloud run services logs read hello").await?.out,
        &["no model"],
    );

    let missing = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let said = fails(&gcloud, &deploy(missing, "")).await?;
    says(&said, &[&format!("Image '{IMAGE}@{missing}' not found.")]);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_mistake_is_named_as_v1_spells_it() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let digest = world.built(&World::commit(1), api("setosa")).await?;
    let deploy = |more: &str| {
        format!("gcloud run deploy hello --image {IMAGE}@{digest} --allow-unauthenticated {more}")
    };
    let said = fails(&gcloud, &deploy("--memory 8Gi --cpu 1")).await?;
    says(
        &said,
        &[
            "spec.template.spec.containers[0].resources.limits.memory: Invalid value specified for memory. For 1.0 CPU, memory must be between",
        ],
    );
    let said = fails(&gcloud, &deploy("--set-env-vars K_SERVICE=x")).await?;
    says(
        &said,
        &[
            "spec.template.spec.containers[0].env: The following reserved env names were provided: K_SERVICE.",
        ],
    );
    gcloud.ok(&deploy("--revision-suffix one")).await?;
    let said = fails(&gcloud, &deploy("--revision-suffix one --set-env-vars A=1")).await?;
    says(
        &said,
        &["Revision named 'hello-one' with different configuration already exists."],
    );
    let tag = "a-tag-that-is-much-too-long-for-its-service-name";
    let said = fails(&gcloud, &deploy(&format!("--tag {tag}"))).await?;
    says(
        &said,
        &[
            "spec.traffic",
            "tag: traffic tag",
            "together are too long. Combined traffic tag and service name cannot exceed 46 characters.",
        ],
    );
    let said = fails(
        &gcloud,
        "gcloud run services update-traffic hello --to-revisions=hello-none=100",
    )
    .await?;
    says(
        &said,
        &["Revision 'hello-none' does not exist or is deleted."],
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_missing_permission_and_a_disabled_api_are_told_and_mended() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let digest = world.built(&World::commit(1), api("setosa")).await?;
    let deploy =
        format!("gcloud run deploy hello --image {IMAGE}@{digest} --allow-unauthenticated");
    let project = emulator::iam::Resource::Project("demo-project".to_owned());
    let deployer = "serviceAccount:deployer@demo-project.iam.gserviceaccount.com";
    let iam = &world.emulator.world().iam;
    let grant = |role: &str| iam.grant(&project, role, deployer);
    grant("roles/run.viewer");
    let tester = "serviceAccount:tester@demo-project.iam.gserviceaccount.com";
    iam.grant(&project, "roles/run.viewer", tester);
    grant("roles/serviceusage.serviceUsageAdmin");
    let said = fails(&gcloud, &deploy).await?;
    says(
        &said,
        &[
            "does not have permission to access namespaces instance [demo-project] (or it may not exist):",
            "Permission 'run.services.create' denied on resource 'namespaces/demo-project/services/hello' (or resource may not exist).",
        ],
    );
    grant("roles/run.admin");
    let said = fails(&gcloud, &deploy).await?;
    says(
        &said,
        &["Permission 'iam.serviceaccounts.actAs' denied on service account"],
    );
    grant("roles/iam.serviceAccountUser");
    grant("roles/artifactregistry.reader");

    let disable = || iam.set_api("demo-project", "run.googleapis.com", false);
    disable();
    let said = fails(&gcloud, "gcloud run services list").await?;
    says(
        &said,
        &["PERMISSION_DENIED: Cloud Run Admin API has not been used in project"],
    );
    let said = gcloud
        .ok("gcloud services enable run.googleapis.com")
        .await?;
    assert_eq!(said.code, Some(0));
    gcloud.ok("gcloud run services list").await?;
    // A deployment enables it by itself.
    disable();
    let said = gcloud.ok(&deploy).await?;
    says(
        &said.err,
        &["Enabling APIs on project [demo-project]...", "Done."],
    );
    assert_eq!(world.call("hello", "/health").await?.0, 200);
    world.end().await;
    Ok(())
}
