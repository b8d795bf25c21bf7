//! Stories that make `ml-deploy` send every request that it can send, and the judgement of them all.

use std::collections::BTreeSet;
use std::process::Command;

use emulator::admin::{Exchange, Fault, Rule};
use serde_json::{Value, json};
use testkit::judge::Verdict;
use testkit::{Behaviour, Job, World, api, wrong_model};

use super::python::{is_here, strict};
use super::{Failure, PROGRAM, Told, judge};

type Heard = Result<Vec<Exchange>, Failure>;

/// Every method of Google and GitHub that `ml-deploy` calls. A new one is added here together with
/// the story that makes it.
const CALLED: [&str; 17] = [
    "cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.asymmetricSign",
    "cloudkms.projects.locations.keyRings.cryptoKeys.cryptoKeyVersions.getPublicKey",
    "github actions/get-reviews-for-run",
    "github repos/get-environment",
    "iamcredentials.projects.serviceAccounts.generateAccessToken",
    "iamcredentials.projects.serviceAccounts.generateIdToken",
    "logging.entries.list",
    "run.projects.locations.operations.get",
    "run.projects.locations.operations.wait",
    "run.projects.locations.services.create",
    "run.projects.locations.services.get",
    "run.projects.locations.services.getIamPolicy",
    "run.projects.locations.services.patch",
    "run.projects.locations.services.revisions.list",
    "run.projects.locations.services.setIamPolicy",
    "run.projects.locations.services.testIamPermissions",
    "sts.token",
];

#[tokio::test]
async fn all_that_is_asked_and_answered_is_documented() -> Told {
    let Some(judge) = judge() else {
        return Ok(());
    };
    let worlds = tokio::try_join!(everything_said(), failing(), disturbed(), from_a_terminal())?;
    let worlds = [worlds.0, worlds.1, worlds.2, worlds.3];
    let mut verdict = Verdict::default();
    for exchanges in &worlds {
        verdict.add(judge.judge(exchanges));
    }
    assert!(
        verdict.violations.is_empty(),
        "not as documented:\n{verdict}"
    );
    let judged: BTreeSet<&str> = verdict.judged.keys().map(String::as_str).collect();
    assert_eq!(judged, BTreeSet::from(CALLED), "{:?}", verdict.passed_by);
    if is_here() {
        let parsed = strict(&worlds.concat()).await?;
        assert!(
            parsed > 100,
            "{parsed} bodies are too few for these stories"
        );
    }
    Ok(())
}

/// A world's exchanges with `ml-deploy`; the tester's own requests are left out.
async fn heard(world: World) -> Vec<Exchange> {
    let mut exchanges = world.exchanges();
    exchanges.retain(|exchange| {
        let is_octocrab = exchange.path.starts_with("/repos/");
        exchange.agent.starts_with("ml-deploy/") || is_octocrab
    });
    world.end().await;
    exchanges
}

async fn expect(world: &World, job: &Job, code: i32) -> Told {
    let end = world.run(job).await?;
    assert_eq!(end.code, Some(code), "{}", end.log);
    Ok(())
}

/// Asks the local cloud as its owner.
async fn ask(world: &World, method: &str, path: &str, body: &Value) -> Told {
    let tokens = &world.emulator.world().tokens;
    let token = tokens.issue_local("owner@demo-project.iam.gserviceaccount.com");
    let answer = reqwest::Client::new()
        .request(method.parse()?, format!("{}{path}", world.url()))
        .bearer_auth(token)
        .json(body)
        .send()
        .await?;
    let status = answer.status();
    assert!(status.is_success(), "{status}: {}", answer.text().await?);
    Ok(())
}

/// Everything that a service may be given, in production with its approval; then the way back.
async fn everything_said() -> Heard {
    let world = World::start(PROGRAM).await?;
    let secret = json!({"project": "demo-project", "name": "token", "value": "v"});
    ask(&world, "POST", "/_emulator/secrets", &secret).await?;
    let key = "projects/demo-project/locations/us-central1/keyRings/deploy/cryptoKeys/production";
    ask(&world, "POST", "/_emulator/kms/keys", &json!({"name": key})).await?;
    let (first, second) = (World::commit(1), World::commit(2));
    for (tag, commit) in [("v1.0.0", &first), ("v1.1.0", &second)] {
        world.built(commit, api("setosa")).await?;
        let job = world
            .release_job(tag, commit, "production")
            .with("evidence_kms_key", format!("{key}/cryptoKeyVersions/1"))
            .with("access", "private")
            .with("env_vars", format!("GREETING=hello\nRELEASE={tag}"))
            .with("secrets", "TOKEN=token:latest\n/secrets/token=token:1")
            .with("labels", "team=ml,tier=front")
            .with("cpu", "2")
            .with("memory", "1Gi")
            .with("port", "9000")
            .with("concurrency", "20")
            .with("min_instances", "1")
            .with("max_instances", "5")
            .with("timeout", "60")
            .with(
                "runtime_service_account",
                "runtime@demo-project.iam.gserviceaccount.com",
            )
            .with(
                "startup_probe",
                "http:/health period=5 timeout=2 failure_threshold=3",
            );
        expect(&world, &job, 0).await?;
    }
    expect(&world, &world.rollback_job("previous", "production"), 0).await?;
    Ok(heard(world).await)
}

/// What is not promoted: wrong predictions, a crash, an image that is not there, a missing secret.
async fn failing() -> Heard {
    let world = World::start(PROGRAM).await?;
    let (good, wrong, broken) = (World::commit(1), World::commit(2), World::commit(3));
    world.built(&good, api("setosa")).await?;
    world.built(&wrong, wrong_model()).await?;
    world
        .built(&broken, Behaviour::crash(&["no model"]))
        .await?;
    expect(&world, &world.release_job("v1.0.0", &wrong, "dev"), 4).await?;
    expect(&world, &world.release_job("v1.1.0", &good, "dev"), 0).await?;
    expect(&world, &world.release_job("v1.2.0", &broken, "dev"), 4).await?;
    let secretive = world
        .release_job("v1.1.0", &good, "test")
        .with("secrets", "TOKEN=absent:latest");
    expect(&world, &secretive, 4).await?;
    Ok(heard(world).await)
}

/// Others change the service, answers are lost, `:wait` is not allowed, strangers may call.
async fn disturbed() -> Heard {
    let world = World::start(PROGRAM).await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    fault(&world, "POST **:wait", "PERMISSION_DENIED", None);
    expect(&world, &world.release_job("v1.0.0", &first, "dev"), 0).await?;
    let policy = json!({"policy": {"bindings": [
        {"role": "roles/run.invoker", "members": ["allUsers", "user:ann@example.com"]},
    ]}});
    let service = "/v2/projects/demo-project/locations/us-central1/services/ml-api-dev";
    ask(&world, "POST", &format!("{service}:setIamPolicy"), &policy).await?;
    fault(&world, "PATCH **/services/ml-api-dev", "ABORTED", Some(1));
    fault(&world, "GET **/services/ml-api-dev", "UNAVAILABLE", Some(1));
    let private = world
        .release_job("v1.1.0", &second, "dev")
        .with("access", "private");
    expect(&world, &private, 0).await?;
    Ok(heard(world).await)
}

fn fault(world: &World, point: &str, status: &str, count: Option<u64>) {
    world.emulator.world().faults.add(Rule {
        point: point.to_owned(),
        count,
        fault: Fault {
            status: status.to_owned(),
            message: "on purpose".to_owned(),
            ..Fault::default()
        },
    });
}

/// The commands that look.
async fn from_a_terminal() -> Heard {
    let world = World::start(PROGRAM).await?;
    let commit = World::commit(1);
    world.built(&commit, api("setosa")).await?;
    expect(&world, &world.release_job("v1.0.0", &commit, "dev"), 0).await?;
    for arguments in [
        &["status"][..],
        &["revisions", "--environment", "dev"],
        &["logs", "--environment", "dev"],
        &[
            "plan",
            "v1.0.0",
            "--environment",
            "test",
            "--commit",
            &commit,
        ],
    ] {
        let oidc = format!(
            "{}/_github/oidc?repository=local/ml-api&ref=refs/heads/main",
            world.url()
        );
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .args([
                "--service-account",
                "me@demo-project.iam.gserviceaccount.com",
                "--workload-identity-provider",
                "projects/1/locations/global/workloadIdentityPools/p/providers/p",
            ])
            .env("ML_DEPLOY_CLOUD_URL", world.url())
            .env("GITHUB_API_URL", world.url())
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", oidc)
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "local")
            .env_remove("GITHUB_ACTIONS")
            .current_dir(world.checkout());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
    Ok(heard(world).await)
}
