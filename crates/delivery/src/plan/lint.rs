//! What every plan must keep to, whoever made it. Checked before the first write.

use super::{Action, Plan, Step, Undo};
use crate::diagnostic::{Code, Diagnostic};
use crate::spec::Access;
use crate::state::OpenIntent;
use crate::traffic::{Destination, TrafficSplit};

/// Everything that is wrong with a plan. Each entry is a defect of this program.
pub fn lint(plan: &Plan) -> Vec<Diagnostic> {
    let Plan {
        target: _,
        run: _,
        etag,
        revision,
        before: _,
        others: _,
        steps,
        warnings: _,
        outlook: _,
    } = plan;
    let mut findings = Vec::new();
    let mut verified = false;
    let mut progress = Progress::default();
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
                if let Err(text) = progress.shifted(traffic.percent_of(revision)) {
                    find(text);
                }
            }
            Action::Watch {
                revision: whose,
                percent,
                next,
                ..
            } => {
                if let Err(text) = progress.watched(whose == revision, *percent, *next) {
                    find(text);
                }
            }
            Action::Confirm { .. } => {}
            Action::Record { state } => {
                if !matches!(progress.given, None | Some(100)) {
                    find("does not end with everything pinned to its revision");
                }
                // One that waits was tested, and has no traffic yet.
                let waits = |intent: &OpenIntent| {
                    intent.verified
                        && intent.revision == *revision
                        && verified
                        && progress.given.is_none()
                };
                if state.intent.as_ref().is_some_and(|intent| !waits(intent)) {
                    find("ends with an intent");
                }
            }
            Action::Restore { state, .. } => {
                if state.intent.is_some() {
                    find("ends with an intent");
                }
                if steps.len() > 1 {
                    find("does something beside taking a rollout back");
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
                action: Action::Record { .. } | Action::Restore { .. },
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

/// How far traffic has moved to the plan's revision.
#[derive(Debug, Default)]
struct Progress {
    given: Option<u32>,
    /// What it may get next, once what it has was watched.
    next: Option<u32>,
}

impl Progress {
    fn shifted(&mut self, percent: u32) -> Result<(), &'static str> {
        let is_next = match self.given {
            None => true,
            Some(_) => self.next == Some(percent),
        };
        let is_more = percent > self.given.unwrap_or(0);
        self.given = Some(percent);
        self.next = None;
        match (is_next, is_more) {
            (true, true) => Ok(()),
            (_, false) => Err("shifts traffic without giving its revision more"),
            (false, true) => Err("gives more traffic before what was given is watched"),
        }
    }

    fn watched(&mut self, own: bool, percent: u32, next: u32) -> Result<(), &'static str> {
        if !own || self.given != Some(percent) {
            return Err("watches what was not given");
        }
        self.next = Some(next);
        Ok(())
    }
}

fn writes_traffic(action: &Action) -> bool {
    match action {
        Action::CreateService { .. }
        | Action::DeployCandidate { .. }
        | Action::TagRevision { .. }
        | Action::ShiftTraffic { .. }
        | Action::Restore { .. } => true,
        Action::Verify { .. }
        | Action::Watch { .. }
        | Action::Confirm { .. }
        | Action::Record { .. } => false,
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
        Action::Restore { traffic, .. } => traffic.as_ref(),
        Action::CreateService { .. }
        | Action::Verify { .. }
        | Action::Watch { .. }
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
