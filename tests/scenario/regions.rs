//! One environment in two regions.

use emulator::admin::{Fault, Rule};
use emulator::runner::Job;
use serde_json::Value;
use testkit::{World, api};

use super::{Failure, Told, world};

pub(super) const REGIONS: [&str; 2] = ["us-central1", "europe-west1"];

pub(super) fn job(world: &World, tag: &str, commit: &str) -> Job {
    world
        .release_job(tag, commit, "dev")
        .with("region", REGIONS.join(", "))
}

/// The service in a region.
pub(super) async fn service(world: &World, region: &str) -> Result<Value, Failure> {
    let url = format!(
        "{}/v2/projects/demo-project/locations/{region}/services/ml-api-dev",
        world.url()
    );
    let tokens = &world.emulator.world().tokens;
    let token = tokens.issue_local("tester@demo-project.iam.gserviceaccount.com");
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send();
    Ok(answer.await?.error_for_status()?.json().await?)
}

/// Its record.
pub(super) fn record(service: &Value) -> Result<Value, Failure> {
    let text = service["annotations"]["ml-deploy/state"].as_str();
    Ok(serde_json::from_str(text.unwrap_or("{}"))?)
}

/// The names of the revisions that get everything, region by region.
pub(super) async fn serving(world: &World) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for region in REGIONS {
        let service = service(world, region).await?;
        let statuses = service["trafficStatuses"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let full = statuses.iter().find(|one| one["percent"] == 100);
        let name = full.and_then(|one| one["revision"].as_str());
        all.push(name.unwrap_or_default().to_owned());
    }
    Ok(all)
}

#[tokio::test]
async fn a_release_and_its_rollback_go_through_both() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    let end = world.run(&job(&world, "v1.0.0", &first)).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let urls: Value = serde_json::from_str(&end.output("urls").unwrap_or_default())?;
    assert!(
        REGIONS.iter().all(|region| urls[region].is_string()),
        "{urls}"
    );
    assert_eq!(end.output("url").as_deref(), urls[REGIONS[0]].as_str());
    let end = world.run(&job(&world, "v1.1.0", &second)).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    for name in serving(&world).await? {
        assert!(name.starts_with("ml-api-dev-v1-1-0-"), "{name}");
    }
    let back = world
        .rollback_job("previous", "dev")
        .with("region", REGIONS.join(","));
    let end = world.run(&back).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    for name in serving(&world).await? {
        assert!(name.starts_with("ml-api-dev-v1-0-0-"), "{name}");
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn one_that_fails_takes_the_other_back() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    let end = world.run(&job(&world, "v1.0.0", &first)).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let before = serving(&world).await?;
    world.emulator.world().faults.add(Rule {
        point: "PATCH /v2/projects/*/locations/europe-west1/services/*".to_owned(),
        count: Some(1),
        fault: Fault {
            status: "PERMISSION_DENIED".to_owned(),
            message: "no".to_owned(),
            ..Fault::default()
        },
    });
    let end = world.run(&job(&world, "v1.1.0", &second)).await?;
    assert_eq!(end.code, Some(6), "{}", end.log);
    for expected in ["D0504", "D0241", "europe-west1", "us-central1"] {
        assert!(end.log.contains(expected), "{expected}: {}", end.log);
    }
    assert_eq!(serving(&world).await?, before);
    let end = world.run(&job(&world, "v1.1.0", &second)).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_plan_tells_all_regions_once_where_they_agree_and_each_where_they_do_not() -> Told {
    let world = world().await?;
    let commits = [1, 2, 3].map(World::commit);
    for commit in &commits {
        world.built(commit, api("setosa")).await?;
    }
    let end = world.run(&job(&world, "v1.0.0", &commits[0])).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let plan = job(&world, "v1.2.0", &commits[2]).with("command", "plan");
    let page = world.run(&plan).await?.summary;
    assert_eq!(page.matches("| changed | image |").count(), 1, "{page}");
    assert_eq!(page.matches("**rollback**").count(), 1, "{page}");
    // One of them has gone ahead since.
    let ahead = world
        .release_job("v1.1.0", &commits[1], "dev")
        .with("region", REGIONS[1]);
    let end = world.run(&ahead).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let page = world.run(&plan).await?.summary;
    assert_eq!(page.matches("| changed | image |").count(), 2, "{page}");
    assert_eq!(page.matches("**rollback**").count(), 2, "{page}");
    for region in REGIONS {
        let told = page.contains(&format!("In {region}:"));
        assert!(told, "{region}:\n{page}");
    }
    world.end().await;
    Ok(())
}
