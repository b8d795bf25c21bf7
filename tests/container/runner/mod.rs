//! A model of GitHub's runner where it runs a container action: its folders, the environment, the
//! docker command line, the command files and the commands in the output.
//!
//! Written after actions/runner 2.336 (`ContainerActionHandler`, `DockerCommandManager`,
//! `ActionCommand`, `FileCommandManager`, `ProcessInvoker`).

mod arguments;
mod command_files;
mod commands;
mod environment;
mod paths;
mod process;
mod step;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::manifest::Manifest;

pub(crate) use step::{Step, StepEnd};

/// A job on a runner: the folders and contexts that its steps share.
pub(crate) struct Job {
    root: TempDir,
    manifest: Manifest,
    image: String,
    /// Tells this runner's containers from others: `--label`.
    label: String,
    /// Given by the runner only where the job has containers of its own.
    network: Option<String>,
    /// Workflow and job `env:`, and what earlier steps wrote to `GITHUB_ENV`.
    environment: BTreeMap<String, String>,
    /// The `github` context, by its keys.
    context: BTreeMap<String, String>,
    event: Value,
    /// Where an OIDC token is to be had, with `permissions: id-token: write`.
    id_token: Option<(String, String)>,
    github_token: String,
}

impl Job {
    /// A job of `acme/ml-api` with an empty workspace, on a push to `main`.
    pub(crate) fn new(image: &str, manifest: Manifest) -> Self {
        let root = tempfile::Builder::new()
            .prefix("runner-")
            .tempdir()
            .expect("a folder in the system's temporary directory");
        let job = Self {
            root,
            manifest,
            image: image.to_owned(),
            label: random_hex(6),
            network: None,
            environment: BTreeMap::new(),
            context: default_context(),
            event: json!({}),
            id_token: None,
            github_token: "ghs_0123456789abcdefghijklmnopqrstuvwxyz".to_owned(),
        };
        for folder in [
            job.temp(),
            job.temp().join("_github_home"),
            job.temp().join("_github_workflow"),
            job.temp().join("_runner_file_commands"),
            job.workspace(),
        ] {
            fs::create_dir_all(folder).expect("a folder of the runner");
        }
        job
    }

    /// Runs the steps on this network of the engine, as when the job has service containers.
    pub(crate) fn on_network(mut self, network: &str) -> Self {
        self.network = Some(network.to_owned());
        self
    }

    /// Sets values of the `github` context, such as `("ref", "refs/tags/v1.0.0")`. `ref_name` and
    /// `ref_type` follow from `ref`.
    pub(crate) fn context(mut self, values: &[(&str, &str)]) -> Self {
        for (key, value) in values {
            if *key == "ref" {
                let (kind, name) = match value.strip_prefix("refs/tags/") {
                    Some(tag) => ("tag", tag),
                    None => ("branch", value.trim_start_matches("refs/heads/")),
                };
                self.put("ref_name", name);
                self.put("ref_type", kind);
            }
            self.put(key, value);
        }
        self
    }

    /// Sets the payload of the event.
    pub(crate) fn event(mut self, payload: Value) -> Self {
        self.event = payload;
        self
    }

    /// Adds to the job's `env:`.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives the job `id-token: write`.
    pub(crate) fn id_token(mut self, url: &str, token: &str) -> Self {
        self.id_token = Some((url.to_owned(), token.to_owned()));
        self
    }

    /// The folder that is checked out.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.root.path().join("ml-api/ml-api")
    }

    /// A step that uses the action.
    pub(crate) fn step(&self) -> Step<'_> {
        Step::new(self)
    }

    fn temp(&self) -> PathBuf {
        self.root.path().join("_temp")
    }

    fn put(&mut self, key: &str, value: &str) {
        self.context.insert(key.to_owned(), value.to_owned());
    }
}

fn default_context() -> BTreeMap<String, String> {
    [
        ("action", "__acme_ml-deploy-action"),
        ("action_ref", "v1"),
        ("action_repository", "acme/ml-deploy-action"),
        ("actor", "ada"),
        ("actor_id", "7"),
        ("api_url", "https://api.github.com"),
        ("base_ref", ""),
        ("event_name", "push"),
        ("graphql_url", "https://api.github.com/graphql"),
        ("head_ref", ""),
        ("job", "deploy"),
        ("ref", "refs/heads/main"),
        ("ref_name", "main"),
        ("ref_protected", "false"),
        ("ref_type", "branch"),
        ("repository", "acme/ml-api"),
        ("repository_id", "4711"),
        ("repository_owner", "acme"),
        ("repository_owner_id", "42"),
        ("retention_days", "90"),
        ("run_attempt", "1"),
        ("run_id", "1000001"),
        ("run_number", "1"),
        ("server_url", "https://github.com"),
        ("sha", "0123456789abcdef0123456789abcdef01234567"),
        ("triggering_actor", "ada"),
        ("workflow", "deploy"),
        (
            "workflow_ref",
            "acme/ml-api/.github/workflows/deploy.yml@refs/heads/main",
        ),
        ("workflow_sha", "0123456789abcdef0123456789abcdef01234567"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// So many random hexadecimal digits, at most 16.
fn random_hex(digits: usize) -> String {
    let random = RandomState::new().build_hasher().finish();
    let mut text = format!("{random:016x}");
    text.truncate(digits);
    text
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is UTF-8")
}
