//! Labels and annotations of the namespaces that API v2 refuses (`run.googleapis.com/…` and others),
//! as the Knative form of a service (API v1) carries them.
//!
//! Most of them say what v2 says with a field; then the field is what counts, and only the way in
//! which it was written is kept. The others exist in v1 only: they stay, whatever v2 writes.

use std::collections::BTreeMap;

/// A map of labels or annotations.
pub(crate) type Words = BTreeMap<String, String>;

/// What a service says in these namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reserved {
    /// About the service.
    pub(crate) service: ReservedPart,
    /// About its template, and so about the revisions that are made from it.
    pub(crate) template: ReservedPart,
}

/// One object's part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReservedPart {
    /// Labels for which v2 has no field.
    pub(crate) labels: Words,
    /// Annotations for which v2 has no field.
    pub(crate) annotations: Words,
    /// How annotations were written for which v2 has one (`True` for `true`).
    pub(crate) spelled: Words,
}

impl ReservedPart {
    /// True when the other part says the same; how it is written does not matter.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.labels == other.labels && self.annotations == other.annotations
    }
}
