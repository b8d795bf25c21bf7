//! What the demo tells, in order. Every step is a real job of this program against the local cloud.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use emulator::runner::{Job, JobEnd, Runner};
use serde_json::{Value, json};

use super::load::Tally;
use super::narrator::Narrator;
use super::workspace::Workspace;

/// The registry path of the demo's image.
pub(super) const IMAGE: &str = "us-central1-docker.pkg.dev/demo-project/ml/ml-api";

/// The workload identity provider that GitHub's tokens are exchanged at.
const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/github/providers/github";

/// The configuration that the demo's repository has.
pub(super) const CONFIG: &str = "\
# What to deploy, and where. Every key is described in docs/inputs.md.
service: ml-api            # ml-api-dev, ml-api-test, ml-api-staging, ml-api-prod
project_id: demo-project
region: us-central1
image: us-central1-docker.pkg.dev/demo-project/ml/ml-api
tests: golden.yaml         # recorded predictions: a healthy API with a wrong model does not pass
access: public
cpu: \"1\"
memory: 512Mi
environments:
  - name: dev
    tests: smoke.yaml      # every push to main lands here: only whether it starts
  - name: test
  - name: staging
  - name: production
";

/// The tests of DEV.
pub(super) const SMOKE: &str = "\
cases:
  - name: health answers
    request: { method: GET, path: /health }
    expect: { status: 200 }
";

/// A release of the demo.
pub(super) struct Release {
    /// `v1.0.0`.
    pub(super) tag: &'static str,
    /// Its commit.
    pub(super) commit: String,
    /// The workflow run of its tag.
    pub(super) run_id: u64,
}

/// The narrated pipeline: a checkout, a runner, a voice.
pub(super) struct Story<'a, W: Write> {
    /// The repository.
    pub(super) workspace: &'a Workspace,
    /// Runs the jobs.
    pub(super) runner: &'a Runner,
    /// Calls GitHub's API as the reviewer.
    pub(super) client: &'a reqwest::Client,
    /// Tells what happens.
    pub(super) narrator: &'a mut Narrator<W>,
}

/// The environments that a version tag goes through, each with its GitHub environment.
pub(super) const STAGES: [&str; 4] = ["dev", "test", "staging", "production"];

impl<W: Write> Story<'_, W> {
    /// A push to main: built, pushed, deployed to DEV.
    ///
    /// # Errors
    /// When the job fails.
    pub(super) async fn push_to_main(
        &mut self,
        run_id: u64,
        message: &str,
    ) -> anyhow::Result<String> {
        let commit = self.workspace.commit(message).await?;
        self.narrator.say(&format!(
            "git push origin main        # {} {message}",
            &commit[..7]
        ))?;
        let end = self
            .job("dev", "push", "refs/heads/main", &commit, run_id, &[])
            .await?;
        expect_success("dev", &end)?;
        Ok(commit)
    }

    /// One environment of a release.
    ///
    /// # Errors
    /// When the job cannot be run.
    pub(super) async fn release_job(
        &mut self,
        release: &Release,
        environment: &'static str,
    ) -> anyhow::Result<JobEnd> {
        let git_ref = format!("refs/tags/{}", release.tag);
        self.job(
            environment,
            "push",
            &git_ref,
            &release.commit,
            release.run_id,
            &[],
        )
        .await
    }

    /// A version tag through all environments, with the approval before production; gives production's address.
    ///
    /// # Errors
    /// When a job fails.
    pub(super) async fn promote(&mut self, release: &Release) -> anyhow::Result<String> {
        self.narrator
            .say(&format!("git tag {0} && git push origin {0}", release.tag))?;
        let mut url = None;
        for environment in STAGES {
            if environment == "production" {
                self.approve(release.run_id).await?;
            }
            let end = self.release_job(release, environment).await?;
            expect_success(environment, &end)?;
            self.narrator.good(&format!(
                "{} serves in {}",
                release.tag,
                environment.to_uppercase()
            ))?;
            url = end.output("url");
        }
        url.context("the production job left no output `url`")
    }

    /// The gate before production, as GitHub holds it: the job waits until a required reviewer of the
    /// environment approves. The demo is the reviewer, by the calls that GitHub's own page makes.
    async fn approve(&mut self, run_id: u64) -> anyhow::Result<()> {
        let cloud = &self.runner.cloud_url;
        let repository = &self.runner.repository;
        let run = format!("{cloud}/_emulator/github/repos/{repository}/runs/{run_id}");
        let waiting = json!({"actor": "developer", "waiting_for": ["production"]});
        send(self.client.put(run).json(&waiting)).await?;
        let pending =
            format!("{cloud}/repos/{repository}/actions/runs/{run_id}/pending_deployments");
        let reviewer = || format!("user:{REVIEWER}");
        let jobs = send(self.client.get(&pending).bearer_auth(reviewer())).await?;
        let environment = &jobs[0]["environment"];
        self.narrator.say(&format!(
            "production waits: its environment has a required reviewer ({REVIEWER}), who approves now"
        ))?;
        let approval = json!({
            "environment_ids": [environment["id"]], "state": "approved", "comment": "staging looks good",
        });
        send(
            self.client
                .post(&pending)
                .bearer_auth(reviewer())
                .json(&approval),
        )
        .await?;
        Ok(())
    }

    /// A release that is expected to stop at `stage`.
    ///
    /// # Errors
    /// When it does not stop there.
    pub(super) async fn promote_until_stopped(
        &mut self,
        release: &Release,
        stage: &'static str,
        code: i32,
    ) -> anyhow::Result<()> {
        self.narrator
            .say(&format!("git tag {0} && git push origin {0}", release.tag))?;
        let reached = STAGES
            .iter()
            .position(|known| *known == stage)
            .context("an unknown environment")?;
        for environment in &STAGES[..reached] {
            let end = self.release_job(release, environment).await?;
            expect_success(environment, &end)?;
        }
        let end = self.release_job(release, stage).await?;
        if end.code != Some(code) {
            bail!(
                "{} should have stopped in {stage} with exit code {code}, but ended with {:?}",
                release.tag,
                end.code
            );
        }
        self.narrator.stopped(&format!(
            "{} stopped in {} (exit code {code}); `needs:` keeps the later jobs from starting",
            release.tag,
            stage.to_uppercase()
        ))?;
        Ok(())
    }

    /// A manual run that moves production's traffic back.
    ///
    /// # Errors
    /// When the job fails.
    pub(super) async fn roll_back(&mut self, commit: &str, run_id: u64) -> anyhow::Result<()> {
        self.narrator.say(
            "gh workflow run rollback.yml -f environment=production -f rollback_to=previous",
        )?;
        let inputs = [("rollback_to", "previous")];
        let end = self
            .job(
                "production",
                "workflow_dispatch",
                "refs/heads/main",
                commit,
                run_id,
                &inputs,
            )
            .await?;
        expect_success("rollback", &end)
    }

    /// Tells what the client saw, and fails if it saw a failure or missed a version.
    ///
    /// # Errors
    /// When a request failed, or one of `expected` was never seen.
    pub(super) fn judge_client(
        &mut self,
        tally: &Tally,
        expected: &[&str],
        took: Duration,
    ) -> anyhow::Result<()> {
        let summary = tally.in_words(took);
        if tally.failed > 0 {
            for failure in &tally.failures {
                self.narrator.say(failure)?;
            }
            bail!("the client saw failures: {summary}");
        }
        if let Some(missing) = expected
            .iter()
            .find(|version| !tally.versions.contains_key(**version))
        {
            bail!("the client never saw {missing}: {summary}");
        }
        self.narrator.good(&summary)?;
        Ok(())
    }

    async fn job(
        &mut self,
        environment: &str,
        event: &str,
        git_ref: &str,
        commit: &str,
        run_id: u64,
        inputs: &[(&str, &str)],
    ) -> anyhow::Result<JobEnd> {
        self.narrator
            .job(&format!("{environment} ({event} {git_ref})"))?;
        let account = format!("deploy-{environment}@demo-project.iam.gserviceaccount.com");
        let mut job = Job::push(environment, git_ref, commit, run_id)
            .in_environment(environment)
            .with("environment", environment)
            .with("workload_identity_provider", PROVIDER)
            .with("service_account", account)
            .with("github_token", "demo")
            .with("build_args", format!("APP_COMMIT={commit}"))
            // For people: the same events as on GitHub, in the form of a terminal.
            .env("ML_DEPLOY_LOG_FORMAT", "terminal");
        event.clone_into(&mut job.event);
        for (name, value) in inputs {
            job = job.with(name, *value);
        }
        if self.narrator.colour() {
            job = job.env("CLICOLOR_FORCE", "1");
        }
        let narrator = &mut *self.narrator;
        Ok(self.runner.run(&job, |line| narrator.log(line)).await?)
    }
}

/// The required reviewer of the local cloud's `production`, unless it is set up otherwise.
const REVIEWER: &str = "release-manager";

async fn send(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let answer = request
        .send()
        .await
        .context("GitHub's API does not answer")?;
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("GitHub's API answered {status}: {text}");
    }
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

fn expect_success(name: &str, end: &JobEnd) -> anyhow::Result<()> {
    if end.code == Some(0) {
        Ok(())
    } else {
        bail!("the job {name} ended with {:?}; its log is above", end.code)
    }
}
