//! Events, diagnostics and outcomes → text.
//!
//! Renderers are pure functions; three reporters put their text where it belongs:
//! [`github::GithubReporter`] (log, annotations, summary, outputs), [`terminal::TerminalReporter`]
//! and [`lines::JsonReporter`]. All of them write through one [`Output`].

pub mod command;
pub mod diagnostic;
pub mod errors_page;
pub mod files;
pub mod github;
pub mod json;
pub mod junit;
pub mod lines;
pub mod masker;
pub mod plan_view;
pub mod results;
pub mod style;
pub mod summary;
pub mod terminal;
pub mod text;
pub mod token;

pub use plan_view::PlanView;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use delivery::approval::ApprovalRecord;
use delivery::diagnostic::Diagnostic;
use delivery::event::EventSink;
use delivery::outcome::Outcome;
use delivery::verdict::Evidence;

/// Where text goes. Cloned handles write to the same place, a whole message at a time.
#[derive(Clone)]
pub struct Output(Arc<Mutex<Box<dyn Write + Send>>>);

impl Output {
    /// Takes the place that is written to.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(writer))))
    }

    /// Writes a text as it is, at once.
    ///
    /// A log that cannot be written (a closed pipe) must not end a deployment half-way: the error is
    /// dropped.
    pub fn say(&self, text: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer
            .write_all(text.as_bytes())
            .and_then(|()| writer.flush());
    }
}

/// For code that writes to any stream; each call is one whole message.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush()
    }
}

/// What is told at the end, beside how the run ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunSummary {
    /// Our name of the environment.
    pub environment: Option<String>,
    /// Project, region and service in one line.
    pub service: Option<String>,
    /// `v1.2.3`, or `sha-1234567`.
    pub release_label: Option<String>,
    /// The image by digest.
    pub image: Option<String>,
    /// The digest alone.
    pub digest: Option<String>,
    /// The version, without `v`.
    pub version: Option<String>,
    /// The full commit.
    pub commit: Option<String>,
    /// What served before.
    pub before: Option<String>,
    /// The candidate's own address.
    pub candidate_url: Option<String>,
    /// What is known of earlier environments' passes with this image, one line each.
    pub passes: Vec<String>,
    /// Who approved, or why nobody was asked.
    pub approval: Option<ApprovalRecord>,
    /// What serves in each region.
    pub regions: Vec<Served>,
    /// The steps, one line each.
    pub plan: Vec<String>,
    /// What is to be read beside the steps before somebody approves; only of a plan.
    pub view: Option<PlanView>,
    /// What the tests measured.
    pub evidence: Vec<Evidence>,
    /// Things to know.
    pub warnings: Vec<Diagnostic>,
    /// Files that the results are written to.
    pub reports: ReportFiles,
    /// The run may have left a rollout unfinished, which its post step looks for.
    pub left_open: bool,
}

/// What serves in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The region.
    pub region: String,
    /// The revision.
    pub revision: String,
    /// The service's address.
    pub url: String,
}

/// Files for other programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportFiles {
    /// JUnit XML.
    pub junit: Option<PathBuf>,
    /// JSON.
    pub results: Option<PathBuf>,
}

impl ReportFiles {
    /// Writes them; folders are made.
    ///
    /// # Errors
    /// The first file that cannot be written, with the reason.
    pub fn write(&self, outcome: &Outcome, run: &RunSummary) -> Result<(), String> {
        let write = |path: &Path, text: &str| {
            let folder = path.parent().unwrap_or(Path::new(""));
            std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::write(path, text))
                .map_err(|error| format!("{}: {error}", path.display()))
        };
        if let Some(path) = &self.junit {
            let name = run.release_label.as_deref().unwrap_or("ml-deploy");
            write(path, &junit::render(name, &run.evidence))?;
        }
        if let Some(path) = &self.results {
            write(path, &format!("{:#}\n", results::render(outcome, run)))?;
        }
        Ok(())
    }
}

impl RunSummary {
    /// `{"REGION": "VALUE", …}`.
    fn by_region(&self, value: fn(&Served) -> &String) -> Option<String> {
        let pair = |one: &Served| -> (String, serde_json::Value) {
            (one.region.clone(), value(one).clone().into())
        };
        let pairs: serde_json::Map<_, _> = self.regions.iter().map(pair).collect();
        (!pairs.is_empty()).then(|| serde_json::Value::Object(pairs).to_string())
    }

    /// The outputs of the action; absent ones are left out.
    pub fn outputs(&self, outcome: &Outcome) -> Vec<(&'static str, String)> {
        let (url, revision) = match outcome {
            Outcome::Promoted { revision, url }
            | Outcome::UpToDate { revision, url }
            | Outcome::RolledBack { revision, url }
            | Outcome::Waiting { revision, url } => (Some(url.clone()), Some(revision.to_string())),
            Outcome::Verified
            | Outcome::Recovered { .. }
            | Outcome::Stopped(_)
            | Outcome::RollbackFailed(_) => (None, None),
        };
        [
            ("url", url),
            ("revision", revision),
            ("urls", self.by_region(|one| &one.url)),
            ("revisions", self.by_region(|one| &one.revision)),
            ("digest", self.digest.clone()),
            ("image", self.image.clone()),
            ("version", self.version.clone()),
            ("candidate_url", self.candidate_url.clone()),
            ("environment", self.environment.clone()),
            ("outcome", Some(json::outcome_name(outcome).to_owned())),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect()
    }
}

/// The outputs of the action, with what they mean; `action.yml` is made from it.
pub const OUTPUTS: &[(&str, &str)] = &[
    (
        "url",
        "Address of the service, as Cloud Run gives it; with several regions, in the first.",
    ),
    (
        "revision",
        "The revision that serves, in the first region where there are several; after `command: deploy`, the candidate.",
    ),
    (
        "urls",
        "The address in each region, as JSON: `{\"europe-west1\": \"https://…\"}`.",
    ),
    (
        "revisions",
        "The revision that serves in each region, as JSON.",
    ),
    ("digest", "Digest of the image, `sha256:…`."),
    ("image", "The image by digest, `REPOSITORY@sha256:…`."),
    (
        "version",
        "The version, without `v`; absent for a build of a branch.",
    ),
    (
        "candidate_url",
        "Address of the candidate's own, while it had one. After `command: deploy` it answers there; \
         where callers need an ID token, its audience is `url`.",
    ),
    (
        "outcome",
        "`promoted`, `waiting` (after `command: deploy`), `up-to-date`, `rolled-back`, `verified`, `recovered` (a rollout that a dead run had left was ended), `stopped` or `rollback-failed`.",
    ),
    ("environment", "The environment that was deployed to."),
];

/// Takes events while the run goes on, and the outcome at its end.
pub trait Reporter: EventSink {
    /// Tells how the run ended. Called once, last.
    fn finish(&self, outcome: &Outcome, run: &RunSummary);
}

#[cfg(test)]
pub(crate) mod testing {
    //! An output that tests can read.

    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::Output;

    /// What was written.
    #[derive(Clone, Default)]
    pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub(crate) fn output(&self) -> Output {
            Output::new(self.clone())
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
