use delivery::release::{Commit, ImageDigest, ImageReference, Release};
use delivery::spec::{SecretBinding, SecretPlace};
use delivery::state::RevisionRecord;
use serde_json::{Value, json};

use super::*;

fn revision(spec: ServiceSpec) -> NewRevision {
    let digest = ImageDigest::parse(format!("sha256:{}", "d".repeat(64))).unwrap();
    let commit = Commit::parse("c".repeat(40)).unwrap();
    NewRevision {
        record: RevisionRecord {
            revision: delivery::name::RevisionName::parse("api-v2-0-0-abcdef").unwrap(),
            digest: digest.clone(),
            config: spec.hash(),
            attempt: 1,
            version: None,
            commit: commit.clone(),
        },
        release: Release {
            image: ImageReference {
                repository: "us-central1-docker.pkg.dev/p/r/api".to_owned(),
                digest,
            },
            commit,
            version: None,
        },
        spec,
    }
}

fn applied(template: Value, spec: ServiceSpec) -> Value {
    let template = serde_json::from_value(template).unwrap();
    serde_json::to_value(apply(template, &revision(spec)).unwrap()).unwrap()
}

/// What another tool made, with fields that this program does not know.
fn existing() -> Value {
    json!({
        "revision": "api-00001-abc",
        "labels": {"team": "ml"},
        "annotations": {"other": "kept"},
        "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
        "vpcAccess": {"egress": "ALL_TRAFFIC"},
        "timeout": "300s",
        "containers": [
            {"name": "proxy", "image": "sidecar@sha256:1", "livenessProbe": {"grpc": {}}},
            {
                "name": "api", "image": "old", "workingDir": "/srv",
                "ports": [{"name": "h2c", "containerPort": 8080}],
                "env": [
                    {"name": "KEEP", "value": "1"},
                    {"name": "TOKEN", "valueSource": {"secretKeyRef": {"secret": "t", "version": "1"}}}
                ],
                "resources": {"limits": {"cpu": "1", "memory": "512Mi", "nvidia.com/gpu": "1"}},
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "cert", "mountPath": "/cert", "subPath": "x"}
                ],
                "startupProbe": {"timeoutSeconds": 240, "periodSeconds": 240,
                    "failureThreshold": 1, "tcpSocket": {"port": 8080}}
            }
        ],
        "volumes": [
            {"name": "data", "gcs": {"bucket": "b"}},
            {"name": "cert", "secret": {"secret": "cert", "items": [{"path": "c", "version": "1"}],
                "defaultMode": 256}}
        ]
    })
}

#[test]
fn nothing_said_changes_nothing_but_image_name_and_marks() {
    let mut expected = existing();
    expected["revision"] = json!("api-v2-0-0-abcdef");
    expected["labels"] =
        json!({"team": "ml", "managed-by": "ml-deploy", "commit-sha": "c".repeat(40)});
    expected["containers"][1]["image"] = json!(format!(
        "us-central1-docker.pkg.dev/p/r/api@sha256:{}",
        "d".repeat(64)
    ));
    // Left out in an answer means false, which is said again.
    expected["containers"][1]["resources"]["cpuIdle"] = json!(false);
    let record = revision(ServiceSpec::default()).record;
    expected["annotations"]["ml-deploy/release"] = json!(serde_json::to_string(&record).unwrap());
    assert_eq!(applied(existing(), ServiceSpec::default()), expected);
}

#[test]
fn a_new_service_says_everything_that_is_wanted() {
    let spec = ServiceSpec {
        env_vars: [("A".to_owned(), "1".to_owned())].into(),
        labels: [("team".to_owned(), "ml".to_owned())].into(),
        cpu: Some("2".to_owned()),
        memory: Some("1Gi".to_owned()),
        port: Some(5000),
        concurrency: Some(10),
        min_instances: Some(0),
        max_instances: Some(3),
        timeout_seconds: Some(60),
        service_account: Some("sa@p.iam.gserviceaccount.com".to_owned()),
        startup_probe: Some(StartupProbe {
            action: ProbeAction::Http("/health".to_owned()),
            initial_delay: 0,
            period: 5,
            timeout: 2,
            failure_threshold: 24,
        }),
        ..ServiceSpec::default()
    };
    let template = applied(json!({}), spec);
    assert_eq!(
        template["scaling"],
        json!({"minInstanceCount": 0, "maxInstanceCount": 3})
    );
    assert_eq!(template["timeout"], "60s");
    assert_eq!(template["maxInstanceRequestConcurrency"], 10);
    assert_eq!(template["serviceAccount"], "sa@p.iam.gserviceaccount.com");
    assert_eq!(template["labels"]["team"], "ml");
    let container = &template["containers"][0];
    assert_eq!(
        container["resources"],
        json!({"limits": {"cpu": "2", "memory": "1Gi"}, "cpuIdle": true})
    );
    assert_eq!(container["ports"], json!([{"containerPort": 5000}]));
    assert_eq!(container["env"], json!([{"name": "A", "value": "1"}]));
    assert_eq!(
        container["startupProbe"],
        json!({"initialDelaySeconds": 0, "timeoutSeconds": 2, "periodSeconds": 5,
            "failureThreshold": 24, "httpGet": {"path": "/health"}})
    );
}

#[test]
fn a_new_port_moves_the_default_probe_with_it() {
    let spec = ServiceSpec {
        port: Some(5000),
        ..ServiceSpec::default()
    };
    let template = applied(existing(), spec);
    let container = &template["containers"][1];
    assert_eq!(
        container["ports"],
        json!([{"name": "h2c", "containerPort": 5000}])
    );
    assert_eq!(container["startupProbe"]["tcpSocket"]["port"], 5000);
}

#[test]
fn variables_are_merged_or_replaced_and_secrets_stay_apart() {
    let spec = |strategy| ServiceSpec {
        env_vars: [("KEEP", "2"), ("NEW", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        env_vars_update_strategy: strategy,
        ..ServiceSpec::default()
    };
    let names = |template: &Value| -> Vec<String> {
        let env = template["containers"][1]["env"].as_array().unwrap();
        env.iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let merged = applied(existing(), spec(UpdateStrategy::Merge));
    assert_eq!(names(&merged), ["KEEP", "TOKEN", "NEW"]);
    assert_eq!(merged["containers"][1]["env"][0]["value"], "2");
    let replaced = applied(existing(), spec(UpdateStrategy::Overwrite));
    assert_eq!(names(&replaced), ["TOKEN", "KEEP", "NEW"]);
}

fn secret(place: SecretPlace, secret: &str, version: &str) -> SecretBinding {
    SecretBinding {
        place,
        secret: secret.to_owned(),
        version: version.to_owned(),
    }
}

#[test]
fn secrets_become_variables_and_files() {
    let file = |path: &str| SecretPlace::File(path.to_owned());
    let spec = ServiceSpec {
        secrets: vec![
            secret(SecretPlace::Variable("TOKEN".to_owned()), "t2", "latest"),
            secret(file("/cert/c"), "cert", "2"),
            secret(file("/cert/d"), "cert", "3"),
            secret(file("/keys/k"), "key", "latest"),
        ],
        ..ServiceSpec::default()
    };
    let template = applied(existing(), spec);
    let container = &template["containers"][1];
    assert_eq!(
        container["env"][1],
        json!({"name": "TOKEN", "valueSource": {"secretKeyRef": {"secret": "t2", "version": "latest"}}})
    );
    // The volume that is there is extended, with what it has.
    assert_eq!(
        template["volumes"][1]["secret"],
        json!({"secret": "cert", "defaultMode": 256, "items": [
            {"path": "c", "version": "2"}, {"path": "d", "version": "3"}]})
    );
    let added = &template["volumes"][2];
    assert_eq!(
        added["secret"],
        json!({"secret": "key", "items": [{"path": "k", "version": "latest"}]})
    );
    assert_eq!(
        container["volumeMounts"][2],
        json!({"name": added["name"], "mountPath": "/keys"})
    );
    assert_eq!(template["volumes"].as_array().unwrap().len(), 3);
}

#[test]
fn another_secret_in_a_directory_takes_its_place() {
    let spec = ServiceSpec {
        secrets: vec![secret(
            SecretPlace::File("/cert/c".to_owned()),
            "other",
            "1",
        )],
        ..ServiceSpec::default()
    };
    let template = applied(existing(), spec);
    let volumes = template["volumes"].as_array().unwrap();
    assert_eq!(volumes.len(), 2);
    assert_eq!(volumes[1]["secret"]["secret"], "other");
    let mounts = template["containers"][1]["volumeMounts"]
        .as_array()
        .unwrap();
    assert_eq!(mounts.len(), 2);
    assert_eq!(mounts[1]["name"], volumes[1]["name"]);
}

#[test]
fn overwriting_secrets_removes_the_others_and_keeps_other_volumes() {
    let spec = ServiceSpec {
        secrets_update_strategy: UpdateStrategy::Overwrite,
        ..ServiceSpec::default()
    };
    let template = applied(existing(), spec);
    let container = &template["containers"][1];
    assert_eq!(container["env"], json!([{"name": "KEEP", "value": "1"}]));
    assert_eq!(
        container["volumeMounts"],
        json!([{"name": "data", "mountPath": "/data"}])
    );
    assert_eq!(
        template["volumes"],
        json!([{"name": "data", "gcs": {"bucket": "b"}}])
    );
}
