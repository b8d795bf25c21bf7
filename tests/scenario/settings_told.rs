//! Settings that change what a run means, told by the plan and by the run: no production in the list, and
//! who may call.

use testkit::{World, api};

use super::plan_view::plan;
use super::{Told, release, world};

const CONFIG: &str = "\
service: ml-api
project_id: demo-project
region: us-central1
image: us-central1-docker.pkg.dev/demo-project/ml/ml-api
environments:
- dev
- name: live
  access: public
";

const NO_PRODUCTION: &str = "::warning title=D0218";

#[tokio::test]
async fn a_list_without_production_is_told_by_plan_promotion_and_rollback_and_stops_none() -> Told {
    let world = world().await?;
    world.write(".github/ml-deploy.yml", CONFIG)?;
    let (first, second) = (World::commit(1), World::commit(2));
    for commit in [&first, &second] {
        world.built(commit, api("setosa")).await?;
    }
    let job = |tag: &str, commit: &str| {
        world
            .release_job(tag, commit, "live")
            .with("evidence", "off")
    };
    let jobs = [
        job("v1.0.0", &first),
        job("v1.1.0", &second),
        plan(job("v1.0.0", &first)),
        world.rollback_job("previous", "live"),
    ];
    for job in &jobs {
        let end = world.run(job).await?;
        assert_eq!(end.code, Some(0), "{}", end.log);
        assert_eq!(end.log.matches(NO_PRODUCTION).count(), 1, "{}", end.log);
        for part in [
            "the last one is `live`",
            "write `tier: production` into its entry",
        ] {
            assert!(end.log.contains(part), "{part}:\n{}", end.log);
        }
    }
    world.write(
        ".github/ml-deploy.yml",
        &CONFIG.replace(
            "- name: live",
            "- name: live\n  tier: production\n  approval: none",
        ),
    )?;
    let end = world.run(&plan(job("v1.1.0", &second))).await?;
    assert!(!end.log.contains("D0218"), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_configuration_that_lost_its_access_says_whom_it_shuts_out_before_it_does() -> Told {
    let world = world().await?;
    world.write(
        ".github/ml-deploy.yml",
        &CONFIG.replace("- dev", "- {name: dev, access: public}"),
    )?;
    let (first, second) = (World::commit(1), World::commit(2));
    for commit in [&first, &second] {
        world.built(commit, api("setosa")).await?;
    }
    release(&world, "v1.0.0", &first, "dev", 0).await?;
    world.write(".github/ml-deploy.yml", CONFIG)?;
    let planned = world
        .run(&plan(world.release_job("v1.1.0", &second, "dev")))
        .await?;
    assert_eq!(planned.code, Some(0), "{}", planned.log);
    assert!(
        planned.log.contains("~ access: public → private"),
        "{}",
        planned.log
    );
    let row = "| changed | setting access | public | private |";
    assert!(
        planned.summary.lines().any(|line| line == row),
        "{}",
        planned.summary
    );
    let done = release(&world, "v1.1.0", &second, "dev", 0).await?;
    for log in [planned.log, done.log] {
        assert!(log.contains("::warning title=D0226"), "{log}");
        assert!(log.contains("say `access: public`"), "{log}");
    }
    world.write(
        ".github/ml-deploy.yml",
        &CONFIG.replace("- dev", "- {name: dev, access: public}"),
    )?;
    let opened = world
        .run(&plan(world.release_job("v1.0.0", &first, "dev")))
        .await?;
    assert!(
        opened.log.contains("~ access: private → public"),
        "{}",
        opened.log
    );
    assert!(!opened.log.contains("D0226"), "{}", opened.log);
    world.end().await;
    Ok(())
}
