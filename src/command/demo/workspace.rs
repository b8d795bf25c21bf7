//! A Git repository of the sample API, in a temporary folder, that the demo commits to.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::process::Command;

/// Files and folders of the sample that are no part of a user's repository.
const LEFT_OUT: [&str; 4] = ["__pycache__", ".pytest_cache", "variants", "README.md"];

/// A checkout on which commits and tags are made.
pub(super) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Copies the sample to `root`, which must not exist, and makes it a repository.
    ///
    /// # Errors
    /// When the sample is not there, a file cannot be copied, or Git is missing.
    pub(super) async fn create(sample: &Path, root: PathBuf) -> anyhow::Result<Self> {
        copy_folder(sample, &root)
            .with_context(|| format!("cannot copy the sample from {}", sample.display()))?;
        let workspace = Self { root };
        workspace
            .git(&["init", "--quiet", "--initial-branch", "main"])
            .await?;
        Ok(workspace)
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file, with its folders.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let file = self.root.join(path);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Replaces `from`, which must occur, by `to` in a file.
    ///
    /// # Errors
    /// When the file cannot be read or written, or `from` does not occur.
    pub(super) fn replace(&self, path: &str, from: &str, to: &str) -> anyhow::Result<()> {
        let file = self.root.join(path);
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        if !text.contains(from) {
            bail!("{} does not contain {from:?}", file.display());
        }
        self.write(path, &text.replace(from, to))
    }

    /// Commits everything; gives the full commit.
    ///
    /// # Errors
    /// When Git fails.
    pub(super) async fn commit(&self, message: &str) -> anyhow::Result<String> {
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--message", message])
            .await?;
        self.git(&["rev-parse", "HEAD"]).await
    }

    async fn git(&self, args: &[&str]) -> anyhow::Result<String> {
        // A name of its own, and no setting of the person at the keyboard (signing, hooks, templates).
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=demo",
                "-c",
                "user.email=demo@localhost",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(["-c", "core.hooksPath=/dev/null"])
            .args(args)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .output()
            .await
            .context("cannot run git: is it installed?")?;
        if !output.status.success() {
            bail!(
                "git {} failed: {}",
                args.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
