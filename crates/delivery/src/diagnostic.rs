//! One value for everything that goes wrong: cause, state, way out.
//!
//! The catalogue below is the source of `docs/errors.md`.

use std::fmt;

use crate::outcome::ExitCode;

/// The exit code of a catalogue's row.
macro_rules! exit_code {
    (OnlyWarns) => {
        None
    };
    (BlockedOrWarns) => {
        Some(ExitCode::Blocked)
    };
    ($exit:ident) => {
        Some(ExitCode::$exit)
    };
}

/// Whether a catalogue's row says that an input makes the error of a warning.
macro_rules! warns_by_default {
    (BlockedOrWarns) => {
        true
    };
    ($exit:ident) => {
        false
    };
}

macro_rules! codes {
    ($($name:ident = $id:literal, $exit:ident, $meaning:literal, $way_out:literal;)*) => {
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

            /// The exit code of a run that ends with it; `None` where it only warns, and ends none.
            pub fn exit_code(self) -> Option<ExitCode> {
                match self { $(Self::$name => exit_code!($exit),)* }
            }

            /// True where it warns unless an input makes an error of it.
            pub fn warns_by_default(self) -> bool {
                match self { $(Self::$name => warns_by_default!($exit),)* }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// The way out as a rule, in one line of Markdown. A diagnostic's own [`Diagnostic::help`]
            /// knows the case, with names and commands.
            pub fn way_out(self) -> &'static str {
                match self { $(Self::$name => $way_out,)* }
            }
        }
    };
}

codes! {
    InputMissing = "D0101", BadInput, "A required input is missing.",
        "Say it in one of the places that the message names: input, flag, or the configuration file.";
    InputInvalid = "D0102", BadInput, "An input has a value that cannot be used.",
        "Correct the value at the place that the message names; [inputs.md](inputs.md) says what is allowed.";
    InputUnknown = "D0103", BadInput, "An input or a key of the configuration file is not known.",
        "Correct the name; [inputs.md](inputs.md) lists every input and key.";
    ConfigUnreadable = "D0104", BadInput, "The configuration file cannot be read.",
        "Correct the YAML at the line that is named, or the path in the input `config`; check the code out before this step.";
    TestsUnreadable = "D0105", BadInput, "The API test file cannot be read.",
        "Correct the file at the line that is named, or the path in the input `tests`; [tests.md](tests.md) says what is allowed.";
    RefNotDeployable = "D0106", BadInput, "The Git ref is neither a configured branch nor a version tag.",
        "Let the job run for a branch of the input `branches` or a version tag such as `v1.2.3`, in the environment that takes it.";
    NameTooLong = "D0107", BadInput, "A name that follows from the inputs is longer than Cloud Run allows.",
        "Give the service a shorter name: input `service`.";
    Uncommitted = "D0108", BadInput, "The files to build differ from the commit that the image is to be named after.",
        "Check that commit out, with no changes that are not committed, then build.";

    PrereleaseToProduction = "D0201", Blocked, "A prerelease does not go to production.",
        "Tag the same commit as the version itself, such as `v1.3.0` for `v1.3.0-rc.1`.";
    OlderThanProduction = "D0202", Blocked, "The version is older than the one that serves in production.",
        "To go back, run with `rollback_to`; to go forward, release under a higher version.";
    DigestRejected = "D0203", Blocked, "The digest was rolled back here before.",
        "Release a fixed version; or, to try it again as it is, run with `retry_rejected: true`.";
    SupersededRerun = "D0204", Blocked, "A re-run of a superseded release that was never healthy here.",
        "To move traffic back on purpose, run with `rollback_to: previous`, a version or a revision.";
    AnotherRun = "D0205", Blocked, "Another run is changing this service.",
        "Wait until the other run has ended; if it is dead, `ml-deploy recover` with its name.";
    StateUnreadable = "D0206", Blocked, "The record in the service's annotation cannot be read.",
        "Use a version of ml-deploy as new as the one that wrote the record; or remove the annotation, and with it what is remembered.";
    NoRollbackTarget = "D0207", Blocked, "There is no revision to roll back to.",
        "Name a revision that was healthy here; where there is none, promote a release that works.";
    RollbackTargetUnfit = "D0208", Blocked, "The revision to roll back to cannot serve.",
        "Name another one of those that the message lists; what is only warned of gets traffic if it passes its tests.";
    ApprovalNotRequired = "D0209", Blocked, "The GitHub environment of production has no required reviewers.",
        "Add required reviewers: Settings → Environments; or say `approval: external` where something else approves.";
    WrongGitHubEnvironment = "D0210", Blocked, "The job does not run in the GitHub environment of its target.",
        "Write the GitHub environment that the message names into the job: `environment:`.";
    ApprovalUnknown = "D0211", Blocked, "Whether the approval is enforced cannot be checked.",
        "Give the job `permissions: actions: read` and `id-token: write`; or say `approval: external` where something else approves.";
    NoImageForCommit = "D0212", Blocked, "No image was built from the tagged commit.",
        "Let the push to the branch build it; or `ml-deploy promote --build` on a terminal, or `build_on_tag: true`.";
    ServiceBusy = "D0213", Blocked, "The service keeps changing under this run.",
        "Wait until the other tool has ended its change, then run again; let one workflow deploy an environment at a time.";
    VersionReused = "D0214", Blocked, "The version stands for another digest in production.",
        "Release this build under a new version.";
    NotARelease = "D0215", Blocked, "A build of a branch does not go to production.",
        "Push a version tag such as `v1.0.0` on the commit.";
    ForeignChange = "D0216", OnlyWarns, "Something about the service was made by another tool; the run goes on and says what it does about it.",
        "Deploy this service with ml-deploy only.";
    NotDeployed = "D0217", Blocked, "The service does not exist yet, so there is nothing of it to look at.",
        "Deploy it first: `ml-deploy promote`; or check inputs `project_id`, `region` and `service`.";
    NoProduction = "D0218", OnlyWarns, "The list of environments has no production.",
        "Write `tier: production` into the entry of the environment that users reach; or `tier: preproduction` into the last one, if that is meant.";

    CandidateUnreachable = "D0221", Blocked, "The runner cannot reach the candidate: the service does not let it in.",
        "Run the job on a runner inside the VPC, or open the entrance that the message names; `reachable: assume` if the runner is inside.";
    SelfReviewAllowed = "D0222", BlockedOrWarns, "Who starts a run can approve it: self-review is allowed.",
        "Settings → Environments → Prevent self-review; and have another reviewer approve the run. `prevent_self_review: true` makes it an error.";
    ApprovalMissing = "D0223", Blocked, "No reviewer has approved this run.",
        "Start the job again, and have a required reviewer approve it.";
    ConfigurationDrift = "D0224", BlockedOrWarns, "Variables or secrets of the environment before would be missing here.",
        "Set what is named for this environment too; or `drift: off` if its absence is meant. `drift: error` makes it an error.";
    DriftUnknown = "D0225", OnlyWarns, "The configuration of the environment before cannot be read; the run goes on without the comparison.",
        "Let this environment's account look at the service of the one before; or say `drift: off`.";
    ServiceClosed = "D0226", OnlyWarns, "A public service becomes private.",
        "Say `access: public` where everybody is to call the service.";
    NoSuchRevision = "D0227", Blocked, "The service has no such revision.",
        "Name one of those that the message lists; `ml-deploy revisions` says more of them.";
    RegionFailed = "D0241", VerificationFailed, "Another region failed: this one was stopped, and what served before serves in it.",
        "Mend what failed in the other region, then run again.";
    RegionsUnlike = "D0242", Blocked, "The command looks at one region, and the environment has several.",
        "Name one region with `--region`.";

    CandidateNotReady = "D0301", VerificationFailed, "The candidate revision did not become ready.",
        "Look at the log lines below the message; what the texts mean stands [below](#what-the-containers-log-tells).";
    TestsFailed = "D0302", VerificationFailed, "The API tests failed against the candidate.",
        "Mend the release, or the expectation in the test file, and push again.";
    TestsInconclusive = "D0303", VerificationFailed, "The API tests against the candidate could not be decided.",
        "Run again; if it stays, see that the service can be reached from the runner, or send more requests by what the cause says.";
    NotConfirmed = "D0304", VerificationFailed, "The service did not answer as the new release within the grace period.",
        "Let health and version path answer 200 with the commit as soon as the API can predict; then run again.";
    Interrupted = "D0305", VerificationFailed, "The run was interrupted.",
        "Run again, if the release is still wanted.";
    DeadlinePassed = "D0306", VerificationFailed, "The run took longer than its deadline.",
        "Raise the input `deadline`, or find what took so long in the log; then run again.";
    UndoFailed = "D0307", RollbackFailed, "What served before could not be restored.",
        "**Act now:** run the command that the message names.";
    LocalTestsFailed = "D0308", VerificationFailed, "The API tests failed against the image, started locally.",
        "Read the container's log below the message; run the image yourself.";
    RolloutEnded = "D0311", VerificationFailed, "The rollout of this run was ended by its post step or by `ml-deploy recover` while the run was still at work.",
        "Run again, if the release is still wanted.";
    RolloutRecovered = "D0312", OnlyWarns, "A run left a rollout unfinished; it was taken back, or finished.",
        "Run again, if the release is still wanted.";
    LeaseLives = "D0313", Blocked, "An unfinished rollout belongs to a run that may still be at work.",
        "Wait until the lease has ended; if the run is dead, name it with `--run`.";
    LeaseOverridden = "D0314", OnlyWarns, "An unfinished rollout was taken from a run whose lease had not ended, as asked.",
        "Look whether the run that was overridden is dead; if not, it stops at its next write.";
    RecoveryUnknown = "D0315", Cloud, "Whether a rollout was left unfinished could not be found out.",
        "Look, and end what is unfinished: `ml-deploy recover --environment ENVIRONMENT`.";
    RegionsApart = "D0316", RollbackFailed, "The regions of an environment serve different releases, because a run ended before it had come through in all of them.",
        "**Act now:** promote one release to all regions, as the message says.";

    DockerUnavailable = "D0401", Cloud, "The Docker engine does not answer.",
        "Start the Docker engine, or let this user reach its socket.";
    BuildFailed = "D0402", Cloud, "The image could not be built.",
        "Mend the step of the Dockerfile that failed; its last lines stand below the message.";
    PushFailed = "D0403", Cloud, "The image could not be pushed.",
        "Follow what the registry's answer means, [below](#what-google-cloud-answers); then run again.";
    RegistryFailed = "D0404", Cloud, "The registry refused or did not answer.",
        "Follow what the registry's answer means, [below](#what-google-cloud-answers); then run again.";
    DigestMismatch = "D0405", Cloud, "The registry holds another digest than the one that was pushed.",
        "See that one job only pushes this tag, then run again.";
    DiskFull = "D0406", Cloud, "The Docker engine has no space left.",
        "Free space: `docker system prune`, or a runner with a larger disk.";

    NoCredentials = "D0501", Cloud, "No credentials for Google Cloud were found.",
        "Say `workload_identity_provider` and `service_account` ([permissions.md](permissions.md)); on a terminal `gcloud auth application-default login`.";
    CredentialsRefused = "D0502", Cloud, "The credentials were refused.",
        "Compare provider, its condition and service account with what the cause says ([permissions.md](permissions.md)).";
    IdTokenUnavailable = "D0503", Cloud, "No ID token can be made with these credentials.",
        "Use a service account: input `service_account`; a user's own credentials make no ID token for a service.";
    PermissionDenied = "D0504", Cloud, "The caller lacks a permission.",
        "Grant the role with the command that the message names; the texts stand [below](#what-google-cloud-answers).";
    CloudFailed = "D0505", Cloud, "A Google Cloud API refused or did not answer.",
        "Follow what the answer means, [below](#what-google-cloud-answers); where none came, check network and proxy, then run again.";
    OutputsUnwritten = "D0506", OnlyWarns, "Outputs, summary or what the post step is to know could not be written for the runner.",
        "Look at the disk and the command files of the runner; what was deployed is not touched by it.";
    EndpointRefused = "D0507", BadInput, "An endpoint override points outside loopback and private addresses.",
        "Use the address that `ml-deploy emulator` prints: loopback or private, without path and user.";

    DependencyNotPinned = "D0601", Blocked, "A dependency is not pinned to one version.",
        "Pin the dependency at the line that is named; [policies.md](policies.md).";
    DockerfileUnsound = "D0602", Blocked, "The Dockerfile breaks a policy: stages, user, or the cache of pip.",
        "Mend the line that is named; [policies.md](policies.md) has the sound form.";
    BaseNotPinned = "D0603", Blocked, "An image that the Dockerfile builds on may be another one tomorrow.",
        "Name the base by its digest, or by the full tag where `base_pin` is `tag`; [policies.md](policies.md).";
    ImageRunsAsRoot = "D0604", Blocked, "The built image runs as root, or as a user who is not in it.",
        "Add a user and `USER` to the last stage of the Dockerfile; [policies.md](policies.md).";
    ImageTooLarge = "D0605", Blocked, "The built image is larger than its budget.",
        "Leave out what the message names as largest, or raise `image_size_budget`.";
    ImageHoldsTooMuch = "D0606", Blocked, "The built image holds what no run needs: caches, build tools, tests.",
        "Build in a stage of its own and copy only what runs; [policies.md](policies.md).";
    SecretFound = "D0607", Blocked, "A credential is in the build context, the Dockerfile or the image.",
        "Take the credential out, and revoke it: whoever has the image or the repository has it. At run time: input `secrets`.";
    ImageUnreadable = "D0608", Blocked, "The built image cannot be read to its end, so that the policies cannot be checked.",
        "Build the image again; if it stays, look at the Docker engine and its disk.";

    WrongModel = "D0631", VerificationFailed, "The API is healthy, but it is not the release: wrong commit, version or model.",
        "Let the version path tell `commit` and `version` from ML_DEPLOY_COMMIT and ML_DEPLOY_VERSION; or `version_path: none`.";
    PredictionsDiffer = "D0633", VerificationFailed, "Recorded predictions differ from the candidate's.",
        "If the model changed on purpose, record anew with `ml-deploy verify --record`; else compare requirements.txt with the last release.";
    NotRecorded = "D0634", VerificationFailed, "A golden file could not be recorded.",
        "Record from an API that answers every input well.";
    ResultsUnwritten = "D0632", OnlyWarns, "The file for the results of the tests could not be written.",
        "Let the path in `junit` or `results` be writable inside the workspace.";

    SloMissed = "D0641", VerificationFailed, "The candidate is slower under load, or fails more often, than promised.",
        "Give it more `cpu`, a lower `concurrency` or more `max_instances`; or change the promise: `slo_p95`, `slo_p99`, `max_error_rate`.";
    PredictionsMoved = "D0642", VerificationFailed, "The candidate predicts other things than what serves, for the same inputs.",
        "If the change is meant, raise the limit that stopped it; else compare model file and requirements.txt with the last release.";
    ColdStartTooSlow = "D0643", VerificationFailed, "The candidate's first right answer came too late.",
        "Load the model once at start-up; or set `min_instances: 1`, or raise `max_cold_start`.";

    ApiBroken = "D0651", VerificationFailed, "The API changed more than the version of the release says.",
        "Tag the commit with the version that the cause names, or take the change back.";
    NotConforming = "D0652", VerificationFailed, "The API does not keep to the OpenAPI document that it publishes.",
        "Mend the API or its OpenAPI document; where the document cannot say it, `conformance: warn`.";
    GateWarned = "D0653", OnlyWarns, "A gate that only warns would have stopped the release; the run goes on.",
        "Do what the gate's own error would say, before it is set to `require`.";
    NothingWaits = "D0654", Blocked, "No candidate of this run has passed its tests and waits for its promotion.",
        "Run a step with `command: deploy` and the same inputs before this one, in the same job.";

    CanaryFailed = "D0661", VerificationFailed, "With a share of the traffic, the candidate was slower or failed more often than its limits or what serves beside it allow.",
        "Compare what was measured of the candidate with what was measured beside it, and look for failed requests in its log; or change the limit, if the promise is wrong.";
    CanaryUndecided = "D0662", VerificationFailed, "Whether a candidate with a share of the traffic is good enough for more could not be decided.",
        "Raise `soak` or `load_rate`; or say `on_inconclusive: hold` or `proceed`.";
    EvidenceMissing = "D0671", Blocked, "Nothing proves that the image passed the environment before.",
        "Let the release go through the environment before first; `evidence: warn` if it is not asked for.";
    EvidenceUnsigned = "D0672", Blocked, "The evidence of the environment before is not signed, although it has a key.",
        "Let the release go through the environment before again, with `evidence_kms_key` set there.";
    EvidenceNotTrusted = "D0673", Blocked, "The evidence of the environment before is not signed by its key.",
        "Find out who signed it; then let the release go through the environment before again, with its own key.";
    EvidenceOfAnother = "D0674", Blocked, "The evidence is about another image.",
        "Let this very image go through the environment before.";
    EvidenceOfFailure = "D0675", Blocked, "The evidence says that the image failed in the environment before.",
        "Mend the release, and let it go through the environments again.";
    EvidenceNotAttached = "D0676", Cloud, "The release serves, but the evidence of it could not be attached to its image.",
        "Let the account write to the image's repository, then run again: the release serves, and only its evidence is missing.";
    SigningKeyUnfit = "D0677", Cloud, "The key for evidence cannot be used, or Cloud KMS answered something else than was asked.",
        "Name a version of an asymmetric signing key that the account may use: `evidence_kms_key`; [evidence.md](evidence.md).";
    ImageNotCopied = "D0678", Cloud, "The image could not be copied into the repository of its environment.",
        "Let the account read the repository before and write this one; then run again.";

    Internal = "D0901", Internal, "A defect of this program.",
        "Report it, with the log.";
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

    /// Says where, unless it is said already.
    #[must_use]
    pub fn or_at(mut self, place: impl Into<String>) -> Self {
        self.at.get_or_insert_with(|| place.into());
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
