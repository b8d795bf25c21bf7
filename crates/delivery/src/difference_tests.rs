use std::collections::BTreeMap;

use super::*;
use crate::configuration::Hidden;
use crate::release::{Commit, ImageDigest, ImageReference, Release};
use crate::spec::{ProbeAction, SecretBinding, ServiceSpec, StartupProbe, UpdateStrategy};
use crate::state::RevisionRecord;

use crate::name::RevisionName;
use crate::plan::NewRevision;

fn configuration() -> Configuration {
    Configuration {
        image: "r/api@sha256:1".to_owned(),
        variables: BTreeMap::from([
            ("LEVEL".to_owned(), Hidden::new("info")),
            ("GONE".to_owned(), Hidden::new("x")),
            ("ML_DEPLOY_VERSION".to_owned(), Hidden::new("v1")),
        ]),
        secrets: BTreeMap::from([secret("KEY", "key", "1")]),
        cpu: Some("1".to_owned()),
        ..Configuration::default()
    }
}

fn secret(name: &str, secret: &str, version: &str) -> (SecretPlace, SecretSource) {
    let source = SecretSource {
        secret: secret.to_owned(),
        version: version.to_owned(),
    };
    let place = if name.starts_with('/') {
        SecretPlace::File(name.to_owned())
    } else {
        SecretPlace::Variable(name.to_owned())
    };
    (place, source)
}

fn binding(name: &str, source: &str, version: &str) -> SecretBinding {
    let (place, SecretSource { secret, version }) = secret(name, source, version);
    SecretBinding {
        place,
        secret,
        version,
    }
}

fn revision(spec: ServiceSpec) -> NewRevision {
    let digest = ImageDigest::parse(format!("sha256:{:064x}", 2)).unwrap();
    let commit = Commit::parse(format!("{:040x}", 2)).unwrap();
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

fn told(before: Option<&Configuration>, after: &Configuration) -> Vec<String> {
    difference(before, after)
        .iter()
        .map(Change::describe)
        .collect()
}

#[test]
fn every_kind_of_change_is_told_and_no_value_of_a_variable() {
    let before = configuration();
    let spec = ServiceSpec {
        env_vars: BTreeMap::from([
            ("LEVEL".to_owned(), "hunter2".to_owned()),
            ("NEW".to_owned(), "hunter3".to_owned()),
            ("ML_DEPLOY_VERSION".to_owned(), "v2".to_owned()),
        ]),
        env_vars_update_strategy: UpdateStrategy::Overwrite,
        secrets: vec![
            binding("KEY", "key", "2"),
            binding("/run/c/token", "token", "latest"),
        ],
        cpu: Some("2".to_owned()),
        memory: Some("1Gi".to_owned()),
        min_instances: Some(1),
        startup_probe: Some(StartupProbe {
            action: ProbeAction::Http("/health".to_owned()),
            initial_delay: 0,
            period: 5,
            timeout: 1,
            failure_threshold: 24,
        }),
        ..ServiceSpec::default()
    };
    let after = before.with(&revision(spec));
    let told = told(Some(&before), &after);
    let image = format!("~ image: r/api@sha256:1 → r/api@sha256:{:064x}", 2);
    assert_eq!(
        told,
        [
            image.as_str(),
            "- variable GONE",
            "~ variable LEVEL (another value)",
            "+ variable NEW",
            "~ secret KEY: key:1 → key:2",
            "+ secret /run/c/token: token:latest",
            "~ cpu: 1 → 2",
            "+ memory: 1Gi",
            "+ min_instances: 1",
            "+ startup_probe: http:/health initial_delay=0 period=5 timeout=1 failure_threshold=24",
        ]
    );
    let everything = format!("{after:?} {:?}", difference(Some(&before), &after));
    assert!(!everything.contains("hunter"), "{everything}");
}

#[test]
fn the_same_is_no_change_and_the_first_revision_is_all_new() {
    let one = configuration();
    assert_eq!(told(Some(&one), &one), Vec::<String>::new());
    assert_eq!(
        told(None, &one),
        [
            "+ image: r/api@sha256:1",
            "+ variable GONE",
            "+ variable LEVEL",
            "+ secret KEY: key:1",
            "+ cpu: 1"
        ]
    );
}

#[test]
fn a_name_is_either_a_variable_or_a_secret() {
    let before = configuration();
    let spec = ServiceSpec {
        env_vars: BTreeMap::from([("KEY".to_owned(), "plain".to_owned())]),
        secrets: vec![binding("LEVEL", "level", "1")],
        ..ServiceSpec::default()
    };
    let after = before.with(&revision(spec));
    let told = told(Some(&before), &after);
    assert_eq!(
        told[1..],
        [
            "+ variable KEY",
            "- variable LEVEL",
            "- secret KEY: key:1",
            "+ secret LEVEL: level:1"
        ]
    );
}

#[test]
fn another_secret_takes_a_directory_over() {
    let mut before = configuration();
    before.secrets = BTreeMap::from([
        secret("/run/a/one", "first", "1"),
        secret("/run/a/two", "first", "1"),
        secret("/run/b/one", "first", "1"),
    ]);
    let spec = ServiceSpec {
        secrets: vec![binding("/run/a/three", "second", "1")],
        ..ServiceSpec::default()
    };
    let after = before.with(&revision(spec));
    let places: Vec<&str> = after.secrets.keys().map(place_in_words).collect();
    assert_eq!(places, ["/run/a/three", "/run/b/one"]);
}
