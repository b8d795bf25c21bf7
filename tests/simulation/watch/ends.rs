//! What must hold when a run has ended, and when everything is quiet.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::outcome::{ExitCode, Outcome};
use delivery::plan::{Intent, Wanted};
use delivery::spec::Access;
use ml_deploy::deliver::Recovered;

use super::writes::meet_alone;
use super::{Invariant, Watch, continues, text};
use crate::cloud::{Cloud, Service, Split, To, shares};

impl Watch {
    /// A run was killed: somebody must bring order.
    pub(crate) fn died(&mut self, run: &str) {
        self.died.insert(run.to_owned());
        self.in_doubt = true;
    }

    /// A write arrives whose sender no longer waits for it. Of one that was killed nobody could know that
    /// it was under way, and whoever comes next has it to end.
    pub(crate) fn wrote_late(&mut self, run: &str) {
        let by_the_dead = self.died.contains(run);
        self.in_doubt |= by_the_dead;
        self.wrote_late |= by_the_dead;
    }

    /// Somebody looks for what is unfinished.
    pub(crate) fn recovery_begins(&mut self, run: &str, is_forced: bool) {
        self.wrote_late = false;
        if is_forced {
            self.forced.insert(run.to_owned());
        }
    }

    /// A run has ended by itself.
    pub(crate) fn ended(&mut self, cloud: &Cloud, wanted: &Wanted, outcome: &Outcome) {
        self.before_rollback = None;
        for problem in outcome.diagnostics() {
            if problem.code == Code::Internal {
                self.broken(Invariant::Defect, format!("{problem}: {:?}", problem.at));
            }
        }
        match outcome {
            Outcome::Promoted { revision, .. }
            | Outcome::UpToDate { revision, .. }
            | Outcome::RolledBack { revision, .. } => {
                self.succeeded(cloud, wanted, outcome, revision.as_str());
            }
            Outcome::Stopped(problems) => self.stopped(cloud, wanted, problems),
            Outcome::RollbackFailed(problems) => {
                let says = problems.iter().any(|problem| {
                    matches!(problem.code, Code::UndoFailed | Code::RegionsApart)
                        && problem.help.iter().any(|line| line.starts_with("act now"))
                });
                let apart = problems.iter().any(|one| one.code == Code::RegionsApart);
                if (problems.len() < 2 && !apart) || !says {
                    self.broken(Invariant::OldTrafficLost, "exit 5 does not say what to do");
                }
                self.in_doubt = true;
            }
            Outcome::Recovered { .. } | Outcome::Waiting { .. } | Outcome::Verified => {}
        }
    }

    /// The run has ended and says that its post step has nothing to look for.
    pub(crate) fn says_that_nothing_is_open(&mut self, cloud: &Cloud, wanted: &Wanted) {
        let record = cloud.service.as_ref().map(Service::record);
        let record = record.unwrap_or_default();
        if text(&record, "/intent/run") == Some(&wanted.run.0) {
            let run = &wanted.run.0;
            let told = format!("the intent of {run} is open, and its post step will not look");
            self.broken(Invariant::LeftOver, told);
        }
    }

    /// A post step has found nothing of its run. What another run has left is not its to end.
    pub(crate) fn nothing_was_left(&mut self, cloud: &Cloud, wanted: &Wanted) {
        self.says_that_nothing_is_open(cloud, wanted);
        let record = cloud.service.as_ref().map(Service::record);
        if record.is_none_or(|record| text(&record, "/intent/run").is_none()) {
            self.recovered(cloud, wanted, &Recovered::Nothing);
        }
    }

    fn succeeded(&mut self, cloud: &Cloud, wanted: &Wanted, outcome: &Outcome, revision: &str) {
        let Some(service) = &cloud.service else {
            self.broken(Invariant::ExitCodeLies, "there is no service");
            return;
        };
        let all = Split::from([(revision.to_owned(), 100)]);
        let (split, routed) = (service.wanted(), shares(&service.routed));
        let met = match outcome {
            // Nothing was written: what the API tells is all that was looked at.
            Outcome::UpToDate { .. } => shares(&service.shown) == all,
            _ => meet_alone(service, revision),
        };
        // The write that closes the record ends the rollout for everybody else: whoever moves the traffic
        // between it and the end of the run answers for it, as if he had done so a moment later. That is
        // another tool, or the next run, which the closed record lets in. A rollback closes it with its
        // only write; a promotion has recorded what it brought.
        let record = service.record();
        let own = text(&record, "/intent/run").is_some_and(|run| continues(&wanted.run.0, run));
        let recorded = record["healthy"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["revision"] == revision));
        let over = match outcome {
            Outcome::RolledBack { .. } => true,
            Outcome::Promoted { .. } => recorded && !own,
            _ => false,
        };
        let another = self.wrote_last.as_ref() != Some(&wanted.run.0);
        let left = over && (self.moved_since || another);
        if (split != all || !met) && !left {
            let text = format!("exit 0 with {revision}, wanted {split:?}, met {routed:?}");
            self.broken(Invariant::ExitCodeLies, text);
        }
        if !self.tested.contains(revision) {
            self.broken(Invariant::ExitCodeLies, format!("{revision} never passed"));
        }
        let digest = service
            .revision(revision)
            .map(|one| one.digest().to_owned());
        let digest = digest.unwrap_or_default();
        match &wanted.intent {
            Intent::Promote { release, spec } => {
                if release.image.digest.as_str() != digest {
                    self.broken(Invariant::ExitCodeLies, format!("{digest} serves"));
                }
                if service.is_public() != (spec.access == Access::Public) {
                    self.broken(Invariant::ExitCodeLies, "the access is not as wanted");
                }
                if wanted.retry_rejected {
                    self.rolled_back.remove(&digest);
                } else if self.rolled_back.contains(&digest) {
                    self.broken(Invariant::RolledForward, format!("{digest} came back"));
                }
            }
            Intent::Rollback { .. } => {
                if let Outcome::RolledBack { .. } = outcome {
                    let left = self.left.take().unwrap_or_default();
                    self.rolled_back
                        .extend(left.into_iter().filter(|one| *one != digest));
                    self.rolled_back.remove(&digest);
                }
            }
        }
        let record = service.record();
        let open = text(&record, "/intent/run");
        if open.is_some_and(|run| continues(&wanted.run.0, run)) {
            self.broken(Invariant::LeftOver, "the intent of a finished run is open");
        }
        // Another run may have begun upon what this one recorded, and died.
        self.in_doubt = open.is_some_and(|run| self.died.contains(run));
    }

    fn stopped(&mut self, cloud: &Cloud, wanted: &Wanted, problems: &[Diagnostic]) {
        let says_open = problems.iter().any(|problem| {
            let state = problem.state.as_deref().unwrap_or_default();
            state.contains("the next run goes on from it")
        });
        if says_open {
            self.in_doubt = true;
            return;
        }
        let Some(service) = &cloud.service else {
            return;
        };
        let record = service.record();
        let open = text(&record, "/intent/run");
        if let Some(run) = open {
            if continues(&wanted.run.0, run) && !self.in_doubt {
                self.broken(
                    Invariant::LeftOver,
                    format!("{} has ended, and its intent is open", wanted.run.0),
                );
            }
            // Another run is at work, or has died: it answers for the traffic.
            return;
        }
        let blocked =
            problems.first().and_then(|one| one.code.exit_code()) == Some(ExitCode::Blocked);
        let split = service.wanted();
        match &self.settled {
            Some(settled) if *settled != split => {
                let text = format!("{split:?} instead of {settled:?}");
                self.broken(Invariant::OldTrafficLost, text);
            }
            Some(_) if service.is_public() != self.settled_public && !self.access_open => {
                self.broken(Invariant::OldTrafficLost, "the access is not as it was");
            }
            None if service.is_public() && !blocked => {
                self.broken(
                    Invariant::OldTrafficLost,
                    "nothing tested serves, and it is open",
                );
            }
            Some(_) | None => {}
        }
        self.taken_back(service, wanted, problems);
        self.tags(service);
        self.in_doubt = false;
    }

    /// What callers reached, and what was taken back for its own fault, does not come back by itself.
    fn taken_back(&mut self, service: &Service, wanted: &Wanted, problems: &[Diagnostic]) {
        let code = problems.first().map(|one| one.code);
        let was_served = matches!(code, Some(Code::CanaryFailed | Code::NotConfirmed));
        let Intent::Promote { release, .. } = &wanted.intent else {
            return;
        };
        let digest = release.image.digest.as_str();
        // Where the digest is healthy with another configuration, only the configuration is to blame.
        let record = service.record();
        let healthy = record["healthy"].as_array();
        let mut healthy = healthy.into_iter().flatten();
        if was_served && self.settled.is_some() && !healthy.any(|one| one["digest"] == digest) {
            self.rolled_back.insert(digest.to_owned());
        }
    }

    /// Somebody has ended what a run left open: nothing of it stays.
    pub(crate) fn recovered(&mut self, cloud: &Cloud, wanted: &Wanted, recovered: &Recovered) {
        match recovered {
            // It may not have been there to be seen.
            Recovered::Nothing | Recovered::Ended { .. } if self.wrote_late => self.in_doubt = true,
            Recovered::Nothing | Recovered::Ended { .. } => {
                let open = cloud.service.as_ref().map(Service::record);
                if open.is_some_and(|record| text(&record, "/intent/run").is_some()) {
                    self.broken(Invariant::LeftOver, "what was recovered is open");
                }
                // Somebody died, and what he left is as it would be if he had said so himself.
                self.stopped(cloud, wanted, &[]);
                self.in_doubt = false;
            }
            // A rollback is not undone: it is told that the regions serve different releases.
            Recovered::Failed(problems)
                if problems.iter().all(|one| one.code == Code::RegionsApart) =>
            {
                self.in_doubt = true;
            }
            // Another run holds it: the one that died, where two were at work, may be that one.
            Recovered::Held(_) => {}
            Recovered::Stopped(_) | Recovered::Failed(_) => {
                self.broken(
                    Invariant::NeverEnds,
                    format!("not recovered: {recovered:?}"),
                );
            }
        }
    }

    /// None of our tags leads to what did not pass.
    fn tags(&mut self, service: &Service) {
        if self.tags_unknown {
            return;
        }
        // The standing tag of what a rollback leads to; it outlives a record that another tool erased.
        let stands = |to: &To| match to {
            To::Latest => false,
            To::Revision(name) => self.healthy.iter().any(|(one, _)| one == name),
        };
        let left: Vec<String> = service
            .traffic
            .iter()
            .filter(|one| !stands(&one.to))
            .filter_map(|one| one.tag.clone())
            .filter(|tag| tag.starts_with("c-") && !self.foreign_tags.contains(tag))
            .collect();
        if !left.is_empty() {
            self.broken(Invariant::LeftOver, format!("tags {left:?} are left"));
        }
    }

    /// Everything is quiet.
    pub(crate) fn at_rest(&mut self, cloud: &Cloud) {
        let Some(service) = &cloud.service else {
            return;
        };
        if self.in_doubt {
            self.broken(Invariant::NeverEnds, "nobody brought it to an end");
            return;
        }
        let split = service.wanted();
        if let Some(settled) = &self.settled
            && *settled != split
        {
            let text = format!("at rest: {split:?} instead of {settled:?}");
            self.broken(Invariant::OldTrafficLost, text);
        }
        // A change that the cloud never brings to an end reaches nobody.
        let stuck = cloud.pace.stuck == Some(service.generation);
        if self.settled.is_some() && !stuck && shares(&service.routed) != split {
            let text = format!(
                "at rest callers meet {:?}, not {split:?}",
                shares(&service.routed)
            );
            self.broken(Invariant::SplitUnsound, text);
        }
        if self.settled.is_none() && service.is_public() {
            self.broken(Invariant::UntestedServes, "open, and nothing tested serves");
        }
        if let Some(run) = text(&service.record(), "/intent/run") {
            self.broken(
                Invariant::LeftOver,
                format!("at rest the intent of {run} is open"),
            );
        }
    }
}
