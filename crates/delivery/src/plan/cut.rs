//! A promotion in two parts, with tests of the user's own between them: the first ends when the
//! candidate has passed our tests, the second begins there.
//!
//! What binds them is in the cloud, as everything else is: the record's intent stays open, marked as
//! [verified](OpenIntent::verified), until the second part ends it, or somebody takes it back.

use super::{Action, Plan, Planned, Step, Wanted, plan};
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::{Snapshot, StateSeen};
use crate::state::{OpenIntent, StateRecord};

/// Plans until the candidate has passed, and leaves it there: at 0 % under its tag, or closed on a
/// first deploy. What serves already has no candidate, and is planned to its end.
pub fn plan_to_verified(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    match plan(wanted, snapshot) {
        Planned::Proceed(plan) => Planned::Proceed(cut(plan)),
        other => other,
    }
}

/// Plans the rest of what [`plan_to_verified`] of the same run has begun. The tests were passed then;
/// that the candidate still answers as the release is for the verifier to see.
pub fn plan_from_verified(wanted: &Wanted, snapshot: &Snapshot) -> Planned {
    let planned = plan(wanted, snapshot);
    let waiting = waiting(snapshot).filter(|intent| wanted.run.continues(&intent.run));
    match &planned {
        Planned::Proceed(plan) if waiting.is_none_or(|it| it.revision != plan.revision) => {
            Planned::Blocked(vec![nothing_waits(plan, waiting)])
        }
        _ => planned,
    }
}

/// The candidate that has passed, and waits.
fn waiting(snapshot: &Snapshot) -> Option<&OpenIntent> {
    let service = snapshot.service.as_ref()?;
    let StateSeen::Known(record) = &service.state else {
        return None;
    };
    record.intent.as_ref().filter(|intent| intent.verified)
}

fn cut(mut plan: Plan) -> Plan {
    let tested = |step: &Step| matches!(&step.action, Action::Verify { .. });
    let Some(index) = plan.steps.iter().position(tested) else {
        return plan;
    };
    let written = plan.steps[..index].iter().rev();
    // A plan that tests before its first write has no candidate of its own.
    let Some(state) = written
        .filter_map(|step| written_state(&step.action))
        .next()
    else {
        return plan;
    };
    let Some(intent) = &state.intent else {
        return plan;
    };
    let state = state.with_intent(OpenIntent {
        verified: true,
        ..intent.clone()
    });
    plan.steps.truncate(index + 1);
    plan.steps.push(Step {
        because: format!(
            "`{}` has passed and waits: `command: promote` of this run gives it the traffic",
            plan.revision
        ),
        undo: plan.steps[index].undo.clone(),
        action: Action::Record { state },
    });
    plan
}

fn written_state(action: &Action) -> Option<&StateRecord> {
    match action {
        Action::CreateService { state, .. }
        | Action::DeployCandidate { state, .. }
        | Action::TagRevision { state, .. } => Some(state),
        _ => None,
    }
}

fn nothing_waits(plan: &Plan, waiting: Option<&OpenIntent>) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        Code::NothingWaits,
        "no candidate of this run has passed its tests and waits for its promotion",
    )
    .at(super::render::place(&plan.target))
    .state(plan.before.clone());
    let diagnostic = match waiting {
        Some(intent) => diagnostic.cause(format!(
            "`{}` waits, and `{}` is to be promoted: the image or the configuration is another one than in the step before",
            intent.revision, plan.revision
        )),
        None => diagnostic.cause(
            "the record of the service names none: `command: deploy` did not run before, failed, or another run took the candidate back".to_owned(),
        ),
    };
    diagnostic
        .help("in the same job, run a step with `command: deploy` and the same inputs before this one")
        .help("or leave `command` out: then this step does everything")
}

impl Plan {
    /// True when it ends with a candidate that waits.
    pub fn waits(&self) -> bool {
        matches!(
            self.steps.last().map(|step| &step.action),
            Some(Action::Record { state }) if state.intent.is_some()
        )
    }
}
