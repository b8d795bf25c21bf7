//! Failures of access: images, secrets, accounts. Each permission is taken away, what is printed is
//! looked at, the printed command is carried out word for word, and the next run passes.

use testkit::access::{PROJECT, REPOSITORY, agent, deployer, deployer_account, runtime_account};
use testkit::{Behaviour, World, api};

use super::{Expected, Failure, Told, fails, once_more, passes};
use crate::{release, world};

const WHOLE_PROJECT: &str = "projects/demo-project";
const DOWNLOAD: &str = "artifactregistry.repositories.downloadArtifacts";

/// A world in which the deployer of `dev` has the documented roles, `v1.0.0` serves there, and an
/// image of the next release waits; gives the job that releases it.
pub(super) async fn released() -> Result<(World, testkit::Job), Failure> {
    let world = world().await?;
    world.set_up_deployer("dev");
    let (good, next) = (World::commit(1), World::commit(2));
    world.built(&good, api("setosa")).await?;
    world.built(&next, api("setosa")).await?;
    release(&world, "v1.0.0", &good, "dev", 0).await?;
    let job = world.release_job("v1.1.0", &next, "dev");
    Ok((world, job))
}

/// The `state:` line names what serves.
pub(super) const SERVES: &str = "ml-api-dev-v1-0-0-";

#[tokio::test]
async fn cloud_run_may_not_pull_the_image() -> Told {
    let (world, job) = released().await?;
    world.take_permission(WHOLE_PROJECT, &agent(), DOWNLOAD);
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &[
            &format!("Google Cloud Run Service Agent {}", &agent()["serviceAccount:".len()..]),
            "must have permission to read the image, us-central1-docker.pkg.dev/demo-project/ml/ml-api@sha256:",
            "lacks artifactregistry.repositories.downloadArtifacts on the repository `ml` of project demo-project",
        ],
        state: SERVES,
        help: &[
            "grant Artifact Registry Reader to the service agent",
            &format!(
                "`gcloud artifacts repositories add-iam-policy-binding ml --location=us-central1 --project=demo-project --member={} --role=roles/artifactregistry.reader`",
                agent()
            ),
        ],
        logs: &[],
    })?;
    told.carry_out("gcloud artifacts repositories", &world)
        .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn an_image_of_another_project_names_that_project() -> Told {
    let (world, job) = released().await?;
    let elsewhere = "us-central1-docker.pkg.dev/images-project/shared/ml-api";
    let repository = "projects/images-project/locations/us-central1/repositories/shared";
    let builder = "serviceAccount:builder@demo-project.iam.gserviceaccount.com";
    // The first grant makes that project enforced, too.
    world.grant(
        "projects/images-project",
        "roles/viewer",
        "user:somebody@example.com",
    );
    for member in [builder, &deployer("dev")] {
        world.grant(repository, "roles/artifactregistry.writer", member);
    }
    let commit = World::commit(2);
    world.built_in(elsewhere, &commit, api("setosa")).await?;
    let job = job.with("image", elsewhere);
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &[
            "Note that the image is from project [images-project], which is not the same as this project [demo-project]",
            "on the repository `shared` of project images-project",
        ],
        state: SERVES,
        help: &[&format!(
            "gcloud artifacts repositories add-iam-policy-binding shared --location=us-central1 --project=images-project --member={} --role=roles/artifactregistry.reader",
            agent()
        )],
        logs: &[],
    })?;
    told.carry_out("gcloud artifacts repositories", &world)
        .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_deployer_may_not_read_the_image_when_it_deploys() -> Told {
    let (world, job) = released().await?;
    // The registry is read first. The permission goes between that and the write, which is held up.
    let rule = serde_json::from_value(serde_json::json!({
        "point": "PATCH /v2/projects/*/locations/*/services/*", "count": 1,
        "fault": {"delay_ms": 1500},
    }))?;
    world.emulator.world().faults.add(rule);
    let mut running = world.start_job(&job)?;
    let mut log = String::new();
    while let Some(line) = running.next_line().await? {
        log.push_str(&line);
        log.push('\n');
        if line.contains("deploy-candidate") {
            break;
        }
    }
    world.take_permission(REPOSITORY, &deployer("dev"), DOWNLOAD);
    let end = running.finish(|_| Ok(())).await?;
    let told = super::printed::Printed::read(&end)?;
    told.expect(&Expected {
        exit: 6,
        code: "D0504",
        cause: &[
            "User must have permission to read the image, us-central1-docker.pkg.dev/demo-project/ml/ml-api@sha256:",
            &format!("{} lacks {DOWNLOAD} on the repository `ml`", deployer("dev")),
        ],
        state: SERVES,
        help: &[&format!(
            "gcloud artifacts repositories add-iam-policy-binding ml --location=us-central1 --project=demo-project --member={} --role=roles/artifactregistry.reader",
            deployer("dev")
        )],
        logs: &[],
    })?;
    told.carry_out("gcloud artifacts repositories", &world)
        .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_registry_refuses_to_be_read() -> Told {
    let (world, job) = released().await?;
    world.take_permission(REPOSITORY, &deployer("dev"), DOWNLOAD);
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0504",
        cause: &[
            "403 DENIED: Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource",
            &format!(
                "{} lacks artifactregistry.repositories.downloadArtifacts on the repository `ml` of project demo-project",
                deployer("dev")
            ),
        ],
        state: SERVES,
        help: &["--role=roles/artifactregistry.reader", &deployer("dev")],
        logs: &[],
    })?;
    told.carry_out(
        "gcloud artifacts repositories add-iam-policy-binding",
        &world,
    )
    .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_version_tag_that_is_refused_is_a_warning_and_the_next_run_puts_it() -> Told {
    let (world, job) = released().await?;
    // Evidence could not be attached either, which ends a run.
    let job = job.with("evidence", "off");
    let upload = "artifactregistry.repositories.uploadArtifacts";
    world.take_permission(REPOSITORY, &deployer("dev"), upload);
    let end = passes(&world, &job).await?;
    for expected in [
        "::warning title=D0504",
        &format!("{} lacks {upload} on the repository `ml`", deployer("dev")),
        "state: the release serves; only the tag is missing",
    ] {
        assert!(
            end.log.contains(expected),
            "{expected} is missing in:\n{}",
            end.log
        );
    }
    assert!(!world.image_tags().await?.contains(&"1.1.0".to_owned()));
    let start = "gcloud artifacts repositories add-iam-policy-binding";
    super::printed::carry_out_in(&end.log, start, &world).await?;
    passes(&world, &once_more(&job)).await?;
    assert!(world.image_tags().await?.contains(&"1.1.0".to_owned()));
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_runtime_account_may_not_read_its_secrets() -> Told {
    let (world, job) = released().await?;
    for secret in ["api-key", "model-key"] {
        let run = &world.emulator.world().run;
        run.put_secret(PROJECT, secret, b"hidden");
    }
    let job = job.with(
        "secrets",
        "API_KEY=api-key:latest\nMODEL_KEY=model-key:latest",
    );
    let told = fails(&world, &job).await?;
    let account = runtime_account();
    let command = |secret: &str| {
        format!(
            "gcloud secrets add-iam-policy-binding {secret} --project={} --member=serviceAccount:{account} --role=roles/secretmanager.secretAccessor",
            emulator::run::project_number(PROJECT)
        )
    };
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &[
            "Permission denied on secret: projects/",
            &format!("{account} lacks secretmanager.versions.access on the secret `api-key`"),
            "on the secret `model-key`",
        ],
        state: SERVES,
        help: &[&command("api-key"), &command("model-key")],
        logs: &[],
    })?;
    for secret in ["api-key", "model-key"] {
        told.carry_out(
            &format!("gcloud secrets add-iam-policy-binding {secret}"),
            &world,
        )
        .await?;
    }
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_deployer_may_not_act_as_the_runtime_account() -> Told {
    let (world, job) = released().await?;
    let runtime = format!("projects/{PROJECT}/serviceAccounts/{}", runtime_account());
    world.revoke(&runtime, "roles/iam.serviceAccountUser", &deployer("dev"));
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0504",
        cause: &[
            "Permission 'iam.serviceaccounts.actAs' denied on service account",
            &format!("{} deploys a service that runs as {}, and lacks iam.serviceAccounts.actAs", deployer("dev"), runtime_account()),
        ],
        state: SERVES,
        help: &[&format!(
            "gcloud iam service-accounts add-iam-policy-binding {} --project=demo-project --member={} --role=roles/iam.serviceAccountUser",
            runtime_account(),
            deployer("dev")
        )],
        logs: &[],
    })?;
    told.carry_out("gcloud iam service-accounts", &world)
        .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn cloud_runs_service_agent_has_lost_its_role() -> Told {
    let (world, job) = released().await?;
    world.revoke(WHOLE_PROJECT, "roles/run.serviceAgent", &agent());
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0504",
        cause: &[
            "Google Cloud Run Service Agent does not have permission to get access tokens for the service account",
            "lacks iam.serviceAccounts.getAccessToken on the run-time service account",
        ],
        state: SERVES,
        help: &[&format!(
            "gcloud projects add-iam-policy-binding demo-project --member={} --role=roles/run.serviceAgent",
            agent()
        )],
        logs: &[],
    })?;
    told.carry_out("gcloud projects", &world).await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_log_that_may_not_be_read_is_told_beside_the_failure() -> Told {
    let (world, job) = released().await?;
    world.revoke(WHOLE_PROJECT, "roles/logging.viewer", &deployer("dev"));
    let crash = Behaviour::crash(&["KeyError: 'MODEL_PATH'"]);
    let digest = world.built(&World::commit(2), crash).await?;
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        cause: &[
            "failed to start and listen on the port",
            "cannot read the container's log",
        ],
        state: SERVES,
        help: &[&format!(
            "gcloud projects add-iam-policy-binding demo-project --member={} --role=roles/logging.viewer",
            deployer("dev")
        )],
        logs: &[],
    })?;
    told.carry_out("gcloud projects", &world).await?;
    let told = fails(&world, &once_more(&job)).await?;
    told.expect(&Expected {
        exit: 4,
        code: "D0301",
        state: SERVES,
        logs: &["KeyError: 'MODEL_PATH'"],
        ..Expected::default()
    })?;
    world.behaves(&digest, api("setosa"));
    passes(&world, &once_more(&once_more(&job))).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_job_that_may_not_act_as_the_account() -> Told {
    let (world, job) = released().await?;
    world.revoke(
        &deployer_account("dev"),
        "roles/iam.workloadIdentityUser",
        &testkit::access::jobs("dev"),
    );
    let told = fails(&world, &job).await?;
    told.expect(&Expected {
        exit: 6,
        code: "D0502",
        cause: &[
            "Permission 'iam.serviceAccounts.getAccessToken' denied on resource",
            "attribute.environment/dev lacks iam.serviceAccounts.getAccessToken on deploy-dev@demo-project",
        ],
        state: "the service is unchanged",
        help: &[&format!(
            "gcloud iam service-accounts add-iam-policy-binding deploy-dev@demo-project.iam.gserviceaccount.com --project=demo-project --member={} --role=roles/iam.workloadIdentityUser",
            testkit::access::jobs("dev")
        )],
        logs: &[],
    })?;
    told.carry_out("gcloud iam service-accounts", &world)
        .await?;
    passes(&world, &once_more(&job)).await?;
    world.end().await;
    Ok(())
}
