//! The world of a scenario.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use emulator::admin::Exchange;
use emulator::runner::{Job, JobEnd, Runner, RunningJob};
use emulator::runtime::{Behaviour, ScriptedRuntime};
use emulator::{Config, Emulator};
use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::image::{API_REPOSITORY, Image};
use crate::judge;

/// Errors of a scenario are told, not handled.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a scenario's checkout holds.
const CONFIG: &str = "\
service: ml-api
project_id: demo-project
region: us-central1
image: us-central1-docker.pkg.dev/demo-project/ml/ml-api
tests: golden.yaml
access: public
";

const GOLDEN: &str = "\
cases:
  - name: health answers
    request: { method: GET, path: /health }
    expect: { status: 200, json: { status: ok } }
  - name: predicts setosa
    request: { method: POST, path: /predict, json: { sepal_length: 5.1 } }
    expect: { status: 200, json: { label: setosa } }
";

/// How a world differs from the usual one.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Longest propagation delay in milliseconds.
    pub propagation_ms: u64,
    /// Seed of what is random.
    pub seed: u64,
}

/// The local cloud, a checkout, and a runner.
pub struct World {
    /// The local cloud.
    pub emulator: Emulator,
    runtime: Arc<ScriptedRuntime>,
    runner: Runner,
    pub(crate) client: reqwest::Client,
    _folder: TempDir,
}

/// A folder that goes when it is dropped.
///
/// # Errors
/// When it cannot be made.
pub fn temporary_folder() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("ml-deploy-test-").tempdir()
}

impl World {
    /// Starts a world; `program` is the binary under test.
    ///
    /// # Errors
    /// When the local cloud cannot start or the checkout cannot be written.
    pub async fn start(program: impl Into<PathBuf>) -> Result<Self, Failure> {
        Self::start_with(program, Setup::default()).await
    }

    /// Starts a world that differs from the usual one.
    ///
    /// # Errors
    /// As [`World::start`].
    pub async fn start_with(program: impl Into<PathBuf>, setup: Setup) -> Result<Self, Failure> {
        // Another test of the same process may have been first; then it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Setup {
            propagation_ms,
            seed,
        } = setup;
        let runtime = ScriptedRuntime::new();
        let mut config = Config::loopback(runtime.clone());
        config.propagation_ms = propagation_ms;
        config.seed = seed;
        let emulator = Emulator::start(config).await?;
        emulator.world().exchanges.record(true);
        let folder = temporary_folder()?;
        let runner = Runner {
            program: program.into(),
            repository: "octo-org/ml-api".to_owned(),
            cloud_url: emulator.world().base_url(),
            workspace: folder.path().join("checkout"),
            scratch: folder.path().join("jobs"),
        };
        let world = Self {
            emulator,
            runtime,
            runner,
            client: reqwest::Client::new(),
            _folder: folder,
        };
        world.write(".github/ml-deploy.yml", CONFIG)?;
        world.write("golden.yaml", GOLDEN)?;
        Ok(world)
    }

    /// `http://127.0.0.1:PORT` of the control plane.
    pub fn url(&self) -> &str {
        &self.runner.cloud_url
    }

    /// The checkout.
    pub fn checkout(&self) -> &Path {
        &self.runner.workspace
    }

    /// Writes a file of the checkout.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let file = self.runner.workspace.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, text)
    }

    /// A commit that does not exist anywhere, different for each number.
    pub fn commit(number: u8) -> String {
        hex::encode(&Sha256::digest([number])[..20])
    }

    /// Puts an image of `commit` into a repository, and says what its containers do. Gives the digest.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn built_in(
        &self,
        repository: &str,
        commit: &str,
        behaviour: Behaviour,
    ) -> Result<String, Failure> {
        let image = Image::new(commit);
        for blob in [&image.config, &image.layer] {
            self.put_blob(repository, blob).await?;
        }
        let manifest = image.manifest(digest).to_string();
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        self.put_manifest(repository, &format!("sha-{commit}"), kind, &manifest)
            .await?;
        let digest = digest(manifest.as_bytes());
        self.runtime.image(&digest, behaviour);
        Ok(digest)
    }

    /// The tags of the API's image.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn image_tags(&self) -> Result<Vec<String>, Failure> {
        let path = API_REPOSITORY
            .split_once('/')
            .map_or(API_REPOSITORY, |(_, path)| path);
        let url = format!("{}/v2/{path}/tags/list", self.url());
        let list = expect(StatusCode::OK, self.client.get(url).send().await?).await?;
        let tags = list["tags"].as_array().into_iter().flatten();
        Ok(tags
            .filter_map(|tag| tag.as_str().map(str::to_owned))
            .collect())
    }

    /// Changes what containers of an image do, from their next start on.
    pub fn behaves(&self, digest: &str, behaviour: Behaviour) {
        self.runtime.image(digest, behaviour);
    }

    /// How many containers were started so far.
    pub fn started(&self) -> usize {
        self.runtime.started().len()
    }

    /// The names of a service's revisions, in the order of the API.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn revisions(&self, service: &str) -> Result<Vec<String>, Failure> {
        let url = format!(
            "{}/v2/projects/demo-project/locations/us-central1/services/{service}/revisions",
            self.url()
        );
        let tokens = &self.emulator.world().tokens;
        let token = tokens.issue_local("tester@demo-project.iam.gserviceaccount.com");
        let answer = self.client.get(url).bearer_auth(token).send().await?;
        let list = expect(StatusCode::OK, answer).await?;
        let revisions = list["revisions"].as_array().into_iter().flatten();
        Ok(revisions
            .filter_map(|revision| revision["name"].as_str()?.rsplit('/').next())
            .map(str::to_owned)
            .collect())
    }

    /// A job of a version tag for one environment, with the inputs that the example workflow gives.
    pub fn release_job(&self, tag: &str, commit: &str, environment: &str) -> Job {
        Self::with_identity(
            Job::push(environment, &format!("refs/tags/{tag}"), commit, 100),
            environment,
        )
    }

    /// A manual job that rolls one environment back.
    pub fn rollback_job(&self, to: &str, environment: &str) -> Job {
        let job = Job::dispatch("rollback", "refs/heads/main", &Self::commit(0), 900);
        Self::with_identity(job, environment).with("rollback_to", to)
    }

    fn with_identity(job: Job, environment: &str) -> Job {
        job.in_environment(environment)
            .with("environment", environment)
            .with(
                "workload_identity_provider",
                "projects/1/locations/global/workloadIdentityPools/github/providers/github",
            )
            .with(
                "service_account",
                format!("deploy-{environment}@demo-project.iam.gserviceaccount.com"),
            )
            .with("github_token", "test-token")
    }

    /// Runs a job to its end.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn run(&self, job: &Job) -> Result<JobEnd, Failure> {
        Ok(self.runner.run(job, |_| Ok(())).await?)
    }

    /// Runs the action's post step for a job whose main step has ended, or was killed: the same inputs,
    /// and what it saved.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn run_post(&self, job: &Job, main: &JobEnd) -> Result<JobEnd, Failure> {
        let mut post = job.clone();
        post.name.push_str("-post");
        for name in ["rollout", "ended"] {
            if let Some(value) = main.saved(name) {
                post = post.env(&format!("STATE_{name}"), value);
            }
        }
        let program = self.runner.scratch.join("ml-deploy-post");
        if !program.exists() {
            std::fs::create_dir_all(&self.runner.scratch)?;
            std::os::unix::fs::symlink(&self.runner.program, &program)?;
        }
        let runner = Runner {
            program,
            ..self.runner.clone()
        };
        Ok(runner.run(&post, |_| Ok(())).await?)
    }

    /// Where a job's command files are, also while it runs.
    pub fn job_folder(&self, job: &Job) -> PathBuf {
        self.runner.folder(job)
    }

    /// Starts a job, to be watched or interrupted.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_job(&self, job: &Job) -> Result<RunningJob, Failure> {
        Ok(self.runner.start(job)?)
    }

    /// A service as the API shows it; `None` when there is none.
    ///
    /// # Errors
    /// When the API answers otherwise.
    pub async fn service(&self, name: &str) -> Result<Option<Value>, Failure> {
        let url = format!(
            "{}/v2/projects/demo-project/locations/us-central1/services/{name}",
            self.url()
        );
        let token = self
            .emulator
            .world()
            .tokens
            .issue_local("tester@demo-project.iam.gserviceaccount.com");
        let answer = self.client.get(url).bearer_auth(token).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(expect(StatusCode::OK, answer).await?))
    }

    /// Changes a service as another tool would.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn patch_service(
        &self,
        name: &str,
        mask: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let url = format!(
            "{}/v2/projects/demo-project/locations/us-central1/services/{name}?updateMask={mask}",
            self.url()
        );
        let token = self
            .emulator
            .world()
            .tokens
            .issue_local("other-tool@demo-project.iam.gserviceaccount.com");
        let answer = self
            .client
            .patch(url)
            .bearer_auth(&token)
            .json(body)
            .send()
            .await?;
        let operation: Value = expect(StatusCode::OK, answer).await?;
        let wait = format!(
            "{}/v2/{}:wait",
            self.url(),
            operation["name"].as_str().unwrap_or_default()
        );
        let answer = self
            .client
            .post(wait)
            .bearer_auth(token)
            .json(&serde_json::json!({"timeout": "30s"}))
            .send()
            .await?;
        expect(StatusCode::OK, answer).await
    }

    /// Which revisions serve, with their percents, in the order of the API.
    ///
    /// # Errors
    /// When there is no such service.
    pub async fn serving(&self, name: &str) -> Result<Vec<(String, u64)>, Failure> {
        let service = self
            .service(name)
            .await?
            .ok_or_else(|| format!("there is no service {name}"))?;
        let statuses = service["trafficStatuses"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        Ok(statuses
            .iter()
            .filter(|status| status["percent"].as_u64().unwrap_or_default() > 0)
            .map(|status| {
                let revision = status["revision"].as_str().unwrap_or_default().to_owned();
                (revision, status["percent"].as_u64().unwrap_or_default())
            })
            .collect())
    }

    /// Gets a path of a service without any credential: status and body.
    ///
    /// # Errors
    /// When there is no such service, or it does not answer.
    pub async fn call(&self, service: &str, path: &str) -> Result<(u16, String), Failure> {
        let service = self
            .service(service)
            .await?
            .ok_or("there is no such service")?;
        let base = service["uri"]
            .as_str()
            .ok_or("the service has no address")?;
        let answer = self.client.get(format!("{base}{path}")).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// What was said so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.emulator.world().exchanges.all()
    }

    /// Writes what was said so far, one JSON object a line, to `NAME.jsonl` of the folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_exchanges(&self, folder: &Path, name: &str) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join(name).with_extension("jsonl");
        self.emulator.world().exchanges.write(&file)?;
        Ok(file)
    }

    /// Stops everything, so that nothing is left over, and has a foreign document judge whatever was
    /// said ([`crate::judge`]): a story ends with it.
    ///
    /// # Panics
    /// When a request or an answer is not as documented.
    pub async fn end(self) {
        judge::at_the_end(&self.emulator);
        self.emulator.stop().await;
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

pub(crate) async fn expect(
    status: StatusCode,
    answer: reqwest::Response,
) -> Result<Value, Failure> {
    let (got, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await?;
    if got != status {
        return Err(format!("{url} answered {got}: {text}").into());
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}
