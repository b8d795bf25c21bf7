//! What is refused before anything is written.

use emulator::github::EnvironmentSettings;
use testkit::{Behaviour, World, api};

use super::{Told, release, world};

#[tokio::test]
async fn production_without_required_reviewers_is_refused() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let now = world.emulator.world().clock.now();
    world.emulator.world().github.set_environment(
        ("octo-org", "ml-api"),
        "production",
        EnvironmentSettings::default(),
        now,
    );
    let end = release(&world, "v1.0.0", &commit, "production", 3).await?;
    assert!(end.log.contains("D0209"), "{}", end.log);
    assert!(end.log.contains("help:"), "{}", end.log);
    assert!(world.service("ml-api-prod").await?.is_none());
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn production_from_another_github_environment_is_refused() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world
        .release_job("v1.0.0", &commit, "production")
        .in_environment("dev");
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(3), "{}", end.log);
    assert!(end.log.contains("D0210"), "{}", end.log);
    assert!(world.service("ml-api-prod").await?.is_none());
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_prerelease_never_reaches_production() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    release(&world, "v1.0.0-rc.1", &commit, "staging", 0).await?;
    let end = release(&world, "v1.0.0-rc.1", &commit, "production", 3).await?;
    assert!(end.log.contains("D0201"), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_tag_without_an_image_is_refused_with_the_fix() -> Told {
    let world = world().await?;
    let job = world
        .release_job("v1.0.0", &World::commit(9), "dev")
        .with("wait_for_build", "0");
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(3), "{}", end.log);
    assert!(
        end.log.contains("D0212") && end.log.contains("build_on_tag"),
        "{}",
        end.log
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn tags_that_are_no_version_and_unknown_branches_are_clear_answers() -> Told {
    let world = world().await?;
    for tag in ["1.0.0", "v1.0", "release-1", "v01.0.0"] {
        let end = release(&world, tag, &World::commit(1), "dev", 2).await?;
        assert!(end.log.contains("D0106"), "{tag}: {}", end.log);
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn an_older_version_does_not_go_to_production() -> Told {
    let world = world().await?;
    let (new, old) = (World::commit(2), World::commit(1));
    world.built(&new, api("setosa")).await?;
    world.built(&old, api("setosa")).await?;
    release(&world, "v1.1.0", &new, "production", 0).await?;
    let end = release(&world, "v1.0.0", &old, "production", 3).await?;
    assert!(
        end.log.contains("D0202") && end.log.contains("rollback_to"),
        "{}",
        end.log
    );
    let tags = world.image_tags().await?;
    assert!(tags.contains(&"1.1.0".to_owned()), "{tags:?}");
    assert!(
        !tags.contains(&"1.0.0".to_owned()),
        "a refused release left its tag: {tags:?}"
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_second_run_keeps_off_while_the_first_is_under_way() -> Told {
    let world = world().await?;
    let (good, slow, other) = (World::commit(1), World::commit(2), World::commit(3));
    world.built(&good, api("setosa")).await?;
    world.built(&other, api("setosa")).await?;
    let loading = Behaviour::NeverListens { lines: Vec::new() };
    world.built(&slow, loading).await?;
    release(&world, "v1.0.0", &good, "dev", 0).await?;
    let before = world.serving("ml-api-dev").await?;
    let mut first = world.start_job(&world.release_job("v1.1.0", &slow, "dev"))?;
    while let Some(line) = first.next_line().await? {
        // The write that makes the candidate, and holds the lease, follows at once.
        if line.contains("deploy-candidate") {
            break;
        }
    }
    while !world
        .service("ml-api-dev")
        .await?
        .is_some_and(|service| service["template"].to_string().contains("v1.1.0"))
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut second = world.release_job("v1.2.0", &other, "dev");
    second.run_id += 1;
    let end = world.run(&second).await?;
    assert_eq!(end.code, Some(3), "{}", end.log);
    assert!(end.log.contains("D0205"), "{}", end.log);
    assert_eq!(world.serving("ml-api-dev").await?, before);
    drop(first);
    world.end().await;
    Ok(())
}
