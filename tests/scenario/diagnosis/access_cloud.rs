//! Failures of access: Cloud Run's own permissions, APIs that are off, regions, the organization.

use emulator::iam::OrganizationPolicy;
use testkit::access::deployer;
use testkit::{World, api};

use super::access::{SERVES, released};
use super::printed::carry_out_in;
use super::{Expected, Told, fails, once_more, passes};
use crate::world;

const PROJECT: &str = "projects/demo-project";

/// A permission of Cloud Run is taken away: it is named, with who lacks it and the role; the printed
/// command brings it back.
async fn lacks(permission: &str, role: &str, code: &str, exit: i32) -> Told {
    let (world, job) = released().await?;
    world.take_permission(PROJECT, &deployer("dev"), permission);
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit,
        code,
        cause: &[
            &format!("Permission '{permission}' denied on resource 'projects/demo-project/locations/us-central1/services/ml-api-dev"),
            &format!("{} lacks {permission}", deployer("dev")),
        ],
        state: "the service is unchanged",
        help: &[&format!(
            "`gcloud projects add-iam-policy-binding demo-project --member={} --role={role} --condition=None`",
            deployer("dev")
        )],
        logs: &[],
    })?;
    told.carry_out("gcloud projects", &world).await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_service_that_may_not_be_read() -> Told {
    lacks("run.services.get", "roles/run.developer", "D0504", 6).await
}

#[tokio::test]
async fn revisions_that_may_not_be_listed() -> Told {
    lacks("run.revisions.list", "roles/run.developer", "D0504", 6).await
}

#[tokio::test]
async fn a_service_that_may_not_be_changed() -> Told {
    let (world, job) = released().await?;
    world.take_permission(PROJECT, &deployer("dev"), "run.services.update");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0504",
        cause: &[
            "Permission 'run.services.update' denied on resource 'projects/demo-project/locations/us-central1/services/ml-api-dev' (or resource may not exist).",
            &format!("{} lacks run.services.update in project demo-project", deployer("dev")),
        ],
        state: SERVES,
        help: &["--role=roles/run.developer --condition=None`"],
        logs: &[],
    })?;
    told.carry_out("gcloud projects", &world).await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_service_that_may_not_be_created() -> Told {
    let world = world().await?;
    world.set_up_deployer("dev");
    world.take_permission(PROJECT, &deployer("dev"), "run.services.create");
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world.release_job("v1.0.0", &commit, "dev");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0504",
        cause: &[
            "Permission 'run.services.create' denied on resource 'projects/demo-project/locations/us-central1/services/ml-api-dev'",
            "lacks run.services.create",
        ],
        state: "the service does not exist",
        help: &["--role=roles/run.developer"],
        logs: &[],
    })?;
    told.carry_out("gcloud projects", &world).await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn an_operation_that_may_not_be_read_is_told_and_the_run_goes_on() -> Told {
    let (world, job) = released().await?;
    world.take_permission(PROJECT, &deployer("dev"), "run.operations.get");
    let note = "the operation may not be read; the service itself is looked at in its place";
    let end = passes(&world, &job).await?;
    assert!(end.log.contains(note), "{}", end.log);
    let lacks = format!("{} lacks run.operations.get", deployer("dev"));
    assert!(end.log.contains(&lacks), "{}", end.log);
    carry_out_in(&end.log, "gcloud projects", &world).await?;
    let commit = World::commit(3);
    world.built(&commit, api("setosa")).await?;
    let end = passes(&world, &world.release_job("v1.2.0", &commit, "dev")).await?;
    assert!(!end.log.contains(note), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_service_that_may_not_be_opened() -> Told {
    let world = world().await?;
    world.set_up_deployer("dev");
    world.take_permission(PROJECT, &deployer("dev"), "run.services.setIamPolicy");
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world.release_job("v1.0.0", &commit, "dev");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0504",
        cause: &[
            "Permission 'run.services.setIamPolicy' denied on resource 'projects/demo-project/locations/us-central1/services/ml-api-dev'",
            "which opening (`access: public`) and closing a service need",
        ],
        state: "the service is closed to all but callers with an ID token",
        help: &["--role=roles/run.admin --condition=None`"],
        logs: &[],
    })?;
    told.carry_out("gcloud projects", &world).await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

/// An API is off: it is named, with the project; the printed command switches it on.
async fn off(api: &str, title: &str, code: &str, exit: i32, state: &str) -> Told {
    let (world, job) = released().await?;
    world.disable_api(api);
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit,
        code,
        cause: &[
            &format!("{title} has not been used in project"),
            &format!("has not enabled the API {api}"),
        ],
        state,
        help: &[&format!("gcloud services enable {api} --project=")],
        logs: &[],
    })?;
    told.carry_out("gcloud services enable", &world).await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_api_of_cloud_run_is_off() -> Told {
    let (api, title) = ("run.googleapis.com", "Cloud Run Admin API");
    off(api, title, "D0504", 6, "the service is unchanged").await
}

#[tokio::test]
async fn the_api_of_artifact_registry_is_off() -> Told {
    let (api, title) = ("artifactregistry.googleapis.com", "Artifact Registry API");
    off(api, title, "D0504", 6, SERVES).await
}

#[tokio::test]
async fn the_api_of_iam_credentials_is_off() -> Told {
    let api = "iamcredentials.googleapis.com";
    let title = "IAM Service Account Credentials API";
    off(api, title, "D0504", 6, "the service is unchanged").await
}

#[tokio::test]
async fn a_region_that_is_misspelt() -> Told {
    let (world, job) = released().await?;
    let job = job.with("region", "us-centrl1");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0504",
        cause: &[
            "Permission denied on 'locations/us-centrl1' (or it may not exist).",
            "Cloud Run has no region `us-centrl1`, or this project may not use it",
        ],
        state: "the service is unchanged",
        help: &["gcloud run regions list --project=demo-project"],
        logs: &[],
    })?;
    let job = told.set("region", once_more(&job))?;
    passes(&world, &job).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_region_that_the_organization_does_not_allow() -> Told {
    let (world, job) = released().await?;
    world.organization(OrganizationPolicy {
        allowed_locations: Some(vec!["europe-west1".to_owned()]),
        ..OrganizationPolicy::default()
    });
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0504",
        cause: &["constraints/gcp.resourceLocations does not allow us-central1"],
        state: "the service is unchanged",
        help: &["set input `region` to a region that the policy allows"],
        logs: &[],
    })?;
    passes(&world, &once_more(&job.with("region", "europe-west1"))).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn an_organization_that_forbids_public_services() -> Told {
    let world = world().await?;
    world.set_up_deployer("dev");
    world.organization(OrganizationPolicy {
        require_invoker_iam: true,
        ..OrganizationPolicy::default()
    });
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = world.release_job("v1.0.0", &commit, "dev");
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0505",
        cause: &[
            "Operation denied by org policy",
            "constraints/run.managed.requireInvokerIam does not let project demo-project",
        ],
        state: "the service is closed to all but callers with an ID token",
        help: &["ask the organization's administrator for an exception"],
        logs: &[],
    })?;
    let job = told.set("access", once_more(&job))?;
    passes(&world, &job).await?;
    let (status, _) = world.call("ml-api-dev", "/health").await?;
    assert_eq!(status, 403);
    world.end().await;
    Ok(())
}
