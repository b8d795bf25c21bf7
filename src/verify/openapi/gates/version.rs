//! Stops a release whose API changed more than its version says.

use std::time::Instant;

use async_trait::async_trait;
use delivery::gate::{Mode, SEMVER};
use delivery::verdict::{CaseEnd, Evidence, Measurement};
use semver::Version;

use super::super::super::caller::Caller;
use super::super::super::gate::{Gate, GateContext};
use super::super::super::identity::identity;
use super::super::change::{Change, Level};
use super::super::semver::{refused, right_version};
use super::super::{Document, compare};
use super::fetch::{Published, fetch};
use super::{ended, nothing};

/// Compares the candidate's document with that of what serves.
pub struct SemverGate {
    /// What a finding means for the release.
    pub mode: Mode,
    /// Where both publish their document.
    pub openapi_path: String,
    /// Where both tell their version; `None` where they tell none.
    pub version_path: Option<String>,
}

#[async_trait]
impl Gate for SemverGate {
    fn name(&self) -> &'static str {
        SEMVER
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        let began = Instant::now();
        let (old, new) = match self.documents(at).await {
            Ok(documents) => documents,
            Err(CaseEnd::Skipped(reason)) => return nothing(SEMVER, at.sink, reason),
            Err(end) => return self.evidence(at, SEMVER, end, began, &[]),
        };
        let changes = match compare(&old, &new) {
            Ok(changes) => changes,
            Err(error) => {
                let end = CaseEnd::Undecided(error.to_string());
                return self.evidence(at, SEMVER, end, began, &[]);
            }
        };
        let (name, end) = match self.versions(at).await {
            Some((was, is)) if is < was => {
                let why = format!(
                    "{is} is older than {was}, which serves: going back breaks nothing new"
                );
                (SEMVER.to_owned(), CaseEnd::Skipped(why))
            }
            Some((was, is)) => (format!("{was} → {is}"), judged(&changes, &was, &is)),
            None => (SEMVER.to_owned(), without_versions(&changes)),
        };
        self.evidence(at, &name, end, began, &changes)
    }
}

impl SemverGate {
    async fn documents(&self, at: &GateContext<'_>) -> Result<(Document, Document), CaseEnd> {
        let Some(serving) = at.serving else {
            let why = "no other release serves: there is no API to compare with";
            return Err(CaseEnd::Skipped(why.to_owned()));
        };
        let path = self.openapi_path.as_str();
        let (old, new) = tokio::join!(fetch(serving, path), fetch(at.candidate, path));
        match (old, new) {
            (Published::Document(old), Published::Document(new)) => Ok((*old, *new)),
            (Published::None, _) => Err(CaseEnd::Skipped(format!(
                "what serves publishes no OpenAPI document at {path}"
            ))),
            (Published::Unreachable(why), _) => Err(CaseEnd::Undecided(format!(
                "the document of what serves could not be got: {why}"
            ))),
            (Published::Unreadable(why), _) => Err(CaseEnd::Skipped(format!(
                "the document of what serves cannot be read: {why}"
            ))),
            (_, Published::None) => Err(CaseEnd::Undecided(format!(
                "the candidate publishes no OpenAPI document at {path}, and what serves does: \
                 whether it breaks callers cannot be told"
            ))),
            (_, Published::Unreadable(why) | Published::Unreachable(why)) => Err(
                CaseEnd::Undecided(format!("the candidate's document cannot be read: {why}")),
            ),
        }
    }

    /// The version that serves and the new one. The release knows the new one; by hand, the API
    /// tells it.
    async fn versions(&self, at: &GateContext<'_>) -> Option<(Version, Version)> {
        let was = self.told_by(at.serving?).await?;
        let is = match at.version {
            Some(version) => Version::parse(version.trim_start_matches('v')).ok()?,
            None => self.told_by(at.candidate).await?,
        };
        Some((was, is))
    }

    async fn told_by(&self, caller: &Caller) -> Option<Version> {
        let path = self.version_path.as_deref()?;
        let told = identity(caller, path).await.ok()?.version?;
        let version = Version::parse(told.trim_start_matches('v')).ok()?;
        // 0.0.0 is what builds without a version call themselves.
        ((version.major, version.minor, version.patch) != (0, 0, 0)).then_some(version)
    }

    fn evidence(
        &self,
        at: &GateContext<'_>,
        name: &str,
        end: CaseEnd,
        began: Instant,
        changes: &[Change],
    ) -> Vec<Evidence> {
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let result = ended(self.mode, at.sink, name, (end, millis));
        let count = |level: Level| changes.iter().filter(|it| it.level == level).count();
        let measurements = [
            ("breaking changes", Level::Breaking),
            ("doubtful changes", Level::Doubtful),
            ("additions", Level::Addition),
        ];
        let mut evidence = Evidence::new(SEMVER, vec![result]);
        evidence.measurements = measurements
            .into_iter()
            .map(|(name, level)| Measurement::new(name, count(level) as f64, ""))
            .collect();
        vec![evidence]
    }
}

fn judged(changes: &[Change], was: &Version, is: &Version) -> CaseEnd {
    let refused = refused(changes, was, is);
    let Some(worst) = refused.first() else {
        return CaseEnd::Passed;
    };
    let right = right_version(worst.level, was);
    let mut lines = vec![format!(
        "{is} does not allow what changed since {was}: release it as {right} or later, or take the change back"
    )];
    lines.extend(refused.iter().map(ToString::to_string));
    CaseEnd::Failed(lines)
}

fn without_versions(changes: &[Change]) -> CaseEnd {
    let worst = changes.iter().map(|change| change.level).max();
    CaseEnd::Skipped(match worst {
        Some(Level::Breaking) => {
            let first = changes
                .iter()
                .find(|change| change.level == Level::Breaking);
            let first = first.map(ToString::to_string).unwrap_or_default();
            format!("no versions to judge by; a release of this needs the next MAJOR: {first}")
        }
        Some(Level::Addition | Level::Doubtful) => {
            "no versions to judge by; a release of this needs the next MINOR".to_owned()
        }
        Some(Level::Note) | None => "no versions to judge by; the API did not change".to_owned(),
    })
}
