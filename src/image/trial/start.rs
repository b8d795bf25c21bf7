//! Starts the container of a trial.

use std::collections::HashMap;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, StartContainerOptions,
};
use delivery::diagnostic::{Code, Diagnostic};

use super::{LABEL, RunningTrial, TrialRequest};
use crate::image::build::BuiltImage;
use crate::image::engine::Engine;
use crate::image::error::engine_failed;

impl Engine {
    /// Starts a container from an image, with a port published on 127.0.0.1. Where we run in a
    /// container ourselves, it joins our network, for the host's loopback is not ours then.
    ///
    /// # Errors
    /// [`Code::LocalTestsFailed`] when the container cannot be started, with the engine's text.
    pub async fn try_locally(
        &self,
        image: &BuiltImage,
        request: &TrialRequest,
    ) -> Result<RunningTrial, Diagnostic> {
        let title = "the image could not be started locally";
        let failed = |error| engine_failed(Code::LocalTestsFailed, title, &error);
        let body = self.container(image, request).await;
        let options = CreateContainerOptions {
            platform: image.platform.clone(),
            ..CreateContainerOptions::default()
        };
        let created = self
            .docker
            .create_container(Some(options), body)
            .await
            .map_err(failed)?;
        let mut trial = RunningTrial {
            docker: self.docker.clone(),
            id: created.id,
            addresses: Vec::new(),
            memory_bytes: request.memory_bytes,
            port: request.port,
            is_removed: false,
        };
        let started = self
            .docker
            .start_container(&trial.id, None::<StartContainerOptions>)
            .await;
        if let Err(error) = started {
            let diagnostic = failed(error).help(
                "see that CMD or ENTRYPOINT of the Dockerfile names a program that the image has",
            );
            trial.stop().await?;
            return Err(diagnostic);
        }
        let found = trial.inspect().await?;
        trial.addresses = addresses(&found, request.port);
        Ok(trial)
    }

    async fn container(&self, image: &BuiltImage, request: &TrialRequest) -> ContainerCreateBody {
        let mut env = request.env.clone();
        let service = &request.service;
        for (name, value) in [
            ("PORT", request.port.to_string()),
            ("K_SERVICE", service.clone()),
            ("K_CONFIGURATION", service.clone()),
            ("K_REVISION", format!("{service}-trial")),
        ] {
            env.insert(name.to_owned(), value);
        }
        let port = format!("{}/tcp", request.port);
        let binding = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some("0".to_owned()),
        };
        let memory = i64::try_from(request.memory_bytes).ok();
        let host_config = HostConfig {
            port_bindings: Some(HashMap::from([(port.clone(), Some(vec![binding]))])),
            memory,
            // No swap, as on Cloud Run.
            memory_swap: memory,
            nano_cpus: Some((request.cpus * 1e9) as i64),
            network_mode: self.own_network().await,
            ..HostConfig::default()
        };
        ContainerCreateBody {
            image: Some(image.id.clone()),
            env: Some(
                env.into_iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
            ),
            exposed_ports: Some(vec![port]),
            labels: Some(HashMap::from([(LABEL.to_owned(), service.clone())])),
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        }
    }

    /// The network of the container that we run in; `None` outside of one, or where its network is
    /// the host's. A container's host name is its identifier unless somebody set another.
    async fn own_network(&self) -> Option<String> {
        let name = std::fs::read_to_string("/etc/hostname").ok()?;
        let name = name.trim();
        let is_identifier = name.len() == 12 && name.chars().all(|c| c.is_ascii_hexdigit());
        if !is_identifier {
            return None;
        }
        let own = self
            .docker
            .inspect_container(name, None::<InspectContainerOptions>)
            .await
            .ok()?;
        let networks = own.network_settings?.networks?;
        networks
            .into_keys()
            .find(|network| network != "host" && network != "none")
    }
}

/// Container address first: it needs no proxy between.
fn addresses(found: &ContainerInspectResponse, port: u16) -> Vec<String> {
    let settings = found.network_settings.as_ref();
    let networks = settings.and_then(|settings| settings.networks.as_ref());
    let inner = networks
        .into_iter()
        .flat_map(HashMap::values)
        .filter_map(|network| {
            let ip = network.ip_address.as_deref().filter(|ip| !ip.is_empty())?;
            Some(format!("http://{ip}:{port}"))
        });
    let ports = settings.and_then(|settings| settings.ports.as_ref());
    let bindings = ports.and_then(|ports| ports.get(&format!("{port}/tcp"))?.as_ref());
    let outer = bindings.into_iter().flatten().filter_map(|binding| {
        let port = binding.host_port.as_deref()?;
        Some(format!("http://127.0.0.1:{port}"))
    });
    inner.chain(outer).collect()
}
