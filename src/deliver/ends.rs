//! How what was unfinished has been ended, as it is told: in each target, and all together.

use delivery::diagnostic::{Code, Diagnostic};
use delivery::event::{Event, EventSink};
use delivery::outcome::Outcome;
use delivery::plan::recover::Lease;
use delivery::plan::render::place;
use delivery::target::Target;

use super::recover::{Recovered, recovered};

/// Tells how it ended in one target; `None` where nothing was unfinished, or another run may still be
/// at work.
pub(super) fn told(sink: &dyn EventSink, target: &Target, end: Recovered) -> Option<Outcome> {
    match end {
        Recovered::Nothing | Recovered::Held(_) => None,
        Recovered::Ended {
            lease,
            way,
            state,
            problems,
        } => {
            for problem in problems {
                sink.emit(Event::Warning(problem.as_warning()));
            }
            let warning = recovered(target, &lease, way, &state);
            sink.emit(Event::Warning(warning));
            Some(Outcome::Recovered { state })
        }
        Recovered::Stopped(problems) => Some(Outcome::Stopped(problems)),
        Recovered::Failed(problems) => Some(Outcome::RollbackFailed(problems)),
    }
}

/// How it ended in all targets of a recovery.
#[derive(Debug, Default)]
pub struct Ends {
    states: Vec<String>,
    stopped: Vec<Diagnostic>,
    failed: Vec<Diagnostic>,
}

impl Ends {
    /// Tells how it ended in one target.
    pub fn take(&mut self, sink: &dyn EventSink, target: &Target, end: Recovered) {
        match &end {
            Recovered::Nothing => {
                let note = format!("{}: nothing is unfinished", place(target));
                sink.emit(Event::Note(note));
            }
            Recovered::Held(lease) => self.stopped.push(held(target, lease)),
            Recovered::Ended { .. } | Recovered::Stopped(_) | Recovered::Failed(_) => {}
        }
        match told(sink, target, end) {
            Some(Outcome::Recovered { state }) => self.states.push(state),
            Some(Outcome::RollbackFailed(problems)) => self.failed.extend(problems),
            Some(other) => self.stop(other.diagnostics().iter().cloned()),
            None => {}
        }
    }

    /// Something else kept it from being ended. What keeps it from one environment mostly keeps it from
    /// all, and is told once.
    pub fn stop(&mut self, problems: impl IntoIterator<Item = Diagnostic>) {
        for problem in problems {
            if !self.stopped.contains(&problem) {
                self.stopped.push(problem);
            }
        }
    }

    /// How all of it ended; `None` where there was nothing to do. The worst counts.
    pub fn outcome(mut self) -> Option<Outcome> {
        if !self.failed.is_empty() {
            self.failed.append(&mut self.stopped);
            return Some(Outcome::RollbackFailed(self.failed));
        }
        if !self.stopped.is_empty() {
            return Some(Outcome::Stopped(self.stopped));
        }
        let state = self.states.join("; ");
        (!state.is_empty()).then_some(Outcome::Recovered { state })
    }
}

/// Somebody may still be at work.
fn held(target: &Target, lease: &Lease) -> Diagnostic {
    let Lease {
        run,
        revision,
        until,
        regions: _,
    } = lease;
    let run = &run.0;
    let environment = &target.environment.name;
    Diagnostic::error(
        Code::LeaseLives,
        format!("run `{run}` is bringing `{revision}`, and may still be at work"),
    )
    .at(place(target))
    .cause(format!("its lease ends at {until}"))
    .state("nothing was changed")
    .help(format!("wait until {until}, and run this again"))
    .help(format!(
        "or, if it is known to be dead: `ml-deploy recover --environment {environment} --run {run}`"
    ))
}
