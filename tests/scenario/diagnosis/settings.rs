//! Failures of settings, quotas, and of the cloud itself.

use serde_json::json;
use testkit::{Job, World, api};

use super::failures::{STATE, serving};
use super::gcloud::admin;
use super::{Expected, Failure, Printed, Told, fails, once_more, passes};
use crate::{PROGRAM, world};

async fn next(world: &World, commit: &str) -> Result<Job, Failure> {
    world.built(commit, api("setosa")).await?;
    Ok(world.release_job("v1.1.0", commit, "dev"))
}

#[tokio::test]
async fn memory_that_does_not_fit_the_cpu() -> Told {
    let (world, commit) = serving().await?;
    let job = next(&world, &commit).await?.with("memory", "8Gi");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0505",
        cause: &[
            "400 INVALID_ARGUMENT",
            "with 1.0 CPU an instance has 128Mi to 4Gi of memory",
        ],
        state: STATE,
        help: &["set input `memory` to `4Gi` or less", "input `cpu`"],
        logs: &[],
    })?;
    passes(&world, &told.set("memory", once_more(&job))?).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn more_instances_than_the_quota() -> Told {
    let (world, commit) = serving().await?;
    let quota = json!({"cpu_millis": 20_000});
    admin(&world, "PUT", "run/quotas/demo-project/us-central1", &quota).await?;
    let job = next(&world, &commit).await?.with("max_instances", "60");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0505",
        cause: &[
            "CpuAllocPerProjectRegion requested: 60000 allowed: 20000",
            "more than project demo-project may use in us-central1",
        ],
        state: STATE,
        help: &[
            "set input `max_instances` to `20`",
            "ask for more quota in us-central1",
        ],
        logs: &[],
    })?;
    passes(&world, &told.set("max_instances", once_more(&job))?).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_created_as_printed() -> Told {
    let (world, commit) = serving().await?;
    let job = next(&world, &commit)
        .await?
        .with("secrets", "API_KEY=api-key:latest");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &[
            "/secrets/api-key/versions/latest was not found",
            "no version latest of the secret `api-key`",
        ],
        state: STATE,
        help: &["gcloud secrets create api-key --project=demo-project --data-file=FILE"],
        logs: &[],
    })?;
    told.carry_out("gcloud secrets create", &world).await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_tag_to_a_revision_that_was_deleted() -> Told {
    let (world, commit) = serving().await?;
    let job = next(&world, &commit).await?;
    passes(&world, &job).await?;
    let old = world
        .revisions("ml-api-dev")
        .await?
        .into_iter()
        .find(|name| name.starts_with(STATE))
        .ok_or("the first revision is gone")?;
    let serving = world.serving("ml-api-dev").await?[0].0.clone();
    let kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";
    let traffic = json!({"traffic": [
        {"type": kind, "revision": serving, "percent": 100},
        {"type": kind, "revision": old, "tag": "before"},
    ]});
    world
        .patch_service("ml-api-dev", "traffic", &traffic)
        .await?;
    let delete = format!(
        "gcloud run revisions delete {old} --service=ml-api-dev --region=us-central1 --project=demo-project"
    );
    super::gcloud::carry_out(&delete, &world).await?;
    let third = World::commit(3);
    world.built(&third, api("setosa")).await?;
    let job = world.release_job("v1.2.0", &third, "dev");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0505",
        cause: &[
            "does not exist or is deleted",
            "was deleted, and the traffic, or one of its tags, still leads to it",
        ],
        state: "ml-api-dev-v1-1-0-",
        help: &["--remove-tags=before --region=us-central1 --project=demo-project"],
        logs: &[],
    })?;
    told.carry_out("gcloud run services update-traffic", &world)
        .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_service_name_that_leaves_no_room_for_the_tag() -> Told {
    let (world, commit) = serving().await?;
    let long = "ml-api-of-the-fraud-detection-department-eu";
    let job = next(&world, &commit).await?.with("service", long);
    let told = fails(&world, &job).await?;
    assert!(told.title.contains(long), "{}", told.whole);
    told.expect(&Expected {
        exit: 2,
        code: "D0107",
        cause: &["tag and service name have 55 characters"],
        state: "nothing was deployed",
        help: &["use an input `service` of at most 30 characters, such as `ml-api-of-"],
        logs: &[],
    })?;
    let shorter = told.command("ml-api-of-")?;
    passes(&world, &once_more(&job).with("service", shorter)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn cloud_run_that_is_too_slow_is_run_again() -> Told {
    let (world, commit) = serving().await?;
    let trouble = json!({"trouble": "import-deadline", "service": "ml-api-dev"});
    let job = next(&world, &commit).await?;
    admin(&world, "POST", "run/troubles", &trouble).await?;
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &["Resource readiness deadline exceeded", "in its own time"],
        state: STATE,
        help: &["run again: Cloud Run itself was too slow"],
        logs: &[],
    })?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn an_operation_that_never_ends_does_not_hold_the_run_up() -> Told {
    let (world, commit) = serving().await?;
    let trouble = json!({"trouble": "endless-operation", "service": "ml-api-dev"});
    let job = next(&world, &commit).await?;
    admin(&world, "POST", "run/troubles", &trouble).await?;
    let asked = std::time::Instant::now();
    passes(&world, &job).await?;
    assert!(asked.elapsed().as_secs() < 60, "{:?}", asked.elapsed());
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn outages_are_waited_for_and_told_with_how_often_and_how_long() -> Told {
    for (point, code) in [
        ("GET **/services/ml-api-dev", "D0505"),
        ("HEAD /v2/**/manifests/*", "D0404"),
    ] {
        let (world, commit) = serving().await?;
        let job = next(&world, &commit).await?;
        let fault = |count: Option<u64>| {
            json!({"point": point, "count": count,
            "fault": {"status": "UNAVAILABLE", "message": "The service is currently unavailable.", "retry_after": 1}})
        };
        admin(&world, "POST", "faults", &fault(None)).await?;
        let told = fails(&world, &job).await?;
        assert!(
            told.whole.contains("answered 503; try 2 of 5 in 1.0 s"),
            "{}",
            told.whole
        );
        told.expect(&Expected {
            exit: 6,
            code,
            cause: &["503", "(asked 5 times within "],
            state: "unchanged",
            help: &["in a few minutes"],
            logs: &[],
        })?;
        let faults = reqwest::Client::new().delete(format!("{}/_emulator/faults", world.url()));
        faults.send().await?.error_for_status()?;
        admin(&world, "POST", "faults", &fault(Some(2))).await?;
        let end = passes(&world, &once_more(&job)).await?;
        assert!(end.log.contains("try 3 of 5 in"), "{}", end.log);
        world.end().await;
    }
    Ok(())
}

/// `ml-deploy status` of a person who was told of a local cloud.
async fn status(world: &World, url: &str) -> Result<(Option<i32>, String), Failure> {
    let mut command = std::process::Command::new(PROGRAM);
    let provider = "projects/1/locations/global/workloadIdentityPools/p/providers/p";
    command
        .args(["status", "--workload-identity-provider", provider])
        .args([
            "--service-account",
            "me@demo-project.iam.gserviceaccount.com",
        ])
        .env("ML_DEPLOY_CLOUD_URL", url)
        .env(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!("{url}/_github/oidc?repository=local/ml-api&ref=refs/heads/main"),
        )
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "local")
        .env_remove("GITHUB_ACTIONS")
        .current_dir(world.checkout());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code(), said))
}

#[tokio::test]
async fn a_local_cloud_that_does_not_run_is_told_at_once() -> Told {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(listener);
    let world = world().await?;
    let url = format!("http://{address}");
    let asked = std::time::Instant::now();
    let (code, said) = status(&world, &url).await?;
    assert!(asked.elapsed().as_secs() < 5, "{:?}", asked.elapsed());
    let told = Printed::parse(&said, code)?;
    assert_eq!((code, told.code.as_str()), (Some(6), "D0505"), "{said}");
    let listens = told
        .cause
        .iter()
        .any(|line| line.contains("nothing listens there"));
    assert!(listens, "{said}");
    assert_eq!(told.command("ml-deploy emulator")?, "ml-deploy emulator");
    // What the command starts, at the address that was asked.
    let mut config = emulator::Config::loopback(emulator::runtime::ScriptedRuntime::new());
    config.listen = address;
    let started = emulator::Emulator::start(config).await?;
    let (code, said) = status(&world, &url).await?;
    assert_eq!(code, Some(0), "{said}");
    started.stop().await;
    world.end().await;
    Ok(())
}
