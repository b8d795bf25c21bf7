//! What a job over two regions leaves that is killed between them.

use std::time::{Duration, Instant};

use emulator::admin::{Fault, Rule};
use emulator::runner::Job;
use serde_json::Value;
use testkit::{JobEnd, World, api};

use super::recovery::{main_state, recover, said, send};
use super::regions::{REGIONS, job, record, service, serving};
use super::{Failure, Told, world};

/// The region that is slower; the other one gets ahead of it.
const SLOW: &str = REGIONS[1];
/// How long a write is held: longer than any of this takes.
const HELD_MILLIS: u64 = 120_000;
/// Longest wait for the region that is ahead.
const PATIENCE: Duration = Duration::from_secs(30);

/// Something happens to the writes in the slower region that come next.
fn meets(world: &World, count: u64, fault: Fault) {
    world.emulator.world().faults.add(Rule {
        point: format!("PATCH /v2/projects/*/locations/{SLOW}/services/*"),
        count: Some(count),
        fault,
    });
}

fn held(delay_ms: u64) -> Fault {
    Fault {
        delay_ms,
        ..Fault::default()
    }
}

/// v1.0.0 in both, and the job of v1.1.0.
async fn settled() -> Result<(World, Job), Failure> {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    let end = world.run(&job(&world, "v1.0.0", &first)).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let job = job(&world, "v1.1.0", &second);
    Ok((world, job))
}

/// A job that is killed while its write with this number is held in the slower region, once the other
/// one is so far.
async fn killed_between(
    world: &World,
    job: &Job,
    write: u64,
    is_ahead: fn(&Value) -> bool,
) -> Result<JobEnd, Failure> {
    if write > 1 {
        meets(world, write - 1, held(1));
    }
    meets(world, 1, held(HELD_MILLIS));
    let running = world.start_job(job)?;
    let until = Instant::now() + PATIENCE;
    while !is_ahead(&service(world, REGIONS[0]).await?) {
        assert!(Instant::now() < until, "{} is not ahead", REGIONS[0]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    send("-KILL", &running)?;
    let end = running.finish(|_| Ok(())).await?;
    assert_eq!(end.code, None, "{}", end.log);
    world.emulator.world().faults.clear();
    main_state(world, job)
}

/// Everything is on the new revision, and confirmation is still to come.
fn shifted(service: &Value) -> bool {
    let record = record(service).unwrap_or_default();
    record["intent"]["passed"].is_object()
}

/// The record is closed.
fn recorded(service: &Value) -> bool {
    let record = record(service).unwrap_or_default();
    record["intent"].is_null() && record["healthy"][0]["version"] == "1.1.0"
}

async fn assert_closed(world: &World) -> Told {
    for region in REGIONS {
        let record = record(&service(world, region).await?)?;
        assert_eq!(record["intent"], Value::Null, "{region}: {record}");
        assert_eq!(record["rejected"], serde_json::json!([]), "{record}");
    }
    Ok(())
}

#[tokio::test]
async fn killed_between_two_regions_the_post_step_ends_both_in_the_same_release() -> Told {
    type Case = (u64, fn(&Value) -> bool, &'static str);
    let cases: [Case; 2] = [(2, shifted, "v1-0-0"), (3, recorded, "v1-1-0")];
    for (write, is_ahead, ends_in) in cases {
        let (world, job) = settled().await?;
        let main = killed_between(&world, &job, write, is_ahead).await?;
        let post = world.run_post(&job, &main).await?;
        assert_eq!(post.code, Some(0), "write {write}:\n{}", post.log);
        assert!(post.log.contains("D0312"), "{}", post.log);
        for name in serving(&world).await? {
            assert!(
                name.contains(ends_in),
                "write {write}: {name}\n{}",
                post.log
            );
        }
        assert_closed(&world).await?;
        let again = world.run_post(&job, &main).await?;
        assert_eq!((again.code, said(&again).as_str()), (Some(0), ""));
        world.end().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_region_that_had_finished_goes_back_when_the_other_cannot_be_finished() -> Told {
    let (world, job) = settled().await?;
    let before = serving(&world).await?;
    let main = killed_between(&world, &job, 3, recorded).await?;
    assert_ne!(serving(&world).await?[0], before[0]);
    let denied = Fault {
        status: "PERMISSION_DENIED".to_owned(),
        message: "no".to_owned(),
        ..Fault::default()
    };
    // Its record is refused, the way back is not.
    meets(&world, 1, denied);
    let post = world.run_post(&job, &main).await?;
    assert_eq!(post.code, Some(0), "{}", post.log);
    assert_eq!(serving(&world).await?, before, "{}", post.log);
    assert_closed(&world).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn regions_that_stay_apart_are_told_with_what_serves_where_and_exit_code_5() -> Told {
    let (world, job) = settled().await?;
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    // A rollback is one write in each region, and killed between the two.
    let back = world
        .rollback_job("previous", "dev")
        .with("region", REGIONS.join(","));
    let main = killed_between(&world, &back, 1, |service| {
        record(service).unwrap_or_default()["healthy"][0]["by"] == "rollback"
    })
    .await?;
    let apart = serving(&world).await?;
    assert_ne!(apart[0], apart[1]);
    let post = world.run_post(&back, &main).await?;
    assert_eq!(post.code, Some(5), "{}", post.log);
    for expected in ["D0316", REGIONS[0], SLOW, &apart[0], &apart[1]] {
        assert!(
            post.log.contains(expected),
            "no {expected} in:\n{}",
            post.log
        );
    }
    let regions = REGIONS.join(",");
    let by_hand = ["--region", &regions, "--run", "900/1"];
    let (code, told) = recover(&world, &by_hand).await?;
    assert_eq!(code, Some(5), "{told}");
    // As it says: the same rollback by name comes through.
    let named = world
        .rollback_job("v1.0.0", "dev")
        .with("region", REGIONS.join(","));
    let end = world.run(&named).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert_eq!(serving(&world).await?[1], serving(&world).await?[0]);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_person_ends_both_regions_of_a_dead_run_by_naming_it() -> Told {
    let (world, job) = settled().await?;
    let before = serving(&world).await?;
    killed_between(&world, &job, 2, shifted).await?;
    let regions = REGIONS.join(",");
    let (code, told) = recover(&world, &["--region", &regions]).await?;
    assert_eq!(code, Some(3), "{told}");
    // One region alone is not finished while the other is not looked at.
    let one = ["--region", REGIONS[0], "--run", "100/1"];
    let (code, told) = recover(&world, &one).await?;
    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("D0315") && told.contains(SLOW), "{told}");
    let both = ["--region", &regions, "--run", "100/1"];
    let (code, told) = recover(&world, &both).await?;
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(serving(&world).await?, before);
    assert_closed(&world).await?;
    world.end().await;
    Ok(())
}
