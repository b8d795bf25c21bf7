//! What `plan` shows before anything is deployed.

use serde_json::{Value, json};
use testkit::access::{REPOSITORY, deployer, deployer_account, jobs};
use testkit::{Job, World, api};

use super::{Told, release, world};

pub(super) fn plan(job: Job) -> Job {
    job.with("command", "plan")
}

#[tokio::test]
async fn a_candidate_that_the_runner_cannot_reach_is_seen_before_it_is_deployed() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    let next = || world.release_job("v1.1.0", &second, "dev");
    let rows: [(&str, Value, Value, &str); 5] = [
        (
            "ingress",
            json!("INGRESS_TRAFFIC_INTERNAL_ONLY"),
            json!("INGRESS_TRAFFIC_ALL"),
            "self-hosted",
        ),
        (
            "ingress",
            json!("INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"),
            json!("INGRESS_TRAFFIC_ALL"),
            "reachable: assume",
        ),
        (
            "ingress",
            json!("INGRESS_TRAFFIC_NONE"),
            json!("INGRESS_TRAFFIC_ALL"),
            "--ingress=internal",
        ),
        (
            "defaultUriDisabled",
            json!(true),
            json!(false),
            "--default-url",
        ),
        ("iapEnabled", json!(true), json!(false), "--no-iap"),
    ];
    for (field, closed, open, way_out) in rows {
        world
            .patch_service("ml-api-dev", field, &json!({ field: closed }))
            .await?;
        let before = world.service("ml-api-dev").await?.ok_or("no service")?;
        assert_eq!(before[field], closed);
        // The plan, and the deployment itself, without a single write.
        for job in [plan(next()), next()] {
            let end = world.run(&job).await?;
            assert_eq!(end.code, Some(3), "{field}:\n{}", end.log);
            for part in ["D0221", way_out, "state:"] {
                assert!(end.log.contains(part), "{field}: {part}:\n{}", end.log);
            }
        }
        let after = world.service("ml-api-dev").await?.ok_or("no service")?;
        assert_eq!(before["etag"], after["etag"], "{field}");
        // Who says that the runner is inside is believed, and the tests decide.
        let end = world.run(&plan(next()).with("reachable", "assume")).await?;
        assert_eq!(end.code, Some(0), "{field}:\n{}", end.log);
        // What serves already needs no test.
        let job = plan(world.release_job("v1.0.0", &first, "dev"));
        let end = world.run(&job).await?;
        assert_eq!(end.code, Some(0), "{field}:\n{}", end.log);
        world
            .patch_service("ml-api-dev", field, &json!({ field: open }))
            .await?;
    }
    release(&world, "v1.1.0", &second, "dev", 0).await?;
    world.end().await;
    Ok(())
}

const CONFIG: &str = "\
service: ml-api
project_id: demo-project
region: us-central1
image: us-central1-docker.pkg.dev/demo-project/ml/ml-api
access: public
environments:
- dev
- test
- name: staging
  env_vars: { FEATURE: hunter2, LEVEL: debug }
  secrets: { API_KEY: 'api-key:latest' }
- name: production
  env_vars: { LEVEL: info }
";

/// Brings a release to each of these environments.
async fn through(world: &World, tag: &str, commit: &str, environments: &[&str]) -> Told {
    for environment in environments {
        release(world, tag, commit, environment, 0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_approver_reads_what_production_would_get() -> Told {
    let world = world().await?;
    world.write(".github/ml-deploy.yml", CONFIG)?;
    let (first, second) = (World::commit(1), World::commit(2));
    let old = world.built(&first, api("setosa")).await?;
    let new = world.built(&second, api("setosa")).await?;
    let cloud = world.emulator.world();
    cloud.run.put_secret("demo-project", "api-key", b"hunter3");
    through(
        &world,
        "v1.0.0",
        &first,
        &["dev", "test", "staging", "production"],
    )
    .await?;
    through(&world, "v1.1.0", &second, &["dev", "test", "staging"]).await?;
    let serving = world.serving("ml-api-prod").await?[0].0.clone();
    let before = world.service("ml-api-prod").await?.ok_or("no service")?;

    world.write(
        ".github/ml-deploy.yml",
        &CONFIG.replace(
            "{ LEVEL: info }",
            "{ LEVEL: hunter4, NEW: '1' }\n  memory: 1Gi",
        ),
    )?;
    let job = || {
        plan(world.release_job("v1.1.0", &second, "production")).in_environment("production-plan")
    };
    let end = world.run(&job()).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    let image = "us-central1-docker.pkg.dev/demo-project/ml/ml-api&#64;";
    for line in [
        format!("| changed | image | {image}{old} | {image}{new} |"),
        "| changed | variable LEVEL |  |  |".to_owned(),
        "| added | variable NEW |  |  |".to_owned(),
        "- **approval**: required by GitHub environment production: release-manager, also by who starts the run".to_owned(),
        "- **drift**: variable FEATURE of staging would be missing in production".to_owned(),
        "- **drift**: secret API\\_KEY of staging would be missing in production".to_owned(),
        format!("- **rollback**: rollback\\_to: previous returns to {serving}"),
    ] {
        assert!(end.summary.lines().any(|it| it == line), "{line}:\n{}", end.summary);
    }
    for part in [
        "| changed | setting memory | 512Mi | 1Gi |",
        "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github/attribute.environment/production",
        "- **evidence**: staging",
        "shift-traffic",
    ] {
        assert!(end.summary.contains(part), "{part}:\n{}", end.summary);
    }
    assert!(end.log.contains("D0224"), "{}", end.log);
    let told = format!("{}{}", end.log, end.summary);
    assert!(!told.contains("hunter"), "a value is told:\n{told}");
    let after = world.service("ml-api-prod").await?.ok_or("no service")?;
    assert_eq!(before["etag"], after["etag"]);

    // What is planned is what is done; a drift that counts as an error is seen before any write.
    let promote = world.release_job("v1.1.0", &second, "production");
    let end = world.run(&promote.clone().with("drift", "error")).await?;
    assert_eq!(end.code, Some(3), "{}", end.log);
    assert!(
        end.log.contains("FEATURE") && end.log.contains("D0224"),
        "{}",
        end.log
    );
    let after = world.service("ml-api-prod").await?.ok_or("no service")?;
    assert_eq!(before["etag"], after["etag"]);
    let end = world.run(&promote).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert!(end.log.contains("::warning title=D0224"), "{}", end.log);
    let after = world.service("ml-api-prod").await?.ok_or("no service")?;
    let container = &after["template"]["containers"][0];
    assert_eq!(container["resources"]["limits"]["memory"], "1Gi");
    world.end().await;
    Ok(())
}

/// The role that only looks is enough for a plan, and for nothing else.
#[tokio::test]
async fn the_account_of_the_plan_can_look_and_not_deploy() -> Told {
    let world = world().await?;
    world.enforce();
    let member = deployer("production-plan");
    let account = deployer_account("production-plan");
    world.grant(
        &account,
        "roles/iam.workloadIdentityUser",
        &jobs("production-plan"),
    );
    world.grant("projects/demo-project", "roles/run.viewer", &member);
    world.grant(REPOSITORY, "roles/artifactregistry.reader", &member);
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let email = "deploy-production-plan@demo-project.iam.gserviceaccount.com";
    let job = world
        .release_job("v1.0.0", &commit, "production")
        .in_environment("production-plan")
        .with("service_account", email)
        .with("evidence", "warn");
    let end = world.run(&plan(job.clone())).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert!(end.summary.contains("What changes"), "{}", end.summary);
    // With the check taken out, it is still the cloud that refuses.
    let end = world
        .run(&job.with("approval", "none").in_environment("production"))
        .await?;
    assert_eq!(end.code, Some(6), "{}", end.log);
    assert!(world.service("ml-api-prod").await?.is_none());
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_staging_that_may_not_be_read_is_told_and_stops_nothing() -> Told {
    let world = world().await?;
    world.write(
        ".github/ml-deploy.yml",
        &CONFIG.replace(
            "- name: staging",
            "- name: staging\n  project_id: other-project",
        ),
    )?;
    let owner = "serviceAccount:owner@other-project.iam.gserviceaccount.com";
    world.grant("projects/other-project", "roles/owner", owner);
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world
        .release_job("v1.0.0", &commit, "production")
        .with("evidence", "off");
    let end = world.run(&job.clone().with("drift", "error")).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    for part in ["D0225", "run.services.get", "drift: off"] {
        assert!(end.log.contains(part), "{part}:\n{}", end.log);
    }
    world.end().await;
    Ok(())
}
