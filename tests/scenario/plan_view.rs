//! What `plan` shows before anything is deployed.

use serde_json::{Value, json};
use testkit::{Job, World, api};

use super::{Told, release, world};

fn plan(job: Job) -> Job {
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
