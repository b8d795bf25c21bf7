//! Traffic that moves in shares which are watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Answer, App, Behaviour, Job, JobEnd, World, api};

use super::{Told, release, world};

const SERVICE: &str = "ml-api-dev";

/// An API that predicts as it should, but for what `predict` makes of its n-th prediction.
fn changing(predict: impl Fn(u64, Answer) -> Answer + Send + Sync + 'static) -> Behaviour {
    let count = Arc::new(AtomicU64::new(0));
    let handler = move |call: &testkit::Call| match call.path.as_str() {
        "/health" => Answer::json(&json!({"status": "ok"})),
        "/version" => {
            let told = |name: &str| call.env.get(name).cloned().unwrap_or_default();
            let (commit, version) = (told("ML_DEPLOY_COMMIT"), told("ML_DEPLOY_VERSION"));
            Answer::json(&json!({"commit": commit, "version": version.trim_start_matches('v')}))
        }
        "/predict" => {
            let number = count.fetch_add(1, Ordering::SeqCst);
            predict(number, Answer::json(&json!({"label": "setosa"})))
        }
        _ => Answer::status(404, &json!({"detail": "Not Found"})),
    };
    Behaviour::Serve(App::new().otherwise(handler))
}

fn broken() -> Answer {
    Answer::status(503, &json!({"detail": "out of workers"}))
}

/// A release in steps, each watched for some seconds at 100 requests a second to each side. This
/// machine may be busy: only what is far slower counts as slower.
fn in_shares(world: &World, tag: &str, commit: &str, steps: &str) -> Job {
    world
        .release_job(tag, commit, "dev")
        .with("traffic_steps", steps)
        .with("soak", "4s")
        .with("load_rate", "100")
        .with("canary_latency_ratio", "20")
}

/// A world in which v1.0.0 serves and v1.1.0 is built; gives the revision that serves, and the commit.
async fn served(candidate: Behaviour) -> Result<(World, String, String), super::Failure> {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, candidate).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    let before = world.serving(SERVICE).await?[0].0.clone();
    Ok((world, before, second))
}

fn assert_holds(log: &str, parts: &[&str]) {
    for part in parts {
        assert!(log.contains(part), "{part} is missing in:\n{log}");
    }
}

#[tokio::test]
async fn a_good_release_gets_more_and_more_and_foreign_tags_stay() -> Told {
    let (world, before, commit) = served(api("setosa")).await?;
    let traffic = json!({"traffic": [
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": before, "percent": 100},
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": before, "tag": "theirs"},
    ]});
    world.patch_service(SERVICE, "traffic", &traffic).await?;
    let end = world
        .run(&in_shares(&world, "v1.1.0", &commit, "5,25,50,100"))
        .await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let serving = world.serving(SERVICE).await?;
    assert_eq!(serving.len(), 1, "{serving:?}");
    let (after, percent) = &serving[0];
    assert!(after.contains("-v1-1-0-") && *percent == 100, "{serving:?}");
    let shares = [5, 25, 50].map(|percent| {
        let told = format!("{before} serves {} %, {after} {percent} %", 100 - percent);
        end.log
            .find(&told)
            .unwrap_or_else(|| panic!("{told} is missing in:\n{}", end.log))
    });
    assert!(shares.is_sorted(), "{}", end.log);
    assert_holds(
        &end.log,
        &[
            "p99 ratio at 25 %",
            "errors beyond what serves at 50 %",
            "it gets all of it next",
        ],
    );
    let service = world.service(SERVICE).await?.ok_or("no service")?;
    let tags = service["traffic"].as_array().into_iter().flatten();
    let theirs = tags.filter(|entry| entry["tag"] == "theirs").count();
    assert_eq!(theirs, 1, "{}", service["traffic"]);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_release_that_fails_under_load_at_its_second_share_is_taken_back() -> Told {
    // About 250 predictions reach its address at 5 %: the other half of the load asks for health.
    let (world, before, commit) = served(changing(
        |number, right| if number < 350 { right } else { broken() },
    ))
    .await?;
    let end = world
        .run(&in_shares(&world, "v1.1.0", &commit, "5,25,100"))
        .await?;
    assert_eq!(end.code, Some(4), "{}", end.log);
    assert_eq!(world.serving(SERVICE).await?, [(before.clone(), 100)]);
    assert_holds(
        &end.log,
        &[
            "D0661",
            "it gets 25 % next",
            "errors beyond what serves at 25 %",
            "status 503",
            "what served before serves",
            &format!("{before} serves 100 %"),
        ],
    );
    let service = world.service(SERVICE).await?.ok_or("no service")?;
    let state = service["annotations"]["ml-deploy/state"]
        .as_str()
        .unwrap_or_default();
    assert!(
        state.contains("\"rejected\":[{") && !state.contains("\"intent\""),
        "{state}"
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_release_that_is_slow_under_load_is_taken_back() -> Told {
    let slow = |number, right: Answer| match number {
        0..20 => right,
        _ => right.after(Duration::from_millis(600)),
    };
    let (world, before, commit) = served(changing(slow)).await?;
    let job = in_shares(&world, "v1.1.0", &commit, "5,100")
        .with("load_request", "predicts setosa")
        .with("canary_latency_ratio", "30");
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(4), "{}", end.log);
    assert_eq!(world.serving(SERVICE).await?, [(before, 100)]);
    assert_holds(
        &end.log,
        &["D0661", "p50 ratio at 5 %", "at most 30 is allowed"],
    );
    world.end().await;
    Ok(())
}

/// Every tenth prediction fails, which is 5 % of the load, and 5 % is the limit: no sample decides.
#[tokio::test]
async fn what_cannot_be_decided_ends_as_the_input_says() -> Told {
    for (mode, soak, code, told) in [
        ("fail", "4s", 4, "could not be decided"),
        ("hold", "1s", 4, "after 4 watches"),
        (
            "proceed",
            "1s",
            0,
            "undecided, as `on_inconclusive: proceed` says",
        ),
    ] {
        let at_the_limit = |number: u64, right: Answer| match number % 10 {
            9 if number > 20 => broken(),
            _ => right,
        };
        let (world, before, commit) = served(changing(at_the_limit)).await?;
        let job = in_shares(&world, "v1.1.0", &commit, "50,100")
            .with("soak", soak)
            .with("canary_error_delta", "5%")
            .with("on_inconclusive", mode);
        let end = world.run(&job).await?;
        assert_eq!(end.code, Some(code), "{mode}:\n{}", end.log);
        assert_holds(&end.log, &["D0662", told]);
        let serving = world.serving(SERVICE).await?;
        assert_eq!(serving.len(), 1, "{serving:?}");
        assert_eq!(serving[0].0 == before, code == 4, "{mode}: {serving:?}");
        let held = end.log.matches("of at most 3").count();
        assert_eq!(held, if mode == "hold" { 3 } else { 0 }, "{}", end.log);
        if mode == "proceed" {
            undecided_has_not_passed(&world, &end).await?;
        }
        world.end().await;
    }
    Ok(())
}

/// The evidence says of the share that nobody could decide that it was so, and not that it passed.
async fn undecided_has_not_passed(world: &World, end: &JobEnd) -> Told {
    let digest = end.output("digest").ok_or("no digest")?;
    let statements = world.statements(&digest).await?;
    let is_record = |one: &&Value| one["predicate"]["environment"] == "dev";
    let record = statements.iter().find(is_record).ok_or("no record")?;
    let record = &record["predicate"];
    let open = record["inconclusive"].as_array().ok_or("nothing is open")?;
    let case = open[0]["case"].as_str().unwrap_or_default();
    assert!(case.starts_with("canary/"), "{record:#}");
    assert!(open[0]["reason"].is_string(), "{record:#}");
    let passes = |one: &&Value| one["predicate"]["passedTests"].to_string().contains(case);
    let claimed = statements.iter().find(passes);
    assert!(claimed.is_none(), "{claimed:#?}");
    Ok(())
}

#[tokio::test]
async fn a_run_that_was_killed_between_two_shares_is_ended_by_the_next() -> Told {
    let (world, before, commit) = served(api("setosa")).await?;
    let job = in_shares(&world, "v1.1.0", &commit, "25,100").with("soak", "10m");
    let mut running = world.start_job(&job)?;
    let pid = running.pid().ok_or("the job has ended")?.to_string();
    let mut shared = false;
    while let Some(line) = running.next_line().await? {
        if line.contains("serves 75 %") {
            shared = true;
            break;
        }
    }
    assert!(shared, "the candidate never got a share");
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid])
        .status()?;
    assert!(killed.success());
    running.finish(|_| Ok(())).await?;
    let left = world.serving(SERVICE).await?;
    assert_eq!(left.iter().map(|one| one.1).sum::<u64>(), 100);
    assert!(left.contains(&(before.clone(), 75)), "{left:?}");
    let again = in_shares(&world, "v1.1.0", &commit, "25,100").again();
    let end = world.run(&again).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert_holds(&end.log, &["left at 25 %, goes back to 0 %"]);
    let serving = world.serving(SERVICE).await?;
    assert!(serving.len() == 1 && serving[0].0 != before, "{serving:?}");
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_plan_shows_each_share_and_how_long_it_is_watched() -> Told {
    let (world, before, commit) = served(api("setosa")).await?;
    let job = in_shares(&world, "v1.1.0", &commit, "5,50,100").with("command", "plan");
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert_holds(
        &end.log,
        &[
            &format!("shift-traffic: traffic {before} 95 %"),
            &format!("at 50 % for 4 s, beside {before}"),
            "undecided counts as failed",
        ],
    );
    let wrong = in_shares(&world, "v1.1.0", &commit, "50,5");
    let end = world.run(&wrong).await?;
    assert_eq!(end.code, Some(2), "{}", end.log);
    assert_holds(&end.log, &["`traffic_steps`", "use `5,50,100`"]);
    world.end().await;
    Ok(())
}
