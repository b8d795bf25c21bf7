//! What goes well.

use serde_json::json;
use testkit::{Setup, World, api};

use super::{PROGRAM, Told, release, world};

#[tokio::test]
async fn one_digest_goes_through_all_environments() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    let digest = world.built(&commit, api("setosa")).await?;
    for (environment, service) in [
        ("dev", "ml-api-dev"),
        ("test", "ml-api-test"),
        ("staging", "ml-api-staging"),
        ("production", "ml-api-prod"),
    ] {
        let end = release(&world, "v1.0.0", &commit, environment, 0).await?;
        assert_eq!(end.output("digest").as_deref(), Some(digest.as_str()));
        let seen = world.service(service).await?.ok_or("no service")?;
        let image = seen["template"]["containers"][0]["image"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(image.ends_with(&digest), "{service} has the image {image}");
        let serving = world.serving(service).await?;
        assert_eq!(serving.len(), 1, "{serving:?}");
        assert!(
            serving[0].0.starts_with(&format!("{service}-v1-0-0-")),
            "{serving:?}"
        );
        let (status, body) = world.call(service, "/version").await?;
        assert_eq!(status, 200);
        assert!(body.contains(&commit), "{body}");
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_end_state_is_pinned_and_our_tag_is_gone() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    release(&world, "v1.0.0", &commit, "dev", 0).await?;
    let service = world.service("ml-api-dev").await?.ok_or("no service")?;
    assert_eq!(
        service["traffic"].as_array().map(Vec::len),
        Some(1),
        "{}",
        service["traffic"]
    );
    assert_eq!(
        service["traffic"][0]["type"],
        "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
    );
    assert!(
        service["traffic"][0].get("tag").is_none(),
        "{}",
        service["traffic"]
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_second_run_of_the_same_release_changes_nothing() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    release(&world, "v1.0.0", &commit, "dev", 0).await?;
    let before = world.service("ml-api-dev").await?.ok_or("no service")?;
    let end = release(&world, "v1.0.0", &commit, "dev", 0).await?;
    let after = world.service("ml-api-dev").await?.ok_or("no service")?;
    assert_eq!(end.output("outcome").as_deref(), Some("up-to-date"));
    assert_eq!(before["etag"], after["etag"]);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_second_release_replaces_the_first_and_keeps_foreign_tags() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    let old = world.serving("ml-api-dev").await?[0].0.clone();
    let traffic = json!({"traffic": [
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": old, "percent": 100},
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": old, "tag": "theirs"},
    ]});
    world
        .patch_service("ml-api-dev", "traffic", &traffic)
        .await?;
    release(&world, "v1.1.0", &second, "dev", 0).await?;
    let service = world.service("ml-api-dev").await?.ok_or("no service")?;
    let tags: Vec<_> = service["traffic"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["tag"].as_str())
        .collect();
    let (_, h6) = old.rsplit_once('-').ok_or("a name with a hash")?;
    let standing = format!("c-{h6}");
    assert_eq!(tags, ["theirs", standing.as_str()]);
    let serving = world.serving("ml-api-dev").await?;
    assert!(
        serving[0].0.starts_with("ml-api-dev-v1-1-0-"),
        "{serving:?}"
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn new_addresses_that_answer_late_are_waited_for() -> Told {
    let world = World::start_with(
        PROGRAM,
        Setup {
            propagation_ms: 1_500,
            seed: 7,
        },
    )
    .await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    release(&world, "v1.0.1", &second, "dev", 0).await?;
    let (_, body) = world.call("ml-api-dev", "/version").await?;
    assert!(body.contains(&second), "{body}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_private_service_stays_closed_to_strangers() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world
        .release_job("v1.0.0", &commit, "dev")
        .with("access", "private");
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let (status, _) = world.call("ml-api-dev", "/health").await?;
    assert!(matches!(status, 401 | 403), "a stranger got {status}");
    world.end().await;
    Ok(())
}
