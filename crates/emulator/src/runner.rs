//! Starts a program as the GitHub runner starts the action: the same variables, command files and
//! event, and nothing else in the environment.
//!
//! This is the process form, for the demo and for stories in tests; it needs no container. What the
//! runner does to a container (mounts, translated paths, signals) is not played here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, Command};

/// One job of a workflow run, with one step: the action.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name in the workflow.
    pub name: String,
    /// `push`, `pull_request` or `workflow_dispatch`.
    pub event: String,
    /// `refs/heads/main` or `refs/tags/v1.0.0`.
    pub git_ref: String,
    /// The commit.
    pub commit: String,
    /// The workflow run.
    pub run_id: u64,
    /// 1, or more when it is run again.
    pub attempt: u32,
    /// The GitHub environment that the job names, if any.
    pub environment: Option<String>,
    /// Whether the job has `id-token: write`.
    pub id_token: bool,
    /// The action's inputs (`with:`).
    pub inputs: Vec<(String, String)>,
    /// More variables (`env:`).
    pub env: Vec<(String, String)>,
}

impl Job {
    /// The first attempt of a push, with `id-token: write` and no input.
    pub fn push(name: &str, git_ref: &str, commit: &str, run_id: u64) -> Self {
        Self {
            name: name.to_owned(),
            event: "push".to_owned(),
            git_ref: git_ref.to_owned(),
            commit: commit.to_owned(),
            run_id,
            attempt: 1,
            environment: None,
            id_token: true,
            inputs: Vec::new(),
            env: Vec::new(),
        }
    }

    /// A manual run.
    pub fn dispatch(name: &str, git_ref: &str, commit: &str, run_id: u64) -> Self {
        Self {
            event: "workflow_dispatch".to_owned(),
            ..Self::push(name, git_ref, commit, run_id)
        }
    }

    /// Names the GitHub environment.
    #[must_use]
    pub fn in_environment(mut self, environment: &str) -> Self {
        self.environment = Some(environment.to_owned());
        self
    }

    /// Gives an input.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.inputs.push((name.to_owned(), value.into()));
        self
    }

    /// Gives a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// The same job, run again.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.attempt += 1;
        self
    }
}

/// How a job ended.
#[derive(Debug, Clone)]
pub struct JobEnd {
    /// The exit code, or `None` when a signal ended it.
    pub code: Option<i32>,
    /// Everything that it printed, in the order in which it was read.
    pub log: String,
    /// `GITHUB_OUTPUT` as it stands in the file.
    pub outputs: String,
    /// `GITHUB_STATE` as it stands in the file.
    pub state: String,
    /// `GITHUB_STEP_SUMMARY` as it stands in the file.
    pub summary: String,
}

impl JobEnd {
    /// The value of a one-line output, written as `name=value` or with a delimiter.
    pub fn output(&self, name: &str) -> Option<String> {
        one_line_value(&self.outputs, name)
    }

    /// A one-line value that was saved for the post step.
    pub fn saved(&self, name: &str) -> Option<String> {
        one_line_value(&self.state, name)
    }
}

fn one_line_value(file: &str, name: &str) -> Option<String> {
    let mut lines = file.lines();
    let mut found = None;
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix(name) else {
            continue;
        };
        if let Some(value) = rest.strip_prefix('=') {
            found = Some(value.to_owned());
        } else if rest.starts_with("<<") {
            found = lines.next().map(str::to_owned);
        }
    }
    found
}

/// Where jobs run.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The program that stands for the action.
    pub program: PathBuf,
    /// `OWNER/NAME`.
    pub repository: String,
    /// `http://127.0.0.1:PORT` of the local cloud.
    pub cloud_url: String,
    /// The checkout.
    pub workspace: PathBuf,
    /// Folder for command files and events.
    pub scratch: PathBuf,
}

/// A job that was started.
pub struct RunningJob {
    child: Child,
    out: Lines<BufReader<tokio::process::ChildStdout>>,
    err: Lines<BufReader<tokio::process::ChildStderr>>,
    folder: PathBuf,
}

impl Runner {
    /// Starts a job.
    ///
    /// # Errors
    /// When the program cannot be started or its files cannot be written.
    pub fn start(&self, job: &Job) -> io::Result<RunningJob> {
        let folder = self.folder(job);
        std::fs::create_dir_all(&folder)?;
        let mut child = Command::new(&self.program)
            .env_clear()
            .envs(self.variables(job, &folder)?)
            .current_dir(&self.workspace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("the job has no output stream");
        let out = BufReader::new(child.stdout.take().ok_or_else(missing)?).lines();
        let err = BufReader::new(child.stderr.take().ok_or_else(missing)?).lines();
        Ok(RunningJob {
            child,
            out,
            err,
            folder,
        })
    }

    /// Where a job's command files are.
    pub fn folder(&self, job: &Job) -> PathBuf {
        self.scratch
            .join(format!("{}-{}-{}", job.run_id, job.attempt, job.name))
    }

    /// Runs a job to its end and hands each line of its log to `line`.
    ///
    /// # Errors
    /// As [`Runner::start`]. A job that fails is no error.
    pub async fn run(
        &self,
        job: &Job,
        line: impl FnMut(&str) -> io::Result<()>,
    ) -> io::Result<JobEnd> {
        self.start(job)?.finish(line).await
    }

    fn variables(&self, job: &Job, folder: &Path) -> io::Result<BTreeMap<String, String>> {
        let event = folder.join("event.json");
        std::fs::write(
            &event,
            json!({"ref": job.git_ref, "after": job.commit}).to_string(),
        )?;
        let file = |name: &str| -> io::Result<String> {
            let path = folder.join(name);
            std::fs::write(&path, "")?;
            Ok(path.display().to_string())
        };
        let (kind, ref_name) = match job.git_ref.strip_prefix("refs/tags/") {
            Some(tag) => ("tag", tag),
            None => ("branch", job.git_ref.trim_start_matches("refs/heads/")),
        };
        let mut variables: BTreeMap<String, String> = [
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_REPOSITORY", self.repository.clone()),
            ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
            ("GITHUB_API_URL", self.cloud_url.clone()),
            ("GITHUB_EVENT_NAME", job.event.clone()),
            ("GITHUB_EVENT_PATH", event.display().to_string()),
            ("GITHUB_REF", job.git_ref.clone()),
            ("GITHUB_REF_NAME", ref_name.to_owned()),
            ("GITHUB_REF_TYPE", kind.to_owned()),
            ("GITHUB_SHA", job.commit.clone()),
            ("GITHUB_RUN_ID", job.run_id.to_string()),
            ("GITHUB_RUN_ATTEMPT", job.attempt.to_string()),
            ("GITHUB_JOB", job.name.clone()),
            ("GITHUB_ACTOR", "runner".to_owned()),
            ("GITHUB_WORKFLOW", "deploy".to_owned()),
            ("GITHUB_WORKSPACE", self.workspace.display().to_string()),
            ("GITHUB_OUTPUT", file("output")?),
            ("GITHUB_STATE", file("state")?),
            ("GITHUB_ENV", file("env")?),
            ("GITHUB_STEP_SUMMARY", file("summary.md")?),
            ("HOME", folder.display().to_string()),
            ("RUNNER_TEMP", folder.display().to_string()),
            ("ML_DEPLOY_CLOUD_URL", self.cloud_url.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if job.id_token {
            variables.insert(
                "ACTIONS_ID_TOKEN_REQUEST_URL".to_owned(),
                self.oidc_url(job),
            );
            variables.insert(
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(),
                "runtime-token".to_owned(),
            );
        }
        // An engine that is not at its usual place is the machine's business, not the job's.
        if let Ok(host) = std::env::var("DOCKER_HOST") {
            variables.insert("DOCKER_HOST".to_owned(), host);
        }
        for (name, value) in &job.inputs {
            variables.insert(
                format!("INPUT_{}", name.replace(' ', "_").to_uppercase()),
                value.clone(),
            );
        }
        variables.extend(job.env.iter().cloned());
        Ok(variables)
    }

    fn oidc_url(&self, job: &Job) -> String {
        let environment = job
            .environment
            .as_deref()
            .map_or(String::new(), |name| format!("&environment={name}"));
        format!(
            "{}/_github/oidc?repository={}&ref={}&sha={}&event_name={}&run_id={}&run_attempt={}{environment}",
            self.cloud_url,
            self.repository,
            job.git_ref,
            job.commit,
            job.event,
            job.run_id,
            job.attempt
        )
    }
}

impl RunningJob {
    /// The process, to send it a signal.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Reads the log to its end and gives what the job left.
    ///
    /// # Errors
    /// When the log cannot be read, or `line` fails.
    pub async fn finish(
        mut self,
        mut line: impl FnMut(&str) -> io::Result<()>,
    ) -> io::Result<JobEnd> {
        let mut log = String::new();
        while let Some(text) = self.next_line().await? {
            line(&text)?;
            log.push_str(&text);
            log.push('\n');
        }
        let status = self.child.wait().await?;
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        Ok(JobEnd {
            code: status.code(),
            log,
            outputs: read("output"),
            state: read("state"),
            summary: read("summary.md"),
        })
    }

    /// The next line of either stream; `None` when both have ended.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        tokio::select! {
            line = self.out.next_line() => match line? {
                Some(line) => Ok(Some(line)),
                None => read_on(&mut self.err).await,
            },
            line = self.err.next_line() => match line? {
                Some(line) => Ok(Some(line)),
                None => read_on(&mut self.out).await,
            },
        }
    }
}

async fn read_on<R: AsyncRead + Unpin>(
    lines: &mut Lines<BufReader<R>>,
) -> io::Result<Option<String>> {
    lines.next_line().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_in_both_forms() {
        let end = JobEnd {
            code: Some(0),
            log: String::new(),
            outputs: "digest=sha256:1\nurl<<e\nhttp://127.0.0.1:1\ne\n".to_owned(),
            state: String::new(),
            summary: String::new(),
        };
        assert_eq!(end.output("digest").as_deref(), Some("sha256:1"));
        assert_eq!(end.output("url").as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(end.output("revision"), None);
    }

    #[test]
    fn a_job_without_id_token_gets_no_oidc_variable() {
        let folder = std::env::temp_dir();
        let runner = Runner {
            program: PathBuf::from("/bin/true"),
            repository: "octo/api".to_owned(),
            cloud_url: "http://127.0.0.1:1".to_owned(),
            workspace: folder.clone(),
            scratch: folder.clone(),
        };
        let folder = folder.join(format!("runner-test-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut job = Job::push("dev", "refs/heads/main", "0000", 1).in_environment("dev");
        let with = runner.variables(&job, &folder).unwrap();
        assert!(with["ACTIONS_ID_TOKEN_REQUEST_URL"].ends_with("&environment=dev"));
        job.id_token = false;
        let without = runner.variables(&job, &folder).unwrap();
        assert!(!without.contains_key("ACTIONS_ID_TOKEN_REQUEST_URL"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
