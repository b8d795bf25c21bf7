//! The real gcloud, pointed at the local cloud.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use testkit::World;
use testkit::judge::skip;
use tokio::process::Command;

use super::{Failure, PROGRAM};

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
    variables: BTreeMap<String, String>,
    folder: TempDir,
}

impl Gcloud {
    /// gcloud for this world; `None` when it is not installed and need not be.
    pub(crate) async fn of(world: &World) -> Result<Option<Self>, Failure> {
        let Some(program) = installed() else {
            skip("gcloud is not installed");
            return Ok(None);
        };
        let folder = testkit::temporary_folder()?;
        let variables = evaluated(world.url(), folder.path()).await?;
        Ok(Some(Self {
            program,
            variables,
            folder,
        }))
    }

    /// A variable that `ml-deploy emulator --env` sets.
    pub(crate) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Runs a command line as a shell would split it (no quotes inside).
    pub(crate) async fn run(&self, line: &str) -> Result<Ended, Failure> {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let arguments = arguments.strip_prefix(&["gcloud"]).unwrap_or(&arguments);
        let child = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .current_dir(self.folder.path())
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

/// The environment of a shell after `eval "$(ml-deploy emulator --env)"`, and nothing else in it.
async fn evaluated(url: &str, folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let script = "eval \"$('TOOL' emulator --env --cloud-url URL)\" && env -0"
        .replace("TOOL", PROGRAM)
        .replace("URL", url);
    let ended = Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .output()
        .await?;
    let said = String::from_utf8(ended.stdout)?;
    if !ended.status.success() {
        return Err(format!("{said}{}", String::from_utf8_lossy(&ended.stderr)).into());
    }
    let pairs = said.split('\0').filter_map(|pair| pair.split_once('='));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("gcloud"))
        .find(|file| file.is_file())
}
