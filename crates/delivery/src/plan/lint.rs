//! What every plan must keep to, whoever made it. Checked before the first write.

use super::{Action, Plan, Step, Undo};
use crate::diagnostic::{Code, Diagnostic};
use crate::spec::Access;
use crate::traffic::{Destination, TrafficSplit};

/// Everything that is wrong with a plan. Each entry is a defect of this program.
pub fn lint(plan: &Plan) -> Vec<Diagnostic> {
    let Plan {
        target: _,
        run: _,
        etag,
        revision,
        before: _,
        steps,
        warnings: _,
    } = plan;
    let mut findings = Vec::new();
    let mut verified = false;
    for (index, step) in steps.iter().enumerate() {
        let mut find = |text: &str| {
            findings.push(
                Diagnostic::error(Code::Internal, format!("the plan {text}")).at(format!(
                    "step {}/{} {}",
                    index + 1,
                    steps.len(),
                    step.action.id()
                )),
            );
        };
        let Step {
            action,
            because,
            undo,
        } = step;
        if because.is_empty() {
            find("has a step without reason");
        }
        if writes_traffic(action) && *undo == Undo::Nothing {
            find("changes traffic without an undo");
        }
        if undo_keeps_intent(undo) {
            find("has an undo that leaves an intent behind");
        }
        for split in splits(action, undo) {
            if split
                .shares()
                .iter()
                .map(|share| share.percent)
                .sum::<u32>()
                != 100
            {
                find("has a split that does not sum to 100");
            }
        }
        match action {
            Action::CreateService { .. } if etag.is_some() => {
                find("creates a service that exists");
            }
            Action::CreateService { .. } | Action::TagRevision { access: None, .. } => {}
            Action::DeployCandidate {
                revision: new,
                traffic,
                access,
                ..
            } => {
                let candidate = Destination::Revision(new.record.revision.clone());
                let gets_traffic = traffic.follows_latest() || gives(traffic, &candidate);
                if gets_traffic && *access != Some(Access::Private) {
                    find("gives traffic to a candidate before its tests");
                }
            }
            Action::TagRevision {
                access: Some(Access::Public),
                ..
            } => find("opens the service before the tests"),
            Action::TagRevision { .. } => {}
            Action::Verify {
                revision: whose, ..
            } => verified |= whose == revision,
            Action::ShiftTraffic { traffic, .. } => {
                if !verified {
                    find("shifts traffic before the tests");
                }
                if traffic.percent_of(revision) != 100 {
                    find("does not end with everything pinned to its revision");
                }
            }
            Action::Confirm { .. } => {}
            Action::Record { state } => {
                if state.intent.is_some() {
                    find("ends with an intent");
                }
            }
        }
    }
    if !ends_recorded(steps) {
        findings.push(Diagnostic::error(
            Code::Internal,
            "the plan does not end with its record",
        ));
    }
    findings
}

/// The last write leaves the record as it is to stay, and what serves is confirmed.
fn ends_recorded(steps: &[Step]) -> bool {
    match steps {
        [
            ..,
            Step {
                action: Action::Record { .. },
                ..
            },
        ] => true,
        [
            ..,
            Step {
                action: Action::ShiftTraffic { state, .. },
                ..
            },
            Step {
                action: Action::Confirm { .. },
                ..
            },
        ] => state.intent.is_none(),
        _ => false,
    }
}

fn writes_traffic(action: &Action) -> bool {
    match action {
        Action::CreateService { .. }
        | Action::DeployCandidate { .. }
        | Action::TagRevision { .. }
        | Action::ShiftTraffic { .. } => true,
        Action::Verify { .. } | Action::Confirm { .. } | Action::Record { .. } => false,
    }
}

fn undo_keeps_intent(undo: &Undo) -> bool {
    match undo {
        Undo::Nothing => false,
        Undo::Restore { state, .. } | Undo::KeepClosed { state, .. } => state.intent.is_some(),
    }
}

fn splits<'a>(action: &'a Action, undo: &'a Undo) -> Vec<&'a TrafficSplit> {
    let written = match action {
        Action::DeployCandidate { traffic, .. }
        | Action::TagRevision { traffic, .. }
        | Action::ShiftTraffic { traffic, .. } => Some(traffic),
        Action::CreateService { .. }
        | Action::Verify { .. }
        | Action::Confirm { .. }
        | Action::Record { .. } => None,
    };
    let restored = match undo {
        Undo::Restore { traffic, .. } => Some(traffic),
        Undo::Nothing | Undo::KeepClosed { .. } => None,
    };
    written.into_iter().chain(restored).collect()
}

fn gives(traffic: &TrafficSplit, to: &Destination) -> bool {
    traffic.shares().iter().any(|share| share.to == *to)
}
