//! Walks a plan; guards it against failure, signals and the deadline.
//!
//! | module | holds |
//! |---|---|
//! | `seam` | what a plan is walked over: the cloud, the tests |
//! | `guard` | cancelled? too late? |
//! | `convoy` | several executions that go together |
//! | `step` | one step |
//! | `watch` | the candidate and what serves, under load, while it has a share of the traffic |
//! | `confirm` | the service answers as the new release |
//! | `lag` | until when callers may meet something else than the service tells |
//! | `undo` | the way back |
//! | `failure` | what went wrong, as a diagnostic |
//!
//! It makes no choices: what is done, and what undoes it, is in the plan.

use delivery::diagnostic::Diagnostic;
use delivery::event::{Event, EventSink};
use delivery::plan::{Plan, Undo};
use delivery::snapshot::StateSeen;
use delivery::state::{RunRef, StateRecord};
use delivery::traffic::TrafficSplit;
use delivery::verdict::Evidence;
use tokio::time::Instant;

use crate::gcp::run::{Live, WriteError};

mod confirm;
mod convoy;
mod failure;
mod guard;
mod lag;
mod seam;
mod step;
mod undo;
mod watch;

pub use convoy::{Member, Point, convoy};
pub use guard::{Clock, Guard, Stop, SystemClock};
pub use seam::{CloudWriter, Identity, UnderTest, UnderWatch, Verifier};
pub(crate) use undo::{late, out_of_time};

use failure::Failure;
use lag::{Earlier, Moved};
use undo::Gone;

/// How the execution ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutionEnd {
    /// Every step ended well.
    Done {
        /// The service's address.
        url: String,
        /// The address that the candidate was tested at, if it had one of its own.
        tag_url: Option<String>,
        /// What was measured.
        evidence: Vec<Evidence>,
    },
    /// Somebody else changed the service: observe and plan again. What this run has written so far
    /// stays, with its intent in the record, and the next plan goes on from it.
    Conflict {
        /// This run has written its intent into the record, where it stands unless somebody took it out.
        began: bool,
    },
    /// It did not go through; what served before serves now.
    Stopped(Vec<Diagnostic>),
    /// It did not go through, and a stranger's traffic was left as it is; but this run's intent still
    /// stands in the record, and somebody has to take it out.
    LeftOpen(Vec<Diagnostic>),
    /// It did not go through, and neither did the way back. The first cause comes first.
    UndoFailed(Vec<Diagnostic>),
}

/// Everything that one execution works with.
struct Execution<'a> {
    plan: &'a Plan,
    cloud: &'a mut dyn CloudWriter,
    verifier: &'a dyn Verifier,
    sink: &'a dyn EventSink,
    guard: &'a Guard,
    /// The service as the last own write left it.
    live: Option<Live>,
    /// Undoes everything that was reached so far.
    undo: &'a Undo,
    /// Each traffic that this execution wrote, or that was there before, with the record that stood
    /// beside it: a stranger who moves traffic leaves the record as it is.
    own_traffic: Vec<(Option<StateRecord>, TrafficSplit)>,
    /// Each record that this execution wrote.
    own_records: Vec<StateRecord>,
    /// The last write of this execution that was accepted has its intent in the record.
    began: bool,
    /// The record of the last write that was accepted.
    accepted: Option<StateRecord>,
    /// The run whose intent the plan was made upon: it has died, and its undo is this plan's.
    taken_over: Option<RunRef>,
    /// The way back could not take this run's intent out of the record.
    left_open: bool,
    tag_url: Option<String>,
    evidence: Vec<Evidence>,
    moved: Moved,
}

/// Walks the plan. Whatever happens, it ends with the plan done, with what served before serving
/// again, or with the command that restores it by hand.
pub async fn execute(
    plan: &Plan,
    cloud: &mut dyn CloudWriter,
    verifier: &dyn Verifier,
    sink: &dyn EventSink,
    guard: &Guard,
) -> ExecutionEnd {
    let mut execution = Execution {
        plan,
        cloud,
        verifier,
        sink,
        guard,
        live: None,
        undo: &Undo::Nothing,
        own_traffic: Vec::new(),
        own_records: Vec::new(),
        began: false,
        accepted: None,
        taken_over: None,
        left_open: false,
        tag_url: None,
        evidence: Vec::new(),
        moved: Moved {
            at: Instant::now(),
            before: None,
        },
    };
    execution.run().await
}

impl Execution<'_> {
    async fn run(&mut self) -> ExecutionEnd {
        if let Err(failure) = self.begin().await {
            return self.fail(0, failure).await;
        }
        let plan = self.plan;
        if self.taken_over.as_ref() == Some(&plan.run) {
            // What this run wrote before it planned again is still to be undone.
            self.undo = plan.steps.first().map_or(&Undo::Nothing, |step| &step.undo);
        }
        if let Err(stop) = self.guard.meet(Point::Planned).await {
            return self.fail(0, Failure::Stopped(stop)).await;
        }
        let total = plan.steps.len();
        for (index, step) in plan.steps.iter().enumerate() {
            let id = step.action.id();
            self.sink.emit(Event::StepStarted {
                number: index + 1,
                total,
                id,
                because: step.because.clone(),
            });
            let started = Instant::now();
            if let Some(point) = Point::before(&step.action)
                && let Err(stop) = self.guard.meet(point).await
            {
                return self.fail(index, Failure::Stopped(stop)).await;
            }
            match self.step(step).await {
                Ok(result) => self.sink.emit(Event::StepFinished {
                    id,
                    result,
                    millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                }),
                Err(failure) => return self.fail(index, failure).await,
            }
        }
        if let Err(stop) = self.guard.meet(Point::End).await {
            return self
                .fail(total.saturating_sub(1), Failure::Stopped(stop))
                .await;
        }
        self.done()
    }

    fn done(&mut self) -> ExecutionEnd {
        let url = self.live.as_ref().and_then(|live| live.uri.clone());
        ExecutionEnd::Done {
            url: url.unwrap_or_default(),
            tag_url: self.tag_url.take(),
            evidence: std::mem::take(&mut self.evidence),
        }
    }

    /// Reads what the first write builds on.
    async fn begin(&mut self) -> Result<(), Failure> {
        let stop = self.guard.stopped();
        tokio::select! {
            biased;
            stop = stop => Err(Failure::Stopped(stop)),
            begun = self.cloud.begin(self.plan.etag.as_deref()) => match begun {
                Ok(live) => {
                    let found = live.as_ref();
                    self.own_traffic
                        .extend(found.map(|live| (record(live).cloned(), live.traffic.clone())));
                    self.taken_over = live.as_ref().and_then(open_run);
                    self.moved = Moved {
                        at: Instant::now(),
                        before: live.as_ref().map(Earlier::of),
                    };
                    self.live = live;
                    Ok(())
                }
                Err(WriteError::Conflict) => Err(Failure::Conflict),
                Err(WriteError::NotReady(text)) => Err(Failure::NotReady { text, seconds: 0 }),
                Err(WriteError::Failed(problem) | WriteError::Unknown(problem)) => {
                    Err(Failure::Problem(problem))
                }
            },
        }
    }

    /// Ends it: the way back first, then what is to be said.
    async fn fail(&mut self, index: usize, failure: Failure) -> ExecutionEnd {
        if matches!(failure, Failure::Conflict) {
            return ExecutionEnd::Conflict { began: self.began };
        }
        if let Some(member) = &self.guard.convoy {
            member.fail();
        }
        let diagnostic = self.diagnostic(index, failure);
        let undone = match self.undo(&diagnostic).await {
            Ok(Gone::Over) => {
                self.sink.emit(Event::Note(format!(
                    "{}; but the record that ends the rollout stands",
                    diagnostic.title
                )));
                return self.done();
            }
            Ok(Gone::Back(state)) => Ok(state),
            Err(undo) => Err(undo),
        };
        // The log is read last: nothing may hold up the way back.
        let mut diagnostic = self.with_logs(diagnostic).await;
        match undone {
            Ok(state) => {
                diagnostic.state = Some(state);
                if self.left_open {
                    ExecutionEnd::LeftOpen(vec![diagnostic])
                } else {
                    ExecutionEnd::Stopped(vec![diagnostic])
                }
            }
            Err(undo) => {
                diagnostic.state = undo.state.clone();
                ExecutionEnd::UndoFailed(vec![diagnostic, *undo])
            }
        }
    }
}

/// The run whose intent is open.
fn open_run(live: &Live) -> Option<RunRef> {
    let intent = record(live)?.intent.as_ref()?;
    Some(intent.run.clone())
}

fn record(live: &Live) -> Option<&StateRecord> {
    match &live.state {
        StateSeen::Known(record) => Some(record),
        StateSeen::Absent | StateSeen::Unreadable(_) => None,
    }
}

#[cfg(test)]
mod tests;
