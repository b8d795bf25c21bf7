//! Traffic and tags with gcloud.

use testkit::{World, api};

use super::gcloud::Gcloud;
use super::{Failure, IMAGE, Told, at_tag, says, scene};

async fn deploy(
    gcloud: &Gcloud,
    digest: &str,
    version: &str,
    more: &str,
) -> Result<String, Failure> {
    let ended = gcloud
        .ok(&format!(
            "gcloud run deploy hello --image {IMAGE}@{digest} --allow-unauthenticated --set-env-vars ML_DEPLOY_VERSION={version} {more}"
        ))
        .await?;
    Ok(ended.err)
}

async fn update(gcloud: &Gcloud, flags: &str) -> Result<String, Failure> {
    let ended = gcloud
        .ok(&format!("gcloud run services update-traffic hello {flags}"))
        .await?;
    Ok(ended.err + &ended.out)
}

/// Shares by revision, and which version answers.
async fn serving(world: &World) -> Result<(Vec<(String, u64)>, String), Failure> {
    let shares = world.serving("hello").await?;
    let (_, body) = world.call("hello", "/version").await?;
    Ok((shares, body))
}

#[tokio::test]
async fn a_candidate_is_tagged_tried_and_given_traffic() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let digest = world.built(&World::commit(1), api("setosa")).await?;
    deploy(&gcloud, &digest, "one", "").await?;
    let (shares, _) = serving(&world).await?;
    assert_eq!(shares.len(), 1, "{shares:?}");

    let said = deploy(&gcloud, &digest, "two", "--no-traffic --tag canary").await?;
    says(
        &said,
        &[
            "serving 0 percent of traffic",
            "The revision can be reached directly at http://127.0.0.1:",
        ],
    );
    let (shares, body) = serving(&world).await?;
    let first = shares[0].0.clone();
    assert!(first.starts_with("hello-00001-"), "{shares:?}");
    says(&body, &["one"]);
    says(&at_tag(&world, "hello", "canary").await?.1, &["two"]);
    let second = world.service("hello").await?.unwrap_or_default()["latestReadyRevision"].clone();
    let second = second.as_str().and_then(|name| name.rsplit('/').next());
    let second = second.unwrap_or_default().to_owned();
    assert!(second.starts_with("hello-00002-"), "{second}");

    // By revision, by tag, back to the latest: the tag stays.
    let said = update(&gcloud, &format!("--to-revisions={second}=100")).await?;
    says(&said, &["100%", &second]);
    let (shares, body) = serving(&world).await?;
    assert_eq!(shares, [(second.clone(), 100)]);
    says(&body, &["two"]);
    update(&gcloud, &format!("--to-revisions={first}=100")).await?;
    assert_eq!(serving(&world).await?.0, [(first.clone(), 100)]);
    update(&gcloud, "--to-tags=canary=30").await?;
    let mut shares = serving(&world).await?.0;
    shares.sort();
    assert_eq!(shares, [(first.clone(), 70), (second.clone(), 30)]);
    let said = update(&gcloud, "--to-latest").await?;
    says(&said, &["100% LATEST (currently hello-00002-"]);
    says(&serving(&world).await?.1, &["two"]);
    says(&at_tag(&world, "hello", "canary").await?.1, &["two"]);

    // Tags are added, replaced, removed.
    update(&gcloud, &format!("--update-tags=old={first}")).await?;
    says(&at_tag(&world, "hello", "old").await?.1, &["one"]);
    says(&at_tag(&world, "hello", "canary").await?.1, &["two"]);
    update(&gcloud, &format!("--set-tags=only={first}")).await?;
    says(&at_tag(&world, "hello", "only").await?.1, &["one"]);
    assert!(at_tag(&world, "hello", "canary").await.is_err());
    update(&gcloud, "--remove-tags=only").await?;
    assert!(at_tag(&world, "hello", "only").await.is_err());
    says(&serving(&world).await?.1, &["two"]);
    world.end().await;
    Ok(())
}
