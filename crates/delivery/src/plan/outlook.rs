//! What somebody who approves a plan is to see beside its steps, and what is known of the plan only
//! once it is made: whether its tests can reach the candidate, and what would be missing.

use super::standing::Standing;
use super::{Action, Plan, Planned, Wanted, guard};
use crate::configuration::Configuration;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::difference::{Change, access_difference, difference};
use crate::drift::{Earlier, check_drift};
use crate::entrance::Reach;
use crate::name::{Region, RevisionName};
use crate::snapshot::Readiness;
use crate::spec::Access;

/// What is known of the world around the target, beside the target itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Whether the runner reaches the service.
    pub reach: Reach,
    /// The environment before; `None` where nothing is compared.
    pub earlier: Option<Earlier>,
    /// All regions that get it together, the target's among them; empty where it is one alone.
    pub regions: Vec<Region>,
}

/// What the plan brings, beside its steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The revision with the largest share now.
    pub serving: Option<RevisionName>,
    /// How it is configured.
    pub before: Option<Configuration>,
    /// How the revision is configured that serves in the end.
    pub after: Configuration,
    /// Who may call the service now; `None` before there is one, and where the plan does not say who
    /// may: a rollback in a hurry does not ask.
    pub access_before: Option<Access>,
    /// Who may call it in the end; `None` where the plan does not say.
    pub access_after: Option<Access>,
    /// What `rollback_to: previous` moves traffic to once the plan is carried out.
    pub rollback_target: Option<RevisionName>,
}

impl Outlook {
    /// What changes.
    pub fn changes(&self) -> Vec<Change> {
        let access = access_difference(self.access_before, self.access_after);
        let mut changes = difference(self.before.as_ref(), &self.after);
        changes.extend(access);
        changes
    }
}

/// Adds to what was planned what follows from the surroundings.
pub(crate) fn complete(wanted: &Wanted, standing: &Standing<'_>, planned: Planned) -> Planned {
    let Surroundings {
        reach,
        earlier,
        regions: _,
    } = &wanted.surroundings;
    let unreachable = match reach {
        Reach::Check => guard::unreachable(standing),
        Reach::Assume => None,
    };
    let mut plan = match planned {
        // What is done already needs no tests.
        Planned::UpToDate { .. } => return planned,
        Planned::Blocked(mut blocks) => {
            blocks.extend(unreachable);
            return Planned::Blocked(blocks);
        }
        Planned::Proceed(plan) => plan,
    };
    let calls = plan
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::Verify { .. } | Action::Confirm { .. }));
    let mut blocks: Vec<_> = unreachable.filter(|_| calls).into_iter().collect();
    plan.outlook = outlook(standing, &plan);
    plan.warnings.extend(closes(standing, &plan.outlook));
    let name = &standing.target.environment.name;
    let drift = earlier
        .as_ref()
        .and_then(|earlier| check_drift(earlier, &plan.outlook.after, name))
        .map(|found| found.at(standing.place()));
    match drift {
        Some(found) if found.level == Level::Error => {
            blocks.push(found.state(standing.state_in_words()));
        }
        found => plan.warnings.extend(found),
    }
    if blocks.is_empty() {
        Planned::Proceed(plan)
    } else {
        Planned::Blocked(blocks)
    }
}

/// To leave `access` out closes a service that everybody may call, and nothing else would say so. Where
/// nothing that was tested serves, nobody calls.
fn closes(standing: &Standing<'_>, outlook: &Outlook) -> Option<Diagnostic> {
    let change = (outlook.access_before, outlook.access_after);
    if change != (Some(Access::Public), Some(Access::Private)) || standing.nothing_tested_serves() {
        return None;
    }
    let title = format!(
        "callers without an ID token will be refused: `{}` is public, and this makes it private",
        standing.target.service
    );
    let warning = Diagnostic::warning(Code::ServiceClosed, title).at(standing.place());
    Some(warning.help(
        "where everybody is to call it, say `access: public`; unless said, a service is private",
    ))
}

fn outlook(standing: &Standing<'_>, plan: &Plan) -> Outlook {
    let serving = standing.main_revision().cloned();
    let of = |name: &RevisionName| {
        standing
            .revision(name)
            .map(|seen| seen.configuration.clone())
    };
    let made = plan.steps.iter().find_map(|step| match &step.action {
        Action::CreateService { revision, .. } | Action::DeployCandidate { revision, .. } => {
            Some(revision)
        }
        _ => None,
    });
    let after = match made {
        Some(revision) => standing
            .service
            .map(|seen| seen.template.clone())
            .unwrap_or_default()
            .with(revision),
        None => of(&plan.revision).unwrap_or_default(),
    };
    let access_after = plan.steps.iter().rev().find_map(|step| match &step.action {
        Action::DeployCandidate { access, .. }
        | Action::TagRevision { access, .. }
        | Action::ShiftTraffic { access, .. }
        | Action::Restore { access, .. } => *access,
        Action::CreateService { .. } => Some(Access::Private),
        Action::Verify { .. }
        | Action::Watch { .. }
        | Action::Confirm { .. }
        | Action::Record { .. } => None,
    });
    Outlook {
        access_before: access_after.and(standing.service.map(|seen| seen.access)),
        access_after,
        before: serving.as_ref().and_then(of),
        serving,
        after,
        rollback_target: rollback_target(standing, &plan.revision),
    }
}

/// The newest healthy revision that is not the one that is brought, not rejected, and can serve.
fn rollback_target(standing: &Standing<'_>, brought: &RevisionName) -> Option<RevisionName> {
    let can_serve = |name: &RevisionName| {
        standing
            .revision(name)
            .is_some_and(|seen| seen.readiness == Readiness::Ready)
    };
    standing
        .record
        .healthy
        .iter()
        .map(|entry| &entry.revision)
        .find(|name| {
            *name != brought && standing.record.rejected_entry(name).is_none() && can_serve(name)
        })
        .cloned()
}
