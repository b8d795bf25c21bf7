//! Move traffic back to a revision that exists.
//!
//! Nothing is made. What is brought was healthy before, as a rule, so one write does it: traffic, the
//! next standing tag, and the record as it is to stay. There is no intent that could be left behind. A
//! target without a tag gets one first, in a write of its own. A target that was never healthy here, or
//! lost that, is named on purpose: it is recorded only when it is confirmed, as a release is.

use super::candidate::tag_of;
use super::finish::{self, Demand};
use super::guard::{self, blocked};
use super::promote::warnings;
use super::standing::Standing;
use super::steps::{Bring, Change, End, intent, steps};
use super::{Action, Address, Outlook, Plan, Planned, Step, Undo, Wanted};
use crate::diagnostic::{Code, Diagnostic};
use crate::name::{Region, RevisionName};
use crate::snapshot::{Readiness, RevisionSeen};
use crate::stage::RollbackTo;
use crate::state::{BroughtBy, Rejection, RunRef, StateRecord};
use crate::traffic::{Destination, TrafficSplit};

/// How long a `previous` on a terminal is taken for a repetition of the one before: its program may
/// have been killed after its write, which is all that a rollback writes.
const SAME_CALL_SECONDS: u32 = 15 * 60;
/// Most revisions that a diagnostic lists.
const LISTED: usize = 10;

pub(crate) fn plan(wanted: &Wanted, standing: &Standing<'_>, to: &RollbackTo) -> Planned {
    let mut blocks = guard::common(wanted, standing);
    let found = find(wanted, standing, to).and_then(|seen| {
        let change = change(wanted, standing, seen)?;
        Ok((seen, change))
    });
    let (seen, change) = match found {
        Ok(found) if blocks.is_empty() => found,
        Ok(_) => return Planned::Blocked(blocks),
        Err(diagnostic) => {
            blocks.push(diagnostic);
            return Planned::Blocked(blocks);
        }
    };
    let revision = seen.name.clone();
    let steps = match standing.service {
        Some(service) if standing.serves_alone(&revision) && !standing.nothing_tested_serves() => {
            finish::steps(wanted, standing, service, &change, Demand::Serving)
        }
        _ => match &standing.base {
            Some(base) if !standing.nothing_tested_serves() => {
                back(wanted, standing, &change, base)
            }
            _ => steps(wanted, standing, change),
        },
    };
    if steps.is_empty() {
        let repeated = *to == RollbackTo::Previous;
        let further = if repeated {
            ": this run has moved traffic back to it. To go back further, name a version or a revision"
        } else {
            ""
        };
        return Planned::UpToDate {
            because: format!("`{revision}` serves 100 % already{further}"),
            revision,
        };
    }
    let mut warnings = warnings(standing);
    warnings.extend(doubts(standing, seen));
    let commit = Standing::own_record(seen).map(|record| &record.commit);
    let others = standing.others(&revision, commit);
    Planned::Proceed(Plan {
        target: standing.target.clone(),
        run: wanted.run.clone(),
        etag: standing.service.map(|service| service.etag.clone()),
        revision,
        before: standing.state_in_words(),
        others,
        steps,
        warnings,
        outlook: Outlook::default(),
    })
}

/// Test the target at its own address, then move everything to it.
fn back(
    wanted: &Wanted,
    standing: &Standing<'_>,
    change: &Change,
    base: &TrafficSplit,
) -> Vec<Step> {
    let revision = change.revision().clone();
    let to_target = || Destination::Revision(revision.clone());
    let with_kept = |shares: &TrafficSplit| {
        let mut tags = standing.foreign_tags();
        tags.extend(standing.kept_tag(shares));
        shares.with_tags(tags)
    };
    let undo_traffic = with_kept(&standing.undo_shares().unwrap_or_else(|| base.clone()));
    let undo = Undo::Restore {
        traffic: undo_traffic.clone(),
        state: standing.record.without_intent(),
        rejects: None,
        access: standing.left_access(),
    };
    let tagged = standing.has_tag(&change.tag, &revision);
    let tag = (!tagged).then(|| Step {
        because: format!(
            "`{revision}` ({}) has no address of its own: give it its tag `{}`, no traffic yet",
            change.label, change.tag
        ),
        undo: undo.clone(),
        action: Action::TagRevision {
            revision: revision.clone(),
            is_ready: true,
            traffic: with_kept(base).with_tag(change.tag.clone(), to_target()),
            state: intent(wanted, standing, change, Some(undo_traffic.clone())),
            access: None,
        },
    });
    let verify = Step {
        because: "test it at its own address: only what passes gets traffic".to_owned(),
        // Nothing is undone before anything was written, except what a run that died has left.
        undo: if tagged && standing.record.intent.is_none() {
            Undo::Nothing
        } else {
            undo.clone()
        },
        action: Action::Verify {
            revision: revision.clone(),
            address: Address::Tag(change.tag.clone()),
            commit: change.commit.clone(),
        },
    };
    let traffic = TrafficSplit::all_to(to_target(), standing.end_tags(&change.end, &revision));
    let steps = tag.into_iter().chain([verify]);
    if standing.record.healthy_entry(&revision).is_none() {
        let end = End {
            traffic,
            state: intent(wanted, standing, change, Some(undo_traffic)),
            access: None,
            undo,
        };
        return steps.chain(end.steps(change)).collect();
    }
    let shift = Step {
        because: format!(
            "what passed gets all traffic: `{revision}`, pinned by name; what it leaves is recorded as rolled back in the same write"
        ),
        undo: undo.clone(),
        action: Action::ShiftTraffic {
            revision: revision.clone(),
            traffic,
            state: change.end.clone(),
            access: None,
        },
    };
    let confirm = Step {
        because: format!("see that callers reach `{revision}` and nothing else"),
        undo,
        action: Action::Confirm {
            revision,
            commit: change.commit.clone(),
        },
    };
    steps.chain([shift, confirm]).collect()
}

/// The revision that is meant, if it can serve.
fn find<'a>(
    wanted: &Wanted,
    standing: &Standing<'a>,
    to: &RollbackTo,
) -> Result<&'a RevisionSeen, Diagnostic> {
    match to {
        RollbackTo::Previous => match already_back(wanted, standing) {
            Some(seen) => Ok(seen),
            None => previous(standing),
        },
        RollbackTo::Version(version) => {
            let recorded = standing.record.healthy.iter();
            let healthy = recorded
                .filter(|entry| entry.version.as_ref() == Some(version))
                .filter_map(|entry| standing.revision(&entry.revision));
            // Then what was never healthy, or lost that: a person names it on purpose.
            let made = standing.revisions().filter(|seen| {
                Standing::own_record(seen).is_some_and(|r| r.version.as_ref() == Some(version))
            });
            let all: Vec<&RevisionSeen> = healthy.chain(made).collect();
            let ready = all.iter().find(|seen| seen.readiness == Readiness::Ready);
            match (ready, all.first()) {
                (Some(seen), _) => Ok(seen),
                (None, Some(seen)) => fit(standing, seen),
                (None, None) => Err(none(
                    standing,
                    format!("no revision of v{version} is there to roll back to"),
                )),
            }
        }
        RollbackTo::Revision(name) => match standing.revision(name) {
            Some(seen) => fit(standing, seen),
            None => Err(listed(
                standing,
                blocked(
                    standing,
                    Code::RollbackTargetUnfit,
                    format!("revision `{name}` does not exist"),
                ),
                Some(name),
            )),
        },
    }
}

/// What this very run has moved traffic back to, in an earlier attempt or before it died: `previous`
/// is told once, and a re-run does not go one further. A terminal has no attempts: there the same
/// person's `previous` is the same one for [`SAME_CALL_SECONDS`].
pub(super) fn already_back<'a>(
    wanted: &Wanted,
    standing: &Standing<'a>,
) -> Option<&'a RevisionSeen> {
    let serving = standing.main_revision()?;
    let entry = standing.record.healthy_entry(serving)?;
    let ours = |run: &RunRef| wanted.run.continues(run);
    let unfinished = standing
        .record
        .intent
        .as_ref()
        .is_some_and(|intent| ours(&intent.run) && intent.revision == *serving);
    let told_once =
        wanted.run.github().is_some() || standing.now < entry.at.plus(SAME_CALL_SECONDS);
    let finished = told_once && ours(&entry.run) && entry.by == BroughtBy::Rollback;
    standing
        .revision(serving)
        .filter(|_| (unfinished || finished) && standing.serves_alone(serving))
}

/// The newest healthy revision that gets no traffic, is not rejected, and can serve.
pub(super) fn previous<'a>(standing: &Standing<'a>) -> Result<&'a RevisionSeen, Diagnostic> {
    let gets_traffic = |name: &RevisionName| match standing.left_share() {
        // What is to be left is the candidate that a run which died gave a share to.
        Some(intent) => intent.revision == *name,
        None => {
            let base = standing.base.as_ref();
            base.is_some_and(|base| base.percent_of(name) > 0)
        }
    };
    let record = &standing.record;
    if let Some(seen) = standing.standby(record, gets_traffic) {
        return Ok(seen);
    }
    let healthy = record.healthy.iter().map(|entry| &entry.revision);
    let passed_over = healthy
        .filter(|name| !gets_traffic(name) && record.rejected_entry(name).is_none())
        .map(|name| match standing.revision(name) {
            Some(_) => format!("`{name}` is not ready"),
            None => format!("`{name}` was deleted"),
        });
    let mut diagnostic = none(
        standing,
        "no earlier revision is recorded healthy here".to_owned(),
    );
    diagnostic.cause.extend(passed_over);
    Err(diagnostic)
}

fn fit<'a>(
    standing: &Standing<'_>,
    seen: &'a RevisionSeen,
) -> Result<&'a RevisionSeen, Diagnostic> {
    let why = match &seen.readiness {
        Readiness::Ready => return Ok(seen),
        Readiness::Pending => "it is not ready yet".to_owned(),
        Readiness::Failed(text) => text.clone(),
    };
    let diagnostic = blocked(
        standing,
        Code::RollbackTargetUnfit,
        format!("revision `{}` cannot serve", seen.name),
    )
    .cause(why);
    Err(listed(standing, diagnostic, None))
}

fn none(standing: &Standing<'_>, title: String) -> Diagnostic {
    let diagnostic = blocked(standing, Code::NoRollbackTarget, title);
    listed(standing, diagnostic, None)
}

/// Adds where it could go instead, newest first: never what serves, which is to be left.
fn listed(
    standing: &Standing<'_>,
    mut diagnostic: Diagnostic,
    meant: Option<&RevisionName>,
) -> Diagnostic {
    let gets_traffic = |name: &RevisionName| {
        let base = standing.base.as_ref();
        base.is_some_and(|base| base.percent_of(name) > 0)
    };
    let free: Vec<&RevisionName> = standing
        .revisions()
        .filter(|seen| seen.readiness == Readiness::Ready && !gets_traffic(&seen.name))
        .map(|seen| &seen.name)
        .collect();
    let names = free.iter().map(|name| name.as_str());
    let near = meant.and_then(|name| crate::nearest::nearest(name.as_str(), names));
    if let Some(near) = near {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    let record = &standing.record;
    let passed: Vec<&RevisionName> = free
        .iter()
        .filter(|name| record.rejected_entry(name).is_none())
        .copied()
        .collect();
    let healthy: Vec<&RevisionName> = passed
        .iter()
        .filter(|name| record.healthy_entry(name).is_some())
        .copied()
        .collect();
    if !healthy.is_empty() {
        return diagnostic.help(format!(
            "name one that was healthy here with `rollback_to`: {}",
            in_words(&healthy)
        ));
    }
    diagnostic = diagnostic.help("promote a release that works: push a new version tag");
    if passed.is_empty() {
        return diagnostic;
    }
    diagnostic.help(format!(
        "or name one that is not recorded healthy here with `rollback_to`; it gets traffic only if it passes its tests: {}",
        in_words(&passed)
    ))
}

/// The first [`LISTED`] of them.
fn in_words(names: &[&RevisionName]) -> String {
    let first = names.iter().take(LISTED).map(|name| format!("`{name}`"));
    let first = first.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} older"),
    }
}

fn change(
    wanted: &Wanted,
    standing: &Standing<'_>,
    seen: &RevisionSeen,
) -> Result<Change, Diagnostic> {
    let record = Standing::own_record(seen);
    let label = record
        .and_then(|record| record.version.as_ref())
        .map_or_else(|| seen.name.to_string(), |version| format!("v{version}"));
    Ok(Change {
        bring: Bring::Existing(seen.name.clone()),
        tag: tag_of(&standing.target.service, &seen.name)?,
        commit: record.map(|record| record.commit.clone()),
        label,
        access: None,
        end: end(&wanted.run, &wanted.surroundings.regions, standing, seen),
        // A failed rollback says more about the tests of today than about a revision of yesterday.
        rejects: None,
    })
}

/// The record after the rollback: what was left is rejected, what serves is healthy. A revision that
/// other tools made has no digest or commit to be remembered by.
pub(crate) fn end(
    run: &RunRef,
    regions: &[Region],
    standing: &Standing<'_>,
    seen: &RevisionSeen,
) -> StateRecord {
    let target = Standing::own_record(seen);
    // A rollback of this run that had shifted already, and died: what it left is in its intent.
    let resumed = standing
        .record
        .intent
        .as_ref()
        .filter(|intent| intent.revision == seen.name && run.continues(&intent.run))
        .and_then(|intent| intent.undo.as_ref());
    let shared = standing.left_share().map(|intent| &intent.revision);
    let left = standing
        .base
        .iter()
        .chain(resumed)
        .flat_map(TrafficSplit::revisions)
        .chain(shared)
        .filter(|name| **name != seen.name)
        .filter_map(|name| standing.known(name));
    let mut state = standing.record.without_intent();
    for record in left {
        let entry = record.rejected(
            Rejection::RolledBack,
            format!("rolled back to {}", seen.name),
            standing.now,
            run.clone(),
        );
        state = state.rolled_back(entry, target.map(|record| &record.digest));
    }
    match target {
        Some(record) => state.recorded_healthy(
            record
                .healthy(standing.now, run.clone(), BroughtBy::Rollback)
                .together(regions),
        ),
        None => state,
    }
}

/// Reasons to look twice at the target.
fn doubts(standing: &Standing<'_>, seen: &RevisionSeen) -> Option<Diagnostic> {
    let name = &seen.name;
    let warn = |title: String| {
        Diagnostic::warning(Code::RollbackTargetUnfit, title)
            .at(standing.place())
            .help("it gets traffic only if it passes its tests")
    };
    if Standing::own_record(seen).is_none() {
        return Some(warn(format!(
            "`{name}` was made by another tool: its commit is not known and not compared"
        )));
    }
    if let Some(entry) = standing.record.rejected_entry(name) {
        let how = match entry.kind {
            Rejection::Failed => "failed",
            Rejection::RolledBack => "was rolled back",
        };
        let title = format!("`{name}` {how} here at {}", entry.at);
        return Some(warn(title).cause(entry.reason.clone()));
    }
    if standing.record.healthy_entry(name).is_none() {
        return Some(warn(format!("`{name}` is not recorded healthy here")));
    }
    let digest_of = |seen: &RevisionSeen| Standing::own_record(seen).map(|r| r.digest.clone());
    let serving = standing
        .main_revision()
        .and_then(|name| standing.revision(name));
    let is_same = serving.is_some_and(|serving| digest_of(serving) == digest_of(seen));
    is_same.then(|| {
        warn(format!(
            "`{name}` has the image that serves now: only the configuration goes back"
        ))
        .help("name an earlier version or revision with `rollback_to` to leave this image")
    })
}
