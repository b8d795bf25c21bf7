//! Ends what a run over several regions has left: in all of them the same way.

use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::plan::recover::{Asker, Despite, Recovery, Rescue, Way};
use delivery::plan::recover_together;
use delivery::snapshot::Snapshot;
use delivery::state::{OpenIntent, RunRef, StateRecord};
use delivery::target::Target;
use tokio::time::Instant;

use super::recover::{PAUSE, ended, not_restored, record, see, seen_fit};
use super::regions::{Named, Site};
use super::{LOOK, MOST_PLANS, Recovered, Seen, World, busy, carry_out, stopped};
use crate::execute::{Guard, Member, convoy};

/// What stands in the records of a run's regions.
#[derive(Debug, Default)]
pub struct Left {
    /// The rollouts of the run that are open, each with its target.
    pub open: Vec<(Target, OpenIntent)>,
    /// It came through in one region, and not in another.
    pub halfway: bool,
    /// What could not be read, and why.
    pub unread: Vec<(Target, Diagnostic)>,
}

impl Left {
    /// Nothing is to be ended.
    pub fn is_nothing(&self) -> bool {
        self.open.is_empty() && !self.halfway
    }
}

/// What `run` or an earlier attempt of it left in these services. One read each; a run that may be at
/// work still gets `patience` to end it itself.
pub async fn left_open(
    world: &World<'_>,
    targets: &[Target],
    run: &RunRef,
    patience: std::time::Duration,
) -> Left {
    let until = Instant::now() + patience;
    loop {
        let left = read_left(world, targets, run).await;
        if left.is_nothing() || Instant::now() + PAUSE > until {
            return left;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What `run` left in these services. One read each.
async fn read_left(world: &World<'_>, targets: &[Target], run: &RunRef) -> Left {
    let reads = targets.iter().map(|target| async {
        tokio::select! {
            biased;
            stop = world.guard.stopped() => Err(stopped(stop, LOOK)),
            read = record(world, target) => read,
        }
    });
    let mut left = Left::default();
    let mut records: Vec<StateRecord> = Vec::new();
    for (target, read) in targets
        .iter()
        .zip(futures_util::future::join_all(reads).await)
    {
        match read {
            Ok(record) => {
                let own = record.intent.iter();
                let own = own.filter(|intent| run.continues(&intent.run)).cloned();
                left.open.extend(own.map(|intent| (target.clone(), intent)));
                records.push(record);
            }
            Err(problem) => left.unread.push((target.clone(), problem)),
        }
    }
    left.halfway = records.iter().any(|record| {
        let newest = record.healthy.first();
        newest.is_some_and(|newest| {
            let came = |other: &StateRecord| {
                let mut entries = other.healthy.iter();
                entries.any(|one| newest.is_of_same_rollout(one))
            };
            newest.regions.len() > 1 && run.continues(&newest.run) && !records.iter().all(came)
        })
    });
    left
}

/// True where a run over several of these services has its rollout open in one of them and not in
/// another, or what it would return to differs: it has opened a first deploy in one, and in another has
/// not come as far, or built upon something. Not where it is the candidate of `run` itself that waits for
/// its promotion: another region may have had the release already. One read each; what cannot be read is
/// for the plan to tell.
pub(super) async fn is_uneven(world: &World<'_>, targets: &[&Target], run: &RunRef) -> bool {
    let records = records(world, targets).await;
    let opens = records.iter().filter_map(|record| record.intent.as_ref());
    opens.into_iter().any(|open| {
        let has_it = |other: &StateRecord| {
            let other = other.intent.as_ref();
            other.is_some_and(|other| other.run.is_of_same(&open.run))
        };
        // What had passed first of all is open to callers, and is what its region would return to.
        let is_ahead = |other: &StateRecord| {
            let other = other.intent.as_ref();
            let is_first = open.undo.is_none() && open.passed.is_some();
            let lags = |other: &OpenIntent| other.passed.is_none() || other.undo.is_some();
            is_first && other.is_some_and(lags)
        };
        let waits = open.waits() && run.continues(&open.run);
        let is_even = records.iter().all(has_it) && !records.iter().any(is_ahead);
        open.regions.len() > 1 && !waits && !is_even
    })
}

/// True where the open rollout of a run over several of these services serves callers in one of them and
/// not in another: what is to be left, and so what is the previous one, is not the same in both. One read
/// each.
pub(super) async fn is_split(world: &World<'_>, targets: &[&Target]) -> bool {
    let records = records(world, targets).await;
    let serves = |intent: &OpenIntent| intent.share.is_some() || intent.passed.is_some();
    let opens = records.iter().filter_map(|record| record.intent.as_ref());
    opens.filter(|open| serves(open)).any(|open| {
        let serves_in = |other: &StateRecord| {
            let intent = other.intent.as_ref();
            let newest = other.healthy.first();
            intent.is_some_and(|other| serves(other) && other.run.is_of_same(&open.run))
                || newest.is_some_and(|newest| newest.run.is_of_same(&open.run))
        };
        open.regions.len() > 1 && !records.iter().all(serves_in)
    })
}

async fn records(world: &World<'_>, targets: &[&Target]) -> Vec<StateRecord> {
    let reads = targets.iter().map(|target| record(world, target));
    let records = futures_util::future::join_all(reads).await;
    records.into_iter().flatten().collect()
}

/// Looks at all sites, and says how what is unfinished in each would be ended. Reads only.
pub async fn look_for_unfinished(
    world: &World<'_>,
    targets: &[&Target],
    asker: &Asker,
) -> Vec<Result<Recovery, Diagnostic>> {
    let looked = look(world, targets, asker).await;
    looked.into_iter().map(|one| Ok(one?.0)).collect()
}

async fn look(
    world: &World<'_>,
    targets: &[&Target],
    asker: &Asker,
) -> Vec<Result<(Recovery, Seen), Diagnostic>> {
    let looks = targets.iter().map(|target| see(world, target));
    let seen = futures_util::future::join_all(looks).await;
    let snapshots: Vec<&Snapshot> = seen.iter().flatten().map(|seen| &seen.snapshot).collect();
    let mut recoveries = recover_together(asker, &snapshots).into_iter();
    let with_recovery = |seen: Result<Seen, Diagnostic>| {
        let seen = seen?;
        let recovery = recoveries.next().unwrap_or(Recovery::Nothing);
        Ok((seen_fit(recovery), seen))
    };
    seen.into_iter().map(with_recovery).collect()
}

/// Ends what is unfinished in the sites, if `asker` may: what one run left in several of them goes
/// forward in all or back in all. The verifier of `world` is not asked.
pub async fn recover_all(world: &World<'_>, sites: &[Site<'_>], asker: &Asker) -> Vec<Recovered> {
    let targets: Vec<&Target> = sites.iter().map(|site| site.target).collect();
    let mut asker = asker.clone();
    let mut ends: Vec<Recovered> = sites.iter().map(|_| Recovered::Nothing).collect();
    let mut is_settled = false;
    for _ in 0..MOST_PLANS {
        let looked = look(world, &targets, &asker).await;
        let runs = looked.iter().flatten().filter_map(|(one, _)| match one {
            Recovery::Proceed(rescue) => Some(rescue.lease.run.clone()),
            _ => None,
        });
        let run = runs.into_iter().next();
        let round = act(world, sites, looked).await;
        let is_back =
            |end: &Option<Recovered>| matches!(end, Some(Recovered::Ended { way: Way::Back, .. }));
        // What was to go forward and went back in all of them is as even as if that had been the plan.
        let went_back = round.iter().all(|(_, end)| is_back(end));
        is_settled = true;
        for (end, (way, next)) in ends.iter_mut().zip(round) {
            let as_planned = match (&next, way) {
                (Some(Recovered::Ended { way: ended, .. }), Some(way)) => *ended == way,
                (Some(_), Some(Way::Back) | None) => true,
                (Some(_), Some(Way::Forward)) | (None, _) => false,
            };
            is_settled &= as_planned || went_back;
            match next {
                // What an earlier round has ended stays told.
                None | Some(Recovered::Nothing) => {}
                Some(next) => *end = next,
            }
        }
        if is_settled {
            break;
        }
        // Whose rollout was begun to be ended is ended, also where it has no lease any more.
        if let (Some(run), Despite::Nobody) = (run, &asker.despite) {
            asker.despite = Despite::Run(run);
        }
        world.sink.emit(Event::Note(
            "not everything went as it was seen: looking again".to_owned(),
        ));
    }
    if !is_settled {
        for (end, target) in ends.iter_mut().zip(&targets) {
            if *end == Recovered::Nothing {
                *end = Recovered::Stopped(vec![busy(target)]);
            }
        }
    }
    ends
}

/// One round: the way that was planned, if something was to be done, and how it ended; `None`:
/// somebody else was faster.
async fn act(
    world: &World<'_>,
    sites: &[Site<'_>],
    looked: Vec<Result<(Recovery, Seen), Diagnostic>>,
) -> Vec<(Option<Way>, Option<Recovered>)> {
    let forward = |one: &Result<(Recovery, Seen), Diagnostic>| {
        matches!(
            one,
            Ok((
                Recovery::Proceed(Rescue {
                    way: Way::Forward,
                    ..
                }),
                _
            ))
        )
    };
    // They are confirmed together, and recorded together; a way back waits for nobody.
    let together = looked.iter().zip(sites).filter(|(one, _)| forward(one));
    let names: Vec<&str> = together
        .map(|(_, site)| site.target.region.as_str())
        .collect();
    let mut members = convoy(names).into_iter();
    let several = sites.len() > 1;
    let all = looked.into_iter().zip(sites).map(|(one, site)| {
        let member = if forward(&one) { members.next() } else { None };
        async move {
            let (rescue, seen) = match one {
                Err(problem) => return (None, Some(Recovered::Stopped(vec![problem]))),
                Ok((Recovery::Nothing, _)) => return (None, Some(Recovered::Nothing)),
                Ok((Recovery::Waits(lease), _)) => return (None, Some(Recovered::Held(lease))),
                Ok((Recovery::Blocked(problems), _)) => {
                    return (None, Some(not_restored(problems)));
                }
                Ok((Recovery::Proceed(rescue), seen)) => (rescue, seen),
            };
            let named = Named {
                region: &site.target.region,
                sink: world.sink,
            };
            let sink: &dyn EventSink = if several { &named } else { world.sink };
            let world = World { sink, ..*world };
            let way = Some(rescue.way);
            (way, end(&world, site, member, rescue, seen).await)
        }
    });
    futures_util::future::join_all(all).await
}

async fn end(
    world: &World<'_>,
    site: &Site<'_>,
    member: Option<Member>,
    rescue: Rescue,
    seen: Seen,
) -> Option<Recovered> {
    let guard = Guard {
        convoy: member.clone(),
        ..world.guard.clone()
    };
    let world = World {
        verifier: site.verifier,
        guard: &guard,
        ..*world
    };
    for warning in &rescue.plan.warnings {
        world.sink.emit(Event::Warning(warning.clone()));
    }
    let done = carry_out(&world, site.target, &rescue.plan, seen.writer).await;
    let recovered = ended(&world, site.target, rescue, done, &seen.snapshot).await;
    if let Some(member) = member {
        match &recovered {
            Some(Recovered::Ended {
                way: Way::Forward, ..
            }) => member.leave(),
            _ => member.fail(),
        }
    }
    recovered
}
