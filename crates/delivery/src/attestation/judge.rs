//! Which of the seen envelopes counts as the pass of an environment.

use crate::attestation::LARGEST_ENVELOPE;
use crate::attestation::envelope::{Envelope, PAYLOAD_TYPE};
use crate::attestation::statement::Statement;
use crate::attestation::test_result::{TEST_RESULT, TestOutcome, TestResult};
use crate::name::EnvironmentName;
use crate::release::ImageDigest;

/// A public key that is trusted for one environment.
pub trait TrustedKey: Send + Sync {
    /// What a signature's hint says when it means this key.
    fn id(&self) -> &str;

    /// True when the private half made the signature over the message.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// An envelope as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEvidence {
    /// The envelope.
    pub envelope: Envelope,
    /// The environment that the annotation beside it names. Nothing vouches for it: it only helps to
    /// say why something does not count.
    pub environment: Option<String>,
    /// What the annotation beside it says is said.
    pub predicate_type: Option<String>,
    /// When the annotation beside it says that it was made.
    pub created: Option<String>,
}

/// A pass that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The environment.
    pub environment: EnvironmentName,
    /// `gate/case` of what only warned.
    pub warned: Vec<String>,
    /// How many tests passed.
    pub passed: usize,
    /// The page of the run.
    pub url: Option<String>,
}

/// What was found. The order is from the farthest from a pass to the nearest, so that of several
/// envelopes the nearest tells what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing that speaks of this environment.
    Missing,
    /// It is said of another image.
    WrongSubject,
    /// It is said of another environment.
    WrongEnvironment {
        /// Which ones, as found.
        found: Vec<String>,
    },
    /// It claims to be of this environment, and the environment's key did not sign it.
    BadSignature,
    /// This environment did not pass.
    Failed {
        /// `gate/case` of what failed.
        tests: Vec<String>,
    },
    /// The environment has a key, and what claims to be its pass is not signed at all.
    NotSigned,
    /// A pass that no trusted key vouches for, where the environment has no key.
    Unsigned(Passed),
    /// A pass that the environment's key has signed.
    Counts(Passed),
}

impl Finding {
    fn rank(&self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::WrongSubject => 1,
            Self::WrongEnvironment { .. } => 2,
            Self::BadSignature => 3,
            Self::Failed { .. } => 4,
            Self::NotSigned => 5,
            Self::Unsigned(_) => 6,
            Self::Counts(_) => 7,
        }
    }

    /// True when nothing that is found beside it can be nearer to a pass: with a key that is a signed
    /// one, without a key any.
    pub fn is_final(&self, with_key: bool) -> bool {
        match self {
            Self::Counts(_) => true,
            Self::Unsigned(_) => !with_key,
            _ => false,
        }
    }

    /// The nearer of the two; what both found of other environments is kept together.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::WrongEnvironment { mut found }, Self::WrongEnvironment { found: others }) => {
                found.extend(others);
                found.sort();
                found.dedup();
                Self::WrongEnvironment { found }
            }
            (one, other) if other.rank() > one.rank() => other,
            (one, _) => one,
        }
    }
}

/// Says whether the image passed the environment. With a key, only what the key has signed is read
/// at all; without one, everything is read and what counts is [`Finding::Unsigned`].
pub fn judge_evidence(
    seen: &[SeenEvidence],
    digest: &ImageDigest,
    environment: &EnvironmentName,
    key: Option<&dyn TrustedKey>,
) -> Finding {
    seen.iter()
        .map(|one| examine(one, digest, environment, key))
        .fold(Finding::Missing, Finding::or)
}

fn examine(
    seen: &SeenEvidence,
    digest: &ImageDigest,
    environment: &EnvironmentName,
    key: Option<&dyn TrustedKey>,
) -> Finding {
    let envelope = &seen.envelope;
    if envelope.payload.len() > LARGEST_ENVELOPE || envelope.payload_type != PAYLOAD_TYPE {
        return Finding::Missing;
    }
    let Some(key) = key else {
        return match read(&envelope.payload, digest, environment) {
            Finding::Counts(passed) => Finding::Unsigned(passed),
            other => other,
        };
    };
    match envelope.verified_by(key) {
        Some(verified) => read(verified, digest, environment),
        None => unverified(seen, environment, key),
    }
}

/// Why nothing is read of it, by hints alone.
fn unverified(seen: &SeenEvidence, environment: &EnvironmentName, key: &dyn TrustedKey) -> Finding {
    if seen
        .predicate_type
        .as_deref()
        .is_some_and(|kind| kind != TEST_RESULT)
    {
        return Finding::Missing;
    }
    let mut key_ids = seen.envelope.signatures.iter().map(|it| &it.key_id);
    let names_key = key_ids.any(|id| id.as_deref() == Some(key.id()));
    match &seen.environment {
        _ if names_key => Finding::BadSignature,
        Some(other) if other != environment.as_str() => Finding::WrongEnvironment {
            found: vec![other.clone()],
        },
        Some(_) if seen.envelope.signatures.is_empty() => Finding::NotSigned,
        Some(_) => Finding::BadSignature,
        None => Finding::Missing,
    }
}

/// What bytes that may be read say.
fn read(payload: &[u8], digest: &ImageDigest, environment: &EnvironmentName) -> Finding {
    let Some(statement) = Statement::parse(payload) else {
        return Finding::Missing;
    };
    let Some(result) = statement.predicate_as::<TestResult>(TEST_RESULT) else {
        return Finding::Missing;
    };
    // Somebody else's tests of the image: nothing is said of an environment.
    let Some(found) = result.environment() else {
        return Finding::Missing;
    };
    if !statement.is_about(digest) {
        return Finding::WrongSubject;
    }
    if found != environment.as_str() {
        return Finding::WrongEnvironment {
            found: vec![found.to_owned()],
        };
    }
    match result.result {
        TestOutcome::Failed => Finding::Failed {
            tests: result.failed_tests,
        },
        TestOutcome::Passed | TestOutcome::Warned => Finding::Counts(Passed {
            environment: environment.clone(),
            warned: result.warned_tests,
            passed: result.passed_tests.len(),
            url: result.url,
        }),
    }
}
