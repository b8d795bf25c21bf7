//! Secrets: as variables, or as files.

use cloud_api::run::{
    EnvVar, EnvVarSource, RevisionTemplate, SecretKeySelector, SecretVolumeSource, VersionToPath,
    Volume, VolumeMount,
};
use delivery::spec::{SecretBinding, SecretPlace, ServiceSpec, UpdateStrategy};
use sha2::{Digest, Sha256};

use super::set_variable;

/// Writes the secrets into the template; `index` is the container that takes requests.
pub(super) fn apply(template: &mut RevisionTemplate, index: usize, spec: &ServiceSpec) {
    if spec.secrets_update_strategy == UpdateStrategy::Overwrite {
        remove_all(template, index);
    }
    for binding in &spec.secrets {
        let SecretBinding {
            place,
            secret,
            version,
        } = binding;
        match place {
            SecretPlace::Variable(name) => {
                let variable = EnvVar {
                    name: name.clone(),
                    value_source: Some(EnvVarSource {
                        secret_key_ref: Some(SecretKeySelector {
                            secret: secret.clone(),
                            version: Some(version.clone()),
                        }),
                        ..EnvVarSource::default()
                    }),
                    ..EnvVar::default()
                };
                if let Some(container) = template.containers.get_mut(index) {
                    set_variable(container, variable);
                }
            }
            SecretPlace::File(path) => mount(template, index, path, secret, version),
        }
    }
}

fn remove_all(template: &mut RevisionTemplate, index: usize) {
    let Some(container) = template.containers.get_mut(index) else {
        return;
    };
    container.env.retain(|one| {
        one.value_source
            .as_ref()
            .is_none_or(|source| source.secret_key_ref.is_none())
    });
    let volumes = &template.volumes;
    let is_secret = |name: &str| {
        volumes
            .iter()
            .any(|one| one.name == name && one.secret.is_some())
    };
    container.volume_mounts.retain(|one| !is_secret(&one.name));
    remove_unused(template);
}

/// Removes secret volumes that no container mounts any more.
fn remove_unused(template: &mut RevisionTemplate) {
    let containers = &template.containers;
    template.volumes.retain(|volume| {
        volume.secret.is_none()
            || containers
                .iter()
                .flat_map(|one| &one.volume_mounts)
                .any(|one| one.name == volume.name)
    });
}

/// One file: a volume for its directory, mounted there. Cloud Run mounts one secret a directory.
fn mount(template: &mut RevisionTemplate, index: usize, path: &str, secret: &str, version: &str) {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    let directory = if directory.is_empty() { "/" } else { directory };
    let item = VersionToPath {
        path: file.to_owned(),
        version: Some(version.to_owned()),
        ..VersionToPath::default()
    };
    let Some(container) = template.containers.get_mut(index) else {
        return;
    };
    let mounted = container
        .volume_mounts
        .iter()
        .find(|one| one.mount_path.trim_end_matches('/') == directory.trim_end_matches('/'));
    if let Some(name) = mounted.map(|one| one.name.clone()) {
        let source = template
            .volumes
            .iter_mut()
            .find(|one| one.name == name)
            .and_then(|volume| volume.secret.as_mut())
            .filter(|source| source.secret == secret);
        if let Some(source) = source {
            match source.items.iter_mut().find(|one| one.path == file) {
                Some(known) => *known = item,
                None => source.items.push(item),
            }
            return;
        }
        container.volume_mounts.retain(|one| one.name != name);
    }
    let name = volume_name(directory, secret);
    container.volume_mounts.push(VolumeMount {
        name: name.clone(),
        mount_path: directory.to_owned(),
        ..VolumeMount::default()
    });
    remove_unused(template);
    template.volumes.retain(|one| one.name != name);
    template.volumes.push(Volume {
        name,
        secret: Some(SecretVolumeSource {
            secret: secret.to_owned(),
            items: vec![item],
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    });
}

/// The same directory and secret always have the same name, so that nothing changes by itself.
fn volume_name(directory: &str, secret: &str) -> String {
    let digest = Sha256::digest(format!("{directory}\n{secret}").as_bytes());
    format!("secret-{}", &hex::encode(digest)[..8])
}
