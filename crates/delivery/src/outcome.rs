//! How a run ended. One to one with the documented exit codes.

use crate::diagnostic::Diagnostic;
use crate::name::RevisionName;

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// Promoted, or up to date.
    Success = 0,
    /// Our bug.
    Internal = 1,
    /// An input is wrong or missing.
    BadInput = 2,
    /// A gate, a policy or missing evidence blocks it; nothing was changed.
    Blocked = 3,
    /// Verification failed: nothing was promoted, or it was rolled back.
    VerificationFailed = 4,
    /// The rollback failed. Act now.
    RollbackFailed = 5,
    /// Cloud, registry, Docker engine or authentication.
    Cloud = 6,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The release serves.
    Promoted {
        /// The revision that serves.
        revision: RevisionName,
        /// The service's address.
        url: String,
    },
    /// It served already.
    UpToDate {
        /// The revision that serves.
        revision: RevisionName,
        /// The service's address.
        url: String,
    },
    /// Traffic is back at an earlier revision, as was asked.
    RolledBack {
        /// The revision that serves.
        revision: RevisionName,
        /// The service's address.
        url: String,
    },
    /// The candidate has passed and waits for its promotion; what served before serves.
    Waiting {
        /// The candidate.
        revision: RevisionName,
        /// The service's address.
        url: String,
    },
    /// Built and, for a pull request, tested; nothing deployed.
    Verified,
    /// A rollout that another run left unfinished was ended.
    Recovered {
        /// What serves now, in words.
        state: String,
    },
    /// It did not go through, and what served before serves now.
    Stopped(Vec<Diagnostic>),
    /// It did not go through, and neither did the undo. The cause comes first.
    RollbackFailed(Vec<Diagnostic>),
}

impl Outcome {
    /// What went wrong, in the order in which it is told; nothing where nothing did.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Stopped(diagnostics) | Self::RollbackFailed(diagnostics) => diagnostics,
            Self::Promoted { .. }
            | Self::UpToDate { .. }
            | Self::RolledBack { .. }
            | Self::Recovered { .. }
            | Self::Waiting { .. }
            | Self::Verified => &[],
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Promoted { .. }
            | Self::UpToDate { .. }
            | Self::RolledBack { .. }
            | Self::Recovered { .. }
            | Self::Waiting { .. }
            | Self::Verified => ExitCode::Success,
            // A run that a mere warning has ended is a defect of ours.
            Self::Stopped(diagnostics) => diagnostics
                .first()
                .and_then(|diagnostic| diagnostic.code.exit_code())
                .unwrap_or(ExitCode::Internal),
            Self::RollbackFailed(_) => ExitCode::RollbackFailed,
        }
    }
}
