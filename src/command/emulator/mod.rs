//! `ml-deploy emulator`: the local cloud, and the variables that point a shell at it.

mod point;
mod variables;

use std::time::Duration;

use anyhow::Context;
use emulator::runtime::DockerRuntime;
use emulator::{Config, Emulator, StartError};

use super::shell::Shell;
use crate::cli::EmulatorArgs;

/// Serves until a signal, or prints the variables.
///
/// # Errors
/// When there is no Docker engine, or the address is taken.
pub(super) async fn run(shell: &Shell, arguments: &EmulatorArgs) -> anyhow::Result<()> {
    if arguments.env {
        return point::run(shell, arguments).await;
    }
    warn_of_strangers(shell, arguments);
    let connected = match &arguments.data_dir {
        Some(folder) => DockerRuntime::connect_for(folder).await,
        None => DockerRuntime::connect().await,
    };
    let runtime = connected
        .context("the local cloud runs containers: start a Docker engine, or set DOCKER_HOST")?;
    let config = Config {
        listen: arguments.listen,
        data_plane: arguments.data_plane,
        seed: arguments.seed,
        propagation_ms: arguments.propagation_ms,
        idle: Duration::from_secs(arguments.idle_seconds),
        max_instances: arguments.max_instances.into(),
        data_dir: arguments.data_dir.clone(),
        ..Config::loopback(runtime)
    };
    let cloud = Emulator::start(config).await.map_err(|error| {
        let taken = matches!(error, StartError::Listen { .. });
        let error = anyhow::Error::new(error);
        if taken {
            error.context("another local cloud may be up: give a free address with `--listen`")
        } else {
            error
        }
    })?;
    let url = cloud.world().base_url();
    let out = &shell.streams.out;
    out.say(&format!(
        "The local cloud listens on {url}. Ctrl-C ends it, and removes its containers.\n\n"
    ));
    out.say(&format!(
        "In another terminal:\n  eval \"$(ml-deploy emulator --env --cloud-url {url})\"\n"
    ));
    shell.stop.cancelled().await;
    cloud.stop().await;
    Ok(())
}

/// Says what it means to listen where others can ask.
fn warn_of_strangers(shell: &Shell, arguments: &EmulatorArgs) {
    let EmulatorArgs {
        listen, data_plane, ..
    } = arguments;
    if listen.ip().is_loopback() && data_plane.is_loopback() {
        return;
    }
    let what = if listen.ip().is_loopback() {
        format!(
            "the services of this local cloud answer on {data_plane}: everybody who reaches that address can call the public ones"
        )
    } else {
        format!(
            "this local cloud listens on {listen} and asks for no credentials: everybody who reaches that address can have tokens of it and run containers on this machine"
        )
    };
    shell.streams.err.say(&format!(
        "warning: {what}. Use 127.0.0.1 unless the network is yours alone.\n"
    ));
}
