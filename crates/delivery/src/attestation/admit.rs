//! Whether a release may go on with what was found.

use crate::attestation::judge::{Finding, Passed};
use crate::diagnostic::{Code, Diagnostic};
use crate::gate::Mode;
use crate::name::EnvironmentName;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What goes on, such as `v1.2.3`.
    pub release: &'a str,
    /// The image by digest.
    pub image: &'a str,
    /// The environment that must have passed.
    pub of: &'a EnvironmentName,
    /// The environment that asks.
    pub into: &'a EnvironmentName,
    /// What its `evidence` says.
    pub mode: Mode,
}

/// Whether it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It does; the line tells by what.
    Admitted(String),
    /// It does, although something is missing.
    Warned(Box<Diagnostic>),
    /// It does not.
    Refused(Box<Diagnostic>),
}

/// Says whether the release may go on. [`Mode::Off`] asks nothing.
pub fn admit(finding: &Finding, asked: &Asked<'_>) -> Admission {
    if asked.mode == Mode::Off {
        return Admission::Admitted(format!("evidence of `{}` is not asked for", asked.of));
    }
    let refusal = match finding {
        Finding::Counts(passed) => {
            return Admission::Admitted(format!("{}, signed by its key", line(passed)));
        }
        Finding::Unsigned(passed) => {
            return Admission::Admitted(format!(
                "{}; UNSIGNED: whoever may push to the repository can have written it",
                line(passed)
            ));
        }
        other => refusal(other, asked),
    };
    match asked.mode {
        Mode::Warn => Admission::Warned(Box::new(refusal.as_warning())),
        Mode::Require | Mode::Off => Admission::Refused(Box::new(refusal.help(format!(
            "in an emergency: `evidence: warn` for `{}` goes on and says so",
            asked.into
        )))),
    }
}

/// `test passed with it: 12 tests, https://…`.
pub fn line(passed: &Passed) -> String {
    let Passed {
        environment,
        warned,
        passed,
        url,
    } = passed;
    let mut line = format!("{environment} passed with this image");
    match passed {
        0 => {}
        1 => line.push_str(" (1 test)"),
        count => line.push_str(&format!(" ({count} tests)")),
    }
    if !warned.is_empty() {
        line.push_str(&format!(", with warnings of {}", warned.join(", ")));
    }
    if let Some(url) = url {
        line.push_str(&format!(", {url}"));
    }
    line
}

fn refusal(finding: &Finding, asked: &Asked<'_>) -> Diagnostic {
    let Asked {
        release,
        image,
        of,
        into,
        mode: _,
    } = asked;
    let at = format!("environment {into}");
    let error = |code, title: String| Diagnostic::error(code, title).at(at.clone());
    let first_there =
        format!("run the job of `{of}` first: `ml-deploy promote {release} --environment {of}`");
    let again = format!(
        "run the job of `{of}` again: where {release} serves already, it attaches the evidence that is missing"
    );
    match finding {
        Finding::Counts(_) | Finding::Unsigned(_) | Finding::Missing => error(
            Code::EvidenceMissing,
            format!("there is no evidence that {release} passed `{of}`"),
        )
        .cause(format!("nothing of `{of}` is attached to {image}"))
        .help(first_there)
        .help(again),
        Finding::WrongSubject => error(
            Code::EvidenceOfAnother,
            format!("the evidence of `{of}` is about another image"),
        )
        .cause(format!("it is attached to {image} and names another digest"))
        .help(first_there),
        Finding::WrongEnvironment { found } => error(
            Code::EvidenceMissing,
            format!("there is no evidence that {release} passed `{of}`"),
        )
        .cause(format!(
            "what is attached to {image} is of {}",
            found.join(", ")
        ))
        .help(first_there)
        .help(again),
        Finding::BadSignature => error(
            Code::EvidenceNotTrusted,
            format!("the evidence of `{of}` is not signed by its key"),
        )
        .cause(format!(
            "a signature is there, and the key that `evidence_kms_key` names for `{of}` did not make it"
        ))
        .help(format!(
            "find out who wrote it: only the deployer of `{of}` may use that key"
        ))
        .help(format!(
            "if `{of}` has a new key, let its job run again; and see that both jobs read the same `evidence_kms_key`"
        )),
        Finding::NotSigned => error(
            Code::EvidenceUnsigned,
            format!("the evidence of `{of}` is not signed, although it has a key"),
        )
        .cause(format!(
            "`evidence_kms_key` names a key for `{of}`, so that what is not signed proves nothing"
        ))
        .help(again),
        Finding::Failed { tests } => {
            let diagnostic = error(
                Code::EvidenceOfFailure,
                format!("the evidence says that {release} failed in `{of}`"),
            );
            let named = tests.iter().take(NAMED_TESTS).cloned();
            named
                .fold(diagnostic, Diagnostic::cause)
                .help("mend the release and let it go through the environments again")
        }
    }
}

/// Failed tests that a diagnostic names.
const NAMED_TESTS: usize = 5;
