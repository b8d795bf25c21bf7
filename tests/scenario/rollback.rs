//! The way back.

use emulator::admin::{Fault, Rule};
use testkit::{World, api};

use super::{Told, release, world};

/// What ml-deploy asked of Cloud Run's API since there were `before` exchanges: method, and what of.
fn asked_since(world: &World, before: usize) -> Vec<String> {
    let exchanges = world.exchanges();
    let ours = exchanges
        .iter()
        .skip(before)
        .filter(|one| one.path.starts_with("/v2/projects/") && one.agent.starts_with("ml-deploy"));
    ours.map(|one| {
        let (_, what) = one.path.rsplit_once("/us-central1/").unwrap_or_default();
        format!("{} {what}", one.method)
    })
    .collect()
}

/// Two healthy releases in production.
async fn two_releases() -> Result<(World, String, String), Box<dyn std::error::Error + Send + Sync>>
{
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "production", 0).await?;
    release(&world, "v1.1.0", &second, "production", 0).await?;
    Ok((world, first, second))
}

#[tokio::test]
async fn previous_moves_traffic_back_without_a_new_revision() -> Told {
    let (world, first, _) = two_releases().await?;
    let end = world
        .run(&world.rollback_job("previous", "production"))
        .await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    // The job's own commit is another one than what it brought back.
    assert!(!end.summary.contains("| Commit |"), "{}", end.summary);
    assert!(
        end.summary
            .contains("| Approval | not asked: a rollback does not wait for an approval |"),
        "{}",
        end.summary
    );
    let serving = world.serving("ml-api-prod").await?;
    assert!(
        serving[0].0.starts_with("ml-api-prod-v1-0-0-"),
        "{serving:?}"
    );
    let (_, body) = world.call("ml-api-prod", "/version").await?;
    assert!(body.contains(&first), "{body}");
    assert_eq!(end.output("outcome").as_deref(), Some("rolled-back"));
    world.end().await;
    Ok(())
}

/// The standard tests ask for the commit of a release; what a rollback brings is another one than the
/// job's own.
#[tokio::test]
async fn without_tests_of_its_own_a_service_can_be_rolled_back_from_any_commit() -> Told {
    let world = world().await?;
    world.write(
        ".github/ml-deploy.yml",
        "service: ml-api\nproject_id: demo-project\nimage: us-central1-docker.pkg.dev/demo-project/ml/ml-api\n",
    )?;
    let (first, second) = (World::commit(1), World::commit(2));
    for (tag, commit) in [("v1.0.0", &first), ("v1.1.0", &second)] {
        world.built(commit, api("setosa")).await?;
        release(&world, tag, commit, "dev", 0).await?;
    }
    let end = world.run(&world.rollback_job("previous", "dev")).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let serving = world.serving("ml-api-dev").await?;
    assert!(
        serving[0].0.starts_with("ml-api-dev-v1-0-0-"),
        "{serving:?}"
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_version_and_a_revision_can_be_named() -> Told {
    let (world, _, _) = two_releases().await?;
    let end = world
        .run(&world.rollback_job("v1.0.0", "production"))
        .await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let back = world.serving("ml-api-prod").await?[0].0.clone();
    assert!(back.starts_with("ml-api-prod-v1-0-0-"), "{back}");
    let end = world
        .run(&world.rollback_job("v9.9.9", "production"))
        .await?;
    assert_eq!(end.code, Some(3), "{}", end.log);
    assert!(end.log.contains("D0207"), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_rolled_back_release_is_not_promoted_again_unless_told() -> Told {
    let (world, _, second) = two_releases().await?;
    world
        .run(&world.rollback_job("previous", "production"))
        .await?;
    let end = release(&world, "v1.1.0", &second, "production", 3).await?;
    assert!(
        end.log.contains("D0203") && end.log.contains("retry_rejected"),
        "{}",
        end.log
    );
    let told = world
        .release_job("v1.1.0", &second, "production")
        .with("retry_rejected", "true");
    let end = world.run(&told).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_re_run_of_an_old_tags_workflow_is_a_rollback() -> Told {
    let (world, first, _) = two_releases().await?;
    let end = world
        .run(&world.release_job("v1.0.0", &first, "production").again())
        .await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let serving = world.serving("ml-api-prod").await?;
    assert!(
        serving[0].0.starts_with("ml-api-prod-v1-0-0-"),
        "{serving:?}"
    );
    world.end().await;
    Ok(())
}

/// A rollback, and how many control-plane requests it took.
async fn requests(
    world: &World,
    target: &str,
) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
    let before = world.exchanges().len();
    let end = world.run(&world.rollback_job(target, "production")).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let asked = asked_since(world, before);
    Ok(asked.len())
}

#[tokio::test]
async fn a_target_with_its_standing_tag_takes_four_requests() -> Told {
    let (world, first, _) = two_releases().await?;
    assert_eq!(requests(&world, "previous").await?, 4);
    let (_, body) = world.call("ml-api-prod", "/version").await?;
    assert!(body.contains(&first), "{body}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_target_without_a_tag_takes_six_requests_and_one_that_is_not_healthy_eight() -> Told {
    let (world, _, _) = two_releases().await?;
    let third = World::commit(3);
    world.built(&third, api("setosa")).await?;
    release(&world, "v1.2.0", &third, "production", 0).await?;
    // Healthy, and the standing tag is with v1.1.0.
    assert_eq!(requests(&world, "v1.0.0").await?, 6);
    // What a rollback left counts as healthy again when callers were seen to reach it.
    assert_eq!(requests(&world, "v1.2.0").await?, 8);
    world.end().await;
    Ok(())
}

/// From here on, requests to `point` are answered with 503.
fn gone(world: &World, point: &str) {
    world.emulator.world().faults.add(Rule {
        point: point.to_owned(),
        count: None,
        fault: Fault {
            status: "UNAVAILABLE".to_owned(),
            message: "it is down".to_owned(),
            ..Fault::default()
        },
    });
}

#[tokio::test]
async fn it_needs_neither_the_registry_nor_github() -> Told {
    let (world, first, _) = two_releases().await?;
    gone(&world, "* /repos/**");
    gone(&world, "* /v2/demo-project/**");
    let before = world.exchanges().len();
    let end = world
        .run(&world.rollback_job("previous", "production"))
        .await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let exchanges = world.exchanges();
    let asked = exchanges.iter().skip(before);
    let others: Vec<&str> = asked
        .map(|one| one.path.as_str())
        .filter(|path| path.starts_with("/repos/") || path.starts_with("/v2/demo-project/"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
    let (_, body) = world.call("ml-api-prod", "/version").await?;
    assert!(body.contains(&first), "{body}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_re_run_of_what_was_rolled_back_stays_out_until_told() -> Told {
    let (world, _, second) = two_releases().await?;
    world
        .run(&world.rollback_job("previous", "production"))
        .await?;
    let back = world.serving("ml-api-prod").await?;
    let again = world.release_job("v1.1.0", &second, "production").again();
    let end = world.run(&again).await?;
    assert_eq!(end.code, Some(3), "{}", end.log);
    assert!(end.log.contains("rolled back to"), "{}", end.log);
    assert_eq!(world.serving("ml-api-prod").await?, back);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn previous_passes_over_what_was_never_healthy() -> Told {
    let (world, first, _) = two_releases().await?;
    let third = World::commit(3);
    world.built(&third, testkit::wrong_model()).await?;
    release(&world, "v1.2.0", &third, "production", 4).await?;
    let end = world
        .run(&world.rollback_job("previous", "production"))
        .await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let (_, body) = world.call("ml-api-prod", "/version").await?;
    assert!(body.contains(&first), "{body}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_rollback_that_fails_tells_both_and_says_act_now() -> Told {
    let (world, first, second) = two_releases().await?;
    // The write goes through, but its end cannot be seen; then the control plane is gone for good.
    let service = "/v2/projects/*/locations/*/services/ml-api-prod";
    let operation = "* /v2/projects/*/locations/*/operations/*";
    let mut job = world.rollback_job("previous", "production");
    job = job.with("deadline", "1");
    let refused = |point: &str, after: bool| Rule {
        point: point.to_owned(),
        count: None,
        fault: Fault {
            status: "PERMISSION_DENIED".to_owned(),
            message: "it was taken away".to_owned(),
            after,
            ..Fault::default()
        },
    };
    let faults = &world.emulator.world().faults;
    // The traffic moves, its operation cannot be read, and the service cannot be read again.
    faults.add(refused(operation, false));
    faults.add(Rule {
        count: Some(1),
        fault: Fault {
            delay_ms: 1,
            ..Fault::default()
        },
        ..refused(&format!("GET {service}"), false)
    });
    faults.add(refused(&format!("GET {service}"), false));
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(5), "{}", end.log);
    let title = |code: &str| end.log.find(&format!("::error title={code}"));
    let (cause, undo) = (title("D0504"), title("D0307"));
    assert!(cause.is_some() && cause < undo, "{}", end.log);
    assert!(end.log.contains("act now"), "{}", end.log);
    world.emulator.world().faults.clear();
    let (_, body) = world.call("ml-api-prod", "/version").await?;
    assert!(body.contains(&first) || body.contains(&second), "{body}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn of_two_runs_at_once_one_wins_and_the_other_says_who_and_what() -> Told {
    let world = world().await?;
    let commits = [1, 2, 3].map(World::commit);
    for commit in &commits {
        world.built(commit, api("setosa")).await?;
    }
    release(&world, "v1.0.0", &commits[0], "dev", 0).await?;
    let one = world.release_job("v1.1.0", &commits[1], "dev");
    let two = world
        .release_job("v1.2.0", &commits[2], "dev")
        .env("GITHUB_RUN_ID", "101");
    let (one, two) = tokio::join!(world.run(&one), world.run(&two));
    let ends = [one?, two?];
    let serving = world.serving("ml-api-dev").await?;
    assert_eq!(serving.len(), 1, "{serving:?}");
    for (end, slug) in ends.iter().zip(["v1-1-0", "v1-2-0"]) {
        match end.code {
            Some(0) => {}
            Some(3) => assert!(
                end.log.contains("D0205") && end.log.contains("is bringing"),
                "{}",
                end.log
            ),
            other => panic!("{slug} ended with {other:?}: {}", end.log),
        }
    }
    assert!(ends.iter().any(|end| end.code == Some(0)));
    let name = &serving[0].0;
    let winners = ends.iter().zip(["v1-1-0", "v1-2-0"]);
    let mut winners = winners.filter(|(end, _)| end.code == Some(0));
    assert!(winners.any(|(_, slug)| name.contains(slug)), "{name}");
    world.end().await;
    Ok(())
}
