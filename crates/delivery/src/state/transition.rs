//! How the record changes. Each function gives a new record; no time passes in here.

use super::{
    BroughtBy, Healthy, OpenIntent, REASON_LENGTH, Rejected, Rejection, RevisionRecord, RunRef,
    STATE_ENTRIES, StateRecord, Timestamp,
};
use crate::name::{Region, RevisionName};
use crate::release::ImageDigest;
use crate::spec::{Access, ConfigHash};

/// Most seconds between the records that one rollback writes in two regions.
const ROLLBACK_SECONDS: u64 = 180;

impl StateRecord {
    /// With this intent; an older one is replaced.
    #[must_use]
    pub fn with_intent(&self, intent: OpenIntent) -> Self {
        Self {
            intent: Some(intent),
            ..self.clone()
        }
    }

    /// Without intent: nothing is under way.
    #[must_use]
    pub fn without_intent(&self) -> Self {
        Self {
            intent: None,
            ..self.clone()
        }
    }

    /// The revision passed and serves: it comes first, the intent is gone. An earlier rollback of
    /// the same digest with the same configuration is forgiven, but its revision stays marked.
    #[must_use]
    pub fn recorded_healthy(&self, entry: Healthy) -> Self {
        let mut next = self.without_intent();
        for rejected in &mut next.rejected {
            let same_configuration = rejected.config.as_ref().is_none_or(|c| *c == entry.config);
            if rejected.digest == entry.digest && same_configuration {
                rejected.kind = Rejection::Failed;
            }
        }
        next.rejected.retain(|r| r.revision != entry.revision);
        next.healthy.retain(|h| h.revision != entry.revision);
        next.healthy.insert(0, entry);
        next.healthy.truncate(STATE_ENTRIES);
        next
    }

    /// The revision failed, or was rolled back: it is no longer healthy. The reason is cut to one
    /// line of [`REASON_LENGTH`] characters.
    #[must_use]
    pub fn rejected_with(&self, mut entry: Rejected) -> Self {
        entry.reason = one_line(&entry.reason);
        let mut next = self.clone();
        next.healthy.retain(|h| h.revision != entry.revision);
        next.rejected.retain(|r| r.revision != entry.revision);
        next.rejected.insert(0, entry);
        next.rejected.truncate(STATE_ENTRIES);
        next
    }

    /// Traffic was moved away from `entry` to a revision with the digest `to` (`None`: unknown).
    /// Every revision of the digest that was left loses its health, unless the digest itself goes
    /// on serving: then only the configuration was wrong.
    #[must_use]
    pub fn rolled_back(&self, entry: Rejected, to: Option<&ImageDigest>) -> Self {
        let digest = entry.digest.clone();
        let mut next = self.rejected_with(entry);
        if to != Some(&digest) {
            next.healthy.retain(|h| h.digest != digest);
        }
        next
    }

    /// After an undo: no intent, and `rejects` marked for `reason`.
    #[must_use]
    pub fn after_undo(
        &self,
        rejects: Option<&RevisionRecord>,
        kind: Rejection,
        reason: &str,
        at: Timestamp,
        run: &RunRef,
    ) -> Self {
        let next = self.without_intent();
        match rejects {
            None => next,
            Some(record) => {
                next.rejected_with(record.rejected(kind, reason.to_owned(), at, run.clone()))
            }
        }
    }

    /// The entry of a healthy revision.
    pub fn healthy_entry(&self, revision: &RevisionName) -> Option<&Healthy> {
        self.healthy.iter().find(|h| h.revision == *revision)
    }

    /// The newest entry that rejects this revision.
    pub fn rejected_entry(&self, revision: &RevisionName) -> Option<&Rejected> {
        self.rejected.iter().find(|r| r.revision == *revision)
    }

    /// True when some revision of this digest is recorded healthy.
    pub fn knows_healthy(&self, digest: &ImageDigest) -> bool {
        self.healthy.iter().any(|h| h.digest == *digest)
    }

    /// The rollback that keeps this digest with this configuration from coming back. While the
    /// digest is healthy with another configuration, only the configuration that was rolled back counts.
    pub fn rollback_of(&self, digest: &ImageDigest, config: &ConfigHash) -> Option<&Rejected> {
        let healthy = self.knows_healthy(digest);
        self.rejected.iter().find(|rejected| {
            rejected.kind == Rejection::RolledBack
                && rejected.digest == *digest
                && (!healthy || rejected.config.as_ref() == Some(config))
        })
    }
}

impl Healthy {
    /// What the revision says about itself, as far as it is remembered: not its attempt.
    pub fn revision_record(&self) -> RevisionRecord {
        let Self {
            revision,
            digest,
            config,
            version,
            commit,
            at: _,
            run: _,
            by: _,
            access_before: _,
            regions: _,
        } = self.clone();
        RevisionRecord {
            revision,
            digest,
            config,
            attempt: 1,
            version,
            commit,
        }
    }

    /// With the regions that its release was brought to together.
    #[must_use]
    pub fn together(self, regions: &[Region]) -> Self {
        Self {
            regions: regions.to_vec(),
            ..self
        }
    }

    /// With who could call before, where the run changed that.
    #[must_use]
    pub fn after_access(self, access_before: Option<Access>) -> Self {
        Self {
            access_before,
            ..self
        }
    }

    /// True where one run has left both, in two of its regions: the same release, or, where it rolled
    /// back to the previous one, what that was in each. On a terminal all runs of a person have the same
    /// name: there both ends of a rollback are near each other in time.
    pub fn is_of_same_rollout(&self, other: &Self) -> bool {
        let is_one_run =
            self.run.github().is_some() || self.at.0.abs_diff(other.at.0) <= ROLLBACK_SECONDS;
        let is_same = match self.by {
            BroughtBy::Promotion => self.digest == other.digest && self.config == other.config,
            BroughtBy::Rollback => {
                other.by == BroughtBy::Rollback && other.regions == self.regions && is_one_run
            }
        };
        is_same && self.run.is_of_same(&other.run)
    }
}

impl RevisionRecord {
    /// Its entry as healthy.
    pub fn healthy(&self, at: Timestamp, run: RunRef, by: BroughtBy) -> Healthy {
        let Self {
            revision,
            digest,
            config,
            attempt: _,
            version,
            commit,
        } = self.clone();
        Healthy {
            revision,
            digest,
            config,
            version,
            commit,
            at,
            run,
            by,
            access_before: None,
            regions: Vec::new(),
        }
    }

    /// Its entry as rejected.
    pub fn rejected(
        &self,
        kind: Rejection,
        reason: String,
        at: Timestamp,
        run: RunRef,
    ) -> Rejected {
        Rejected {
            digest: self.digest.clone(),
            revision: self.revision.clone(),
            config: Some(self.config.clone()),
            kind,
            reason,
            at,
            run,
        }
    }
}

/// White space and control characters become single spaces; what is longer than [`REASON_LENGTH`]
/// characters ends with an ellipsis, which counts.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line = words.join(" ");
    if line.chars().count() <= REASON_LENGTH {
        return line;
    }
    let kept = line.chars().take(REASON_LENGTH - 1);
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Commit;

    #[test]
    fn a_reason_that_is_cut_says_so() {
        assert_eq!(one_line("a  failed\ncase"), "a failed case");
        let full = "x".repeat(REASON_LENGTH);
        assert_eq!(one_line(&full), full);
        let cut = one_line(&format!("{full}y"));
        assert_eq!(cut, format!("{}…", "x".repeat(REASON_LENGTH - 1)));
    }

    fn record(number: u32) -> RevisionRecord {
        RevisionRecord {
            revision: RevisionName::parse(format!("api-v1-0-{number}-aaaaaa")).unwrap(),
            digest: ImageDigest::parse(format!("sha256:{number:064x}")).unwrap(),
            config: ConfigHash(format!("config-{number}")),
            attempt: 1,
            version: None,
            commit: Commit::parse("c".repeat(40)).unwrap(),
        }
    }

    fn run() -> RunRef {
        RunRef("7/1".to_owned())
    }

    fn healthy(state: &StateRecord, number: u32) -> StateRecord {
        state.recorded_healthy(record(number).healthy(Timestamp(5), run(), BroughtBy::Promotion))
    }

    fn rolled_back(state: &StateRecord, from: &RevisionRecord, to: &RevisionRecord) -> StateRecord {
        let entry = from.rejected(
            Rejection::RolledBack,
            "asked".to_owned(),
            Timestamp(6),
            run(),
        );
        state.rolled_back(entry, Some(&to.digest))
    }

    #[test]
    fn ten_healthy_ones_are_kept_newest_first_and_none_twice() {
        let state = (0..15).fold(StateRecord::default(), |state, n| healthy(&state, n));
        let state = healthy(&state, 9);
        let names: Vec<_> = state.healthy.iter().map(|h| h.revision.as_str()).collect();
        assert_eq!(names.len(), STATE_ENTRIES);
        assert_eq!(names[0], "api-v1-0-9-aaaaaa");
        assert_eq!(names[1], "api-v1-0-14-aaaaaa");
        assert_eq!(names.iter().filter(|n| **n == names[0]).count(), 1);
    }

    #[test]
    fn a_reason_is_one_line_of_at_most_200_characters() {
        let reason = format!("first\r\nsecond\u{1b}[31m {}", "ä".repeat(300));
        let state = StateRecord::default().after_undo(
            Some(&record(1)),
            Rejection::Failed,
            &reason,
            Timestamp(1),
            &run(),
        );
        let kept = &state.rejected[0].reason;
        assert_eq!(kept.chars().count(), 200);
        assert!(kept.starts_with("first second [31m ä"), "{kept}");
    }

    #[test]
    fn a_failure_takes_the_revision_out_of_the_healthy_ones_but_does_not_block_its_digest() {
        let state = healthy(&StateRecord::default(), 1);
        let state = state.after_undo(
            Some(&record(1)),
            Rejection::Failed,
            "tests failed",
            Timestamp(9),
            &run(),
        );
        assert!(state.healthy.is_empty());
        assert!(
            state
                .rollback_of(&record(1).digest, &record(1).config)
                .is_none()
        );
    }

    #[test]
    fn a_rollback_is_sticky_for_the_digest_until_it_is_healthy_again() {
        let (old, new) = (record(1), record(2));
        let state = rolled_back(
            &healthy(&healthy(&StateRecord::default(), 1), 2),
            &new,
            &old,
        );
        let other = ConfigHash("other".to_owned());
        assert!(state.rollback_of(&new.digest, &new.config).is_some());
        assert!(state.rollback_of(&new.digest, &other).is_some());
        assert!(state.rollback_of(&old.digest, &old.config).is_none());
        let mut second_try = new.clone();
        second_try.revision = RevisionName::parse("api-v1-0-2-bbbbbb").unwrap();
        let state =
            state.recorded_healthy(second_try.healthy(Timestamp(9), run(), BroughtBy::Promotion));
        assert!(state.rollback_of(&new.digest, &new.config).is_none());
        assert!(
            state.rejected_entry(&new.revision).is_some(),
            "the revision stays marked"
        );
    }

    #[test]
    fn rolling_back_a_configuration_does_not_reject_the_digest_that_goes_on_serving() {
        let good = record(1);
        let mut bad = record(2);
        bad.digest = good.digest.clone();
        let state = healthy(&StateRecord::default(), 1);
        let state = state.recorded_healthy(bad.healthy(Timestamp(6), run(), BroughtBy::Promotion));
        let state = rolled_back(&state, &bad, &good);
        assert!(state.rollback_of(&good.digest, &good.config).is_none());
        assert!(state.rollback_of(&bad.digest, &bad.config).is_some());
        assert_eq!(state.healthy.len(), 1);
    }

    #[test]
    fn an_attempt_continues_earlier_attempts_of_its_run_only() {
        let run = |text: &str| RunRef(text.to_owned());
        assert!(run("7/2").continues(&run("7/1")));
        assert!(run("7/1").continues(&run("7/1")));
        assert!(!run("7/1").continues(&run("7/2")));
        assert!(!run("8/2").continues(&run("7/1")));
        assert!(!run("cli/a@x").continues(&run("cli/b@x")));
    }
}
