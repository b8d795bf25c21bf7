//! The candidate and what serves beside it, under load, while it has a share of the traffic.

use std::time::Duration;

use delivery::decide::{Decision, MOST_HOLDS, Watched, decide, undecided_but_on};
use delivery::event::Event;
use delivery::name::{RevisionName, TagName};
use delivery::plan::render::duration;
use delivery::plan::{Address, Baseline};
use delivery::verdict::{Evidence, Verdict, judge};

use super::Execution;
use super::failure::Failure;
use super::seam::UnderWatch;

/// One share of the traffic, as the plan has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share<'a> {
    pub(super) revision: &'a RevisionName,
    pub(super) tag: &'a TagName,
    pub(super) serving: &'a Baseline,
    pub(super) percent: u32,
    pub(super) soak: Duration,
}

impl Execution<'_> {
    /// Watches, as often as the decision says. Its result tells what the candidate gets next, which
    /// is the plan's next step.
    pub(super) async fn watch(
        &mut self,
        share: Share<'_>,
        mut at: Watched,
    ) -> Result<String, Failure> {
        let Share {
            revision,
            tag,
            serving,
            percent,
            soak,
        } = share;
        let candidate = self.place(&Address::Tag(tag.clone())).await?;
        let beside = self.place(&Address::Tag(serving.tag.clone())).await?;
        loop {
            let what = UnderWatch {
                candidate: &candidate.url,
                serving: &beside.url,
                audience: candidate.audience.as_deref(),
                percent,
                soak,
                held: at.held,
            };
            let evidence = tokio::select! {
                biased;
                stop = self.guard.stopped() => return Err(Failure::Stopped(stop)),
                evidence = self.verifier.watch(&what) => evidence,
            };
            let verdict = judge(&evidence);
            let next = match decide(&verdict, at) {
                Decision::Hold => {
                    at.held += 1;
                    let held = at.held;
                    let time = duration(soak);
                    self.sink.emit(Event::Note(format!(
                        "undecided at {percent} %: held there, and watched for another {time} ({held} of at most {MOST_HOLDS})"
                    )));
                    continue;
                }
                Decision::RollBack(cause) => {
                    self.evidence.extend(evidence);
                    let is_open = matches!(verdict, Verdict::Inconclusive(_));
                    let problem = Box::new(cause.diagnostic(revision.as_str(), percent));
                    return Err(Failure::Problem(if is_open {
                        self.with_obstacle(problem)
                    } else {
                        problem
                    }));
                }
                Decision::Shift(next) => format!("{next} %"),
                Decision::Finish => "all of it".to_owned(),
            };
            let (passed, cases) = passed_of(&evidence);
            self.evidence.extend(evidence);
            if let Verdict::Inconclusive(open) = &verdict {
                let warning = undecided_but_on(revision.as_str(), percent, open);
                self.sink.emit(Event::Warning(warning));
            }
            return Ok(format!(
                "{passed} of {cases} figures within their limits beside `{}`: it gets {next} next",
                serving.revision
            ));
        }
    }
}

fn passed_of(evidence: &[Evidence]) -> (usize, usize) {
    evidence
        .iter()
        .map(Evidence::passed_of)
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}
