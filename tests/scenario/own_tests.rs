//! Tests of the user's own between a `deploy` and a `promote` step of one job.

use serde_json::Value;
use testkit::{JobEnd, World, api};

use super::{Told, release, world};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A step of the job that releases `tag` to dev.
async fn step(
    world: &World,
    (tag, commit): (&str, &str),
    run: u64,
    command: &str,
    code: i32,
) -> Result<JobEnd, Failure> {
    let mut job = world
        .release_job(tag, commit, "dev")
        .with("command", command);
    job.run_id = run;
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(code), "{command} of {tag}:\n{}", end.log);
    Ok(end)
}

/// What the user's own runner does: asks the candidate at the address that the step before gave.
async fn own_test(candidate: &JobEnd) -> Result<Value, Failure> {
    let url = candidate.output("candidate_url").ok_or("no address")?;
    let answer = reqwest::get(format!("{url}/version")).await?;
    Ok(serde_json::from_str(&answer.text().await?)?)
}

#[tokio::test]
async fn deploy_own_test_promote() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    let before = world.serving("ml-api-dev").await?;

    let end = step(&world, ("v1.1.0", &second), 200, "deploy", 0).await?;
    assert_eq!(end.output("outcome").as_deref(), Some("waiting"));
    let candidate = end.output("revision").ok_or("no revision")?;
    assert!(candidate.starts_with("ml-api-dev-v1-1-0-"), "{candidate}");
    assert!(
        end.summary.contains("waits for its promotion"),
        "{}",
        end.summary
    );
    assert_eq!(world.serving("ml-api-dev").await?, before);
    assert_eq!(own_test(&end).await?["commit"], second.as_str());

    let end = step(&world, ("v1.1.0", &second), 200, "promote", 0).await?;
    assert_eq!(end.output("outcome").as_deref(), Some("promoted"));
    assert_eq!(world.serving("ml-api-dev").await?, [(candidate, 100)]);
    // What was tested in the first step is not tested again; who answers is.
    assert!(end.log.contains("is the release"), "{}", end.log);
    assert!(!end.log.contains("predicts setosa"), "{}", end.log);
    let end = step(&world, ("v1.1.0", &second), 200, "promote", 0).await?;
    assert_eq!(end.output("outcome").as_deref(), Some("up-to-date"));
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_first_deploy_waits_closed() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let end = step(&world, ("v1.0.0", &commit), 200, "deploy", 0).await?;
    assert_eq!(end.output("candidate_url"), end.output("url"));
    let (status, _) = world.call("ml-api-dev", "/health").await?;
    assert!(
        matches!(status, 401 | 403),
        "a stranger was answered {status}"
    );
    step(&world, ("v1.0.0", &commit), 200, "promote", 0).await?;
    let (status, _) = world.call("ml-api-dev", "/health").await?;
    assert_eq!(status, 200);
    world.end().await;
    Ok(())
}

/// The job ends with the failing step: its candidate waits, gets no traffic, and keeps other runs
/// off until it is taken back or its lease ends. A re-run of the same workflow run goes on.
#[tokio::test]
async fn after_a_failing_own_test_others_wait_and_the_run_itself_can_go_on() -> Told {
    let world = world().await?;
    let commits = [1, 2, 3].map(World::commit);
    for commit in &commits {
        world.built(commit, api("setosa")).await?;
    }
    release(&world, "v1.0.0", &commits[0], "dev", 0).await?;
    let before = world.serving("ml-api-dev").await?;
    step(&world, ("v1.1.0", &commits[1]), 200, "deploy", 0).await?;

    let other = step(&world, ("v1.2.0", &commits[2]), 201, "auto", 3).await?;
    for expected in ["D0205", "run `200/1` is bringing", "its lease ends at"] {
        assert!(other.log.contains(expected), "{expected}:\n{}", other.log);
    }
    assert_eq!(world.serving("ml-api-dev").await?, before);
    // Another run cannot promote it either.
    let other = step(&world, ("v1.1.0", &commits[1]), 201, "promote", 3).await?;
    assert!(other.log.contains("D0205"), "{}", other.log);

    // The test is mended, and the failed job run again.
    let mut again = world
        .release_job("v1.1.0", &commits[1], "dev")
        .with("command", "deploy")
        .again();
    again.run_id = 200;
    let end = world.run(&again).await?;
    assert_eq!(
        end.output("outcome").as_deref(),
        Some("waiting"),
        "{}",
        end.log
    );
    assert_eq!(own_test(&end).await?["commit"], commits[1].as_str());
    world.end().await;
    Ok(())
}

/// The action's post step takes the candidate back at the end of the job whose own test failed; after
/// a promotion it has nothing to do.
#[tokio::test]
async fn at_the_end_of_the_job_the_post_step_takes_back_what_waits() -> Told {
    let world = world().await?;
    let commits = [1, 2, 3].map(World::commit);
    for commit in &commits {
        world.built(commit, api("setosa")).await?;
    }
    release(&world, "v1.0.0", &commits[0], "dev", 0).await?;
    let before = world.serving("ml-api-dev").await?;
    let mut job = world
        .release_job("v1.1.0", &commits[1], "dev")
        .with("command", "deploy");
    job.run_id = 200;
    let main = world.run(&job).await?;
    assert_eq!(main.code, Some(0), "{}", main.log);
    // Here the user's own test fails, and the job ends.
    let post = world.run_post(&job, &main).await?;
    assert!(
        post.log
            .contains("passed and was not promoted: taking it back"),
        "{}",
        post.log
    );
    assert_eq!(world.serving("ml-api-dev").await?, before);
    let end = step(&world, ("v1.1.0", &commits[1]), 200, "promote", 3).await?;
    assert!(end.log.contains("D0654"), "{}", end.log);

    // Nothing keeps the next run off, whose post step is silent.
    job.run_id = 201;
    let main = world.run(&job).await?;
    step(&world, ("v1.1.0", &commits[1]), 201, "promote", 0).await?;
    let post = world.run_post(&job, &main).await?;
    assert_eq!(post.code, Some(0), "{}", post.log);
    assert!(!post.log.contains("taking it back"), "{}", post.log);
    assert_ne!(world.serving("ml-api-dev").await?, before);
    step(&world, ("v1.2.0", &commits[2]), 202, "auto", 0).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn nothing_is_promoted_that_no_step_before_deployed() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    let before = world.serving("ml-api-dev").await?;
    let end = step(&world, ("v1.1.0", &second), 200, "promote", 3).await?;
    for expected in ["D0654", "`command: deploy`", &before[0].0] {
        assert!(end.log.contains(expected), "{expected}:\n{}", end.log);
    }
    assert_eq!(world.serving("ml-api-dev").await?, before);
    let rollback = world
        .rollback_job("previous", "dev")
        .with("command", "deploy");
    let end = world.run(&rollback).await?;
    assert_eq!(end.code, Some(2), "{}", end.log);
    assert!(
        end.log.contains("does not go with a rollback"),
        "{}",
        end.log
    );
    world.end().await;
    Ok(())
}
