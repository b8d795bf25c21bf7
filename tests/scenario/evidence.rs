//! Evidence is asked for, and left: who starts the job, and how, does not matter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use emulator::admin::{Fault, Rule};
use serde_json::{Value, json};
use testkit::access::{PROJECT, REPOSITORY, deployer};
use testkit::{Job, World, api};

use super::diagnosis::printed;
use super::{Told, release, world};

const ENVIRONMENTS: [&str; 4] = ["dev", "test", "staging", "production"];
const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

fn key(environment: &str) -> String {
    format!("projects/{PROJECT}/locations/us-central1/keyRings/deploy/cryptoKeys/{environment}")
}

/// A world where each environment signs with a key of its own, and only its deployer may use it.
pub(super) async fn with_keys() -> Result<World, Box<dyn std::error::Error + Send + Sync>> {
    let world = world().await?;
    let mut config = String::from(
        "service: ml-api\nproject_id: demo-project\nregion: us-central1\n\
         image: us-central1-docker.pkg.dev/demo-project/ml/ml-api\n\
         tests: golden.yaml\naccess: public\nenvironments:\n",
    );
    world.enforce();
    for environment in ENVIRONMENTS {
        let key = key(environment);
        config.push_str(&format!(
            "  - name: {environment}\n    evidence_kms_key: {key}/cryptoKeyVersions/1\n"
        ));
        let cloud = world.emulator.world();
        cloud.kms.put_key(&key, cloud.clock.now())?;
        world.set_up_deployer(environment);
        let signer = "roles/cloudkms.signerVerifier";
        world.grant(&key, signer, &deployer(environment));
        let viewer = "roles/cloudkms.publicKeyViewer";
        ENVIRONMENTS
            .iter()
            .for_each(|other| world.grant(&key, viewer, &deployer(other)));
    }
    world.write(".github/ml-deploy.yml", &config)?;
    Ok(world)
}

pub(super) async fn ends(
    world: &World,
    job: &Job,
    code: i32,
) -> Result<testkit::JobEnd, Box<dyn std::error::Error + Send + Sync>> {
    let end = world.run(job).await?;
    assert_eq!(end.code, Some(code), "{}", end.log);
    Ok(end)
}

/// The verdict and the record that an environment left.
pub(super) fn of<'s>(statements: &'s [Value], environment: &str) -> (&'s Value, &'s Value) {
    let verdict = statements.iter().find(|it| {
        it["predicateType"] == TEST_RESULT
            && it["predicate"]["configuration"][0]["annotations"]["ml-deploy/environment"]
                == environment
    });
    let record = statements
        .iter()
        .find(|it| it["predicate"]["environment"] == environment);
    (
        verdict.unwrap_or(&Value::Null),
        record.unwrap_or(&Value::Null),
    )
}

#[tokio::test]
async fn production_directly_is_refused_and_the_whole_way_is_taken() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    for environment in ["production", "staging", "test"] {
        let end = release(&world, "v1.0.0", &commit, environment, 3).await?;
        for expected in ["D0671", "ml-deploy promote v1.0.0 --environment", &digest] {
            assert!(end.log.contains(expected), "{expected}:\n{}", end.log);
        }
        assert!(world.service("ml-api-prod").await?.is_none());
    }
    assert!(world.statements(&digest).await?.is_empty());
    for (index, environment) in ENVIRONMENTS.into_iter().enumerate() {
        let end = release(&world, "v1.0.0", &commit, environment, 0).await?;
        let before = index.checked_sub(1).map(|index| ENVIRONMENTS[index]);
        if let Some(before) = before {
            let line = format!("evidence: {before} passed with this image");
            assert!(end.log.contains(&line), "{}", end.log);
            assert!(end.log.contains("UNSIGNED"), "{}", end.log);
            assert!(end.summary.contains("UNSIGNED"), "{}", end.summary);
        }
    }
    let statements = world.statements(&digest).await?;
    assert_eq!(statements.len(), 8, "{statements:#?}");
    let (verdict, record) = of(&statements, "production");
    assert_eq!(verdict["predicate"]["result"], "PASSED");
    let hex = digest.trim_start_matches("sha256:");
    assert_eq!(verdict["subject"][0]["digest"]["sha256"], hex);
    let passed = verdict["predicate"]["passedTests"].to_string();
    assert!(passed.contains("api-tests/predicts setosa"), "{passed}");
    let url = verdict["predicate"]["url"].as_str().unwrap_or_default();
    assert!(
        url.ends_with("/octo-org/ml-api/actions/runs/100/attempts/1"),
        "{url}"
    );
    let predicate = &record["predicate"];
    assert_eq!(predicate["commit"], commit.as_str());
    assert_eq!(predicate["version"], "1.0.0");
    assert_eq!(predicate["basis"], "tested");
    assert_eq!(predicate["approval"]["policy"], "required");
    assert_eq!(predicate["approval"]["attempt"], "first");
    assert_eq!(predicate["services"][0]["service"], "ml-api-prod");
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/schema/evidence.schema.json"))?;
    let validator = jsonschema::validator_for(&schema)?;
    for environment in ENVIRONMENTS {
        let record = &of(&statements, environment).1["predicate"];
        validator
            .validate(record)
            .map_err(|error| error.to_string())?;
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_terminal_is_asked_as_a_job_is_and_a_rollback_is_not() -> Told {
    let world = world().await?;
    let (first, second) = (World::commit(1), World::commit(2));
    world.built(&first, api("setosa")).await?;
    world.built(&second, api("setosa")).await?;
    release(&world, "v1.0.0", &first, "production", 0).await?;
    release(&world, "v1.1.0", &second, "production", 0).await?;
    let unproven = World::commit(3);
    world.built_unproven(&unproven, api("setosa")).await?;
    let oidc = format!(
        "{}/_github/oidc?repository=local/ml-api&ref=refs/heads/main",
        world.url()
    );
    let mut command = std::process::Command::new(super::PROGRAM);
    command
        .args(["promote", "v2.0.0", "--environment", "staging"])
        .args(["--commit", &unproven])
        .args([
            "--service-account",
            "me@demo-project.iam.gserviceaccount.com",
        ])
        .args([
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
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("D0671"), "{told}");
    // No evidence is read on the way back: also with the registry gone.
    world.emulator.world().faults.add(Rule {
        point: "* /v2/demo-project/**".to_owned(),
        count: None,
        fault: Fault {
            status: "UNAVAILABLE".to_owned(),
            ..Fault::default()
        },
    });
    let end = world
        .run(&world.rollback_job("previous", "production"))
        .await?;
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert!(!end.log.contains("evidence:"), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn signed_evidence_goes_from_key_to_key() -> Told {
    let world = with_keys().await?;
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    for environment in ENVIRONMENTS {
        let end = release(&world, "v1.0.0", &commit, environment, 0).await?;
        assert!(end.log.contains("passed, signed, to"), "{}", end.log);
        assert!(!end.log.contains("UNSIGNED"), "{}", end.log);
        if environment != "dev" {
            assert!(end.log.contains("signed by its key"), "{}", end.log);
        }
    }
    assert_eq!(world.statements(&digest).await?.len(), 8);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn what_is_not_signed_by_the_key_is_refused_each_with_its_code() -> Told {
    let world = with_keys().await?;
    let unsigned = World::commit(1);
    // It has unsigned evidence of every environment.
    world.built(&unsigned, api("setosa")).await?;
    let end = release(&world, "v1.0.0", &unsigned, "test", 3).await?;
    assert!(end.log.contains("D0672"), "{}", end.log);

    let forged = World::commit(2);
    let digest = world.built_unproven(&forged, api("setosa")).await?;
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "dsseEnvelope": {
            "payload": STANDARD.encode(b"{\"_type\":\"::error::forged\"}"),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": STANDARD.encode(b"forged"), "keyid": "::error::forged"}],
        },
    });
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    world
        .attach(&digest, "dev", kind, bundle.to_string().as_bytes())
        .await?;
    let end = release(&world, "v1.0.1", &forged, "test", 3).await?;
    assert!(end.log.contains("D0673"), "{}", end.log);
    assert!(!end.log.contains("forged"), "{}", end.log);

    // In an emergency it goes on, and says so.
    let job = world
        .release_job("v1.0.1", &forged, "test")
        .with("evidence", "warn");
    let end = ends(&world, &job, 0).await?;
    assert!(end.log.contains("::warning title=D0673"), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn the_key_of_another_environment_signs_for_nobody_else() -> Told {
    let world = with_keys().await?;
    let commit = World::commit(1);
    world.built_unproven(&commit, api("setosa")).await?;
    // The deployer of production does as if it was staging's: it may not use staging's key.
    let job = world.release_job("v1.0.0", &commit, "dev").with(
        "evidence_kms_key",
        format!("{}/cryptoKeyVersions/1", key("staging")),
    );
    let end = ends(&world, &job, 6).await?;
    for expected in [
        "D0676",
        "cloudkms.cryptoKeyVersions.useToSign",
        "roles/cloudkms.signerVerifier",
        "gcloud kms keys add-iam-policy-binding staging --keyring=deploy",
        "v1.0.0 serves in dev",
    ] {
        assert!(end.log.contains(expected), "{expected}:\n{}", end.log);
    }
    // With its own key the same job attaches what is missing, and deploys nothing anew.
    let before = world.service("ml-api-dev").await?;
    let end = release(&world, "v1.0.0", &commit, "dev", 0).await?;
    assert_eq!(end.output("outcome").as_deref(), Some("up-to-date"));
    assert!(
        end.log.contains("attached that dev passed, signed"),
        "{}",
        end.log
    );
    assert_eq!(world.service("ml-api-dev").await?, before);
    release(&world, "v1.0.0", &commit, "test", 0).await?;
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn evidence_that_could_not_be_attached_is_attached_by_the_next_run() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    world.set_up_deployer("dev");
    let upload = "artifactregistry.repositories.uploadArtifacts";
    world.take_permission(REPOSITORY, &deployer("dev"), upload);
    let job = world.release_job("v1.0.0", &commit, "dev");
    let end = ends(&world, &job, 6).await?;
    for expected in [
        "D0676",
        upload,
        "v1.0.0 serves in dev",
        "run this job again",
    ] {
        assert!(end.log.contains(expected), "{expected}:\n{}", end.log);
    }
    assert_eq!(world.serving("ml-api-dev").await?.len(), 1);
    let start = "gcloud artifacts repositories add-iam-policy-binding";
    printed::carry_out_in(&end.log, start, &world).await?;
    ends(&world, &job.clone().again(), 0).await?;
    let statements = world.statements(&digest).await?;
    let (verdict, record) = of(&statements, "dev");
    assert_eq!(verdict["predicate"]["result"], "PASSED");
    assert_eq!(record["predicate"]["basis"], "recorded");
    assert_eq!(record["predicate"]["run"]["run"], "100/1");
    // Once is enough.
    ends(&world, &job, 0).await?;
    assert_eq!(world.statements(&digest).await?.len(), 2);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn failed_evidence_and_evidence_of_another_image_do_not_count() -> Told {
    let world = world().await?;
    let (failed, other) = (World::commit(1), World::commit(2));
    let digest = world.built_unproven(&failed, api("setosa")).await?;
    let predicate = json!({
        "result": "FAILED",
        "configuration": [{"annotations": {"ml-deploy/environment": "dev"}}],
        "failedTests": ["api-tests/::error::injected"],
    });
    world
        .vouch(&digest, "dev", &json!({"predicate": predicate}))
        .await?;
    let end = release(&world, "v1.0.0", &failed, "test", 3).await?;
    assert!(end.log.contains("D0675"), "{}", end.log);
    let is_command = |line: &str| line.starts_with("::error::injected");
    assert!(!end.log.lines().any(is_command), "{}", end.log);

    let digest = world.built_unproven(&other, api("setosa")).await?;
    let subject = json!([{"digest": {"sha256": "1".repeat(64)}}]);
    world
        .vouch(&digest, "dev", &json!({"subject": subject}))
        .await?;
    let end = release(&world, "v1.0.0", &other, "test", 3).await?;
    assert!(end.log.contains("D0674"), "{}", end.log);
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_registry_that_lists_no_referrers_keeps_them_under_a_tag() -> Told {
    let world = world().await?;
    let registry = &world.emulator.world().registry;
    registry.set_lists_referrers(false);
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    for environment in ENVIRONMENTS {
        release(&world, "v1.0.0", &commit, environment, 0).await?;
    }
    let tag = digest.replace(':', "-");
    let tags = world.image_tags().await?;
    assert!(tags.contains(&tag), "{tags:?}");
    assert!(
        !tags.iter().any(|it| it.starts_with(&format!("{tag}."))),
        "{tags:?}"
    );
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn where_tags_cannot_move_each_environment_gets_one() -> Told {
    let world = world().await?;
    let cloud = world.emulator.world();
    cloud.registry.set_lists_referrers(false);
    cloud
        .registry
        .put_repository(PROJECT, "ml", "us-central1", true, cloud.clock.now());
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    for environment in ENVIRONMENTS {
        release(&world, "v1.0.0", &commit, environment, 0).await?;
    }
    let tag = digest.replace(':', "-");
    let tags = world.image_tags().await?;
    for environment in ENVIRONMENTS {
        let own = format!("{tag}.{environment}");
        assert!(tags.contains(&own), "{own} is missing in {tags:?}");
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn a_plan_shows_the_evidence_so_far() -> Told {
    let world = world().await?;
    let commit = World::commit(1);
    world.built_unproven(&commit, api("setosa")).await?;
    release(&world, "v1.0.0", &commit, "dev", 0).await?;
    let plan = |environment| {
        let job = world.release_job("v1.0.0", &commit, environment);
        job.with("command", "plan")
    };
    let end = ends(&world, &plan("test"), 0).await?;
    assert!(
        end.log.contains("evidence: dev passed with this image"),
        "{}",
        end.log
    );
    assert!(
        end.summary.contains("dev passed with this image"),
        "{}",
        end.summary
    );
    let end = ends(&world, &plan("production"), 3).await?;
    for expected in [
        "D0671",
        "evidence: test: no evidence",
        "evidence: staging: no evidence",
    ] {
        assert!(end.log.contains(expected), "{expected}:\n{}", end.log);
    }
    world.end().await;
    Ok(())
}

#[tokio::test]
async fn image_and_evidence_are_copied_into_a_repository_of_its_own() -> Told {
    let world = world().await?;
    let base = "us-central1-docker.pkg.dev/demo-project";
    let config = format!(
        "service: ml-api\nproject_id: demo-project\nregion: us-central1\nimage: {base}/ml/ml-api\n\
         tests: golden.yaml\naccess: public\nenvironments:\n  - name: dev\n  - name: staging\n    \
         image: {base}/ml-staging/ml-api\n  - name: production\n    image: {base}/ml-prod/ml-api\n"
    );
    world.write(".github/ml-deploy.yml", &config)?;
    let commit = World::commit(1);
    let digest = world.built_unproven(&commit, api("setosa")).await?;
    release(&world, "v1.0.0", &commit, "staging", 3).await?;
    for (environment, service, repository) in [
        ("dev", "ml-api-dev", "ml"),
        ("staging", "ml-api-staging", "ml-staging"),
        ("production", "ml-api-prod", "ml-prod"),
    ] {
        release(&world, "v1.0.0", &commit, environment, 0).await?;
        let seen = world.service(service).await?.ok_or("no service")?;
        let image = seen["template"]["containers"][0]["image"].to_string();
        assert!(
            image.contains(&format!("/{repository}/ml-api@{digest}")),
            "{image}"
        );
        // The whole way is kept beside the image.
        let url = format!(
            "{}/v2/demo-project/{repository}/ml-api/referrers/{digest}",
            world.url()
        );
        let list: Value = reqwest::get(url).await?.json().await?;
        let count = list["manifests"].as_array().map_or(0, Vec::len);
        let expected = match environment {
            "dev" => 2,
            "staging" => 4,
            // A page of the local cloud's list.
            _ => 5,
        };
        assert_eq!(count, expected, "{environment}: {list:#}");
    }
    world.end().await;
    Ok(())
}
