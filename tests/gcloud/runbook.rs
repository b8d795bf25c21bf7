//! The operational commands of the runbook, word for word, on services that ml-deploy delivered.

use testkit::{World, api};

use super::interplay::{release, status};
use super::{Told, says, scene};

#[tokio::test]
async fn the_runbook_s_commands_work_as_they_are_written() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let (old, new) = (World::commit(1), World::commit(2));
    world.built(&old, api("setosa")).await?;
    world.built(&new, api("setosa")).await?;
    release(&world, "v1.0.0", &old, "production").await?;
    let first = world.serving("ml-api-prod").await?[0].0.clone();
    release(&world, "v1.1.0", &new, "production").await?;
    let second = world.serving("ml-api-prod").await?[0].0.clone();

    let listed = gcloud.ok("gcloud run services list").await?.out;
    says(&listed, &["✔  ml-api-prod", "us-central1"]);
    let described = gcloud
        .ok("gcloud run services describe ml-api-prod")
        .await?
        .out;
    says(
        &described,
        &[
            "✔ Service ml-api-prod in region us-central1",
            "100%",
            &second,
        ],
    );
    let logs = gcloud
        .ok("gcloud run services logs read ml-api-prod")
        .await?
        .out;
    says(&logs, &["GET 200 http", "/health"]);
    let revisions = gcloud
        .ok("gcloud run revisions list --service ml-api-prod --region us-central1")
        .await?
        .out;
    let lines: Vec<&str> = revisions.lines().collect();
    assert_eq!(lines.len(), 3, "{revisions}");
    says(lines[1], &["✔", &second, "yes", "ml-api-prod"]);
    says(lines[2], &["✔", &first]);
    // It keeps a tag of its own, so that a rollback can test it first: that counts as active.
    says(lines[2], &["yes"]);

    let ended = gcloud
        .ok(&format!("gcloud run services update-traffic ml-api-prod --to-revisions={first}=100 --region us-central1"))
        .await?;
    says(&ended.err, &["Updating traffic", "Done."]);
    says(&ended.out, &["Traffic:", &format!("100% {first}")]);
    assert_eq!(world.serving("ml-api-prod").await?, [(first.clone(), 100)]);
    let (_, body) = world.call("ml-api-prod", "/version").await?;
    says(&body, &[&old]);
    says(
        &status(&gcloud, &world).await?,
        &[&format!("100 % {first}")],
    );
    world.end().await;
    Ok(())
}
