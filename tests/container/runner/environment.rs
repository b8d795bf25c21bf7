//! What a step's container gets: environment, mounts, the docker command line.

use std::collections::BTreeMap;
use std::path::Path;

use super::arguments::{quote, split};
use super::paths::Mappings;
use super::{Job, random_hex, text};

/// A command line of docker, and the values that travel in the client's environment.
pub(super) struct CommandLine {
    pub(super) container: String,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
}

/// The step's own part.
pub(super) struct Parts<'a> {
    pub(super) inputs: &'a BTreeMap<String, String>,
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) state: &'a BTreeMap<String, String>,
    /// By the name of the context, such as `output`.
    pub(super) command_files: &'a [(&'static str, std::path::PathBuf)],
    pub(super) entrypoint: Option<&'a str>,
    pub(super) arguments: &'a str,
}

/// Host folders and where they are mounted, in the runner's order.
pub(super) fn mappings(job: &Job) -> Mappings {
    let mut mappings = Mappings::default();
    for (host, container) in folders(job) {
        mappings.add(&host, container);
    }
    mappings
}

fn folders(job: &Job) -> [(String, &'static str); 5] {
    let temp = job.temp();
    let owned = |path: &Path| text(path).to_owned();
    [
        (owned(&temp), "/github/runner_temp"),
        (owned(&temp.join("_github_home")), "/github/home"),
        (owned(&temp.join("_github_workflow")), "/github/workflow"),
        (
            owned(&temp.join("_runner_file_commands")),
            "/github/file_commands",
        ),
        (owned(&job.workspace()), "/github/workspace"),
    ]
}

/// The whole command.
pub(super) fn command_line(job: &Job, parts: &Parts<'_>) -> CommandLine {
    let environment = environment(job, parts);
    let container = format!("{}_{}", sanitised(&job.image), random_hex(6));
    let mut options = vec![
        format!("--name {container}"),
        format!("--label {}", job.label),
        "--workdir /github/workspace".to_owned(),
        "--rm".to_owned(),
    ];
    options.extend(environment.keys().map(|name| format!("-e {}", quote(name))));
    options.push("-e GITHUB_ACTIONS=true".to_owned());
    if !environment.contains_key("CI") {
        options.push("-e CI=true".to_owned());
    }
    if let Some(entrypoint) = parts.entrypoint {
        options.push(format!("--entrypoint \"{entrypoint}\""));
    }
    if let Some(network) = &job.network {
        options.push(format!("--network {network}"));
    }
    let socket = ("/var/run/docker.sock".to_owned(), "/var/run/docker.sock");
    for (host, inside) in [socket].into_iter().chain(folders(job)) {
        options.push(format!("-v {}:{}", quote(&host), quote(inside)));
    }
    options.push(job.image.clone());
    options.push(parts.arguments.to_owned());
    CommandLine {
        container,
        arguments: split(&format!("run {}", options.join(" "))),
        environment,
    }
}

/// In the runner's order: what comes later replaces what came before.
fn environment(job: &Job, parts: &Parts<'_>) -> BTreeMap<String, String> {
    let mut all = job.environment.clone();
    all.extend(parts.environment.clone());
    for (name, value) in parts.state {
        all.insert(format!("STATE_{name}"), value.clone());
    }
    for (name, value) in parts.inputs {
        let name = name.replace(' ', "_").to_uppercase();
        all.insert(format!("INPUT_{name}"), value.clone());
    }
    all.insert(
        "HOME".to_owned(),
        text(&job.temp().join("_github_home")).to_owned(),
    );
    for (key, value) in &job.context {
        all.insert(format!("GITHUB_{}", key.to_uppercase()), value.clone());
    }
    for (key, path) in parts.command_files {
        all.insert(
            format!("GITHUB_{}", key.to_uppercase()),
            text(path).to_owned(),
        );
    }
    let event = job.temp().join("_github_workflow/event.json");
    let workspace = job.workspace();
    let outer = workspace
        .parent()
        .expect("the workspace is in a folder")
        .to_owned();
    for (name, value) in [
        ("GITHUB_EVENT_PATH", text(&event)),
        ("GITHUB_WORKSPACE", text(&workspace)),
        ("RUNNER_ARCH", "X64"),
        ("RUNNER_ENVIRONMENT", "github-hosted"),
        ("RUNNER_NAME", "GitHub Actions 1"),
        ("RUNNER_OS", "Linux"),
        ("RUNNER_TEMP", text(&job.temp())),
        ("RUNNER_TOOL_CACHE", "/opt/hostedtoolcache"),
        ("RUNNER_WORKSPACE", text(&outer)),
        (
            "ACTIONS_RUNTIME_URL",
            "https://pipelines.actions.githubusercontent.com/x/",
        ),
        ("ACTIONS_RUNTIME_TOKEN", "runtime-token-0123456789"),
        (
            "ACTIONS_CACHE_URL",
            "https://artifactcache.actions.githubusercontent.com/x/",
        ),
        (
            "ACTIONS_RESULTS_URL",
            "https://results-receiver.actions.githubusercontent.com/",
        ),
    ] {
        all.insert(name.to_owned(), value.to_owned());
    }
    if let Some((url, token)) = &job.id_token {
        all.insert("ACTIONS_ID_TOKEN_REQUEST_URL".to_owned(), url.clone());
        all.insert("ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(), token.clone());
    }
    let mappings = mappings(job);
    all.into_iter()
        .map(|(name, value)| (name, mappings.to_container(&value)))
        .collect()
}

/// Letters, digits and underscores of an image's name; others become underscores.
fn sanitised(image: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    image.chars().map(kept).collect()
}
