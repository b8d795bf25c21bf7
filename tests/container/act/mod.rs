//! `act`: workflow files run on this machine, job by job, with the action built from its Dockerfile.

mod end;
mod workflow;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cloud::{Cloud, OWNER, PROVIDER, REPOSITORY};
use crate::sample::Sample;
use crate::{engine, repository};

pub(crate) use end::ActEnd;
use workflow::Workflow;

/// Made by `scripts/setup runner-image`.
const RUNNER_IMAGE: &str = "ml-deploy/act-runner:trixie";
/// Longest time of one workflow run.
const LIMIT: Duration = Duration::from_secs(600);

/// What triggers a run.
#[derive(Debug, Clone)]
pub(crate) struct Trigger<'a> {
    /// A file of `.github/workflows`.
    pub(crate) workflow: &'a str,
    /// `push` or `workflow_dispatch`.
    pub(crate) event: &'a str,
    pub(crate) git_ref: &'a str,
    /// Of a dispatch.
    pub(crate) inputs: &'a [(&'a str, &'a str)],
    /// Only this job, and those that it needs.
    pub(crate) job: Option<&'a str>,
}

impl<'a> Trigger<'a> {
    /// A push of `deploy.yml`'s.
    pub(crate) fn push(git_ref: &'a str) -> Self {
        Self {
            workflow: "deploy.yml",
            event: "push",
            git_ref,
            inputs: &[],
            job: None,
        }
    }
}

/// A repository, a cloud, and the action in a folder.
pub(crate) struct Act<'a> {
    cloud: &'a Cloud,
    sample: &'a Sample,
    folder: TempDir,
    /// Jobs and the GitHub environment that they pretend to run in, instead of their own.
    pretended: Vec<(String, String)>,
    runs: std::cell::Cell<u64>,
}

impl<'a> Act<'a> {
    /// Makes the action's copy.
    #[track_caller]
    pub(crate) fn new(cloud: &'a Cloud, sample: &'a Sample) -> Self {
        engine::require_image(RUNNER_IMAGE, "scripts/setup runner-image");
        engine::build_dist().unwrap_or_else(|reason| panic!("{reason}"));
        let folder = tempfile::Builder::new().prefix("act-").tempdir().unwrap();
        let copied = Command::new(repository().join("scripts/action-copy"))
            .arg(folder.path().join("action"))
            .output()
            .unwrap();
        assert!(
            copied.status.success(),
            "scripts/action-copy: {}",
            String::from_utf8_lossy(&copied.stderr)
        );
        Self {
            cloud,
            sample,
            folder,
            pretended: Vec::new(),
            runs: std::cell::Cell::new(0),
        }
    }

    /// Lets a job run in another GitHub environment than the one that the tool expects.
    pub(crate) fn pretend(mut self, job: &str, environment: &str) -> Self {
        self.pretended
            .push((job.to_owned(), environment.to_owned()));
        self
    }

    /// Runs all jobs of a workflow, in the order of their `needs:`.
    #[track_caller]
    pub(crate) fn run(&self, trigger: &Trigger<'_>) -> ActEnd {
        let _turn = self.turn();
        let mut child = self.command(trigger).spawn().expect("act");
        let end = self.read(&mut child);
        eprintln!("{trigger:?}: {}", end.digest());
        end
    }

    /// act names its containers after workflow and job, so one run at a time on a machine.
    fn turn(&self) -> File {
        let file = File::create(std::env::temp_dir().join("ml-deploy-act.lock")).unwrap();
        file.lock().unwrap();
        file
    }

    fn command(&self, trigger: &Trigger<'_>) -> Command {
        let path = self.sample.path();
        let workflow = Workflow::read(&path.join(".github/workflows").join(trigger.workflow));
        let event = self.folder.path().join("event.json");
        fs::write(&event, payload(trigger).to_string()).unwrap();
        let home = self.folder.path().join("home");
        fs::create_dir_all(&home).unwrap();
        let mut act = Command::new(program());
        act.arg(trigger.event)
            .args([
                "--workflows",
                &format!(".github/workflows/{}", trigger.workflow),
            ])
            .args(["--platform", &format!("ubuntu-latest={RUNNER_IMAGE}")])
            .args([
                "--pull=false",
                "--rebuild",
                "--rm",
                "--json",
                "--no-cache-server",
            ])
            .arg("--eventpath")
            .arg(&event)
            .arg("--use-new-action-cache")
            .args(["--secret", "GITHUB_TOKEN=ghs_0123456789abcdefghij"]);
        if let Some(job) = trigger.job {
            act.args(["--job", job]);
        }
        for uses in workflow.foreign_actions() {
            let local = format!(
                "https://github.com/{uses}={}",
                self.folder.path().join("action").display()
            );
            act.args(["--local-repository", &local]);
        }
        for (name, value) in workflow.variables(PROVIDER) {
            act.args(["--var", &format!("{name}={value}")]);
        }
        for (name, value) in self.environment(trigger, &workflow) {
            act.args(["--env", &format!("{name}={value}")]);
        }
        for (name, value) in trigger.inputs {
            act.args(["--input", &format!("{name}={value}")]);
        }
        // A home of its own: no settings of the person at the keyboard.
        act.current_dir(path)
            .env("HOME", home)
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        act
    }

    /// What GitHub would give each job. `act` evaluates expressions in it per job.
    fn environment(
        &self,
        trigger: &Trigger<'_>,
        workflow: &Workflow,
    ) -> Vec<(&'static str, String)> {
        let run = self.runs.get() + 1;
        self.runs.set(run);
        let commit = self.sample.head();
        let environment = workflow.environment_expression(&self.pretended);
        let id_token = format!(
            "{}{environment}",
            self.cloud.id_token_url(trigger.git_ref, &commit)
        );
        vec![
            ("ML_DEPLOY_CLOUD_URL", self.cloud.url()),
            ("GITHUB_API_URL", self.cloud.url()),
            ("GITHUB_RUN_ID", (1000 + run).to_string()),
            ("GITHUB_RUN_NUMBER", run.to_string()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", id_token),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request-token".to_owned()),
        ]
    }

    fn read(&self, child: &mut Child) -> ActEnd {
        let (sender, lines) = channel();
        for stream in [
            child
                .stdout
                .take()
                .map(|it| Box::new(it) as Box<dyn std::io::Read + Send>),
            child
                .stderr
                .take()
                .map(|it| Box::new(it) as Box<dyn std::io::Read + Send>),
        ] {
            let sender = sender.clone();
            let stream = stream.expect("a pipe");
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let deadline = Instant::now() + LIMIT;
        let mut end = ActEnd::default();
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => end.line(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    // Interrupted, act removes its containers itself.
                    let pid = child.id().to_string();
                    let _ = Command::new("sh")
                        .args(["-c", "kill -s INT \"$1\"", "kill", &pid])
                        .status();
                    let _ = child.wait();
                    panic!("act did not end within {LIMIT:?}:\n{}", end.story());
                }
            }
        }
        end.succeeded = child.wait().is_ok_and(|status| status.success());
        end
    }
}

/// `.tools/venv/bin/act`, from `scripts/setup python-tools`.
#[track_caller]
fn program() -> PathBuf {
    let tools = std::env::var_os("ML_DEPLOY_TOOLS")
        .map_or_else(|| repository().join(".tools"), PathBuf::from);
    let program = tools.join("venv/bin/act");
    assert!(
        program.exists(),
        "{} is missing: run `scripts/setup python-tools`",
        program.display()
    );
    program
}

fn payload(trigger: &Trigger<'_>) -> Value {
    let inputs: serde_json::Map<String, Value> = trigger
        .inputs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!({
        "ref": trigger.git_ref,
        "inputs": inputs,
        "repository": {
            "id": 4711,
            "name": REPOSITORY,
            "full_name": format!("{OWNER}/{REPOSITORY}"),
            "default_branch": "main",
            "owner": {"id": 42, "login": OWNER},
        },
    })
}
