use std::collections::BTreeMap;

use delivery::name::RevisionName;
use delivery::plan::NewRevision;
use delivery::release::{Commit, ImageDigest, ImageReference, Release};
use delivery::spec::{SecretBinding, ServiceSpec, UpdateStrategy};
use delivery::state::RevisionRecord;
use serde_json::{Value, json};

use super::super::template;
use super::*;

fn template_of(value: Value) -> RevisionTemplate {
    serde_json::from_value(value).unwrap()
}

/// What a service that others made may look like: a sidecar, plain and secret variables, files.
fn rich() -> RevisionTemplate {
    template_of(json!({
        "scaling": {"minInstanceCount": 1, "maxInstanceCount": 9},
        "timeout": "300s", "serviceAccount": "api@p.iam.gserviceaccount.com",
        "maxInstanceRequestConcurrency": 20,
        "volumes": [
            {"name": "v", "secret": {"secret": "model", "items": [{"path": "key", "version": "3"}]}},
            {"name": "scratch", "emptyDir": {"medium": "MEMORY"}},
        ],
        "containers": [
            {"name": "sidecar", "image": "proxy", "env": [{"name": "NOT_OURS", "value": "1"}]},
            {
                "name": "api", "image": "r/api@sha256:1", "ports": [{"containerPort": 8080}],
                "env": [
                    {"name": "LEVEL", "value": "info"}, {"name": "EMPTY"},
                    {"name": "KEY", "valueSource": {"secretKeyRef": {"secret": "key", "version": "1"}}},
                ],
                "resources": {"limits": {"cpu": "1", "memory": "512Mi"}, "cpuIdle": true},
                "volumeMounts": [{"name": "v", "mountPath": "/run/model"}, {"name": "scratch", "mountPath": "/tmp"}],
                "startupProbe": {"timeoutSeconds": 240, "periodSeconds": 240, "failureThreshold": 1,
                                 "tcpSocket": {"port": 8080}},
            },
        ],
    }))
}

fn new_revision(spec: ServiceSpec) -> NewRevision {
    let digest = ImageDigest::parse(format!("sha256:{:064x}", 7)).unwrap();
    let commit = Commit::parse(format!("{:040x}", 7)).unwrap();
    NewRevision {
        record: RevisionRecord {
            revision: RevisionName::parse("api-v2").unwrap(),
            digest: digest.clone(),
            config: spec.hash(),
            attempt: 1,
            version: None,
            commit: commit.clone(),
        },
        release: Release {
            image: ImageReference {
                repository: "r/api".to_owned(),
                digest,
            },
            commit,
            version: None,
        },
        spec,
    }
}

fn secret(place: SecretPlace, secret: &str) -> SecretBinding {
    SecretBinding {
        place,
        secret: secret.to_owned(),
        version: "latest".to_owned(),
    }
}

fn specs() -> Vec<ServiceSpec> {
    let variables = BTreeMap::from([
        ("LEVEL".to_owned(), "debug".to_owned()),
        ("NEW".to_owned(), "1".to_owned()),
        ("KEY".to_owned(), "plain".to_owned()),
    ]);
    let file = |path: &str| SecretPlace::File(path.to_owned());
    let variable = |name: &str| SecretPlace::Variable(name.to_owned());
    let merged = ServiceSpec {
        env_vars: variables,
        secrets: vec![
            secret(file("/run/model/other"), "other"),
            secret(file("/run/token/value"), "token"),
            secret(variable("EMPTY"), "empty"),
        ],
        ..ServiceSpec::default()
    };
    let added = ServiceSpec {
        secrets: vec![secret(file("/run/model/second"), "model")],
        ..ServiceSpec::default()
    };
    let sized = ServiceSpec {
        cpu: Some("2".to_owned()),
        memory: Some("1Gi".to_owned()),
        port: Some(9000),
        concurrency: Some(5),
        min_instances: Some(0),
        max_instances: Some(3),
        timeout_seconds: Some(60),
        service_account: Some("other@p.iam.gserviceaccount.com".to_owned()),
        startup_probe: Some(StartupProbe {
            action: ProbeAction::Http("/health".to_owned()),
            initial_delay: 1,
            period: 5,
            timeout: 2,
            failure_threshold: 24,
        }),
        ..ServiceSpec::default()
    };
    let overwriting = ServiceSpec {
        env_vars_update_strategy: UpdateStrategy::Overwrite,
        secrets_update_strategy: UpdateStrategy::Overwrite,
        ..merged.clone()
    };
    vec![ServiceSpec::default(), merged, added, sized, overwriting]
}

/// What is shown before the approval is what is written after it: the domain's answer and the
/// template that is sent agree.
#[test]
fn what_is_told_of_a_new_revision_is_what_its_template_says() {
    for before in [RevisionTemplate::default(), rich()] {
        for spec in specs() {
            let revision = new_revision(spec.clone());
            let told = of_template(&before).with(&revision);
            let written = template::apply(before.clone(), &revision).unwrap();
            assert_eq!(told, of_template(&written), "{before:?} with {spec:?}");
        }
    }
}

#[test]
fn the_container_with_the_port_is_the_one_that_counts() {
    let seen = of_template(&rich());
    assert_eq!(seen.image, "r/api@sha256:1");
    assert_eq!(
        seen.variables.keys().collect::<Vec<_>>(),
        ["EMPTY", "LEVEL"]
    );
    let secrets: Vec<String> = seen
        .secrets
        .iter()
        .map(|(place, source)| format!("{place:?} {}:{}", source.secret, source.version))
        .collect();
    assert_eq!(
        secrets,
        [
            "Variable(\"KEY\") key:1",
            "File(\"/run/model/key\") model:3"
        ]
    );
    assert_eq!(seen.timeout_seconds, Some(300));
    assert_eq!((seen.min_instances, seen.max_instances), (Some(1), Some(9)));
}

#[test]
fn what_stands_before_a_service_is_read() {
    let read = |value: Value| entrance(&serde_json::from_value(value).unwrap());
    assert_eq!(read(json!({})), Entrance::default());
    let closed = read(json!({
        "ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY", "defaultUriDisabled": true, "iapEnabled": true
    }));
    assert_eq!(
        closed,
        Entrance {
            ingress: Ingress::Internal,
            url_disabled: true,
            iap: true,
            answers: false
        }
    );
    let new = read(json!({"ingress": "INGRESS_TRAFFIC_NEW"}));
    assert_eq!(
        new.ingress,
        Ingress::Other("INGRESS_TRAFFIC_NEW".to_owned())
    );
}
