//! What happens while a plan is executed. Reporters turn events into text; executors only emit.

use crate::diagnostic::Diagnostic;
use crate::verdict::{CaseResult, Evidence};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A part of the run begins, such as "Build". On GitHub it folds.
    GroupStarted {
        /// Its title.
        title: String,
    },
    /// The part ends.
    GroupEnded,
    /// A step of the plan begins.
    StepStarted {
        /// 1-based.
        number: usize,
        /// How many there are.
        total: usize,
        /// Its name, such as `deploy-candidate`.
        id: &'static str,
        /// Why it is done.
        because: String,
    },
    /// The step that began last ended well.
    StepFinished {
        /// Its name.
        id: &'static str,
        /// What it brought, in one line.
        result: String,
        /// How long it took.
        millis: u64,
    },
    /// Long work goes on.
    Progress {
        /// What, such as `push sha256:1234`.
        what: String,
        /// How much is done.
        done: u64,
        /// Of how much, where it is known.
        total: Option<u64>,
        /// Of what.
        unit: Unit,
    },
    /// A gate begins; the cases that end from now on are its own.
    GateStarted {
        /// Its name.
        gate: &'static str,
    },
    /// A case of the gate ended.
    CaseFinished(CaseResult),
    /// A gate ended. Its cases were told one by one.
    GateFinished(Evidence),
    /// One line of our own.
    Note(String),
    /// Text that is not ours: a build log, a container's log, a server's answer. Reporters print it
    /// so that it can issue no workflow command.
    ForeignText {
        /// Where it comes from.
        source: String,
        /// The text, as received.
        text: String,
    },
    /// Something to know that does not end the run.
    Warning(Diagnostic),
}

/// What a progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things.
    Items,
    /// Seconds of waiting.
    Seconds,
}

/// Takes events. Implemented by the reporters, and by a list in tests.
pub trait EventSink: Send + Sync {
    /// Takes one event; must not block for long.
    fn emit(&self, event: Event);
}
