//! The form in which a failure is kept: its fixed words as text.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::failure::{Failure, Reason};

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        KeptFailure::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        KeptFailure::deserialize(deserializer).map(Self::from)
    }
}

/// A failure as it stands in the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptFailure {
    code: i32,
    text: String,
    reason: KeptReason,
    condition: String,
    #[serde(default)]
    older: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum KeptReason {
    Common(String),
    Revision(String),
}

impl From<Failure> for KeptFailure {
    fn from(failure: Failure) -> Self {
        let Failure {
            code,
            text,
            reason,
            condition,
            older,
        } = failure;
        let reason = match reason {
            Reason::Common(word) => KeptReason::Common(word.to_owned()),
            Reason::Revision(word) => KeptReason::Revision(word.to_owned()),
        };
        Self {
            code,
            text,
            reason,
            condition: condition.to_owned(),
            older: older.map(str::to_owned),
        }
    }
}

impl From<KeptFailure> for Failure {
    fn from(kept: KeptFailure) -> Self {
        let KeptFailure {
            code,
            text,
            reason,
            condition,
            older,
        } = kept;
        let reason = match reason {
            KeptReason::Common(word) => Reason::Common(word_of(&word)),
            KeptReason::Revision(word) => Reason::Revision(word_of(&word)),
        };
        Self {
            code,
            text,
            reason,
            condition: word_of(&condition),
            older: older.as_deref().map(word_of),
        }
    }
}

/// The one copy of a word. There are a few dozen of them in the whole model, so they may stay.
fn word_of(text: &str) -> &'static str {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(word) = words.get(text) {
        return word;
    }
    let word: &'static str = Box::leak(text.to_owned().into_boxed_str());
    words.insert(word);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_back_as_it_was() {
        for failure in [
            Failure::image_missing("i"),
            Failure::internal("x"),
            Failure::revision_missing("r"),
        ] {
            let kept = serde_json::to_string(&failure).unwrap();
            assert_eq!(serde_json::from_str::<Failure>(&kept).unwrap(), failure);
        }
    }
}
