//! What somebody who approves a plan is to see beside its steps, and what is known of the plan only
//! once it is made: whether its tests can reach the candidate, and what would be missing.

use super::standing::Standing;
use super::{Action, Plan, Planned, Wanted, guard};
use crate::configuration::Configuration;
use crate::diagnostic::Level;
use crate::difference::{Change, difference};
use crate::drift::{Earlier, check_drift};
use crate::entrance::Reach;
use crate::name::{Region, RevisionName};
use crate::snapshot::Readiness;

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
    /// What `rollback_to: previous` moves traffic to once the plan is carried out.
    pub rollback_target: Option<RevisionName>,
}

impl Outlook {
    /// What changes.
    pub fn changes(&self) -> Vec<Change> {
        difference(self.before.as_ref(), &self.after)
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
    Outlook {
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
