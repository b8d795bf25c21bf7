//! The gate before production: what is asked for, what refuses a direct deployment, and what the cloud
//! holds when the workflow was changed.

use emulator::github::identifiers::number;
use emulator::github::{EnvironmentSettings, Reviewer, RunSettings};
use emulator::tokens::{Provider, ServiceAccount};
use testkit::access::{deployer_account, jobs};
use testkit::{Job, JobEnd, World, api};

use super::{Told, world};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const REPOSITORY: (&str, &str) = ("octo-org", "ml-api");
const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/github/providers/github";

fn reviewed_by(names: &[&str], prevent_self_review: bool) -> EnvironmentSettings {
    EnvironmentSettings {
        reviewers: names
            .iter()
            .map(|name| Reviewer {
                kind: "User".to_owned(),
                name: (*name).to_owned(),
            })
            .collect(),
        prevent_self_review,
        ..EnvironmentSettings::default()
    }
}

/// A release's job for production that needs no environment before it: the gate alone is looked at.
fn straight_to_production(world: &World, commit: &str) -> Job {
    world
        .release_job("v1.0.0", commit, "production")
        .with("evidence", "off")
        .with("drift", "off")
}

async fn straight(world: &World, job: &Job, code: i32) -> Result<JobEnd, Failure> {
    let end = world.run(job).await?;
    assert_eq!(end.code, Some(code), "{}", end.log);
    Ok(end)
}

fn protect(world: &World, settings: EnvironmentSettings) {
    let world = world.emulator.world();
    let now = world.clock.now();
    world
        .github
        .set_environment(REPOSITORY, "production", settings, now);
}

#[tokio::test]
async fn each_way_around_the_gate_is_refused_with_its_own_code_and_fix() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = || straight_to_production(&world, &commit);
    let good = || reviewed_by(&["release-manager"], true);
    let mut without_token = job();
    without_token
        .inputs
        .retain(|(name, _)| name != "github_token");
    let mut started_by_reviewer = job().with("prevent_self_review", "true");
    started_by_reviewer
        .env
        .push(("GITHUB_ACTOR".to_owned(), "release-manager".to_owned()));
    let rows = [
        (
            good(),
            job().in_environment("dev"),
            "D0210",
            "environment: production",
        ),
        (
            reviewed_by(&[], false),
            job(),
            "D0209",
            "Required reviewers",
        ),
        (good(), without_token, "D0211", "actions: read"),
        (
            reviewed_by(&["release-manager"], false),
            job().with("prevent_self_review", "true"),
            "D0222",
            "Prevent self-review",
        ),
        (good(), started_by_reviewer, "D0222", "another reviewer"),
    ];
    for (settings, job, code, fix) in rows {
        protect(&world, settings);
        let end = world.run(&job).await?;
        assert_eq!(end.code, Some(3), "{code}:\n{}", end.log);
        assert!(end.log.contains(code), "{code}:\n{}", end.log);
        assert!(end.log.contains(fix), "{fix}:\n{}", end.log);
        let headline = "## ❌ v1.0.0 stopped at production";
        assert!(end.summary.contains(headline), "{code}:\n{}", end.summary);
        assert!(world.service("ml-api-prod").await?.is_none(), "{code}");
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_run_that_nobody_approved_is_refused() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = straight_to_production(&world, &commit);
    let cloud = world.emulator.world();
    // A run whose job was let past the protection.
    let run = RunSettings::default();
    cloud
        .github
        .set_run(REPOSITORY, job.run_id, run, cloud.clock.now());
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(3), "{}", end.log);
    assert!(end.log.contains("D0223"), "{}", end.log);
    assert!(world.service("ml-api-prod").await?.is_none());
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_private_repository_without_the_plan_is_told_what_that_means() -> Told {
    let world = world().await?;
    world.write(
        ".github/ml-deploy.yml",
        "service: ml-api\nproject_id: demo-project\nimage: us-central1-docker.pkg.dev/demo-project/ml/ml-api\n\
         access: public\nenvironments:\n- dev\n- {name: production, github_environment: live}\n",
    )?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = straight_to_production(&world, &commit).in_environment("live");
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(3), "{}", end.log);
    for part in [
        "D0211",
        "GitHub answered 404: Not Found",
        "Enterprise only",
        "approval: external",
    ] {
        assert!(end.log.contains(part), "{part}:\n{}", end.log);
    }
    // The way out that it names: nobody is asked, and everybody can read so.
    let end = world.run(&job.with("approval", "none")).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert!(
        end.summary.contains("| Approval | none: nobody approves"),
        "{}",
        end.summary
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_approver_is_told_and_a_rerun_claims_nothing_of_its_attempt() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = straight_to_production(&world, &commit);
    let end = straight(&world, &job, 0).await?;
    let approved = "release-manager approved this run";
    assert!(
        end.summary.contains(&format!("{approved} |")),
        "{}",
        end.summary
    );
    let end = straight(&world, &job.again(), 0).await?;
    assert!(
        end.summary
            .contains(&format!("{approved}, attempt unknown |")),
        "{}",
        end.summary
    );
    world.end().await;
    Ok(())
}

/// Whoever edits the workflow can take the check out. The account still admits only jobs of the
/// environment, and the provider only this repository.
#[tokio::test]
async fn the_cloud_itself_holds_the_gate() -> Told {
    let world = world().await?;
    for environment in ["dev", "production"] {
        world.set_up_deployer(environment);
    }
    let cloud = world.emulator.world();
    cloud.tokens.register_provider(Provider {
        name: PROVIDER.to_owned(),
        condition: [(
            "repository_id".to_owned(),
            number("octo-org/ml-api").to_string(),
        )]
        .into(),
        ..Provider::default()
    })?;
    // The gate taken out of the file, and the account of production asked for.
    world.write(
        ".github/ml-deploy.yml",
        "service: ml-api\nproject_id: demo-project\nimage: us-central1-docker.pkg.dev/demo-project/ml/ml-api\n\
         access: public\nenvironments:\n- dev\n- {name: production, github_environment: dev, approval: none}\n",
    )?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let job = straight_to_production(&world, &commit).in_environment("dev");
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(6), "{}", end.log);
    for part in ["D0502", "iam.serviceAccounts.getAccessToken"] {
        assert!(end.log.contains(part), "{part}:\n{}", end.log);
    }
    assert!(world.service("ml-api-prod").await?.is_none());
    // The same file, from the environment that the reviewers guard.
    world.write(
        ".github/ml-deploy.yml",
        "service: ml-api\nproject_id: demo-project\nimage: us-central1-docker.pkg.dev/demo-project/ml/ml-api\n\
         access: public\nenvironments:\n- dev\n- production\n",
    )?;
    let end = world.run(&job.clone().in_environment("production")).await?;
    assert_eq!(end.code, Some(0), "{}", end.log);

    // Another repository, with an environment of the same name.
    cloud.tokens.register_provider(Provider {
        name: PROVIDER.to_owned(),
        condition: [("repository_id".to_owned(), "4711".to_owned())].into(),
        ..Provider::default()
    })?;
    let end = world.run(&job.in_environment("production")).await?;
    assert_eq!(end.code, Some(6), "{}", end.log);
    assert!(end.log.contains("attribute condition"), "{}", end.log);
    world.end().await;
    Ok(())
}

/// The binding alone refuses as well, without any policy of the project's.
#[tokio::test]
async fn a_bound_account_refuses_every_other_environment() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    let account = deployer_account("production");
    let email = account.rsplit('/').next().unwrap_or_default().to_owned();
    world
        .emulator
        .world()
        .tokens
        .register_account(ServiceAccount {
            email: email.clone(),
            environment: Some("production".to_owned()),
            repository_id: Some(number("octo-org/ml-api").to_string()),
            ..ServiceAccount::default()
        })?;
    assert!(jobs("production").ends_with("attribute.environment/production"));
    let job = world
        .release_job("v1.0.0", &commit, "dev")
        .with("service_account", email);
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(6), "{}", end.log);
    assert!(end.log.contains("D0502"), "{}", end.log);
    // Nor is a job told how to let its own environment in where that is not the one that is deployed to.
    let strayed = straight_to_production(&world, &commit).in_environment("dev");
    let end = world.run(&strayed.with("command", "plan")).await?;
    assert_eq!(end.code, Some(6), "{}", end.log);
    let member = |name: &str| format!("--member={}", jobs(name));
    assert!(end.log.contains(&member("production")), "{}", end.log);
    assert!(!end.log.contains(&member("dev")), "{}", end.log);
    straight(&world, &straight_to_production(&world, &commit), 0).await?;
    world.end().await;
    Ok(())
}
