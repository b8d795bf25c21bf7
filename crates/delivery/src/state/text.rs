//! Records as text of annotations, and back.

use super::{RevisionRecord, STATE_VERSION, StateRecord};
use crate::name::RevisionName;
use crate::snapshot::StateSeen;

/// A record that cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("the record cannot be written as JSON")]
pub struct RecordTextError(#[from] serde_json::Error);

impl StateRecord {
    /// Reads the service's annotation. A record of a newer version is unreadable: what this program
    /// does not know it would lose on the next write.
    pub fn parse(text: &str) -> StateSeen {
        let value: serde_json::Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => return StateSeen::Unreadable(format!("it is no JSON: {error}")),
        };
        match value.get("version").and_then(serde_json::Value::as_u64) {
            None => return StateSeen::Unreadable("it names no version".to_owned()),
            Some(version) if version > u64::from(STATE_VERSION) => {
                return StateSeen::Unreadable(newer(version));
            }
            Some(_) => {}
        }
        match serde_json::from_value(value) {
            Ok(record) => StateSeen::Known(record),
            Err(error) => StateSeen::Unreadable(error.to_string()),
        }
    }

    /// The text of the service's annotation.
    ///
    /// # Errors
    /// [`RecordTextError`] when it cannot be written as JSON.
    pub fn to_annotation(&self) -> Result<String, RecordTextError> {
        Ok(serde_json::to_string(self)?)
    }
}

/// Why a newer record is not read.
pub(crate) fn newer(version: u64) -> String {
    format!(
        "it was written by a newer ml-deploy: version {version} of the record, where this one knows up to {STATE_VERSION}"
    )
}

impl RevisionRecord {
    /// Reads a revision's annotation. `None` when it is no record of ours, or one that another tool
    /// copied from another revision.
    pub fn parse(text: &str, revision: &RevisionName) -> Option<Self> {
        serde_json::from_str::<Self>(text)
            .ok()
            .filter(|record| record.revision == *revision)
    }

    /// The text of the revision's annotation.
    ///
    /// # Errors
    /// [`RecordTextError`] when it cannot be written as JSON.
    pub fn to_annotation(&self) -> Result<String, RecordTextError> {
        Ok(serde_json::to_string(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_text() {
        let record = StateRecord::default();
        let text = record.to_annotation().unwrap();
        assert_eq!(StateRecord::parse(&text), StateSeen::Known(record));
    }

    #[test]
    fn a_newer_a_foreign_and_a_broken_record_are_unreadable() {
        for (text, reason) in [
            (r#"{"version":2}"#, "newer ml-deploy"),
            (r#"{"healthy":[]}"#, "no version"),
            (r#"{"version":"1"}"#, "no version"),
            (r#"{"version":1,"healthy":3}"#, "invalid type"),
            ("{", "no JSON"),
            ("", "no JSON"),
        ] {
            match StateRecord::parse(text) {
                StateSeen::Unreadable(why) => assert!(why.contains(reason), "{text}: {why}"),
                other => panic!("{text} was read as {other:?}"),
            }
        }
    }

    #[test]
    fn a_split_in_a_record_must_sum_to_100() {
        let text = r#"{"version":1,"intent":{"run":"1/1","revision":"a-1","tag":"c-1",
            "undo":{"shares":[{"to":{"revision":"a-0"},"percent":90}]},"expires":0}}"#;
        match StateRecord::parse(text) {
            StateSeen::Unreadable(why) => assert!(why.contains("sum to 90"), "{why}"),
            other => panic!("read as {other:?}"),
        }
    }

    #[test]
    fn a_copied_revision_record_does_not_count() {
        let name = RevisionName::parse("api-v1-0-0-aaaaaa").unwrap();
        let digest = format!("sha256:{}", "a".repeat(64));
        let commit = "b".repeat(40);
        let text = format!(
            r#"{{"revision":"{name}","digest":"{digest}","config":"c","attempt":1,"commit":"{commit}"}}"#
        );
        assert!(RevisionRecord::parse(&text, &name).is_some());
        let other = RevisionName::parse("api-00002-xyz").unwrap();
        assert!(RevisionRecord::parse(&text, &other).is_none());
    }
}
