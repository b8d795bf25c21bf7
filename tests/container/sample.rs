//! A user's repository with the sample API, in a temporary folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::cloud::{OWNER, PROJECT, REGION, REPOSITORY};
use crate::repository;

/// What of the sample's folder is no part of a user's repository.
const LEFT_OUT: [&str; 3] = ["__pycache__", ".pytest_cache", "variants"];

/// Asks DEV only whether it starts, so that a wrong model is found in TEST.
const SMOKE: &str = "\
cases:
  - name: health answers
    request: { method: GET, path: /health }
    expect: { status: 200 }
";

/// A Git repository on `main`.
pub(crate) struct Sample {
    _root: TempDir,
    folder: PathBuf,
}

impl Sample {
    /// The sample with its configuration file, committed.
    pub(crate) fn create() -> Self {
        let root = tempfile::Builder::new()
            .prefix("sample-")
            .tempdir()
            .unwrap();
        let folder = root.path().join("ml-api");
        copy(&repository().join("examples/ml-api"), &folder);
        let sample = Self {
            _root: root,
            folder,
        };
        sample.write(".github/ml-deploy.yml", &configuration());
        sample.write("smoke.yaml", SMOKE);
        sample.git(&["init", "--quiet", "--initial-branch", "main"]);
        let origin = format!("https://github.com/{OWNER}/{REPOSITORY}.git");
        sample.git(&["remote", "add", "origin", &origin]);
        sample.commit("The sample API");
        sample
    }

    /// Adds the example workflows, as they are.
    pub(crate) fn with_workflows(self) -> Self {
        for workflow in fs::read_dir(repository().join("examples/workflows")).unwrap() {
            let workflow = workflow.unwrap();
            let text = fs::read_to_string(workflow.path()).unwrap();
            let name = workflow.file_name();
            self.write(
                &format!(".github/workflows/{}", name.to_str().unwrap()),
                &text,
            );
        }
        self.commit("The workflows");
        self
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let file = self.folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Replaces what must be there.
    #[track_caller]
    pub(crate) fn replace(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.folder.join(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, &text.replace(from, to));
    }

    /// A change that makes another image and no difference.
    pub(crate) fn change(&self) {
        self.write("app/notes.py", "\"\"\"Nothing of interest.\"\"\"\n");
    }

    /// Hands the features to the model from last to first: healthy, and wrong.
    pub(crate) fn break_model(&self) {
        self.replace(
            "app/model.py",
            "for name in artefact.features]",
            "for name in reversed(artefact.features)]",
        );
    }

    /// The process ends at once, with a traceback; the image's own check at build time still passes.
    pub(crate) fn break_start(&self) {
        self.replace(
            "app/__main__.py",
            "    port = int(",
            "    raise RuntimeError('no licence')\n    port = int(",
        );
    }

    /// Commits everything and gives the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The commit that is checked out.
    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Tags what is checked out.
    pub(crate) fn tag(&self, name: &str) {
        self.git(&["tag", name]);
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args([
                "-c",
                "commit.gpgsign=false",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(arguments)
            .current_dir(&self.folder)
            .output()
            .expect("git");
        assert!(
            output.status.success(),
            "git {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn configuration() -> String {
    format!(
        "\
service: ml-api
image: {REGION}-docker.pkg.dev/{PROJECT}/ml/ml-api
project_id: {PROJECT}
region: {REGION}
tests: golden.yaml
cpu: \"1\"
memory: 512Mi
environments:
  - name: dev
    tests: smoke.yaml
  - test
  - staging
  - name: production
    access: public
"
    )
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
