//! What an undo writes, once the failure is known.

use super::Undo;
use crate::diagnostic::Diagnostic;
use crate::state::{Rejection, RunRef, StateRecord, Timestamp};

impl Undo {
    /// The record that the undo writes: without intent, and with the candidate rejected where the
    /// failure is its fault: as rolled back where callers had reached it. `None` where nothing is undone.
    pub fn record_after(
        &self,
        failure: &Diagnostic,
        at: Timestamp,
        run: &RunRef,
    ) -> Option<StateRecord> {
        let (state, rejects, was_served) = match self {
            Self::Nothing => return None,
            Self::Restore { state, rejects, .. } => {
                (state, rejects.as_ref(), failure.code.is_seen_in_traffic())
            }
            // Nothing served before, so nothing was rolled back.
            Self::KeepClosed { state, rejects } => (state, rejects.as_ref(), false),
        };
        let Diagnostic {
            code, title, cause, ..
        } = failure;
        let rejects = rejects.filter(|_| code.is_candidates_fault());
        let reason = match cause.first() {
            Some(cause) => format!("{title}: {cause}"),
            None => title.clone(),
        };
        let kind = if was_served {
            Rejection::RolledBack
        } else {
            Rejection::Failed
        };
        Some(state.after_undo(rejects, kind, &reason, at, run))
    }
}
