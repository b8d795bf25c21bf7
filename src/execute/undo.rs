//! The way back: what served before the plan serves again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::plan::render::{
    closed_in_words, place, serving_in_words, traffic as traffic_in_words,
};
use delivery::plan::{Action, Undo};
use delivery::snapshot::StateSeen;
use delivery::spec::Access;
use delivery::state::{OpenIntent, RunRef, StateRecord};
use delivery::target::Target;
use delivery::traffic::{Destination, Tag, TrafficSplit};

use super::step::record_only;
use super::{Execution, Guard};
use crate::gcp::run::{Change, Live, WriteError};

/// Time for the way back when nobody hurries.
const TIME: Duration = Duration::from_secs(120);
/// Time for it after a signal: a GitHub runner kills 10 s after its first signal, up to 2 s of which
/// a write under way may have taken.
const TIME_AFTER_SIGNAL: Duration = Duration::from_millis(4_500);
/// Tries, as somebody else may write at the same time.
const TRIES: u32 = 4;

/// What the way back writes.
pub(super) struct Back<'a> {
    pub(super) traffic: Option<&'a TrafficSplit>,
    pub(super) state: StateRecord,
    pub(super) access: Option<Access>,
}

impl Back<'_> {
    /// True when the service is as this write leaves it: by an earlier try whose answer was lost, or by
    /// the run's post step.
    pub(super) fn is_led_to(&self, live: &Live) -> bool {
        let record = matches!(&live.state, StateSeen::Known(record) if *record == self.state);
        let traffic = self.traffic.is_none_or(|split| same(split, &live.traffic));
        let access = self
            .access
            .is_none_or(|access| (access == Access::Public) == live.invoker_check_off);
        record && traffic && access
    }
}

/// Where the way back has led.
pub(super) enum Gone {
    /// What served before serves, or what somebody else wants instead; in words.
    Back(String),
    /// Nowhere: the record that closes the rollout stands. Its write was accepted, and only the answer
    /// was lost.
    Over,
}

impl Execution<'_> {
    /// Goes back from `failure`.
    ///
    /// # Errors
    /// [`Code::UndoFailed`] with the command that does it by hand.
    pub(super) async fn undo(&mut self, failure: &Diagnostic) -> Result<Gone, Box<Diagnostic>> {
        let now = self.guard.clock.now();
        let Some(state) = self.undo.record_after(failure, now, &self.plan.run) else {
            return Ok(Gone::Back(self.untouched().await));
        };
        let back = match self.undo {
            Undo::Restore {
                traffic, access, ..
            } => Back {
                traffic: Some(traffic),
                state,
                access: *access,
            },
            Undo::KeepClosed { .. } | Undo::Nothing => Back {
                traffic: None,
                state,
                access: Some(Access::Private),
            },
        };
        let accepted = AtomicBool::new(false);
        let guard = self.guard.clone();
        let gone = tokio::select! {
            biased;
            gone = self.go_back(&back, &accepted) => gone,
            () = out_of_time(&guard) => Err(late()),
        };
        match gone {
            Ok(gone) => Ok(gone),
            Err(_) if accepted.load(Ordering::SeqCst) => Ok(Gone::Back(match back.traffic {
                Some(split) => format!(
                    "Cloud Run accepted the way back ({}), but has not reported it in effect yet",
                    traffic_in_words(split)
                ),
                None => "Cloud Run accepted to keep the service closed, but has not reported it in effect yet".to_owned(),
            })),
            Err(problem) => Err(Box::new(self.by_hand(problem, &back))),
        }
    }

    /// Writes the way back, unless somebody else has changed the traffic meanwhile.
    async fn go_back(
        &mut self,
        back: &Back<'_>,
        accepted: &AtomicBool,
    ) -> Result<Gone, Diagnostic> {
        let mut tries = 1;
        loop {
            let Some(live) = self.cloud.reload().await? else {
                return Ok(Gone::Back(self.absent()));
            };
            if self.is_over(&live) {
                return Ok(Gone::Over);
            }
            if let Some(who) = self.stranger(&live, back) {
                let left = self.leave_to(&who, &live)?;
                match self.close_beside(&live, back).await {
                    Ok(()) => return Ok(Gone::Back(left)),
                    Err(WriteError::Conflict) if tries < TRIES => {
                        tries += 1;
                        continue;
                    }
                    Err(_) => {
                        self.left_open = true;
                        return Ok(Gone::Back(format!(
                            "{left}; its record still names this run: the next run goes on from it"
                        )));
                    }
                }
            }
            if self.began && back.is_led_to(&live) {
                return Ok(Gone::Back(self.in_words(&live)));
            }
            let change = Change {
                traffic: back.traffic,
                access: back.access,
                ..record_only(&back.state)
            };
            let error = match self.cloud.send(&change).await {
                Ok(pending) => {
                    accepted.store(true, Ordering::SeqCst);
                    match self.cloud.settle(&pending).await {
                        Ok(live) => return Ok(Gone::Back(self.in_words(&live))),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            accepted.store(false, Ordering::SeqCst);
            tries += 1;
            match error {
                WriteError::Conflict if tries <= TRIES => {}
                WriteError::Unknown(_) if tries <= TRIES => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                WriteError::Conflict => return Err(busy()),
                WriteError::NotReady(text) => {
                    return Err(
                        Diagnostic::error(Code::CloudFailed, "the way back failed").cause(text)
                    );
                }
                WriteError::Failed(problem) | WriteError::Unknown(problem) => return Err(*problem),
            }
        }
    }

    /// True when the rollout is closed by its own last step, whose answer did not come. Of several
    /// regions that go together one may be undone even then, as another may have failed.
    fn is_over(&self, live: &Live) -> bool {
        let Some(Action::Record { state: end }) = self.plan.steps.last().map(|step| &step.action)
        else {
            return false;
        };
        let serves = live.traffic.percent_of(&self.plan.revision) == 100;
        let stands = matches!(&live.state, StateSeen::Known(record) if record == end);
        let is_alone = self.guard.convoy.is_none();
        is_alone && end.intent.is_none() && stands && serves && self.own_records.contains(end)
    }

    /// Who else has changed the service since this run's last write, if somebody has.
    fn stranger(&self, live: &Live, back: &Back<'_>) -> Option<String> {
        match &live.state {
            StateSeen::Known(record) => {
                if let Some(OpenIntent { run, .. }) = &record.intent
                    && *run != self.plan.run
                    && Some(run) != self.taken_over.as_ref()
                {
                    return Some(format!("run {}", run.0));
                }
                // An intent that is gone was taken out by this run's post step or by `recover`.
                let own = || self.own_records.contains(record) || back.state == *record;
                if self.began && record.intent.is_none() && !own() {
                    return Some("`ml-deploy recover` or this run's post step".to_owned());
                }
            }
            StateSeen::Unreadable(why) => return Some(format!("another program ({why})")),
            StateSeen::Absent => {}
        }
        (!self.is_own_traffic(live, back)).then(|| "somebody else".to_owned())
    }

    /// True when the traffic is what this run wrote together with the record that stands, or what it
    /// found. A record that this run does not know tells nothing of the traffic.
    fn is_own_traffic(&self, live: &Live, back: &Back<'_>) -> bool {
        let record = super::record(live);
        let restored = back.traffic.map(|split| (Some(&back.state), split));
        let own = self.own_traffic.iter();
        let all: Vec<_> = own
            .map(|(record, split)| (record.as_ref(), split))
            .chain(restored)
            .collect();
        let is_known = all.iter().any(|(own, _)| *own == record);
        all.iter()
            .filter(|(own, _)| !is_known || *own == record)
            .any(|(_, split)| same(split, &live.traffic))
    }

    /// A stranger's traffic is not overwritten. It does no harm while the candidate gets nothing.
    fn leave_to(&self, who: &str, live: &Live) -> Result<String, Diagnostic> {
        let candidate = &self.plan.revision;
        let follows = live.latest_ready.as_ref() == Some(candidate);
        let gets_traffic = live.traffic.shares().iter().any(|share| match &share.to {
            Destination::Revision(name) => name == candidate,
            Destination::Latest => follows,
        });
        // Confirmed and recorded by whoever ended this rollout.
        let is_finished = matches!(&live.state, StateSeen::Known(record)
            if record.intent.is_none() && record.healthy_entry(candidate).is_some());
        if gets_traffic && !is_finished {
            return Err(busy().cause(format!(
                "{who} changed the traffic, and `{candidate}` gets a share of it"
            )));
        }
        Ok(format!(
            "{who} changed the service meanwhile, which was left as it is: {}",
            self.in_words(live)
        ))
    }

    /// No service: nothing to go back from. But a request to create it that got no answer may still be
    /// under way, and no etag refuses it: nobody can know now that it will not arrive.
    fn absent(&mut self) -> String {
        let none = "the service does not exist";
        if self.live.is_some() || self.began {
            return none.to_owned();
        }
        self.left_open = true;
        format!(
            "{none}; if the request to create it arrives yet, it stands closed to all but callers with \
             an ID token, and the next run goes on from it"
        )
    }

    /// A stranger's traffic stays, and so does what another run is about; but an intent of this run
    /// would keep the next one off until its lease ends, its tags would stay for good, and so would who
    /// may call. Where this does not go through, the post step has something to do.
    async fn close_beside(&mut self, live: &Live, back: &Back<'_>) -> Result<(), WriteError> {
        let own = |run: &RunRef| *run == self.plan.run || Some(run) == self.taken_over.as_ref();
        if !super::open_run(live).is_some_and(|run| own(&run)) {
            return Ok(());
        }
        let access = match self.undo {
            Undo::Restore { access, .. } => *access,
            // What a stranger gave the traffic to is not ours to close.
            Undo::KeepClosed { .. } | Undo::Nothing => None,
        };
        let traffic = self.without_own_tags(&live.traffic, back);
        let change = Change {
            traffic: Some(&traffic),
            access,
            ..record_only(&back.state)
        };
        let pending = self.cloud.send(&change).await?;
        // What comes of it was told already: nothing that serves changes by it.
        let _ = self.cloud.settle(&pending).await;
        Ok(())
    }

    /// Without the tags that were set on the way, and that the way back does not keep.
    fn without_own_tags(&self, traffic: &TrafficSplit, back: &Back<'_>) -> TrafficSplit {
        let is_own = |tag: &&Tag| {
            let mut own = self.own_traffic.iter();
            own.any(|(_, split)| split.tags().contains(tag))
        };
        // By name: while a candidate is tested, a tag that follows LATEST is held where it was.
        let named = |split: &TrafficSplit, tag: &Tag| {
            let mut tags = split.tags().iter();
            tags.any(|kept| kept.name == tag.name)
        };
        let is_kept = |tag: &&Tag| back.traffic.is_none_or(|kept| named(kept, tag));
        let tags = traffic.tags().iter();
        let tags = tags.filter(|tag| is_kept(tag) || !is_own(tag));
        traffic.with_tags(tags.cloned().collect())
    }

    fn in_words(&self, live: &Live) -> String {
        match self.undo {
            Undo::KeepClosed { .. } => closed_in_words(&live.serving),
            Undo::Restore { .. } | Undo::Nothing => format!(
                "what served before serves: {}",
                serving_in_words(&live.serving)
            ),
        }
    }

    /// Nothing was written: what serves, as the cloud tells it.
    async fn untouched(&self) -> String {
        let read = tokio::time::timeout(TIME_AFTER_SIGNAL, self.cloud.read()).await;
        match read {
            Ok(Ok(Some(live))) => {
                format!("traffic unchanged: {}", serving_in_words(&live.serving))
            }
            Ok(Ok(None)) => "nothing was changed: the service does not exist".to_owned(),
            Ok(Err(_)) | Err(_) => {
                format!("nothing was written; before this run: {}", self.plan.before)
            }
        }
    }

    /// The undo failed: what is to be done by hand.
    fn by_hand(&self, problem: Diagnostic, back: &Back<'_>) -> Diagnostic {
        let Target {
            environment: _,
            project,
            region,
            service,
        } = &self.plan.target;
        let command = match back.traffic {
            Some(split) => format!(
                "gcloud run services update-traffic {service} --project={project} --region={region} --to-revisions={}",
                to_revisions(split)
            ),
            None => format!(
                "gcloud run services update {service} --project={project} --region={region} --invoker-iam-check"
            ),
        };
        let mut diagnostic = Diagnostic::error(
            Code::UndoFailed,
            format!("what served before could not be restored on `{service}`"),
        )
        .at(format!("undo · {}", place(&self.plan.target)))
        .cause(problem.title)
        .state(format!(
            "not known for certain; before this run: {}",
            self.plan.before
        ))
        .help(format!("act now: {command}"));
        diagnostic.cause.extend(problem.cause);
        diagnostic.help.extend(problem.help);
        diagnostic
    }
}

/// Returns when the way back has taken too long, less after a signal.
pub(crate) async fn out_of_time(guard: &Guard) {
    let hurried = async {
        guard.cancelled.cancelled().await;
        tokio::time::sleep(TIME_AFTER_SIGNAL).await;
    };
    tokio::select! {
        biased;
        () = tokio::time::sleep(TIME) => {}
        () = hurried => {}
    }
}

/// That the way back has taken too long.
pub(crate) fn late() -> Diagnostic {
    Diagnostic::error(Code::CloudFailed, "there was no time left for the way back")
}

fn busy() -> Diagnostic {
    Diagnostic::error(
        Code::ServiceBusy,
        "the service keeps changing under the way back",
    )
}

/// The same shares and tags, in whatever order.
fn same(one: &TrafficSplit, other: &TrafficSplit) -> bool {
    let shares = |split: &TrafficSplit, of: &TrafficSplit| {
        split
            .shares()
            .iter()
            .all(|share| of.shares().contains(share))
    };
    let tags = |split: &TrafficSplit, of: &TrafficSplit| {
        split.tags().iter().all(|tag| of.tags().contains(tag))
    };
    shares(one, other) && shares(other, one) && tags(one, other) && tags(other, one)
}

/// `a=90,LATEST=10`, as gcloud takes it.
fn to_revisions(split: &TrafficSplit) -> String {
    let one = |to: &Destination, percent: u32| match to {
        Destination::Latest => format!("LATEST={percent}"),
        Destination::Revision(name) => format!("{name}={percent}"),
    };
    let shares: Vec<String> = split
        .shares()
        .iter()
        .map(|share| one(&share.to, share.percent))
        .collect();
    shares.join(",")
}
