//! What went wrong, as a diagnostic.

use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::plan::render::place;

use super::{Execution, Stop};
use crate::gcp::advice::{self, Facts, Moment};

/// Lines of the container's log that are shown.
const LOG_LINES: u32 = 20;
/// Looks for them: the log service takes a moment to have them.
const LOG_TRIES: u32 = 4;
/// Pause between two looks.
const LOG_PAUSE: Duration = Duration::from_millis(500);
/// Longest time for all of it.
const LOG_TIME: Duration = Duration::from_secs(8);

/// What ends an execution early.
#[derive(Debug)]
pub(super) enum Failure {
    /// Somebody else changed the service.
    Conflict,
    /// A signal, or the deadline.
    Stopped(Stop),
    /// The revision did not become ready, with Cloud Run's text.
    NotReady { text: String, seconds: u64 },
    /// The service did not answer as the new release in time, with what was seen last.
    NotConfirmed { seen: Vec<String>, seconds: u64 },
    /// Anything else.
    Problem(Box<Diagnostic>),
}

impl Execution<'_> {
    /// The failure of step `index`, ready to be shown.
    pub(super) fn diagnostic(&self, index: usize, failure: Failure) -> Diagnostic {
        let revision = &self.plan.revision;
        let total = self.plan.steps.len();
        let id = self
            .plan
            .steps
            .get(index)
            .map_or("begin", |step| step.action.id());
        let at = format!(
            "step {}/{total} {id} · {}",
            index + 1,
            place(&self.plan.target)
        );
        let diagnostic = match failure {
            Failure::Conflict => Diagnostic::error(
                Code::ServiceBusy,
                "somebody else changed the service during this run",
            ),
            Failure::Stopped(stop) => stopped(stop, id),
            Failure::NotReady { text, seconds } => self.not_ready(&text, seconds),
            Failure::NotConfirmed { seen, seconds } => seen
                .into_iter()
                .fold(
                    Diagnostic::error(
                        Code::NotConfirmed,
                        format!("the service did not answer as `{revision}` within {seconds} s"),
                    ),
                    Diagnostic::cause,
                )
                .help("check what stands before the service (load balancer, cache) and that `/version` tells ML_DEPLOY_COMMIT"),
            Failure::Problem(problem) => *problem,
        };
        if diagnostic.at.is_some() {
            return diagnostic;
        }
        diagnostic.at(at)
    }

    fn not_ready(&self, text: &str, seconds: u64) -> Diagnostic {
        let revision = &self.plan.revision;
        let mut diagnostic = Diagnostic::error(
            Code::CandidateNotReady,
            format!("candidate `{revision}` did not become ready"),
        )
        .cause(format!(
            "Cloud Run reports after {seconds} s: {}",
            text.trim()
        ));
        let Some(advice) = advice::for_text(text, &self.facts()) else {
            return diagnostic.help("read the revision's log and Cloud Run's text above");
        };
        diagnostic.cause.push(advice.cause);
        diagnostic.help.extend(advice.help);
        diagnostic
    }

    /// What an advice may name.
    fn facts(&self) -> Facts {
        let target = &self.plan.target;
        Facts::default()
            .with("project", target.project.to_string())
            .with("region", target.region.to_string())
            .with("service", target.service.to_string())
            .with("revision", self.plan.revision.to_string())
    }

    /// Adds what the container wrote last, where the container may be at fault, and what that tells.
    pub(super) async fn with_logs(&self, diagnostic: Diagnostic) -> Diagnostic {
        let moment = match diagnostic.code {
            Code::CandidateNotReady => Moment::Start,
            Code::TestsFailed
            | Code::TestsInconclusive
            | Code::NotConfirmed
            | Code::CanaryFailed => Moment::Serving,
            _ => return diagnostic,
        };
        // A runner that has sent its signal leaves no time for a log, and the diagnostic comes first.
        let read = tokio::select! {
            biased;
            () = self.guard.cancelled.cancelled() => return diagnostic,
            read = tokio::time::timeout(LOG_TIME, self.last_lines()) => read,
        };
        match read {
            Ok(Ok(lines)) => self.explained_by_log(diagnostic, lines, moment),
            Ok(Err(problem)) if moment == Moment::Start => {
                let mut diagnostic = diagnostic.cause(problem.title);
                diagnostic.help.extend(problem.help.into_iter().take(1));
                diagnostic
            }
            Ok(Err(_)) | Err(_) => diagnostic,
        }
    }

    /// A line that is known says more than the texts of the service and of the tests.
    fn explained_by_log(
        &self,
        mut diagnostic: Diagnostic,
        lines: Vec<String>,
        moment: Moment,
    ) -> Diagnostic {
        if let Some(advice) = advice::for_log(&lines, moment, &self.facts()) {
            diagnostic.cause.truncate(match moment {
                Moment::Start => 1,
                Moment::Serving => diagnostic.cause.len(),
            });
            diagnostic.cause.push(advice.cause);
            diagnostic.help = advice.help;
        }
        diagnostic.logs(lines)
    }

    async fn last_lines(&self) -> Result<Vec<String>, Diagnostic> {
        let mut lines = Vec::new();
        for attempt in 0..LOG_TRIES {
            if attempt > 0 {
                tokio::time::sleep(LOG_PAUSE).await;
            }
            let revision = &self.plan.revision;
            lines = self.cloud.log_lines(revision, LOG_LINES).await?;
            if !lines.is_empty() {
                break;
            }
        }
        Ok(lines)
    }
}

fn stopped(stop: Stop, step: &str) -> Diagnostic {
    match stop {
        Stop::Cancelled => Diagnostic::error(
            Code::Interrupted,
            format!("the run was interrupted during `{step}`"),
        )
        .help("run again: it goes on from what it finds"),
        Stop::Deadline => Diagnostic::error(
            Code::DeadlinePassed,
            format!("the deadline passed during `{step}`"),
        )
        .help(
            "run again: it goes on from what it finds; or give it more time with input `deadline`",
        ),
        Stop::Elsewhere(region) => Diagnostic::error(
            Code::RegionFailed,
            format!("stopped during `{step}`, because region `{region}` failed"),
        )
        .help(format!(
            "see what happened in `{region}`; the regions go together, or not at all"
        )),
    }
}
