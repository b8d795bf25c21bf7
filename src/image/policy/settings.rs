//! Findings → diagnostics, as the modes of the policies say. Pure.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::policy::{Mode, Policies, Policy};

use super::finding::{Finding, Place, Weight};

/// Findings → diagnostics, as the modes say: errors and warnings, in the order of their places.
pub fn judge(policies: &Policies, mut findings: Vec<Finding>) -> Judged {
    findings.sort_by(|a, b| (&a.place, a.policy, a.rule).cmp(&(&b.place, b.policy, b.rule)));
    findings.dedup();
    let mut judged = Judged::default();
    for finding in findings {
        match (policies.mode(finding.policy), finding.weight) {
            (Mode::Off, _) => {}
            (Mode::Error, Weight::Full) => judged.errors.push(diagnose(finding)),
            (Mode::Warn, _) | (Mode::Error, Weight::Hint) => {
                judged.warnings.push(diagnose(finding).as_warning());
            }
        }
    }
    judged
}

/// What the policies say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// The run does not go on.
    pub errors: Vec<Diagnostic>,
    /// It does.
    pub warnings: Vec<Diagnostic>,
}

fn diagnose(finding: Finding) -> Diagnostic {
    let Finding {
        policy,
        rule,
        place,
        title,
        detail,
        help,
        weight: _,
    } = finding;
    let diagnostic = Diagnostic::error(code(policy), title);
    let mut diagnostic = match place {
        Place::File(spot) => diagnostic.in_file(spot.file, spot.line, spot.column),
        Place::Image(words) => diagnostic.at(words),
    };
    diagnostic.cause = detail;
    diagnostic = diagnostic.cause(format!("rule `{rule}` of `{}`", policy.input()));
    diagnostic.help = help;
    diagnostic
}

fn code(policy: Policy) -> Code {
    match policy {
        Policy::Pins => Code::DependencyNotPinned,
        Policy::Dockerfile => Code::DockerfileUnsound,
        Policy::BasePinned => Code::BaseNotPinned,
        Policy::ImageUser => Code::ImageRunsAsRoot,
        Policy::ImageSize => Code::ImageTooLarge,
        Policy::ImageContents => Code::ImageHoldsTooMuch,
        Policy::Secrets => Code::SecretFound,
    }
}
