//! Failures of access: the token services, and the call of a closed service.

use testkit::access::{deployer, deployer_account, jobs};
use testkit::{World, api};

use super::access::released;
use super::{Expected, Told, fails, once_more, passes};
use crate::world;

const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/github/providers/github";

#[tokio::test]
async fn the_providers_condition_refuses_the_repository() -> Told {
    let (world, job) = released().await?;
    let tokens = &world.emulator.world().tokens;
    tokens.register_provider(serde_json::from_value(serde_json::json!({
        "name": PROVIDER, "condition": {"repository_id": "7"},
    }))?)?;
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0502",
        cause: &[
            "The given credential is rejected by the attribute condition.",
            "repository=`octo-org/ml-api`",
        ],
        state: "the service is unchanged",
        help: &[
            "gcloud iam workload-identity-pools providers update-oidc github --project=1 --location=global --workload-identity-pool=github --attribute-condition=\"assertion.repository_id=='",
            "compare these claims with the provider's attribute condition",
        ],
        logs: &[],
    })?;
    told.carry_out("gcloud iam workload-identity-pools", &world)
        .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_provider_takes_another_audience() -> Told {
    let (world, job) = released().await?;
    let tokens = &world.emulator.world().tokens;
    tokens.register_provider(serde_json::from_value(serde_json::json!({
        "name": PROVIDER, "allowed_audiences": ["https://example.com"],
    }))?)?;
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0502",
        cause: &["does not match the expected audience"],
        state: "the service is unchanged",
        help: &[&format!(
            "--allowed-audiences=https://iam.googleapis.com/{PROVIDER}`"
        )],
        logs: &[],
    })?;
    told.carry_out("gcloud iam workload-identity-pools", &world)
        .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn no_id_token_may_be_made_for_the_first_deploy() -> Told {
    let world = world().await?;
    world.set_up_deployer("dev");
    let permission = "iam.serviceAccounts.getOpenIdToken";
    world.take_permission(&deployer_account("dev"), &jobs("dev"), permission);
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world.release_job("v1.0.0", &commit, "dev");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0303",
        cause: &[
            "Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource",
            "lacks iam.serviceAccounts.getOpenIdToken on deploy-dev@demo-project.iam.gserviceaccount.com",
        ],
        state: "the service is closed to all but callers with an ID token",
        help: &[&format!("--member={} --role=roles/iam.workloadIdentityUser`", jobs("dev"))],
        logs: &[],
    })?;
    told.carry_out("gcloud iam service-accounts", &world)
        .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_deployer_may_not_call_the_service_that_it_tests() -> Told {
    let world = world().await?;
    world.set_up_deployer("dev");
    world.take_permission(
        "projects/demo-project",
        &deployer("dev"),
        "run.routes.invoke",
    );
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world.release_job("v1.0.0", &commit, "dev");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0303",
        cause: &[
            "GET /version is answered 403",
            &format!("{} lacks run.routes.invoke on the service `ml-api-dev`", deployer("dev")),
        ],
        state: "the service is closed to all but callers with an ID token",
        help: &[&format!(
            "gcloud run services add-iam-policy-binding ml-api-dev --project=demo-project --region=us-central1 --member={} --role=roles/run.invoker",
            deployer("dev")
        )],
        logs: &[],
    })?;
    told.carry_out("gcloud run services", &world).await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}
