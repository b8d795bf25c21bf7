//! Deployments with gcloud.

use testkit::{World, api};

use super::{IMAGE, Told, scene};

#[tokio::test]
async fn a_service_is_created_listed_and_described() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let digest = world.built(&World::commit(1), api("setosa")).await?;
    let ended = gcloud
        .ok(&format!(
            "gcloud run deploy hello --image {IMAGE}@{digest} --region us-central1 --allow-unauthenticated"
        ))
        .await?;
    println!("{}\n{}", ended.out, ended.err);
    let ended = gcloud.ok("gcloud run services list").await?;
    println!("{}\n{}", ended.out, ended.err);
    let ended = gcloud.ok("gcloud run services describe hello").await?;
    println!("{}\n{}", ended.out, ended.err);
    let ended = gcloud
        .ok("gcloud run services describe hello --format=json")
        .await?;
    println!("{}\n{}", ended.out, ended.err);
    let (status, body) = world.call("hello", "/version").await?;
    assert_eq!(status, 200, "{body}");
    world.end().await;
    Ok(())
}
