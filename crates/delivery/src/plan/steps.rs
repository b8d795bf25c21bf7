//! From a decided change to its steps, each with its reason and its undo.

use super::progress::{self, Shares};
use super::standing::Standing;
use super::{Action, Address, NewRevision, Step, Undo, Wanted};
use crate::name::{RevisionName, TagName};
use crate::release::Commit;
use crate::snapshot::Readiness;
use crate::spec::Access;
use crate::state::{BroughtBy, OpenIntent, Passed, RevisionRecord, StateRecord};
use crate::traffic::{Destination, Tag, TrafficSplit};

/// A decided change: bring this revision to 100 %.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) bring: Bring,
    pub(crate) tag: TagName,
    /// Who must answer; `None` for a revision that other tools made.
    pub(crate) commit: Option<Commit>,
    /// What it is, for people: `v1.4.0`.
    pub(crate) label: String,
    /// Who may call at the end; `None` leaves it as it is.
    pub(crate) access: Option<Access>,
    /// The record at the end, without intent.
    pub(crate) end: StateRecord,
    /// What a failure rejects.
    pub(crate) rejects: Option<RevisionRecord>,
}

/// Make it, or take up one that exists.
#[derive(Debug)]
pub(crate) enum Bring {
    New(Box<NewRevision>),
    Existing(RevisionName),
}

impl Change {
    pub(crate) fn revision(&self) -> &RevisionName {
        match &self.bring {
            Bring::New(new) => &new.record.revision,
            Bring::Existing(name) => name,
        }
    }
}

/// The steps that bring a revision which does not serve everything yet.
pub(crate) fn steps(wanted: &Wanted, standing: &Standing<'_>, change: Change) -> Vec<Step> {
    match &standing.base {
        Some(base) if !standing.nothing_tested_serves() => beside(wanted, standing, change, base),
        _ => closed(wanted, standing, change),
    }
}

/// Something serves: the candidate stands beside it at 0 % under its own tag until it has passed.
fn beside(
    wanted: &Wanted,
    standing: &Standing<'_>,
    change: Change,
    base: &TrafficSplit,
) -> Vec<Step> {
    let revision = change.revision().clone();
    let to_candidate = || Destination::Revision(revision.clone());
    let is_ready = standing
        .revision(&revision)
        .is_some_and(|seen| seen.readiness == Readiness::Ready);
    // What is about to become ready becomes LATEST: tags that follow it must not reach it yet.
    let waiting_tags = if is_ready {
        standing.foreign_tags()
    } else {
        standing.foreign_tags_pinned()
    };
    let with_kept = |shares: &TrafficSplit| {
        let mut tags = waiting_tags.clone();
        tags.extend(standing.kept_tag(shares));
        shares.with_tags(tags)
    };
    let undo_shares = standing.undo_shares().unwrap_or_else(|| base.clone());
    let undo_traffic = with_kept(&undo_shares);
    let baseline = progress::baseline(wanted, standing, &undo_shares, &revision);
    // What serves beside it was confirmed, so that a run which finds the traffic can tell whose it is.
    let tagged = with_kept(&undo_shares).with_tag(change.tag.clone(), to_candidate());
    let traffic = progress::with_address(tagged, baseline.as_ref());
    let state = intent(wanted, standing, &change, Some(undo_traffic.clone()));
    // What a run that died has opened or closed is taken back with its traffic.
    let undo = |access| Undo::Restore {
        traffic: undo_traffic.clone(),
        state: standing.record.without_intent(),
        rejects: change.rejects.clone(),
        access: standing.left_access().or(access),
    };
    let seen_access = standing.service.map(|seen| seen.access);
    // Closed again at once, with the traffic of what was closed; opened again only by the end, or the undo.
    let left_access = standing
        .left_access()
        .filter(|left| *left == Access::Private && Some(*left) != seen_access);
    let first = match change.bring {
        Bring::New(ref new) => Step {
            because: format!(
                "make `{revision}` from {} beside what serves: no traffic, reached only through its tag `{}`{}",
                change.label,
                change.tag,
                left_behind(standing)
            ),
            undo: undo(None),
            action: Action::DeployCandidate {
                revision: new.clone(),
                traffic: traffic.clone(),
                state: state.clone(),
                access: left_access,
            },
        },
        Bring::Existing(_) => Step {
            because: format!(
                "`{revision}` ({}) exists: give it its tag `{}`, no traffic yet{}",
                change.label,
                change.tag,
                left_behind(standing)
            ),
            undo: undo(None),
            action: Action::TagRevision {
                revision: revision.clone(),
                is_ready,
                traffic: traffic.clone(),
                state: state.clone(),
                access: left_access,
            },
        },
    };
    let verify = Step {
        because: "test the candidate at its own address: only what passes gets traffic".to_owned(),
        undo: undo(None),
        action: Action::Verify {
            revision: revision.clone(),
            address: Address::Tag(change.tag.clone()),
            commit: change.commit.clone(),
        },
    };
    let shares = baseline.map_or_else(Vec::new, |baseline| {
        let shares = Shares {
            traffic: &traffic,
            state: &state,
            undo: &undo(None),
            baseline: &baseline,
        };
        progress::steps(wanted, &change, &shares)
    });
    let access_then = left_access.or(seen_access);
    let access = change.access.filter(|wanted| Some(*wanted) != access_then);
    let end = End {
        traffic: TrafficSplit::all_to(to_candidate(), standing.end_tags(&change.end, &revision)),
        state,
        access,
        undo: undo(access.and(access_then)),
    };
    [first, verify]
        .into_iter()
        .chain(shares)
        .chain(end.steps(&change))
        .collect()
}

/// What a run that died gave to its candidate, and what the first write takes back.
fn left_behind(standing: &Standing<'_>) -> String {
    match (standing.left_share(), standing.service) {
        (Some(intent), Some(seen)) => format!(
            "; `{}`, which run `{}` left at {} %, goes back to 0 %",
            intent.revision,
            intent.run.0,
            seen.traffic.percent_of(&intent.revision)
        ),
        _ => String::new(),
    }
}

/// Nothing tested serves: the service is closed, the candidate gets all of it and is tested with an
/// ID token at the service's address; it is opened only then, and stays closed on failure.
fn closed(wanted: &Wanted, standing: &Standing<'_>, change: Change) -> Vec<Step> {
    let revision = change.revision().clone();
    let state = intent(wanted, standing, &change, None);
    // A tag that follows LATEST must not reach the candidate before its tests, here neither.
    let tags = standing.foreign_tags_pinned();
    let undo = || Undo::KeepClosed {
        state: standing.record.without_intent(),
        rejects: change.rejects.clone(),
    };
    let latest_created = standing
        .service
        .and_then(|seen| seen.latest_created.as_ref());
    let (action, because) = match (&change.bring, standing.service) {
        (Bring::New(new), None) => (
            Action::CreateService {
                revision: new.clone(),
                state: state.clone(),
            },
            format!(
                "the service does not exist: create it with `{revision}` from {}, closed to all but callers with an ID token",
                change.label
            ),
        ),
        (Bring::New(new), Some(_)) => (
            Action::DeployCandidate {
                revision: new.clone(),
                traffic: TrafficSplit::all_to(Destination::Latest, tags.clone()),
                state: state.clone(),
                access: Some(Access::Private),
            },
            format!(
                "nothing tested serves: close the service and make `{revision}` from {} in it",
                change.label
            ),
        ),
        (Bring::Existing(_), _) => {
            // Followed by LATEST, a revision that is not ready yet may still become so.
            let to = if latest_created == Some(&revision) {
                Destination::Latest
            } else {
                Destination::Revision(revision.clone())
            };
            (
                Action::TagRevision {
                    revision: revision.clone(),
                    is_ready: false,
                    traffic: TrafficSplit::all_to(to, tags.clone()),
                    state: state.clone(),
                    access: Some(Access::Private),
                },
                format!(
                    "nothing tested serves, but `{revision}` ({}) exists: take it up in the service, closed",
                    change.label
                ),
            )
        }
    };
    let first = Step {
        action,
        because,
        undo: undo(),
    };
    let verify = Step {
        because: "test it with an ID token while the service is closed to everybody else"
            .to_owned(),
        undo: undo(),
        action: Action::Verify {
            revision: revision.clone(),
            address: Address::Service,
            commit: change.commit.clone(),
        },
    };
    let as_it_was = standing.service.map_or(Access::Private, |seen| seen.access);
    let end = End {
        traffic: TrafficSplit::all_to(
            Destination::Revision(revision.clone()),
            standing.end_tags(&change.end, &revision),
        ),
        state,
        access: Some(change.access.unwrap_or(as_it_was)),
        undo: undo(),
    };
    [first, verify]
        .into_iter()
        .chain(end.steps(&change))
        .collect()
}

/// The last three steps.
pub(crate) struct End {
    pub(crate) traffic: TrafficSplit,
    /// With the intent.
    pub(crate) state: StateRecord,
    pub(crate) access: Option<Access>,
    pub(crate) undo: Undo,
}

impl End {
    pub(crate) fn steps(self, change: &Change) -> Vec<Step> {
        let revision = change.revision().clone();
        let for_whom = match self.access {
            None => "",
            Some(Access::Public) => ", open to everybody",
            Some(Access::Private) => ", for callers with an ID token",
        };
        let shift = Step {
            because: format!(
                "what passed gets all traffic: `{revision}`, pinned by name{for_whom}"
            ),
            undo: self.undo.clone(),
            action: Action::ShiftTraffic {
                revision,
                traffic: self.traffic,
                state: passed(self.state, change, &self.undo),
                access: self.access,
            },
        };
        let mut steps = vec![shift];
        steps.extend(confirm_and_record(change, &self.undo));
        steps
    }
}

/// Confirm that it serves, and remember it.
pub(crate) fn confirm_and_record(change: &Change, undo: &Undo) -> [Step; 2] {
    let revision = change.revision();
    [
        Step {
            because: format!("see that callers reach `{revision}` and nothing else"),
            undo: undo.clone(),
            action: Action::Confirm {
                revision: revision.clone(),
                commit: change.commit.clone(),
            },
        },
        Step {
            because: if change.end.healthy_entry(revision).is_some() {
                "remember it as healthy, so that a later release can be rolled back to it"
                    .to_owned()
            } else {
                "close the record: nothing is under way any more".to_owned()
            },
            undo: undo.clone(),
            action: Action::Record {
                state: change.end.clone(),
            },
        },
    ]
}

/// The record while the change is under way.
pub(crate) fn intent(
    wanted: &Wanted,
    standing: &Standing<'_>,
    change: &Change,
    undo: Option<TrafficSplit>,
) -> StateRecord {
    let before = standing.record.intent.as_ref();
    // Told from the first write on: a service that strangers may call by a binding is closed in two
    // requests, and a run can die between them.
    let seen = standing.service.map(|seen| seen.access);
    let changes = change.access.filter(|wanted| Some(*wanted) != seen);
    let to_change = changes.and(seen).filter(|_| undo.is_some());
    standing.record.with_intent(OpenIntent {
        verified: before.is_some_and(|before| {
            before.verified
                && before.revision == *change.revision()
                && wanted.run.continues(&before.run)
        }),
        run: wanted.run.clone(),
        revision: change.revision().clone(),
        tag: change.tag.clone(),
        undo,
        expires: standing.now.plus(wanted.lease_seconds),
        share: None,
        passed: None,
        access_before: standing.left_access().or(to_change),
        regions: wanted.surroundings.regions.clone(),
    })
}

/// The record that is written with the traffic of what has passed.
fn passed(mut state: StateRecord, change: &Change, undo: &Undo) -> StateRecord {
    let entry = change.end.healthy_entry(change.revision());
    let access_before = match undo {
        Undo::Restore { access, .. } => *access,
        Undo::KeepClosed { .. } | Undo::Nothing => None,
    };
    if let Some(intent) = &mut state.intent {
        intent.passed = Some(Passed {
            // What is not remembered as healthy was made by another tool: only a rollback leads there.
            by: entry.map_or(BroughtBy::Rollback, |entry| entry.by),
            access_before,
        });
    }
    state
}

/// Tags that follow LATEST, for the warning.
pub(crate) fn following_latest(tags: &[Tag]) -> Vec<&TagName> {
    tags.iter()
        .filter(|tag| tag.to == Destination::Latest)
        .map(|tag| &tag.name)
        .collect()
}
