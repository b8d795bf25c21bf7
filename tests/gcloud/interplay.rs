//! gcloud and ml-deploy on the same service: none loses what the other wrote.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{World, api};
use tokio::process::Command;

use super::gcloud::Gcloud;
use super::{Failure, IMAGE, PROGRAM, Told, at_tag, says, scene, service};

/// Runs a release's job, which must end well.
pub(crate) async fn release(world: &World, tag: &str, commit: &str, environment: &str) -> Told {
    let end = world
        .run(&world.release_job(tag, commit, environment))
        .await?;
    assert_eq!(
        end.code,
        Some(0),
        "{tag} in {environment} ended with:\n{}",
        end.log
    );
    Ok(())
}

/// What `ml-deploy status` prints, in the shell in which gcloud runs.
pub(crate) async fn status(gcloud: &Gcloud, world: &World) -> Result<String, Failure> {
    let ended = Command::new(PROGRAM)
        .arg("status")
        .env_clear()
        .envs(gcloud.variables())
        .current_dir(world.checkout())
        .stdin(Stdio::null())
        .output()
        .await?;
    let said = String::from_utf8(ended.stdout)?;
    if !ended.status.success() {
        return Err(format!("{said}{}", String::from_utf8_lossy(&ended.stderr)).into());
    }
    Ok(said)
}

fn annotations(service: &Value) -> Vec<&String> {
    let annotations = service["annotations"].as_object();
    annotations
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .collect()
}

#[tokio::test]
async fn a_service_of_gcloud_is_promoted_and_rolled_back_by_ml_deploy() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let by_hand = world.built(&World::commit(9), api("setosa")).await?;
    gcloud
        .ok(&format!(
            "gcloud run deploy ml-api-prod --image {IMAGE}@{by_hand} --allow-unauthenticated --labels team=ml --description ours --max-instances 7 --tag manual"
        ))
        .await?;
    // Words of v1 that v2 has no field for.
    gcloud
        .ok("gcloud run services update ml-api-prod --update-labels cost=low --session-affinity")
        .await?;
    says(&status(&gcloud, &world).await?, &["ml-api-prod"]);
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "production").await?;
    release(&world, "v1.1.0", &second, "production").await?;
    let end = world
        .run(&world.rollback_job("previous", "production"))
        .await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    says(&world.call("ml-api-prod", "/version").await?.1, &[&first]);

    let now = service(&world, "ml-api-prod").await?;
    assert_eq!(now["labels"]["team"], "ml");
    assert_eq!(now["labels"]["cost"], "low");
    assert_eq!(now["description"], "ours");
    // The tag of the other tool still leads to its revision.
    assert_eq!(at_tag(&world, "ml-api-prod", "manual").await?.0, 200);
    let described = gcloud
        .ok("gcloud run services describe ml-api-prod --format=json")
        .await?
        .json()?;
    let metadata = &described["metadata"];
    assert_eq!(
        metadata["annotations"]["run.googleapis.com/description"],
        "ours"
    );
    assert_eq!(metadata["labels"]["team"], "ml");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_failed_promotion_leaves_the_traffic_with_gcloud_s_revision() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let by_hand = world.built(&World::commit(9), api("setosa")).await?;
    gcloud
        .ok(&format!(
            "gcloud run deploy ml-api-prod --image {IMAGE}@{by_hand} --allow-unauthenticated"
        ))
        .await?;
    let before = world.serving("ml-api-prod").await?;
    let wrong = World::commit(3);
    world.built(&wrong, testkit::wrong_model()).await?;
    let end = world
        .run(&world.release_job("v1.0.0", &wrong, "production"))
        .await?;
    assert_eq!(end.code, Some(4), "{}", end.log);
    let after = world.serving("ml-api-prod").await?;
    assert!(
        after
            .iter()
            .all(|(revision, _)| revision.starts_with("ml-api-prod-00001-") || revision.is_empty()),
        "{before:?} {after:?}"
    );
    assert_eq!(world.call("ml-api-prod", "/health").await?.0, 200);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_service_of_ml_deploy_is_changed_by_gcloud() -> Told {
    let Some((world, gcloud)) = scene().await? else {
        return Ok(());
    };
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "production").await?;
    let before = service(&world, "ml-api-prod").await?;
    let revision = world.serving("ml-api-prod").await?[0].0.clone();

    gcloud
        .ok(&format!(
            "gcloud run services update-traffic ml-api-prod --update-tags keep={revision}"
        ))
        .await?;
    gcloud
        .ok("gcloud run services update ml-api-prod --update-labels owner=me")
        .await?;
    let after = service(&world, "ml-api-prod").await?;
    assert_eq!(
        annotations(&after),
        annotations(&before),
        "gcloud lost an annotation"
    );
    for (name, text) in before["annotations"].as_object().into_iter().flatten() {
        assert_eq!(&after["annotations"][name], text, "{name}");
    }
    for (name, text) in before["labels"].as_object().into_iter().flatten() {
        assert_eq!(&after["labels"][name], text, "{name}");
    }
    // The traffic was pinned, and gcloud's new revision gets none of it.
    assert_eq!(
        world.serving("ml-api-prod").await?,
        [(revision.clone(), 100)]
    );

    release(&world, "v1.1.0", &second, "production").await?;
    says(&world.call("ml-api-prod", "/version").await?.1, &[&second]);
    let now = service(&world, "ml-api-prod").await?;
    assert_eq!(now["labels"]["owner"], "me");
    says(&at_tag(&world, "ml-api-prod", "keep").await?.1, &[&first]);
    let end = world
        .run(&world.rollback_job("previous", "production"))
        .await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    says(&world.call("ml-api-prod", "/version").await?.1, &[&first]);
    assert_eq!(
        service(&world, "ml-api-prod").await?["labels"]["owner"],
        json!("me")
    );
    world.end().await;
    Ok(())
}
