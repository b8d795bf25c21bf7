//! What evidence asks of a delivery: a pass of the environment before, then the delivery, then its own
//! pass; and where nothing was to do, what is missing.
//!
//! Works over any store, any hand that signs and any delivery.

use std::time::Duration;

use async_trait::async_trait;
use delivery::attestation::admit::Admission;
use delivery::attestation::record::ApprovalRecord;
use delivery::attestation::{Asked, Finding, TrustedKey, admit};
use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::gate::Mode;
use delivery::name::EnvironmentName;
use delivery::outcome::Outcome;
use delivery::release::{ImageDigest, Release};
use delivery::spec::ConfigHash;
use delivery::state::{RunRef, Timestamp};
use delivery::target::Target;
use delivery::verdict::Evidence;

use super::served::Served;
use super::{EvidenceStore, Signer, attach_pass, find_pass, waiting};
use crate::deliver::regions::Landed;
use crate::deliver::{Cloud, stopped};
use crate::execute::Guard;

/// What attaching may take beyond a signal: a runner kills 10 s after its first one.
const MOMENT: Duration = Duration::from_secs(2);

/// The evidence of one environment.
pub struct Shelf {
    /// Where it lies.
    pub store: Box<dyn EvidenceStore>,
    /// What counts, where the environment has a key.
    pub key: Option<Box<dyn TrustedKey>>,
    /// What signs, where the environment has a key.
    pub signer: Option<Box<dyn Signer>>,
}

impl Shelf {
    fn key(&self) -> Option<&dyn TrustedKey> {
        self.key.as_deref()
    }

    fn signer(&self) -> Option<&dyn Signer> {
        self.signer.as_deref()
    }
}

/// The evidence of all environments.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Opens that of one environment; anew each time, for credentials grow old during a delivery.
    ///
    /// # Errors
    /// When it cannot be opened, or its key cannot be used.
    async fn open(&self, environment: &EnvironmentName) -> Result<Shelf, Diagnostic>;
}

/// Says whether an image passed an environment.
///
/// # Errors
/// When its evidence cannot be read.
pub async fn finding_of(
    archive: &dyn Archive,
    digest: &ImageDigest,
    environment: &EnvironmentName,
) -> Result<Finding, Diagnostic> {
    let shelf = archive.open(environment).await?;
    find_pass(shelf.store.as_ref(), digest, environment, shelf.key()).await
}

/// What is asked, and of whom.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    /// The environment that is delivered to.
    pub environment: &'a EnvironmentName,
    /// The one that must have passed; the first environment has none.
    pub before: Option<&'a EnvironmentName>,
    /// What the environment says of evidence.
    pub mode: Mode,
    /// Whether another environment will ask for its pass.
    pub next: Next,
}

/// Whether another environment comes after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// One asks for the pass.
    Asks,
    /// It is the last.
    None,
}

/// Where the tests of what is promoted run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// In the delivery.
    Here,
    /// In an earlier step, `command: deploy`, which has left what it measured at the image.
    Before,
}

/// Who speaks.
#[derive(Debug, Clone)]
pub struct Author {
    /// The run.
    pub run: RunRef,
    /// `OWNER/NAME`.
    pub repository: Option<String>,
    /// Address of the repository: pages of runs are below it.
    pub repository_url: Option<String>,
    /// The full ref.
    pub git_ref: Option<String>,
    /// Whom it acts as.
    pub identity: Option<String>,
    /// Who approved.
    pub approval: ApprovalRecord,
}

/// One delivery, and everything that its evidence needs.
pub struct Proven<'a> {
    /// What is asked.
    pub rule: Rule<'a>,
    /// The evidence.
    pub archive: &'a dyn Archive,
    /// The services, for what their records say.
    pub cloud: &'a dyn Cloud,
    /// The services.
    pub targets: &'a [Target],
    /// What is delivered.
    pub release: &'a Release,
    /// How it is configured.
    pub configuration: ConfigHash,
    /// When the run began with it.
    pub started: Timestamp,
    /// Where it is tested.
    pub tests: Tests,
    /// Who speaks.
    pub author: Author,
    /// What was measured so far.
    pub measured: &'a (dyn Fn() -> Vec<Evidence> + Send + Sync),
    /// Who is told.
    pub sink: &'a dyn EventSink,
    /// What ends it early, and what time it is.
    pub guard: &'a Guard,
}

/// How a delivery with its evidence ended.
#[derive(Debug)]
pub struct Ended {
    /// By what the release was let in, where something was asked.
    pub admitted: Option<String>,
    /// How the delivery ended, or why it was not begun, or that its evidence is missing.
    pub outcome: Result<Outcome, Diagnostic>,
}

impl Proven<'_> {
    /// Asks, then delivers, then attaches. `bring` comes between asking and delivering: it brings
    /// image and evidence to where they are delivered from. Neither is begun when what is asked is
    /// missing.
    pub async fn carry_out(
        &self,
        bring: impl Future<Output = Result<(), Diagnostic>>,
        deliver: impl Future<Output = (Outcome, Vec<Landed>)>,
    ) -> Ended {
        let mut admitted = None;
        let outcome = async {
            admitted = self.admit().await?;
            self.guarded("copy the image", bring).await?;
            let (outcome, landed) = deliver.await;
            self.attach(&outcome, &landed).await?;
            Ok(outcome)
        };
        let outcome = outcome.await;
        Ended { admitted, outcome }
    }

    /// Asks for the pass of the environment before, and whether the own key can be used: that is
    /// better known now than after the promotion. Gives the line that tells by what it goes on.
    ///
    /// # Errors
    /// The release must not go on.
    pub async fn admit(&self) -> Result<Option<String>, Diagnostic> {
        if self.rule.mode != Mode::Off {
            let opened = self.archive.open(self.rule.environment);
            let opened = self.guarded("look at the key for evidence", opened).await;
            self.or_warn(opened.map(drop))?;
        }
        let line = self.ask().await?;
        if let Some(line) = &line {
            self.sink.emit(Event::Note(format!("evidence: {line}")));
        }
        Ok(line)
    }

    /// Asks for the pass of the environment before; gives the line that tells by what it goes on. What
    /// is missing where evidence only warns is told here.
    ///
    /// # Errors
    /// The release must not go on.
    pub async fn ask(&self) -> Result<Option<String>, Diagnostic> {
        let Rule {
            environment,
            before: Some(before),
            mode,
            next: _,
        } = self.rule
        else {
            return Ok(None);
        };
        let (label, image) = (self.release.label(), self.release.image.to_string());
        let asked = Asked {
            release: &label,
            image: &image,
            of: before,
            into: environment,
            mode,
        };
        let finding = if mode == Mode::Off {
            Finding::Missing
        } else {
            let found = finding_of(self.archive, &self.release.image.digest, before);
            match self.guarded("check the evidence", found).await {
                Ok(finding) => finding,
                Err(problem) => return self.or_warn(Err(problem)).map(|()| None),
            }
        };
        match admit(&finding, &asked) {
            Admission::Admitted(line) => Ok(Some(line)),
            Admission::Warned(warning) => {
                self.sink.emit(Event::Warning(*warning));
                Ok(None)
            }
            Admission::Refused(refusal) => Err(*refusal),
        }
    }

    /// A problem with evidence is a warning where evidence only warns.
    fn or_warn(&self, result: Result<(), Diagnostic>) -> Result<(), Diagnostic> {
        match result {
            Err(problem) if self.rule.mode == Mode::Warn && !is_end(&problem) => {
                self.sink.emit(Event::Warning(problem.as_warning()));
                Ok(())
            }
            other => other,
        }
    }

    /// Attaches what the delivery came to: a pass of what this run tested, or, where the release served
    /// already and its pass is missing, of what the services' records say; or what was measured of a
    /// candidate that waits. Anything else leaves nothing.
    ///
    /// # Errors
    /// [`Code::EvidenceNotAttached`]; a warning where no later environment asks for it.
    pub async fn attach(&self, outcome: &Outcome, landed: &[Landed]) -> Result<(), Diagnostic> {
        if self.rule.mode == Mode::Off {
            return Ok(());
        }
        let what = "attach the evidence";
        let problem = match outcome {
            Outcome::Promoted { .. } | Outcome::UpToDate { .. } => {
                match self.in_a_moment(what, self.put(landed)).await {
                    Ok(()) => return Ok(()),
                    Err(problem) => self.not_attached(problem),
                }
            }
            Outcome::Waiting { .. } => {
                if let Err(problem) = self.in_a_moment(what, self.leave(landed)).await {
                    let told = self.not_left(problem);
                    self.sink.emit(Event::Warning(told.as_warning()));
                }
                return Ok(());
            }
            // Only a pass is attached; what stopped a run must not be taken for a failure to attach.
            Outcome::RolledBack { .. }
            | Outcome::Recovered { .. }
            | Outcome::Verified
            | Outcome::Stopped(_)
            | Outcome::RollbackFailed(_) => return Ok(()),
        };
        if self.rule.next == Next::None || self.rule.mode == Mode::Warn {
            self.sink.emit(Event::Warning(problem.as_warning()));
            return Ok(());
        }
        Err(problem)
    }

    /// Attaches the pass, unless nothing was to do and it is there.
    async fn put(&self, landed: &[Landed]) -> Result<(), Diagnostic> {
        let shelf = self.archive.open(self.rule.environment).await?;
        let store = shelf.store.as_ref();
        let digest = &self.release.image.digest;
        let is_promoted = |one: &Landed| matches!(one.outcome, Outcome::Promoted { .. });
        if !landed.iter().any(is_promoted) {
            let found = find_pass(store, digest, self.rule.environment, shelf.key()).await?;
            if matches!(found, Finding::Counts(_) | Finding::Unsigned(_)) {
                return Ok(());
            }
        }
        let served = Served::of(self, landed, store, shelf.key()).await?;
        let pass = served.pass(self);
        attach_pass(store, shelf.signer(), &pass).await?;
        let how = match shelf.signer {
            Some(_) => "signed",
            None => "unsigned",
        };
        let (name, image) = (&pass.environment, &pass.image);
        let note = format!("evidence: attached that {name} passed, {how}, to {image}");
        self.sink.emit(Event::Note(note));
        Ok(())
    }

    /// Leaves what was measured of the candidates for the step that promotes them.
    async fn leave(&self, landed: &[Landed]) -> Result<(), Diagnostic> {
        let shelf = self.archive.open(self.rule.environment).await?;
        waiting::leave(self, landed, shelf.store.as_ref(), shelf.signer()).await
    }

    /// The same, with a moment beyond: what is served is decided, and only its evidence is missing.
    async fn in_a_moment(
        &self,
        what: &str,
        work: impl Future<Output = Result<(), Diagnostic>>,
    ) -> Result<(), Diagnostic> {
        let late = async {
            let stop = self.guard.stopped().await;
            tokio::time::sleep(MOMENT).await;
            stop
        };
        tokio::select! {
            biased;
            done = work => done,
            stop = late => Err(stopped(stop, what)),
        }
    }

    /// Waits for the work, but not beyond a signal or the deadline.
    async fn guarded<T>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, Diagnostic>>,
    ) -> Result<T, Diagnostic> {
        tokio::select! {
            biased;
            stop = self.guard.stopped() => Err(stopped(stop, what)),
            done = work => done,
        }
    }

    fn not_attached(&self, problem: Diagnostic) -> Diagnostic {
        let (label, name) = (self.release.label(), self.rule.environment);
        let title = format!("{label} serves in {name}, but its evidence could not be attached");
        self.because(title, problem)
            .state(format!(
                "{label} serves in {name}; the environment after it will not take it without evidence"
            ))
            .help("run this job again: nothing is deployed anew, the evidence is attached")
    }

    fn not_left(&self, problem: Diagnostic) -> Diagnostic {
        let label = self.release.label();
        let title = format!("what was measured of {label} could not be kept");
        let told = self.because(title, problem);
        told.state("the candidate waits; the evidence after `command: promote` will name none of the tests of this step, and say that they had passed before")
    }

    fn because(&self, title: String, problem: Diagnostic) -> Diagnostic {
        let name = self.rule.environment;
        let mut told = Diagnostic::error(Code::EvidenceNotAttached, title)
            .at(format!("environment {name}"))
            .cause(problem.title);
        told.cause.extend(problem.cause);
        told.help = problem.help;
        told
    }
}

/// The run itself must end.
fn is_end(problem: &Diagnostic) -> bool {
    matches!(problem.code, Code::Interrupted | Code::DeadlinePassed)
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
