//! What an undo writes, once the failure is known.

use super::Undo;
use crate::diagnostic::Diagnostic;
use crate::state::{RunRef, StateRecord, Timestamp};

impl Undo {
    /// The record that the undo writes: without intent, and with the candidate rejected where the
    /// failure is its fault. `None` where nothing is undone.
    pub fn record_after(
        &self,
        failure: &Diagnostic,
        at: Timestamp,
        run: &RunRef,
    ) -> Option<StateRecord> {
        let (state, rejects) = match self {
            Self::Nothing => return None,
            Self::Restore { state, rejects, .. } | Self::KeepClosed { state, rejects } => {
                (state, rejects.as_ref())
            }
        };
        let Diagnostic {
            code, title, cause, ..
        } = failure;
        let rejects = rejects.filter(|_| code.is_candidates_fault());
        let reason = match cause.first() {
            Some(cause) => format!("{title}: {cause}"),
            None => title.clone(),
        };
        Some(state.after_undo(rejects, &reason, at, run))
    }
}
