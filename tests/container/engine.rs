//! The Docker engine, and the action's image, built once for all tests.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use crate::repository;

/// The image that `uses: ./` would build, under a name of the tests.
const ACTION_IMAGE: &str = "ml-deploy/action-test:latest";

/// Fails, and says what to do, unless an engine answers.
#[track_caller]
pub(crate) fn require() {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    let answers = ANSWERS.get_or_init(|| {
        Command::new("docker")
            .arg("info")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    assert!(
        answers,
        "no Docker engine answers: start one, or run `scripts/setup engine`"
    );
}

/// Runs docker and gives what it prints.
#[track_caller]
pub(crate) fn docker(arguments: &[&str]) -> String {
    require();
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the docker client");
    assert!(
        output.status.success(),
        "docker {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8 from docker")
}

/// The action's image, from its Dockerfile, by the builder that knows no `RUN --mount`.
#[track_caller]
pub(crate) fn action_image() -> &'static str {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    require();
    if let Err(reason) = BUILT.get_or_init(build_action) {
        panic!("{reason}");
    }
    ACTION_IMAGE
}

fn build_action() -> Result<(), String> {
    build_dist()?;
    let mut build = Command::new("docker");
    build
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "--tag", ACTION_IMAGE, "."]);
    run(build, "docker build (needs `scripts/setup action-base`)")
}

/// Puts the action's binary into `dist/`, once for all tests.
pub(crate) fn build_dist() -> Result<(), String> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let begun = Instant::now();
            run(dist(), "scripts/dist")?;
            eprintln!("the action's binary was built in {:.1?}", begun.elapsed());
            Ok(())
        })
        .clone()
}

/// Cargo tells a test which package it belongs to. Build scripts look at these variables: with them
/// everything would be compiled again, here and once more by the next `scripts/dist` in a shell.
fn dist() -> Command {
    let mut dist = Command::new("scripts/dist");
    let told = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
    ];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if told.iter().any(|prefix| text.starts_with(prefix)) || text == "LD_LIBRARY_PATH" {
            dist.env_remove(&name);
        }
    }
    dist
}

/// Fails, and says what to do, unless the engine has an image.
#[track_caller]
pub(crate) fn require_image(image: &str, setup: &str) {
    require();
    let there = Command::new("docker")
        .args(["image", "inspect", image])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(there, "the engine has no image {image}: run `{setup}`");
}

fn run(mut command: Command, name: &str) -> Result<(), String> {
    let output = command
        .current_dir(repository())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{name} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// The address of this machine on the engine's default network.
#[track_caller]
pub(crate) fn bridge_gateway() -> IpAddr {
    let format = "{{range .IPAM.Config}}{{.Gateway}} {{.Subnet}} {{end}}";
    let printed = docker(&["network", "inspect", "bridge", "--format", format]);
    gateway_in(&printed).unwrap_or_else(|| panic!("the bridge network has no gateway: {printed}"))
}

/// The gateway that is told. On its first start an engine may tell the subnet only, and takes its first
/// address.
fn gateway_in(printed: &str) -> Option<IpAddr> {
    let told = printed
        .split_whitespace()
        .find_map(|word| word.parse().ok());
    let of_subnet = || {
        let mut words = printed.split_whitespace();
        let subnet: Ipv4Addr = words.find_map(|word| word.split_once('/')?.0.parse().ok())?;
        Some(IpAddr::V4(Ipv4Addr::from(u32::from(subnet) + 1)))
    };
    told.or_else(of_subnet)
}

#[test]
fn the_gateway_is_the_one_that_is_told_or_the_first_address() {
    for (printed, expected) in [
        ("172.17.0.1 172.17.0.0/16 ", Some([172, 17, 0, 1])),
        (" 172.17.0.0/16 ", Some([172, 17, 0, 1])),
        ("10.9.0.254 10.9.0.0/24 ", Some([10, 9, 0, 254])),
        ("", None),
    ] {
        assert_eq!(
            gateway_in(printed),
            expected.map(IpAddr::from),
            "{printed:?}"
        );
    }
}
