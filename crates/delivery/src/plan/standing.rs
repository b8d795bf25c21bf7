//! How the service stands: what the planner concludes from a snapshot before it decides anything.

use super::Others;
use super::candidate::{is_our_tag, tag_of};
use crate::name::{RevisionName, TagName};
use crate::release::Commit;
use crate::snapshot::{Readiness, RevisionSeen, ServiceSeen, Snapshot, StateSeen};
use crate::spec::Access;
use crate::state::{OpenIntent, Rejection, RevisionRecord, StateRecord, Timestamp};
use crate::target::Target;
use crate::traffic::{Destination, Share, Tag, TrafficSplit};

/// Conclusions from one snapshot.
#[derive(Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) target: &'a Target,
    pub(crate) now: Timestamp,
    pub(crate) service: Option<&'a ServiceSeen>,
    /// The record as it was read. Empty where there is none: health is never guessed from the fact
    /// that a revision serves. Empty too where it is unreadable, which blocks every plan.
    pub(crate) record: StateRecord,
    /// The shares to build on, pinned, with the tags of the service; `None` while nothing serves. Where
    /// a run that died has given a share to its candidate, what served before that.
    pub(crate) base: Option<TrafficSplit>,
}

impl<'a> Standing<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot) -> Self {
        let Snapshot {
            target,
            observed_at,
            service,
        } = snapshot;
        let record = match service.as_ref().map(|seen| &seen.state) {
            Some(StateSeen::Known(record)) => record.clone(),
            Some(StateSeen::Absent | StateSeen::Unreadable(_)) | None => StateRecord::default(),
        };
        Self {
            target,
            now: *observed_at,
            service: service.as_ref(),
            base: service.as_ref().and_then(|seen| base(seen, &record)),
            record,
        }
    }

    pub(crate) fn revisions(&self) -> impl Iterator<Item = &'a RevisionSeen> {
        self.service.iter().flat_map(|seen| seen.revisions.iter())
    }

    pub(crate) fn revision(&self, name: &RevisionName) -> Option<&'a RevisionSeen> {
        self.revisions().find(|seen| seen.name == *name)
    }

    /// The record of a revision, if it is that revision's own and not a copy made by another tool.
    pub(crate) fn own_record(seen: &RevisionSeen) -> Option<&RevisionRecord> {
        seen.record
            .as_ref()
            .filter(|record| record.revision == seen.name)
    }

    pub(crate) fn record_of(&self, name: &RevisionName) -> Option<&'a RevisionRecord> {
        self.revision(name).and_then(Self::own_record)
    }

    /// What is known of a revision: by its own record, or, where it was not seen, by ours.
    pub(crate) fn known(&self, name: &RevisionName) -> Option<RevisionRecord> {
        let own = self.record_of(name).cloned();
        own.or_else(|| Some(self.record.healthy_entry(name)?.revision_record()))
    }

    /// True when this tag leads to this revision.
    pub(crate) fn has_tag(&self, name: &TagName, revision: &RevisionName) -> bool {
        let to = Destination::Revision(revision.clone());
        self.tags().any(|tag| tag.name == *name && tag.to == to)
    }

    /// Tags that are not ours, as they are.
    pub(crate) fn foreign_tags(&self) -> Vec<Tag> {
        self.tags()
            .filter(|tag| !self.is_ours(tag))
            .cloned()
            .collect()
    }

    /// True when a tag of ours is there that does not belong to what serves at the end.
    pub(crate) fn has_tags_left_over(&self, end: &StateRecord, serving: &RevisionName) -> bool {
        let standing = self.standing_tag(end, |name| name == serving);
        self.tags()
            .any(|tag| self.is_ours(tag) && Some(tag) != standing.as_ref())
    }

    /// The newest revision that `record` calls healthy, gets no traffic (`serves`), and can serve:
    /// where a rollback to the previous one leads.
    pub(crate) fn standby(
        &self,
        record: &StateRecord,
        serves: impl Fn(&RevisionName) -> bool,
    ) -> Option<&'a RevisionSeen> {
        record
            .healthy
            .iter()
            .map(|entry| &entry.revision)
            .filter(|name| !serves(name) && record.rejected_entry(name).is_none())
            .filter_map(|name| self.revision(name))
            .find(|seen| seen.readiness == Readiness::Ready)
    }

    /// The tag of the [standby](Self::standby), so that a rollback can test it at an address of its
    /// own before the first write. `None` too where a stranger's tag has that name.
    pub(crate) fn standing_tag(
        &self,
        record: &StateRecord,
        serves: impl Fn(&RevisionName) -> bool,
    ) -> Option<Tag> {
        let revision = &self.standby(record, serves)?.name;
        let name = tag_of(&self.target.service, revision).ok()?;
        let taken = self
            .tags()
            .any(|tag| tag.name == name && !self.is_ours(tag));
        (!taken).then(|| Tag {
            name,
            to: Destination::Revision(revision.clone()),
        })
    }

    /// The tags beside `serving` at the end of a plan: those that are not ours, and the standing one.
    pub(crate) fn end_tags(&self, end: &StateRecord, serving: &RevisionName) -> Vec<Tag> {
        let mut tags = self.foreign_tags();
        tags.extend(self.standing_tag(end, |name| name == serving));
        tags
    }

    /// The standing tag, if the service has it and it is right beside `shares`: it stays while a
    /// candidate is tested, and when that is undone.
    pub(crate) fn kept_tag(&self, shares: &TrafficSplit) -> Option<Tag> {
        self.standing_tag(&self.record, |name| shares.percent_of(name) > 0)
            .filter(|standing| self.tags().any(|tag| tag == standing))
    }

    fn tags(&self) -> impl Iterator<Item = &'a Tag> {
        self.service.iter().flat_map(|seen| seen.traffic.tags())
    }

    fn is_ours(&self, tag: &Tag) -> bool {
        let of_intent = |intent: &OpenIntent| intent.tag == tag.name;
        self.record.intent.as_ref().is_some_and(of_intent)
            || matches!(&tag.to, Destination::Revision(name) if is_our_tag(&tag.name, name))
    }

    /// Tags that are not ours; those that follow LATEST stay at the revision that is the latest ready
    /// one now, so that callers of their addresses do not reach a candidate before its tests.
    pub(crate) fn foreign_tags_pinned(&self) -> Vec<Tag> {
        let ready = self.service.and_then(|seen| seen.latest_ready.as_ref());
        let pin = |tag: Tag| match (&tag.to, ready) {
            (Destination::Latest, Some(ready)) => Tag {
                to: Destination::Revision(ready.clone()),
                name: tag.name,
            },
            _ => tag,
        };
        self.foreign_tags().into_iter().map(pin).collect()
    }

    /// True when everything goes to this revision, if LATEST is taken for the latest ready one.
    pub(crate) fn serves_alone(&self, name: &RevisionName) -> bool {
        self.left_share().is_none()
            && self
                .base
                .as_ref()
                .is_some_and(|base| base.percent_of(name) == 100)
    }

    /// The intent of a run that died while its candidate had a share of the traffic, if that still
    /// stands as that run wrote it and what served before can serve. It is tested, and not confirmed:
    /// nothing is built upon it.
    pub(crate) fn left_share(&self) -> Option<&OpenIntent> {
        self.service.and_then(|seen| left_share(seen, &self.record))
    }

    /// What has, or may still have, a share of the traffic beside this revision, which is of `commit`.
    pub(crate) fn others(&self, revision: &RevisionName, commit: Option<&Commit>) -> Others {
        let service = self.service;
        let wanted = service.iter().flat_map(|seen| seen.traffic.revisions());
        let latest = service.filter(|seen| seen.traffic.follows_latest());
        let latest = latest.and_then(|seen| seen.latest_ready.as_ref());
        let shown = service.iter().flat_map(|seen| &seen.serving);
        let shown = shown.filter(|entry| entry.percent > 0);
        let left = self.record.intent.iter();
        let undo = left.clone().filter_map(|intent| intent.undo.as_ref());
        let mut others = wanted
            .chain(latest)
            .chain(shown.map(|entry| &entry.revision))
            .chain(undo.flat_map(TrafficSplit::revisions))
            .chain(left.map(|intent| &intent.revision))
            .filter(|name| *name != revision)
            .peekable();
        let apart = |name: &RevisionName| match (commit, self.record_of(name)) {
            (Some(commit), Some(record)) => record.commit != *commit,
            _ => false,
        };
        if others.peek().is_none() {
            Others::None
        } else if others.all(apart) {
            Others::Apart
        } else {
            Others::Alike
        }
    }

    /// The revision with the largest share.
    pub(crate) fn main_revision(&self) -> Option<&RevisionName> {
        let base = self.base.as_ref()?;
        base.revisions().max_by_key(|name| base.percent_of(name))
    }

    /// True when no caller depends on what serves: nothing does, or only revisions that are known
    /// to be untested. Such a service may be closed, and stays closed until a candidate has passed.
    /// A revision that is merely not recorded (another tool's, or the record was erased) counts as
    /// depended on: to close it would be an outage.
    pub(crate) fn nothing_tested_serves(&self) -> bool {
        match &self.base {
            None => true,
            Some(base) => base.revisions().all(|name| self.is_untested(name)),
        }
    }

    pub(crate) fn is_untested(&self, name: &RevisionName) -> bool {
        let first_deploy_died = self.record.intent.as_ref().is_some_and(|intent| {
            // Traffic follows LATEST until the tests have passed: then it is pinned. Who lets it follow
            // LATEST again after that answers for it.
            intent.revision == *name
                && intent.undo.is_none()
                && intent.passed.is_none()
                && self.follows_latest()
        });
        self.record_of(name).is_some()
            && self.record.healthy_entry(name).is_none()
            && (first_deploy_died || self.never_passed() || self.failed_and_closed(name))
    }

    fn follows_latest(&self) -> bool {
        self.service
            .is_some_and(|seen| seen.traffic.follows_latest())
    }

    /// A first deploy that failed is left in a closed service: nothing was healthy there yet. Where
    /// something was, or everybody may call what failed,
    /// somebody moved the traffic there, or opened it, on purpose.
    fn failed_and_closed(&self, name: &RevisionName) -> bool {
        let entry = self.record.rejected_entry(name);
        let failed = entry.is_some_and(|entry| entry.kind == Rejection::Failed);
        failed && self.record.healthy.is_empty() && self.is_private()
    }

    fn is_private(&self) -> bool {
        self.service
            .is_some_and(|seen| seen.access == Access::Private)
    }

    /// True when no release has ever passed here: a first deploy that was interrupted, or could not be
    /// decided, leaves the service as it was created, closed and following LATEST, with a record that
    /// rejects nothing. Where other tools have made revisions, something else may have served, and
    /// somebody may have let traffic follow LATEST on purpose.
    fn never_passed(&self) -> bool {
        let intent = self.record.intent.as_ref();
        let mut revisions = self.revisions();
        self.record.healthy.is_empty()
            && intent.is_none_or(|intent| intent.passed.is_none() && intent.undo.is_none())
            && revisions.all(|seen| Self::own_record(seen).is_some())
            && self
                .service
                .is_some_and(|seen| matches!(seen.state, StateSeen::Known(_)))
            && self.follows_latest()
            && self.is_private()
    }

    /// Who could call before a run that died changed that, if its undo is still due.
    pub(crate) fn left_access(&self) -> Option<Access> {
        let intent = self.record.intent.as_ref()?;
        let is_kept = self.is_unconfirmed(intent) && !self.can_go_back(intent);
        let seen = self.service.map(|seen| seen.access);
        intent
            .access_before()
            .filter(|before| !is_kept && Some(*before) != seen)
    }

    /// See [`is_moved`].
    pub(crate) fn is_moved(&self, intent: &OpenIntent) -> bool {
        self.service.is_some_and(|seen| is_moved(seen, intent))
    }

    /// What served before the intent can serve again.
    fn can_go_back(&self, intent: &OpenIntent) -> bool {
        let undo = intent.undo.as_ref();
        undo.is_some_and(|undo| undo.shares().iter().all(|share| self.is_ready(&share.to)))
    }

    /// True when a run died after it had shifted everything to its revision, and before it confirmed
    /// that. Its undo is still due, should this plan fail; unless somebody else has moved the traffic
    /// meanwhile, who answers for what serves.
    pub(crate) fn is_unconfirmed(&self, intent: &OpenIntent) -> bool {
        let newest = self.record.healthy.first();
        self.serves_alone(&intent.revision)
            && newest.is_none_or(|newest| newest.revision != intent.revision)
            && !self.is_moved(intent)
    }

    /// Where traffic returns to if this plan fails: what serves now; where a shift was left
    /// unconfirmed, what served before it, if that still can.
    pub(crate) fn undo_shares(&self) -> Option<TrafficSplit> {
        let left_behind = self.record.intent.as_ref().and_then(|intent| {
            let undo = intent.undo.as_ref()?;
            (self.is_unconfirmed(intent) && self.can_go_back(intent)).then(|| undo.clone())
        });
        left_behind.or_else(|| self.base.clone())
    }

    pub(crate) fn is_ready(&self, to: &Destination) -> bool {
        self.service.is_some_and(|seen| is_ready(seen, to))
    }

    /// `R serves 100 %`, from the traffic as it is.
    pub(crate) fn state_in_words(&self) -> String {
        match self.service {
            None => "the service does not exist".to_owned(),
            Some(seen) => super::render::serving_in_words(&seen.serving),
        }
    }

    /// `test · us-central1/ml-api-test`.
    pub(crate) fn place(&self) -> String {
        super::render::place(self.target)
    }
}

/// True when nothing that has passed its tests serves: a first deploy failed or did not come to its end,
/// or there is no service. What a promotion would close first.
pub fn nothing_tested_serves(snapshot: &Snapshot) -> bool {
    Standing::of(snapshot).nothing_tested_serves()
}

fn is_ready(service: &ServiceSeen, to: &Destination) -> bool {
    matches!(to, Destination::Revision(name) if service.revisions.iter()
        .any(|seen| seen.name == *name && seen.readiness == Readiness::Ready))
}

/// See [`Standing::left_share`].
fn left_share<'a>(service: &ServiceSeen, record: &'a StateRecord) -> Option<&'a OpenIntent> {
    let intent = record.intent.as_ref()?;
    let before = intent.undo.as_ref()?;
    let is_shared = intent.share.is_some() && intent.passed.is_none();
    let can_serve = before
        .shares()
        .iter()
        .all(|share| is_ready(service, &share.to));
    (is_shared && can_serve && is_as_written(service, intent)).then_some(intent)
}

/// True when somebody else has moved the traffic since the intent was written, and answers for it, even
/// where it is to the candidate. Not where that is not known to have passed: what is untested is taken
/// back, whoever gave it traffic.
fn is_moved(service: &ServiceSeen, intent: &OpenIntent) -> bool {
    let has_passed = intent.passed.is_some() || intent.share.is_some();
    let serves = pinned(service).percent_of(&intent.revision) > 0;
    (has_passed || !serves) && !is_as_written(service, intent)
}

/// True when the shares are those that the intent's own run wrote together with it.
fn is_as_written(service: &ServiceSeen, intent: &OpenIntent) -> bool {
    let revision = &intent.revision;
    let everything = service.traffic.percent_of(revision) == 100;
    match (&intent.undo, &intent.passed, intent.share) {
        // Pinned by name from the moment that it passed: LATEST is not ours any more.
        (_, Some(_), _) => everything,
        // A first deploy follows LATEST until it has passed.
        (None, None, _) => everything || service.traffic.follows_latest(),
        (Some(before), None, None) => before.same_shares(&pinned(service)),
        (Some(before), None, Some(percent)) => before
            .beside(revision, percent)
            .same_shares(&service.traffic),
    }
}

fn pinned(service: &ServiceSeen) -> TrafficSplit {
    match &service.latest_ready {
        Some(ready) => service.traffic.pinned_to(ready),
        None => service.traffic.clone(),
    }
}

/// The wanted traffic, pinned, if all of it can serve: a new split may take a while to show in what
/// serves, and going by the old one would undo a stranger's change. Else (a failed rollout, a
/// deleted revision) what serves.
fn base(service: &ServiceSeen, record: &StateRecord) -> Option<TrafficSplit> {
    let before = left_share(service, record).and_then(|intent| intent.undo.as_ref());
    if let Some(before) = before {
        return Some(before.with_tags(service.traffic.tags().to_vec()));
    }
    let pinned = pinned(service);
    if pinned
        .shares()
        .iter()
        .all(|share| is_ready(service, &share.to))
    {
        return Some(pinned);
    }
    let shares = service
        .serving
        .iter()
        .map(|serving| Share {
            to: Destination::Revision(serving.revision.clone()),
            percent: serving.percent,
        })
        .collect();
    TrafficSplit::new(shares, service.traffic.tags().to_vec()).ok()
}
