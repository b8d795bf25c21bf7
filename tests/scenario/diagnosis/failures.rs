//! Failures of images, containers, settings and quotas.

use testkit::{Behaviour, World, api};

use super::{Expected, Told, fails, once_more, passes};
use crate::{release, world};

#[tokio::test]
async fn a_missing_dependency_is_named_and_a_rebuild_mends_it() -> Told {
    let world = world().await?;
    let (good, bad) = (World::commit(1), World::commit(2));
    world.built(&good, api("setosa")).await?;
    let crash = Behaviour::crash(&[
        "Traceback (most recent call last):",
        "ModuleNotFoundError: No module named 'uvicorn'",
    ]);
    let digest = world.built(&bad, crash).await?;
    release(&world, "v1.0.0", &good, "dev", 0).await?;
    let job = world.release_job("v1.1.0", &bad, "dev");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &[
            "failed to start and listen on the port",
            "No module named 'uvicorn'",
        ],
        state: "ml-api-dev-v1-0-0-",
        help: &["requirements.txt"],
        logs: &["No module named 'uvicorn'"],
    })?;
    world.behaves(&digest, api("setosa"));
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}
