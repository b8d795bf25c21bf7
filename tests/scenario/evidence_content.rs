//! What the evidence says: everything that is known, and nothing more.

use serde_json::Value;
use testkit::{Job, JobEnd, World, api};

use super::evidence::{of, with_keys};
use super::{Failure, Told, world};

const REGIONS: [&str; 2] = ["us-central1", "europe-west1"];

/// A job that releases v1.0.0 to dev.
fn job(world: &World, commit: &str, run: u64) -> Job {
    let mut job = world.release_job("v1.0.0", commit, "dev");
    job.run_id = run;
    job
}

async fn goes_well(world: &World, job: &Job) -> Result<JobEnd, Failure> {
    let end = world.run(job).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    Ok(end)
}

/// Region, revision, basis and run of each service.
fn services(record: &Value) -> Vec<[String; 4]> {
    let services = record["predicate"]["services"].as_array();
    let field = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let fields = |one: &Value| ["region", "revision", "basis", "run"].map(|name| field(one, name));
    services.into_iter().flatten().map(fields).collect()
}

/// The names of all tests that passed.
fn passed(verdict: &Value) -> Vec<&str> {
    let passed = verdict["predicate"]["passedTests"].as_array();
    passed
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[tokio::test]
async fn every_region_is_named_with_what_serves_there_and_how_that_is_known() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    // One region has it already.
    let end = goes_well(&world, &job(&world, &commit, 300)).await?;
    let first = end.output("revision").ok_or("no revision")?;
    let before = world.statements(&digest).await?;
    assert_eq!(before.len(), 2);
    // Only the other one is new.
    let both = job(&world, &commit, 301).with("region", REGIONS.join(", "));
    let end = goes_well(&world, &both).await?;
    let revisions: Value = serde_json::from_str(&end.output("revisions").unwrap_or_default())?;
    let statements = world.statements(&digest).await?;
    let new: Vec<Value> = statements
        .into_iter()
        .filter(|one| !before.contains(one))
        .collect();
    let (verdict, record) = of(&new, "dev");
    let second = revisions[REGIONS[1]].as_str().unwrap_or_default();
    let expected = [
        [REGIONS[0], &first, "recorded", "300/1"],
        [REGIONS[1], second, "tested", "301/1"],
    ];
    assert_eq!(services(record), expected.map(|one| one.map(str::to_owned)));
    assert_eq!(record["predicate"]["basis"], "recorded", "{record:#}");
    // What was measured is said of where it was.
    let names = passed(verdict);
    assert!(!names.is_empty(), "{verdict:#}");
    let there = format!("{}/", REGIONS[1]);
    assert!(
        names.iter().all(|name| name.starts_with(&there)),
        "{names:?}"
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_results_of_each_region_are_kept() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    let both = job(&world, &commit, 300).with("region", REGIONS.join(", "));
    let end = goes_well(&world, &both).await?;
    for region in REGIONS {
        let title = format!("Tests: api-tests in {region}");
        assert!(end.summary.contains(&title), "{title}:\n{}", end.summary);
        let line = format!("{region}: predicts setosa");
        assert!(end.log.contains(&line), "{line}:\n{}", end.log);
    }
    let statements = world.statements(&digest).await?;
    let (verdict, record) = of(&statements, "dev");
    for region in REGIONS {
        let name = format!("{region}/api-tests/predicts setosa");
        assert!(passed(verdict).contains(&name.as_str()), "{verdict:#}");
    }
    assert_eq!(services(record).len(), 2, "{record:#}");
    assert_eq!(record["predicate"]["basis"], "tested");
    // Once more: nothing is to do, and nothing is missing.
    goes_well(&world, &both).await?;
    assert_eq!(world.statements(&digest).await?.len(), 2);
    world.end().await;
    Ok(())
}

/// In one region, its name is not said.
#[tokio::test]
async fn one_region_is_not_named_in_the_results() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    let end = goes_well(&world, &job(&world, &commit, 300)).await?;
    assert!(
        end.summary.contains("Tests: api-tests ("),
        "{}",
        end.summary
    );
    let statements = world.statements(&digest).await?;
    let (verdict, _) = of(&statements, "dev");
    assert!(passed(verdict).contains(&"api-tests/predicts setosa"));
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn promote_names_what_the_step_before_measured() -> Told {
    for signed in [false, true] {
        let world = if signed {
            with_keys().await?
        } else {
            world().await?
        };
        let commit = World::commit(1);
        let digest = world.built_unproven(&commit, api("setosa")).await?;
        let step = |command| job(&world, &commit, 300).with("command", command);
        goes_well(&world, &step("deploy")).await?;
        // What waits has not passed.
        let test = world.release_job("v1.0.0", &commit, "test");
        let early = world.run(&test).await?;
        assert_eq!(early.code, Some(3), "{}", early.log);
        assert!(early.log.contains("D0671"), "{}", early.log);
        goes_well(&world, &step("promote")).await?;
        let statements = world.statements(&digest).await?;
        let verdict = statements
            .iter()
            .find(|one| one["predicate"]["result"].is_string());
        let names = passed(verdict.ok_or("no verdict")?);
        assert!(names.contains(&"api-tests/predicts setosa"), "{names:?}");
        let identity = |name: &&&str| name.starts_with("identity/");
        assert!(names.iter().any(|name| identity(&name)), "{names:?}");
        let record = statements
            .iter()
            .find(|one| one["predicate"]["basis"].is_string());
        let record = record.ok_or("no record")?;
        assert_eq!(record["predicate"]["basis"], "tested", "{record:#}");
        assert_eq!(record["predicate"]["testsOf"]["run"], "300/1", "{record:#}");
        assert!(world.run(&test).await?.code == Some(0));
        world.end().await;
    }
    Ok(())
}

/// The results of a step are lost: the pass says that the tests had passed before, and names none.
#[tokio::test]
async fn promote_claims_no_tests_that_it_does_not_know() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    let step = |command| job(&world, &commit, 300).with("command", command);
    let off = goes_well(&world, &step("deploy").with("evidence", "off")).await?;
    assert!(!off.log.contains("evidence:"), "{}", off.log);
    let end = goes_well(&world, &step("promote")).await?;
    assert!(
        end.log.contains("none of its tests is named"),
        "{}",
        end.log
    );
    let statements = world.statements(&digest).await?;
    let (verdict, record) = of(&statements, "dev");
    assert!(
        passed(verdict)
            .iter()
            .all(|name| name.starts_with("identity/")),
        "{verdict:#}"
    );
    assert_eq!(record["predicate"]["basis"], "continued", "{record:#}");
    world.end().await;
    Ok(())
}
