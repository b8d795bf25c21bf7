//! The real gcloud, pointed at the local cloud.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use testkit::World;
use tokio::process::Command;

use super::{Failure, PROJECT, REGION};

/// Longest time for one command. gcloud alone takes about a second to start.
const LIMIT: Duration = Duration::from_secs(120);

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value, Failure> {
        serde_json::from_str(&self.out).map_err(|error| format!("{error} in {self:?}").into())
    }
}

/// gcloud with a configuration of its own.
pub(crate) struct Gcloud {
    program: PathBuf,
    variables: Vec<(String, String)>,
    folder: TempDir,
}

impl Gcloud {
    /// gcloud for this world; `None` when it is not installed and need not be.
    pub(crate) fn of(world: &World) -> Result<Option<Self>, Failure> {
        let Some(program) = installed() else {
            if std::env::var_os("CI").is_some() {
                return Err("gcloud is not installed; in CI it must be".into());
            }
            println!("skipped: gcloud is not installed");
            return Ok(None);
        };
        let folder = testkit::temporary_folder()?;
        let token = folder.path().join("token");
        let account = "deployer@demo-project.iam.gserviceaccount.com";
        let tokens = &world.emulator.world().tokens;
        std::fs::write(&token, tokens.issue_local(account))?;
        let listen = world.emulator.world().config.listen;
        let mut variables = vec![
            (
                "CLOUDSDK_CONFIG",
                folder.path().join("config").display().to_string(),
            ),
            (
                "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
                token.display().to_string(),
            ),
            ("CLOUDSDK_PROXY_ADDRESS", listen.ip().to_string()),
            ("CLOUDSDK_PROXY_PORT", listen.port().to_string()),
        ];
        for (name, value) in [
            ("CLOUDSDK_CORE_PROJECT", PROJECT),
            ("CLOUDSDK_RUN_REGION", REGION),
            ("CLOUDSDK_CORE_DISABLE_PROMPTS", "1"),
            ("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true"),
            ("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true"),
            ("CLOUDSDK_SURVEY_DISABLE_PROMPTS", "true"),
            ("CLOUDSDK_PROXY_TYPE", "http"),
            (
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN",
                "http://run.googleapis.com/",
            ),
            (
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING",
                "http://logging.googleapis.com/",
            ),
            (
                "CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE",
                "http://serviceusage.googleapis.com/",
            ),
        ] {
            variables.push((name, value.to_owned()));
        }
        let variables = variables.into_iter();
        Ok(Some(Self {
            program,
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            folder,
        }))
    }

    /// Runs a command line as a shell would split it (no quotes inside).
    pub(crate) async fn run(&self, line: &str) -> Result<Ended, Failure> {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let arguments = arguments.strip_prefix(&["gcloud"]).unwrap_or(&arguments);
        let child = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let ended = tokio::time::timeout(LIMIT, child)
            .await
            .map_err(|_| format!("{line} did not end"))??;
        Ok(Ended {
            code: ended.status.code(),
            out: String::from_utf8(ended.stdout)?,
            err: String::from_utf8(ended.stderr)?,
        })
    }

    /// Runs a command that must succeed.
    pub(crate) async fn ok(&self, line: &str) -> Result<Ended, Failure> {
        let ended = self.run(line).await?;
        if ended.code != Some(0) {
            return Err(format!(
                "{line} ended with {:?}\n{}\n{}",
                ended.code, ended.out, ended.err
            )
            .into());
        }
        Ok(ended)
    }
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("gcloud"))
        .find(|file| file.is_file())
}
