//! One value for everything that goes wrong: cause, state, way out.
//!
//! The catalogue below is the source of `docs/errors.md`.

use std::fmt;

use crate::outcome::ExitCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $exit:ident, $meaning:literal;)*) => {
        /// What went wrong, as a documented code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $meaning] $name,)* }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// `D0101` and so on.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// The exit code of a run that ends with it.
            pub fn exit_code(self) -> ExitCode {
                match self { $(Self::$name => ExitCode::$exit,)* }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    InputMissing = "D0101", BadInput, "A required input is missing.";
    InputInvalid = "D0102", BadInput, "An input has a value that cannot be used.";
    InputUnknown = "D0103", BadInput, "An input or a key of the configuration file is not known.";
    ConfigUnreadable = "D0104", BadInput, "The configuration file cannot be read.";
    TestsUnreadable = "D0105", BadInput, "The API test file cannot be read.";
    RefNotDeployable = "D0106", BadInput, "The Git ref is neither a configured branch nor a version tag.";
    NameTooLong = "D0107", BadInput, "A name that follows from the inputs is longer than Cloud Run allows.";
    Uncommitted = "D0108", BadInput, "The files to build differ from the commit that the image is to be named after.";

    PrereleaseToProduction = "D0201", Blocked, "A prerelease does not go to production.";
    OlderThanProduction = "D0202", Blocked, "The version is older than the one that serves in production.";
    DigestRejected = "D0203", Blocked, "The digest was rolled back here before.";
    SupersededRerun = "D0204", Blocked, "A re-run of a superseded release that was never healthy here.";
    AnotherRun = "D0205", Blocked, "Another run is changing this service.";
    StateUnreadable = "D0206", Blocked, "The record in the service's annotation cannot be read.";
    NoRollbackTarget = "D0207", Blocked, "There is no revision to roll back to.";
    RollbackTargetUnfit = "D0208", Blocked, "The revision to roll back to cannot serve.";
    ApprovalNotRequired = "D0209", Blocked, "The GitHub environment of production has no required reviewers.";
    WrongGitHubEnvironment = "D0210", Blocked, "The job does not run in the GitHub environment of its target.";
    ApprovalUnknown = "D0211", Blocked, "Whether the approval is enforced cannot be checked.";
    NoImageForCommit = "D0212", Blocked, "No image was built from the tagged commit.";
    ServiceBusy = "D0213", Blocked, "The service keeps changing under this run.";
    VersionReused = "D0214", Blocked, "The version stands for another digest in production.";
    NotARelease = "D0215", Blocked, "A build of a branch does not go to production.";
    ForeignChange = "D0216", Blocked, "Something about the service was made by another tool; the run goes on and says what it does about it.";
    NoProduction = "D0217", Blocked, "The list of environments has no production.";

    CandidateUnreachable = "D0221", Blocked, "The runner cannot reach the candidate: the service does not let it in.";
    SelfReviewAllowed = "D0222", Blocked, "Who starts a run could approve it, although `prevent_self_review` is asked for.";
    ApprovalMissing = "D0223", Blocked, "No reviewer has approved this run.";
    ConfigurationDrift = "D0224", Blocked, "Variables or secrets of the environment before would be missing here.";
    DriftUnknown = "D0225", Blocked, "The configuration of the environment before cannot be read; the run goes on without the comparison.";
    ServiceClosed = "D0226", Blocked, "A public service becomes private.";
    RegionFailed = "D0241", VerificationFailed, "Another region failed: this one was stopped, and what served before serves in it.";
    RegionsUnlike = "D0242", Blocked, "The command looks at one region, and the environment has several.";

    CandidateNotReady = "D0301", VerificationFailed, "The candidate revision did not become ready.";
    TestsFailed = "D0302", VerificationFailed, "The API tests failed against the candidate.";
    TestsInconclusive = "D0303", VerificationFailed, "The API tests against the candidate could not be decided.";
    NotConfirmed = "D0304", VerificationFailed, "The service did not answer as the new release within the grace period.";
    Interrupted = "D0305", VerificationFailed, "The run was interrupted.";
    DeadlinePassed = "D0306", VerificationFailed, "The run took longer than its deadline.";
    UndoFailed = "D0307", RollbackFailed, "What served before could not be restored.";
    LocalTestsFailed = "D0308", VerificationFailed, "The API tests failed against the image, started locally.";
    RolloutEnded = "D0311", VerificationFailed, "The rollout of this run was ended by its post step or by `ml-deploy recover` while the run was still at work.";
    RolloutRecovered = "D0312", VerificationFailed, "A run left a rollout unfinished; it was taken back, or finished.";
    LeaseLives = "D0313", Blocked, "An unfinished rollout belongs to a run that may still be at work.";
    LeaseOverridden = "D0314", Blocked, "An unfinished rollout was taken from a run whose lease had not ended, as asked.";
    RecoveryUnknown = "D0315", Cloud, "Whether a rollout was left unfinished could not be found out.";
    RegionsApart = "D0316", RollbackFailed, "The regions of an environment serve different releases, because a run ended before it had come through in all of them.";

    DockerUnavailable = "D0401", Cloud, "The Docker engine does not answer.";
    BuildFailed = "D0402", Cloud, "The image could not be built.";
    PushFailed = "D0403", Cloud, "The image could not be pushed.";
    RegistryFailed = "D0404", Cloud, "The registry refused or did not answer.";
    DigestMismatch = "D0405", Cloud, "The registry holds another digest than the one that was pushed.";
    DiskFull = "D0406", Cloud, "The Docker engine has no space left.";

    NoCredentials = "D0501", Cloud, "No credentials for Google Cloud were found.";
    CredentialsRefused = "D0502", Cloud, "The credentials were refused.";
    IdTokenUnavailable = "D0503", Cloud, "No ID token can be made with these credentials.";
    PermissionDenied = "D0504", Cloud, "The caller lacks a permission.";
    CloudFailed = "D0505", Cloud, "A Google Cloud API refused or did not answer.";
    GitHubFailed = "D0506", Cloud, "GitHub refused or did not answer.";
    EndpointRefused = "D0507", BadInput, "An endpoint override points outside loopback and private addresses.";

    DependencyNotPinned = "D0601", Blocked, "A dependency is not pinned to one version.";
    DockerfileUnsound = "D0602", Blocked, "The Dockerfile breaks a policy: stages, user, or the cache of pip.";
    BaseNotPinned = "D0603", Blocked, "An image that the Dockerfile builds on may be another one tomorrow.";
    ImageRunsAsRoot = "D0604", Blocked, "The built image runs as root, or as a user who is not in it.";
    ImageTooLarge = "D0605", Blocked, "The built image is larger than its budget.";
    ImageHoldsTooMuch = "D0606", Blocked, "The built image holds what no run needs: caches, build tools, tests.";
    SecretFound = "D0607", Blocked, "A credential is in the build context, the Dockerfile or the image.";
    ImageUnreadable = "D0608", Blocked, "The built image cannot be read to its end, so that the policies cannot be checked.";

    WrongModel = "D0631", VerificationFailed, "The API is healthy, but it is not the release: wrong commit, version or model.";
    PredictionsDiffer = "D0633", VerificationFailed, "Recorded predictions differ from the candidate's.";
    NotRecorded = "D0634", VerificationFailed, "A golden file could not be recorded.";
    ResultsUnwritten = "D0632", Cloud, "The file for the results of the tests could not be written.";

    SloMissed = "D0641", VerificationFailed, "The candidate is slower under load, or fails more often, than promised.";
    PredictionsMoved = "D0642", VerificationFailed, "The candidate predicts other things than what serves, for the same inputs.";
    ColdStartTooSlow = "D0643", VerificationFailed, "The candidate's first right answer came too late.";

    ApiBroken = "D0651", VerificationFailed, "The API changed more than the version of the release says.";
    NotConforming = "D0652", VerificationFailed, "The API does not keep to the OpenAPI document that it publishes.";
    GateWarned = "D0653", VerificationFailed, "A gate that only warns would have stopped the release; the run goes on.";
    NothingWaits = "D0654", Blocked, "No candidate of this run has passed its tests and waits for its promotion.";

    CanaryFailed = "D0661", VerificationFailed, "With a share of the traffic, the candidate was slower or failed more often than its limits or what serves beside it allow.";
    CanaryUndecided = "D0662", VerificationFailed, "Whether a candidate with a share of the traffic is good enough for more could not be decided.";
    EvidenceMissing = "D0671", Blocked, "Nothing proves that the image passed the environment before.";
    EvidenceUnsigned = "D0672", Blocked, "The evidence of the environment before is not signed, although it has a key.";
    EvidenceNotTrusted = "D0673", Blocked, "The evidence of the environment before is not signed by its key.";
    EvidenceOfAnother = "D0674", Blocked, "The evidence is about another image.";
    EvidenceOfFailure = "D0675", Blocked, "The evidence says that the image failed in the environment before.";
    EvidenceNotAttached = "D0676", Cloud, "The release serves, but the evidence of it could not be attached to its image.";
    SigningKeyUnfit = "D0677", Cloud, "The key for evidence cannot be used, or Cloud KMS answered something else than was asked.";
    ImageNotCopied = "D0678", Cloud, "The image could not be copied into the repository of its environment.";

    Internal = "D0901", Internal, "A defect of this program.";
}

impl Code {
    /// True when the candidate itself is at fault, so that its revision is not taken up again. An
    /// interrupted run, tests that could not be decided and a cloud that did not answer say nothing
    /// about it: the next run goes on with the same revision.
    pub fn is_candidates_fault(self) -> bool {
        matches!(
            self,
            Self::CandidateNotReady
                | Self::TestsFailed
                | Self::WrongModel
                | Self::NotConfirmed
                | Self::SloMissed
                | Self::PredictionsMoved
                | Self::ColdStartTooSlow
                | Self::PredictionsDiffer
                | Self::CanaryFailed
        )
    }

    /// True when it shows only once callers reach the candidate, so that its undo is a rollback.
    pub fn is_seen_in_traffic(self) -> bool {
        matches!(self, Self::NotConfirmed | Self::CanaryFailed)
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The run does not go on.
    Error,
    /// The run goes on.
    Warning,
}

/// A place in a file of the repository, so that it can be shown beside the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlace {
    /// Path from the repository's root, with `/`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// Something that went wrong, ready to be shown anywhere. No secret may be put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The documented code.
    pub code: Code,
    /// How much it matters.
    pub level: Level,
    /// One line: what did not work, with names.
    pub title: String,
    /// Where: the step and target, or the input and where its value came from.
    pub at: Option<String>,
    /// The place in a file, where there is one; `at` says it in words as well.
    pub file: Option<FilePlace>,
    /// Why; one line a cause, outermost first. May hold text of others.
    pub cause: Vec<String>,
    /// What serves now.
    pub state: Option<String>,
    /// The way out; one line a possibility.
    pub help: Vec<String>,
    /// The last lines of a log. Text of others.
    pub logs: Vec<String>,
}

impl Diagnostic {
    /// An error with nothing but its title.
    pub fn error(code: Code, title: impl Into<String>) -> Self {
        Self {
            code,
            level: Level::Error,
            title: title.into(),
            at: None,
            file: None,
            cause: Vec::new(),
            state: None,
            help: Vec::new(),
            logs: Vec::new(),
        }
    }

    /// A warning with nothing but its title.
    pub fn warning(code: Code, title: impl Into<String>) -> Self {
        Self::error(code, title).as_warning()
    }

    /// The same, as something that does not end the run.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.level = Level::Warning;
        self
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.at = Some(place.into());
        self
    }

    /// Says where in a file of the repository.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>, line: usize, column: usize) -> Self {
        let file = file.into();
        self.at = Some(format!("{file}:{line}:{column}"));
        self.file = Some(FilePlace { file, line, column });
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause.push(cause.into());
        self
    }

    /// Says what serves now.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Adds a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds the last lines of a log.
    #[must_use]
    pub fn logs(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.logs.extend(lines);
        self
    }
}

/// The title alone, for logs; reporters render the whole.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.id(), self.title)
    }
}
