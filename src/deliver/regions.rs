//! Several regions together: candidates everywhere first, then traffic; one failing takes all back.
//!
//! Each region is delivered by the same loop as one alone. They meet before anybody's first write,
//! before each share of the traffic, before the record, and at the end.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::name::Region;
use delivery::outcome::Outcome;
use delivery::plan::recover::{Asker, Despite, Way};
use delivery::plan::{Intent, Wanted};
use delivery::stage::RollbackTo;
use delivery::state::RunRef;
use delivery::target::Target;

use super::ends::told;
use super::recover::{Scope, in_words, recover_within};
use super::together::{is_split, is_uneven};
use super::{Recovered, Told, World, deliver, recover_all};
use crate::execute::{Guard, Member, Verifier, convoy};

/// One region's service and its tests.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The service.
    pub target: &'a Target,
    /// Its tests.
    pub verifier: &'a dyn Verifier,
}

/// How one region ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Landed {
    /// Which.
    pub region: Region,
    /// How it ended.
    pub outcome: Outcome,
    /// What is told of it.
    pub told: Told,
}

/// Brings all sites to what is wanted, or none. The verifier of `world` is not asked.
pub async fn deliver_all(world: &World<'_>, sites: &[Site<'_>], wanted: &Wanted) -> Vec<Landed> {
    if let [site] = sites {
        let world = World {
            verifier: site.verifier,
            ..*world
        };
        let (outcome, told) = deliver(&world, site.target, wanted).await;
        return vec![Landed {
            region: site.target.region.clone(),
            outcome,
            told,
        }];
    }
    let ended = match &wanted.intent {
        Intent::Promote { .. } => even_out(world, sites, &wanted.run).await,
        // Which one is previous depends on what is to be left.
        Intent::Rollback {
            to: RollbackTo::Previous,
        } => step_back(world, sites, &wanted.run).await,
        // Where it leads is the same everywhere: nothing delays it.
        Intent::Rollback { .. } => None,
    };
    if let Some(landed) = ended {
        return landed;
    }
    let members = convoy(sites.iter().map(|site| site.target.region.as_str()));
    let mut wanted = wanted.clone();
    wanted.surroundings.regions = sites
        .iter()
        .map(|site| site.target.region.clone())
        .collect();
    let wanted = &wanted;
    let all = sites
        .iter()
        .zip(members)
        .map(|(site, member)| one(world, site, member, wanted));
    futures_util::future::join_all(all).await
}

/// A run that died may have come further in one region than in another. What each region would
/// return to is then not the same, so that rollout is ended before anything is planned upon it. `None`:
/// this run can begin, or will find itself who keeps it off.
async fn even_out(world: &World<'_>, sites: &[Site<'_>], run: &RunRef) -> Option<Vec<Landed>> {
    let targets: Vec<&Target> = sites.iter().map(|site| site.target).collect();
    if !is_uneven(world, &targets, run).await {
        return None;
    }
    let asker = Asker {
        run: run.clone(),
        despite: Despite::Nobody,
    };
    let ends = recover_all(world, sites, &asker).await;
    let is_over = |end: &Recovered| !matches!(end, Recovered::Stopped(_) | Recovered::Failed(_));
    let goes_on = ends.iter().all(is_over);
    let all = targets.into_iter().zip(ends);
    let all = all.map(|(target, end)| landed(world, target, end));
    let landed = futures_util::future::join_all(all).await;
    (!goes_on).then_some(landed)
}

/// A run that died may have left its release serving in one region, while another one serves what was
/// before it. The previous release is where the rollout is taken back to, and that is all that is done:
/// from there, `previous` would lead one further. `None`: nothing was to be taken back, or nothing could.
async fn step_back(world: &World<'_>, sites: &[Site<'_>], run: &RunRef) -> Option<Vec<Landed>> {
    let targets: Vec<&Target> = sites.iter().map(|site| site.target).collect();
    if !is_split(world, &targets).await {
        return None;
    }
    let asker = Asker {
        run: run.clone(),
        despite: Despite::Nobody,
    };
    let all = sites.iter().map(|site| async {
        let sink = Named {
            region: &site.target.region,
            sink: world.sink,
        };
        let world = World {
            verifier: site.verifier,
            sink: &sink,
            ..*world
        };
        recover_within(&world, site.target, &asker, Scope::AnyBack).await
    });
    let ends = futures_util::future::join_all(all).await;
    let is_ended = |end: &Recovered| matches!(end, Recovered::Ended { .. });
    if !ends.iter().any(is_ended) {
        return None;
    }
    world.sink.emit(Event::Note(
        "an unfinished rollout was taken back instead of going one further: its release is not rejected, and to go further back, roll back again".to_owned(),
    ));
    let all = targets.into_iter().zip(ends);
    let all = all.map(|(target, end)| landed(world, target, end));
    Some(futures_util::future::join_all(all).await)
}

/// How a region ended in which what was unfinished was looked for, and nothing else done.
async fn landed(world: &World<'_>, target: &Target, end: Recovered) -> Landed {
    // Its post step looks again.
    let left_open = matches!(end, Recovered::Stopped(_) | Recovered::Failed(_));
    let outcome = match told(world.sink, target, end) {
        Some(outcome) => outcome,
        None => Outcome::Recovered {
            state: in_words(world, target, Way::Back).await,
        },
    };
    Landed {
        region: target.region.clone(),
        outcome: named(outcome, &target.region),
        told: Told {
            left_open,
            ..Told::default()
        },
    }
}

async fn one(world: &World<'_>, site: &Site<'_>, member: Member, wanted: &Wanted) -> Landed {
    let region = site.target.region.clone();
    let guard = Guard {
        convoy: Some(member),
        ..world.guard.clone()
    };
    let sink = Named {
        region: &region,
        sink: world.sink,
    };
    let world = World {
        verifier: site.verifier,
        guard: &guard,
        sink: &sink,
        ..*world
    };
    let (outcome, told) = deliver(&world, site.target, wanted).await;
    let outcome = named(outcome, &region);
    Landed {
        region,
        outcome,
        told,
    }
}

/// One outcome for all: what failed first comes first, then those that were stopped for it.
pub fn together(landed: &[Landed]) -> Outcome {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for one in landed {
        diagnostics.extend(one.outcome.diagnostics().iter().cloned());
    }
    // Stable: within each part the regions stay in their order.
    diagnostics.sort_by_key(|one| one.code == Code::RegionFailed);
    let is = |wanted: fn(&Outcome) -> bool| landed.iter().find(|one| wanted(&one.outcome));
    if is(|outcome| matches!(outcome, Outcome::RollbackFailed(_))).is_some() {
        return Outcome::RollbackFailed(diagnostics);
    }
    if !diagnostics.is_empty() {
        return Outcome::Stopped(diagnostics);
    }
    let states = landed.iter().filter_map(|one| match &one.outcome {
        Outcome::Recovered { state } => Some(format!("{}: {state}", one.region)),
        _ => None,
    });
    let states: Vec<String> = states.collect();
    if !states.is_empty() {
        let state = states.join("; ");
        return Outcome::Recovered { state };
    }
    let changed = is(|outcome| !matches!(outcome, Outcome::UpToDate { .. }));
    match changed.or(landed.first()) {
        Some(one) => one.outcome.clone(),
        None => Outcome::Stopped(vec![Diagnostic::error(
            Code::Internal,
            "a delivery has no region",
        )]),
    }
}

/// Each diagnostic says in which region it was.
fn named(outcome: Outcome, region: &Region) -> Outcome {
    let name = |diagnostics: Vec<Diagnostic>| {
        let name = |mut diagnostic: Diagnostic| {
            let at = diagnostic.at.unwrap_or_default();
            diagnostic.at = Some(if at.contains(region.as_str()) {
                at
            } else if at.is_empty() {
                format!("region {region}")
            } else {
                format!("{at} · {region}")
            });
            diagnostic
        };
        diagnostics.into_iter().map(name).collect()
    };
    match outcome {
        Outcome::Stopped(diagnostics) => Outcome::Stopped(name(diagnostics)),
        Outcome::RollbackFailed(diagnostics) => Outcome::RollbackFailed(name(diagnostics)),
        other => other,
    }
}

/// Says of each event where it is. Groups cannot lie across each other in a log: their titles are
/// told as notes.
pub(super) struct Named<'a> {
    pub(super) region: &'a Region,
    pub(super) sink: &'a dyn EventSink,
}

impl EventSink for Named<'_> {
    fn emit(&self, event: Event) {
        let region = self.region;
        let named = match event {
            Event::GroupStarted { title } => Event::Note(format!("{region}: {title}")),
            Event::GroupEnded => return,
            Event::StepStarted {
                number,
                total,
                id,
                because,
            } => Event::StepStarted {
                number,
                total,
                id,
                because: format!("{region}: {because}"),
            },
            Event::StepFinished { id, result, millis } => Event::StepFinished {
                id,
                result: format!("{region}: {result}"),
                millis,
            },
            Event::Note(text) => Event::Note(format!("{region}: {text}")),
            other => other,
        };
        self.sink.emit(named);
    }
}
