//! Stories: the real program, started as the runner starts it, against the local cloud in this
//! process. Containers are told what to do, so that no engine is needed.

mod approval;
mod blocked;
mod diagnosis;
mod evidence;
mod evidence_content;
mod failing;
mod hotfix;
mod own_tests;
mod permissions;
mod plan_view;
mod promote;
mod recovery;
mod regions;
mod regions_recovery;
mod rollback;
mod settings_told;
mod terminal;
mod traffic;

use testkit::World;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Told = Result<(), Failure>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ml-deploy");

async fn world() -> Result<World, Box<dyn std::error::Error + Send + Sync>> {
    World::start(PROGRAM).await
}

/// Runs a release's job and expects it to end with `code`; gives the log.
async fn release(
    world: &World,
    tag: &str,
    commit: &str,
    environment: &str,
    code: i32,
) -> Result<testkit::JobEnd, Box<dyn std::error::Error + Send + Sync>> {
    let end = world
        .run(&world.release_job(tag, commit, environment))
        .await?;
    assert_eq!(
        end.code,
        Some(code),
        "{tag} in {environment} ended with:\n{}",
        end.log
    );
    Ok(end)
}
