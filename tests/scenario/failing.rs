//! What is stopped, and what serves then.

use testkit::{Behaviour, World, api, wrong_model};

use super::{Told, release, world};

#[tokio::test]
async fn failing_tests_leave_the_traffic_and_say_why() -> Told {
    let world = world().await?;
    let (good, bad) = (World::commit(1), World::commit(2));
    world.built(&good, api("setosa")).await?;
    world.built(&bad, wrong_model()).await?;
    release(&world, "v1.0.0", &good, "test", 0).await?;
    let before = world.serving("ml-api-test").await?;
    let end = release(&world, "v1.1.0", &bad, "test", 4).await?;
    assert_eq!(world.serving("ml-api-test").await?, before);
    assert_eq!(end.log.matches("::error ").count(), 1, "{}", end.log);
    for expected in ["D0302", "predicts setosa", "virginica", &before[0].0] {
        assert!(
            end.log.contains(expected),
            "{expected} is missing in:\n{}",
            end.log
        );
        assert!(
            end.summary.contains(expected),
            "{expected} is missing in the summary:\n{}",
            end.summary
        );
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_failed_first_deploy_stays_closed_and_its_retry_goes_the_same_way() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    let digest = world.built(&commit, wrong_model()).await?;
    release(&world, "v1.0.0", &commit, "test", 4).await?;
    let (status, _) = world.call("ml-api-test", "/health").await?;
    assert!(
        matches!(status, 401 | 403),
        "an untested digest answered a stranger with {status}"
    );
    // Who looks is not told that it serves.
    let status = world
        .release_job("v1.0.0", &commit, "test")
        .with("command", "status");
    let failed = &world.revisions("ml-api-test").await?[0];
    let told = format!(
        "  closed to all but callers with an ID token; nothing that has passed its tests serves: `{failed}` failed the API tests: api-tests/predicts setosa: "
    );
    let end = world.run(&status).await?;
    assert!(
        end.log.lines().any(|line| line.starts_with(&told)),
        "{told}\n{}",
        end.log
    );
    world.behaves(&digest, api("setosa"));
    release(&world, "v1.0.0", &commit, "test", 0).await?;
    let end = world.run(&status).await?;
    assert!(!end.log.contains("nothing that has passed"), "{}", end.log);
    let (status, _) = world.call("ml-api-test", "/health").await?;
    assert_eq!(status, 200);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_container_that_crashes_shows_the_clouds_text_and_its_last_lines() -> Told {
    let world = world().await?;
    let (good, bad) = (World::commit(1), World::commit(2));
    world.built(&good, api("setosa")).await?;
    world
        .built(
            &bad,
            Behaviour::crash(&[
                "Traceback (most recent call last):",
                "ModuleNotFoundError: No module named 'uvicorn'",
            ]),
        )
        .await?;
    release(&world, "v1.0.0", &good, "dev", 0).await?;
    let before = world.serving("ml-api-dev").await?;
    let end = release(&world, "v1.1.0", &bad, "dev", 4).await?;
    for expected in [
        "D0301",
        "failed to start and listen on the port",
        "No module named 'uvicorn'",
        "state:",
        &before[0].0,
    ] {
        assert!(
            end.log.contains(expected),
            "{expected} is missing in:\n{}",
            end.log
        );
    }
    assert_eq!(world.serving("ml-api-dev").await?, before);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn an_interrupted_run_leaves_what_served() -> Told {
    let world = world().await?;
    let (good, slow) = (World::commit(1), World::commit(2));
    world.built(&good, api("setosa")).await?;
    world
        .built(
            &slow,
            Behaviour::NeverListens {
                lines: vec!["loading a large model".to_owned()],
            },
        )
        .await?;
    release(&world, "v1.0.0", &good, "dev", 0).await?;
    let before = world.serving("ml-api-dev").await?;
    let mut job = world.start_job(&world.release_job("v1.1.0", &slow, "dev"))?;
    let pid = job.pid().ok_or("the job has ended")?;
    let mut started = false;
    while let Some(line) = job.next_line().await? {
        if line.contains("deploy-candidate") {
            started = true;
            break;
        }
    }
    assert!(started, "the candidate was never deployed");
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &pid.to_string()])
        .status()?;
    assert!(killed.success());
    let asked = std::time::Instant::now();
    let end = job.finish(|_| Ok(())).await?;
    assert_eq!(end.code, Some(4), "{}", end.log);
    assert!(end.log.contains("D0305"), "{}", end.log);
    assert!(
        asked.elapsed().as_secs() < 7,
        "it took {:?}",
        asked.elapsed()
    );
    assert_eq!(world.serving("ml-api-dev").await?, before);
    world.end().await;
    Ok(())
}
