//! What a run over several regions has left: finished in all of them, or taken back in all of them.
//!
//! The record of each region names all of them, so that it can be seen in any one what the others are
//! to be asked.

use super::guard::{self, blocked};
use super::recover::{Asker, Back, Lease, Recovery, Rescue, Way, Ways, ended, proceed};
use super::standing::Standing;
use crate::diagnostic::{Code, Diagnostic};
use crate::name::{Region, RevisionName};
use crate::release::ImageDigest;
use crate::snapshot::{Snapshot, StateSeen};
use crate::spec::{Access, ConfigHash};
use crate::state::{BroughtBy, Healthy, OpenIntent, RunRef};
use crate::traffic::{Destination, TrafficSplit};

/// How long a run that goes back may still need for a region whose record it has closed: nothing in
/// that region says that it is at work.
const GOING_BACK_SECONDS: u32 = 180;

/// Says, for each of the snapshots, how what is unfinished there is to be ended: forward only where all
/// regions of the same run can be finished, or are; else back, also where that run had finished. Total
/// and pure, as [`recover`](super::recover()).
pub fn recover_together(asker: &Asker, snapshots: &[&Snapshot]) -> Vec<Recovery> {
    let all: Vec<Standing<'_>> = snapshots.iter().map(|one| Standing::of(one)).collect();
    let company = Company { asker, all: &all };
    all.iter().map(|own| company.recover(own)).collect()
}

/// Everybody who was looked at, and who asks.
#[derive(Clone, Copy)]
struct Company<'a> {
    asker: &'a Asker,
    all: &'a [Standing<'a>],
}

/// How far another region is with the same rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It can be finished, or is.
    Level,
    /// It cannot be finished.
    Behind,
    /// Nobody knows.
    Unseen,
}

impl<'a> Company<'a> {
    fn recover(self, own: &Standing<'_>) -> Recovery {
        let alone = ended(self.asker, own, Ways::Both);
        if let Some(intent) = &own.record.intent {
            return match alone {
                Recovery::Proceed(_) | Recovery::Blocked(_) if !intent.regions.is_empty() => {
                    self.open(own, intent, alone)
                }
                other => other,
            };
        }
        match own.record.healthy.first() {
            Some(entry) if own.serves_alone(&entry.revision) && alone == Recovery::Nothing => {
                self.closed(own, entry)
            }
            _ => alone,
        }
    }

    /// The regions of a run beside `own`, each as it was seen, if it was.
    fn others(
        self,
        own: &Standing<'_>,
        regions: &[Region],
    ) -> Vec<(Region, Option<&'a Standing<'a>>)> {
        let others = regions.iter().filter(|name| **name != own.target.region);
        let seen = |name: &Region| self.all.iter().find(|one| one.target.region == *name);
        others.map(|name| (name.clone(), seen(name))).collect()
    }

    /// A region in which the run's intent stands.
    fn open(self, own: &Standing<'_>, intent: &OpenIntent, alone: Recovery) -> Recovery {
        let rollout = Rollout {
            run: &intent.run,
            regions: &intent.regions,
            release: release_of(own, &intent.revision),
        };
        let others = self.others(own, &intent.regions);
        for other in others.iter().filter_map(|(_, seen)| *seen) {
            if rollout.is_open_in(other)
                && let Recovery::Waits(lease) = ended(self.asker, other, Ways::Both)
            {
                return Recovery::Waits(lease);
            }
        }
        if !matches!(&alone, Recovery::Proceed(rescue) if rescue.way == Way::Forward) {
            return alone;
        }
        let stages = others.iter().map(|(region, seen)| {
            let stage = seen.map(|other| self.stage(other, &rollout));
            (region, stage.unwrap_or(Stage::Unseen))
        });
        let stages: Vec<(&Region, Stage)> = stages.collect();
        let first = |wanted| stages.iter().find(|(_, stage)| *stage == wanted);
        if first(Stage::Behind).is_some() {
            return ended(self.asker, own, Ways::Back);
        }
        match first(Stage::Unseen) {
            Some((region, _)) => Recovery::Blocked(vec![depends(own, intent, region)]),
            None => alone,
        }
    }

    fn stage(self, other: &Standing<'_>, rollout: &Rollout<'_>) -> Stage {
        if guard::unreadable(other).is_some() {
            return Stage::Unseen;
        }
        let level = if rollout.is_open_in(other) {
            is_forward(&ended(self.asker, other, Ways::Both))
        } else {
            rollout.serves_in(other)
        };
        if level { Stage::Level } else { Stage::Behind }
    }

    /// A region in which nothing is open, and the run that brought what serves had others to bring it
    /// to. Where it did not come through in one of them, it is to go back here too.
    fn closed(self, own: &Standing<'_>, entry: &Healthy) -> Recovery {
        let rollout = Rollout {
            run: &entry.run,
            regions: &entry.regions,
            release: release_of(own, &entry.revision),
        };
        let others = self.others(own, &entry.regions);
        let seen = others.iter().filter_map(|(_, seen)| *seen);
        let lags = |other: &&Standing<'_>| self.lags(other, &rollout, entry);
        let lag: Vec<&Standing<'_>> = seen.filter(lags).collect();
        if lag.is_empty() {
            return Recovery::Nothing;
        }
        let lease = Lease {
            run: entry.run.clone(),
            revision: entry.revision.clone(),
            until: entry.at.plus(GOING_BACK_SECONDS),
            regions: entry.regions.clone(),
        };
        let Asker { run, despite } = self.asker;
        let may = run.continues(&entry.run)
            || despite.covers(&entry.run)
            || lag.iter().any(|other| rollout.is_open_in(other));
        if !may && own.now < lease.until {
            return Recovery::Waits(lease);
        }
        match (own.service, way_back(own, entry)) {
            (Some(service), Ok(back)) if may => {
                let names = lag.iter().map(|other| other.target.region.as_str());
                let step = back.because(format!(
                    "run `{}` did not come through in {}",
                    entry.run.0,
                    names.collect::<Vec<_>>().join(", ")
                ));
                let back = (Way::Back, vec![step]);
                proceed(self.asker, own, service, lease, back, Vec::new())
            }
            (_, Ok(_)) => Recovery::Blocked(vec![apart(own, entry, &lag, None)]),
            (_, Err(why)) => Recovery::Blocked(vec![apart(own, entry, &lag, Some(why))]),
        }
    }

    /// True where the rollout that has left `entry` did not come through, and nothing has come since.
    fn lags(self, other: &Standing<'_>, rollout: &Rollout<'_>, entry: &Healthy) -> bool {
        if guard::unreadable(other).is_some() || is_erased(other) {
            return false;
        }
        if rollout.is_open_in(other) {
            let alone = ended(self.asker, other, Ways::Both);
            return match alone {
                Recovery::Waits(_) | Recovery::Nothing => false,
                Recovery::Blocked(_) => true,
                Recovery::Proceed(Rescue { way, .. }) => way == Way::Back,
            };
        }
        let came = other
            .record
            .healthy
            .iter()
            .any(|one| entry.is_of_same_rollout(one));
        let newest = other.record.healthy.first();
        let since = newest.is_some_and(|newest| newest.at > entry.at);
        other.record.intent.is_none() && !came && !since && !rollout.serves_in(other)
    }
}

/// One release, brought by one run to several regions. The run alone does not tell it: on a terminal
/// all runs of a person have the same name.
struct Rollout<'r> {
    run: &'r RunRef,
    regions: &'r [Region],
    release: Option<Brought>,
}

impl Rollout<'_> {
    /// Its intent stands there.
    fn is_open_in(&self, other: &Standing<'_>) -> bool {
        other.record.intent.as_ref().is_some_and(|intent| {
            let release = release_of(other, &intent.revision);
            intent.run.is_of_same(self.run)
                && intent.regions == self.regions
                && (release == self.release || release.is_none() || self.release.is_none())
        })
    }

    /// Its release alone serves there, and is recorded healthy, if anything is.
    fn serves_in(&self, other: &Standing<'_>) -> bool {
        let Some(name) = other.main_revision() else {
            return false;
        };
        self.release.is_some()
            && (is_erased(other) || other.record.healthy_entry(name).is_some())
            && other.serves_alone(name)
            && release_of(other, name) == self.release
    }
}

/// The record of a service that is there was erased: what serves is all that is known.
fn is_erased(standing: &Standing<'_>) -> bool {
    let service = standing.service;
    service.is_some_and(|seen| seen.state == StateSeen::Absent)
}

/// Digest and configuration.
type Brought = (ImageDigest, ConfigHash);

fn release_of(standing: &Standing<'_>, revision: &RevisionName) -> Option<Brought> {
    let record = standing.known(revision)?;
    Some((record.digest, record.config))
}

fn is_forward(recovery: &Recovery) -> bool {
    matches!(recovery, Recovery::Proceed(rescue) if rescue.way == Way::Forward)
}

/// What takes back a release that is recorded already: the one that was recorded before it serves, or
/// on a first deploy nothing.
fn way_back(own: &Standing<'_>, entry: &Healthy) -> Result<Back, String> {
    if entry.by == BroughtBy::Rollback {
        return Err("what a rollback has left does not get traffic again".to_owned());
    }
    let mut state = own.record.clone();
    state.healthy.retain(|one| one.revision != entry.revision);
    let Some(before) = state.healthy.first().map(|one| one.revision.clone()) else {
        return first(own, entry).map(|()| Back {
            traffic: None,
            state,
            access: Some(Access::Private),
        });
    };
    let to = Destination::Revision(before.clone());
    if !own.is_ready(&to) {
        return Err(format!(
            "`{before}`, which served before, is not ready or was deleted"
        ));
    }
    let access = own.service.map(|seen| seen.access);
    Ok(Back {
        traffic: Some(TrafficSplit::all_to(to, own.end_tags(&state, &before))),
        state,
        access: entry.access_before.filter(|before| Some(*before) != access),
    })
}

/// The release was the first one here. A revision that nothing is remembered of may have served before,
/// and to close what callers depended on would be an outage.
fn first(own: &Standing<'_>, entry: &Healthy) -> Result<(), String> {
    let mut others = own.revisions().filter(|seen| {
        seen.name != entry.revision && own.record.rejected_entry(&seen.name).is_none()
    });
    match others.next() {
        None => Ok(()),
        Some(other) => Err(format!(
            "what served before `{}` is not recorded, and may have been `{}`",
            entry.revision, other.name
        )),
    }
}

/// The regions serve different releases, and this program does not end that.
fn apart(
    own: &Standing<'_>,
    entry: &Healthy,
    lag: &[&Standing<'_>],
    why: Option<String>,
) -> Diagnostic {
    let (run, revision) = (&entry.run.0, &entry.revision);
    let environment = &own.target.environment.name;
    let place = |one: &Standing<'_>| format!("{}: {}", one.target.region, one.state_in_words());
    let regions: Vec<&str> = lag.iter().map(|one| one.target.region.as_str()).collect();
    let (regions, all) = (regions.join(", "), entry.regions.iter());
    let all: Vec<&str> = all.map(Region::as_str).collect();
    let serving: Vec<String> = std::iter::once(place(own))
        .chain(lag.iter().map(|one| place(one)))
        .collect();
    let diagnostic = blocked(
        own,
        Code::RegionsApart,
        format!(
            "run `{run}` brought `{revision}` to {}, and did not come through in {regions}",
            own.target.region
        ),
    )
    .state(serving.join("; "));
    let promote = format!(
        "promote one release to all of them: `--region {}`",
        all.join(",")
    );
    let diagnostic = match (&why, entry.by) {
        (None, _) => diagnostic.help(format!(
            "act now: `ml-deploy recover --environment {environment} --run {run}` takes it back where it came through"
        )),
        (Some(why), BroughtBy::Promotion) => {
            return diagnostic.cause(why.clone()).help(format!("act now: {promote}"));
        }
        (Some(why), BroughtBy::Rollback) => {
            let to = entry.version.as_ref();
            let to = to.map_or_else(|| "VERSION".to_owned(), |version| format!("v{version}"));
            diagnostic.cause(why.clone()).help(format!(
                "act now: `ml-deploy rollback --environment {environment} --rollback-to {to}`"
            ))
        }
    };
    diagnostic.help(format!("or {promote}"))
}

/// What is to be done here depends on a region that was not seen.
fn depends(own: &Standing<'_>, intent: &OpenIntent, region: &Region) -> Diagnostic {
    let environment = &own.target.environment.name;
    let regions: Vec<&str> = intent.regions.iter().map(Region::as_str).collect();
    blocked(
        own,
        Code::RecoveryUnknown,
        format!(
            "whether the rollout of `{}` can be finished depends on region `{region}`, which could not be looked at",
            intent.revision
        ),
    )
    .cause(format!("run `{}` brought it to both", intent.run.0))
    .help(format!(
        "look at all of its regions: `ml-deploy recover --environment {environment} --region {}`",
        regions.join(",")
    ))
}
