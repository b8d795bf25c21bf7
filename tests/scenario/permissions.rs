//! `docs/permissions.md` is true: the roles that it lists, and nothing more, carry a release from the
//! first environment to production.

use testkit::access::{PROJECT, REPOSITORY, deployer, deployer_account, jobs, runtime_account};
use testkit::{World, api};

use super::{Told, release, world};

const PAGE: &str = include_str!("../../docs/permissions.md");
const ENVIRONMENTS: [&str; 4] = ["dev", "test", "staging", "production"];

/// Role, on what, and to whom, of the table in the chapter about roles.
fn rows() -> Vec<(String, String, String)> {
    let (_, chapter) = PAGE.split_once("## 5. Roles").unwrap_or_default();
    let table = chapter.lines().filter(|line| line.starts_with("| `roles/"));
    table
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let role = cells[1].trim_matches('`').to_owned();
            (role, cells[2].to_owned(), cells[3].to_owned())
        })
        .collect()
}

/// Grants a row of the page. All environments of a scenario are public.
fn grant(world: &World, role: &str, on: &str, who: &str) {
    let runtime = format!("projects/{PROJECT}/serviceAccounts/{}", runtime_account());
    let resource = match on {
        "project" => format!("projects/{PROJECT}"),
        "the run-time account" => runtime,
        "the repository" => REPOSITORY.to_owned(),
        "each secret" => format!("projects/{PROJECT}/secrets/api-key"),
        other => panic!("the page grants on {other}, which this test does not know"),
    };
    match who {
        "each deployer whose environment has `access: public`" | "each deployer" => {
            for environment in ENVIRONMENTS {
                world.grant(&resource, role, &deployer(environment));
            }
        }
        "the run-time account" => {
            let member = format!("serviceAccount:{}", runtime_account());
            world.grant(&resource, role, &member);
        }
        "the other deployers" => {}
        other => panic!("the page grants to {other}, whom this test does not know"),
    }
}

#[tokio::test]
async fn the_documented_roles_carry_a_release_to_production() -> Told {
    let world = world().await?;
    world.enforce();
    let rows = rows();
    assert!(rows.len() >= 7, "{rows:?}");
    for (role, on, who) in &rows {
        grant(&world, role, on, who);
    }
    // Step 4 of the page: only jobs of the environment may become its deployer.
    assert!(PAGE.contains("--role roles/iam.workloadIdentityUser"));
    assert!(PAGE.contains("attribute.environment/$ENVIRONMENT"));
    for environment in ENVIRONMENTS {
        let account = deployer_account(environment);
        let role = "roles/iam.workloadIdentityUser";
        world.grant(&account, role, &jobs(environment));
    }
    world
        .emulator
        .world()
        .run
        .put_secret(PROJECT, "api-key", b"hidden");
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    for environment in ENVIRONMENTS {
        let job = world
            .release_job("v1.0.0", &commit, environment)
            .with("secrets", "API_KEY=api-key:latest");
        let end = world.run(&job).await?;
        assert_eq!(end.code, Some(0), "{environment}:\n{}", end.log);
        // That its reviewer may approve what he started himself is told, and no matter of roles.
        let mut warnings = end.log.lines().filter(|line| line.contains("::warning"));
        let of_roles = warnings.find(|line| !line.contains("D0222"));
        assert!(of_roles.is_none(), "{environment}:\n{}", end.log);
    }
    assert!(world.image_tags().await?.contains(&"1.0.0".to_owned()));
    // And no more than that: a job of another environment does not become production's deployer.
    let job = world.release_job("v1.0.1", &commit, "dev").with(
        "service_account",
        "deploy-production@demo-project.iam.gserviceaccount.com",
    );
    let end = world.run(&job).await?;
    assert_eq!(end.code, Some(6), "{}", end.log);
    assert!(end.log.contains("D0502"), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_private_environment_needs_no_more_than_the_developers_role() -> Told {
    let world = world().await?;
    world.set_up_deployer("dev");
    world.revoke("projects/demo-project", "roles/run.admin", &deployer("dev"));
    let developer = rows()
        .into_iter()
        .find(|(_, _, who)| who == "the other deployers");
    let (role, _, _) = developer.ok_or("the page tells no role for private environments")?;
    world.grant("projects/demo-project", &role, &deployer("dev"));
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    for (tag, commit) in [("v1.0.0", &first), ("v1.1.0", &second)] {
        let job = world
            .release_job(tag, commit, "dev")
            .with("access", "private");
        let end = world.run(&job).await?;
        assert_eq!(end.code, Some(0), "{tag}:\n{}", end.log);
    }
    // The same role does not open it.
    release(&world, "v1.2.0", &second, "dev", 6).await?;
    world.end().await;
    Ok(())
}
