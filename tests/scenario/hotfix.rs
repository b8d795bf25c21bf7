//! The order of versions guards production alone, and of two runs on one service one wins.

use std::time::{Duration, Instant};

use emulator::admin::Fault;
use testkit::{World, api};

use super::recovery::{fails, reach};
use super::{Told, release, world};

const PRODUCTION: &str = "ml-api-prod";

async fn built(world: &World, count: u8) -> Result<Vec<String>, super::Failure> {
    let mut commits = Vec::new();
    for number in 1..=count {
        let commit = World::commit(number);
        world.built(&commit, api("setosa")).await?;
        commits.push(commit);
    }
    Ok(commits)
}

#[tokio::test]
async fn a_patch_above_what_serves_passes_although_a_higher_minor_is_in_an_earlier_environment()
-> Told {
    let world = world().await?;
    let commits = built(&world, 3).await?;
    let all = ["dev", "test", "staging", "production"];
    for environment in all {
        release(&world, "v1.0.0", &commits[0], environment, 0).await?;
    }
    for environment in &all[..3] {
        release(&world, "v1.1.0", &commits[1], environment, 0).await?;
    }
    for environment in all {
        release(&world, "v1.0.1", &commits[2], environment, 0).await?;
    }
    let (name, percent) = world.serving(PRODUCTION).await?.remove(0);
    assert!(
        name.contains("v1-0-1") && percent == 100,
        "{name} {percent}"
    );
    // The minor release comes after it, as it would have.
    for environment in &all[..3] {
        release(&world, "v1.1.0", &commits[1], environment, 0).await?;
    }
    release(&world, "v1.1.0", &commits[1], "production", 0).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn an_older_version_needs_rollback_to_and_goes_back_with_it() -> Told {
    let world = world().await?;
    let commits = built(&world, 2).await?;
    release(&world, "v1.0.0", &commits[0], "production", 0).await?;
    let first = world.serving(PRODUCTION).await?;
    release(&world, "v1.0.1", &commits[1], "production", 0).await?;
    let second = world.serving(PRODUCTION).await?;
    let end = release(&world, "v1.0.0", &commits[0], "production", 3).await?;
    assert!(end.log.contains("D0202"), "{}", end.log);
    assert!(end.log.contains("rollback_to: v1.0.0"), "{}", end.log);
    assert_eq!(world.serving(PRODUCTION).await?, second);
    let back = world.rollback_job("v1.0.0", "production");
    let end = world.run(&back).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert_eq!(world.serving(PRODUCTION).await?, first);
    world.end().await;
    Ok(())
}

/// Holds the next write that comes, or the one after those that are held already.
fn hold_the_next_write(world: &World, milliseconds: u64) {
    let held = Fault {
        delay_ms: milliseconds,
        ..Fault::default()
    };
    fails(world, "PATCH /v2/**/services/*", Some(1), held);
}

#[tokio::test]
async fn of_two_runs_on_one_service_one_wins_and_the_other_stops_with_who_and_what() -> Told {
    let world = world().await?;
    let commits = built(&world, 3).await?;
    release(&world, "v1.0.0", &commits[0], "dev", 0).await?;
    // Both have planned upon the same service before either has written.
    hold_the_next_write(&world, 4_000);
    let mut slow = world.start_job(&world.release_job("v1.1.0", &commits[1], "dev"))?;
    reach(&mut slow, "deploy-candidate").await?;
    until_held(&world).await?;
    // The winner's second write, its traffic, is held: its lease lives.
    hold_the_next_write(&world, 1);
    hold_the_next_write(&world, 6_000);
    let mut job = world.release_job("v1.2.0", &commits[2], "dev");
    job.run_id += 1;
    let mut fast = world.start_job(&job)?;
    reach(&mut fast, "shift-traffic").await?;
    let lost = slow.finish(|_| Ok(())).await?;
    assert_eq!(lost.code, Some(3), "{}", lost.log);
    for expected in ["looking and planning again", "D0205", "101/1", "v1-2-0"] {
        assert!(
            lost.log.contains(expected),
            "no {expected} in:\n{}",
            lost.log
        );
    }
    let won = fast.finish(|_| Ok(())).await?;
    assert_eq!(won.code, Some(0), "{}", won.log);
    let (name, _) = world.serving("ml-api-dev").await?.remove(0);
    assert!(name.contains("v1-2-0"), "{name}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn of_two_runs_on_one_service_the_slower_plans_again_upon_what_the_faster_brought() -> Told {
    let world = world().await?;
    let commits = built(&world, 3).await?;
    release(&world, "v1.0.0", &commits[0], "dev", 0).await?;
    hold_the_next_write(&world, 6_000);
    let mut slow = world.start_job(&world.release_job("v1.2.0", &commits[1], "dev"))?;
    reach(&mut slow, "deploy-candidate").await?;
    until_held(&world).await?;
    let mut job = world.release_job("v1.1.0", &commits[2], "dev");
    job.run_id += 1;
    let fast = world.run(&job).await?;
    assert_eq!(fast.code, Some(0), "{}", fast.log);
    let end = slow.finish(|_| Ok(())).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert!(
        end.log.contains("looking and planning again"),
        "{}",
        end.log
    );
    let (name, _) = world.serving("ml-api-dev").await?.remove(0);
    assert!(name.contains("v1-2-0"), "{name}");
    let service = world.service("ml-api-dev").await?.ok_or("no service")?;
    let state = service["annotations"]["ml-deploy/state"]
        .as_str()
        .unwrap_or_default();
    let state: serde_json::Value = serde_json::from_str(state)?;
    let versions: Vec<_> = (0..3)
        .map(|at| state["healthy"][at]["version"].clone())
        .collect();
    assert_eq!(versions, ["1.2.0", "1.1.0", "1.0.0"], "{state}");
    world.end().await;
    Ok(())
}

/// Waits until the write that is held has come: its rule is used up.
async fn until_held(world: &World) -> Told {
    let until = Instant::now() + Duration::from_secs(10);
    while !world.emulator.world().faults.rules().is_empty() {
        if Instant::now() > until {
            return Err("no write came to be held".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
