//! Move traffic back to a revision that exists.

use super::candidate::tag_of;
use super::finish::{self, Demand};
use super::guard::{self, blocked};
use super::promote::warnings;
use super::standing::Standing;
use super::steps::{Bring, Change, steps};
use super::{Plan, Planned, Wanted};
use crate::diagnostic::{Code, Diagnostic};
use crate::name::RevisionName;
use crate::snapshot::{Readiness, RevisionSeen};
use crate::stage::RollbackTo;
use crate::state::{BroughtBy, Rejection, RunRef, StateRecord};
use crate::traffic::TrafficSplit;

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
        _ => steps(wanted, standing, change),
    };
    if steps.is_empty() {
        return Planned::UpToDate {
            because: format!("`{revision}` serves 100 % already"),
            revision,
        };
    }
    let mut warnings = warnings(standing);
    warnings.extend(doubts(standing, seen));
    Planned::Proceed(Plan {
        target: standing.target.clone(),
        run: wanted.run.clone(),
        etag: standing.service.map(|service| service.etag.clone()),
        revision,
        before: standing.state_in_words(),
        steps,
        warnings,
    })
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
/// is told once, and a re-run does not go one further. On a terminal each call is told anew, except
/// while one is unfinished.
fn already_back<'a>(wanted: &Wanted, standing: &Standing<'a>) -> Option<&'a RevisionSeen> {
    let serving = standing.main_revision()?;
    let entry = standing.record.healthy_entry(serving)?;
    let ours = |run: &RunRef| wanted.run.continues(run);
    let unfinished = standing
        .record
        .intent
        .as_ref()
        .is_some_and(|intent| ours(&intent.run) && intent.revision == *serving);
    let finished =
        wanted.run.github().is_some() && ours(&entry.run) && entry.by == BroughtBy::Rollback;
    standing
        .revision(serving)
        .filter(|_| (unfinished || finished) && standing.serves_alone(serving))
}

/// The newest healthy revision that gets no traffic, is not rejected, and can serve.
fn previous<'a>(standing: &Standing<'a>) -> Result<&'a RevisionSeen, Diagnostic> {
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

/// Adds what is there: the nearest name, then what can serve, newest first.
fn listed(
    standing: &Standing<'_>,
    mut diagnostic: Diagnostic,
    meant: Option<&RevisionName>,
) -> Diagnostic {
    let ready: Vec<&str> = standing
        .revisions()
        .filter(|seen| seen.readiness == Readiness::Ready)
        .map(|seen| seen.name.as_str())
        .collect();
    let near = meant.and_then(|name| crate::nearest::nearest(name.as_str(), ready.iter().copied()));
    if let Some(near) = near {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    if ready.is_empty() {
        return diagnostic.help("no revision of this service can serve: promote a release instead");
    }
    let names: Vec<String> = ready
        .iter()
        .take(LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    let rest = match ready.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} older"),
    };
    diagnostic.help(format!(
        "name one that can serve with `rollback_to`: {}{rest}",
        names.join(", ")
    ))
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
        end: end(wanted, standing, seen),
        // A failed rollback says more about the tests of today than about a revision of yesterday.
        rejects: None,
    })
}

/// The record after the rollback: what was left is rejected, what serves is healthy. A revision that
/// other tools made has no digest or commit to be remembered by.
fn end(wanted: &Wanted, standing: &Standing<'_>, seen: &RevisionSeen) -> StateRecord {
    let target = Standing::own_record(seen);
    // A rollback of this run that had shifted already, and died: what it left is in its intent.
    let resumed = standing
        .record
        .intent
        .as_ref()
        .filter(|intent| intent.revision == seen.name && wanted.run.continues(&intent.run))
        .and_then(|intent| intent.undo.as_ref());
    let shared = standing.left_share().map(|intent| &intent.revision);
    let left = standing
        .base
        .iter()
        .chain(resumed)
        .flat_map(TrafficSplit::revisions)
        .chain(shared)
        .filter(|name| **name != seen.name)
        .filter_map(|name| standing.record_of(name));
    let mut state = standing.record.without_intent();
    for record in left {
        let entry = record.rejected(
            Rejection::RolledBack,
            format!("rolled back to {}", seen.name),
            standing.now,
            wanted.run.clone(),
        );
        state = state.rolled_back(entry, target.map(|record| &record.digest));
    }
    match target {
        Some(record) => state.recorded_healthy(record.healthy(
            standing.now,
            wanted.run.clone(),
            BroughtBy::Rollback,
        )),
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
