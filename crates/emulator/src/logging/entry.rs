//! One log entry, and how a container's line becomes one.
//!
//! Source: <https://cloud.google.com/logging/docs/structured-logging>.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Which revision an entry belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RevisionLabels {
    /// Project.
    pub project: String,
    /// Region.
    pub location: String,
    /// Short name.
    pub service: String,
    /// Short name.
    pub revision: String,
}

/// Which log of the revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Requests.
    Requests,
    /// The platform.
    System,
}

impl Stream {
    fn log_id(self) -> &'static str {
        match self {
            Self::Stdout => "run.googleapis.com%2Fstdout",
            Self::Stderr => "run.googleapis.com%2Fstderr",
            Self::Requests => "run.googleapis.com%2Frequests",
            Self::System => "run.googleapis.com%2Fvarlog%2Fsystem",
        }
    }
}

/// How bad it is, in the order of `google.logging.type.LogSeverity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)] // The names are Cloud Logging's own.
pub enum Severity {
    Default,
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

impl Severity {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Default, "DEFAULT"),
        (Self::Debug, "DEBUG"),
        (Self::Info, "INFO"),
        (Self::Notice, "NOTICE"),
        (Self::Warning, "WARNING"),
        (Self::Error, "ERROR"),
        (Self::Critical, "CRITICAL"),
        (Self::Alert, "ALERT"),
        (Self::Emergency, "EMERGENCY"),
    ];

    /// From a name in any case; `WARN` and `FATAL` are common and understood.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        let name = match name.as_str() {
            "WARN" => "WARNING",
            "FATAL" => "CRITICAL",
            other => other,
        };
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(severity, _)| *severity)
    }

    /// Cloud Logging's name.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(severity, _)| *severity == self)
            .map_or("DEFAULT", |(_, name)| *name)
    }
}

/// One entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Which log.
    pub stream: Stream,
    /// How bad.
    pub severity: Severity,
    /// When it was written.
    pub time: DateTime<Utc>,
    /// Order of arrival.
    pub number: u64,
    /// `textPayload`, `jsonPayload`, `httpRequest`, `trace`, `labels`.
    pub fields: Value,
}

impl Entry {
    pub(super) fn new(
        stream: Stream,
        severity: Severity,
        fields: Value,
        time: DateTime<Utc>,
    ) -> Self {
        Self {
            stream,
            severity,
            time,
            number: 0,
            fields,
        }
    }

    /// The text of the entry.
    pub fn text(&self) -> String {
        let payload = &self.fields["jsonPayload"];
        let text = self.fields["textPayload"].as_str();
        match text.or_else(|| payload["message"].as_str()) {
            Some(text) => text.to_owned(),
            None => payload.to_string(),
        }
    }

    /// As `entries:list` answers it.
    pub(super) fn view(&self, labels: &RevisionLabels) -> Value {
        let mut view = self.fields.clone();
        let time = self.time.to_rfc3339_opts(SecondsFormat::Micros, true);
        view["timestamp"] = json!(time);
        view["receiveTimestamp"] = json!(time);
        view["insertId"] = json!(format!("{:016x}", self.number));
        view["logName"] = json!(format!(
            "projects/{}/logs/{}",
            labels.project,
            self.stream.log_id()
        ));
        if self.severity != Severity::Default {
            view["severity"] = json!(self.severity.name());
        }
        view["resource"] = json!({"type": "cloud_run_revision", "labels": {
            "project_id": labels.project, "location": labels.location,
            "service_name": labels.service, "revision_name": labels.revision,
            "configuration_name": labels.service,
        }});
        view
    }
}

/// A line as Cloud Logging takes it in: a JSON object becomes a structured entry.
pub(super) fn from_line(stream: Stream, line: &str, now: DateTime<Utc>) -> Entry {
    let parsed = if line.trim_start().starts_with('{') {
        serde_json::from_str::<Map<String, Value>>(line).ok()
    } else {
        None
    };
    match parsed {
        Some(object) => structured(stream, object, now),
        None => Entry::new(stream, Severity::Default, json!({"textPayload": line}), now),
    }
}

fn structured(stream: Stream, mut object: Map<String, Value>, now: DateTime<Utc>) -> Entry {
    let severity = object
        .get("severity")
        .and_then(Value::as_str)
        .and_then(Severity::parse);
    if severity.is_some() {
        object.remove("severity");
    }
    let mut time = now;
    for name in ["timestamp", "time"] {
        let given = object.get(name).and_then(Value::as_str);
        if let Some(given) = given.and_then(|text| DateTime::parse_from_rfc3339(text).ok()) {
            time = given.with_timezone(&Utc);
            object.remove(name);
        }
    }
    let mut fields = json!({});
    for (special, field) in [
        ("logging.googleapis.com/trace", "trace"),
        ("logging.googleapis.com/spanId", "spanId"),
        ("logging.googleapis.com/labels", "labels"),
        ("httpRequest", "httpRequest"),
    ] {
        if let Some(value) = object.remove(special) {
            fields[field] = value;
        }
    }
    let only_text = object.len() == 1 && object.get("message").is_some_and(Value::is_string);
    if only_text {
        fields["textPayload"] = object.remove("message").unwrap_or_default();
    } else {
        fields["jsonPayload"] = Value::Object(object);
    }
    Entry::new(stream, severity.unwrap_or(Severity::Default), fields, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Value {
        let labels = RevisionLabels {
            project: "p".into(),
            location: "l".into(),
            service: "s".into(),
            revision: "r".into(),
        };
        from_line(Stream::Stdout, text, Utc::now()).view(&labels)
    }

    #[test]
    fn a_json_line_is_structured() {
        let entry = line(
            r#"{"severity":"warning","message":"hi","path":"/x","time":"2026-01-02T03:04:05Z"}"#,
        );
        assert_eq!(entry["severity"], "WARNING");
        assert_eq!(entry["jsonPayload"], json!({"message": "hi", "path": "/x"}));
        assert_eq!(entry["timestamp"], "2026-01-02T03:04:05.000000Z");
        assert_eq!(
            entry["logName"],
            "projects/p/logs/run.googleapis.com%2Fstdout"
        );
        assert_eq!(entry["resource"]["labels"]["revision_name"], "r");
    }

    #[test]
    fn a_lone_message_and_plain_text_become_text() {
        assert_eq!(
            line(r#"{"severity":"INFO","message":"hi"}"#)["textPayload"],
            "hi"
        );
        for text in ["Traceback", "{not json", "[1]"] {
            let entry = line(text);
            assert_eq!(entry["textPayload"], text);
            assert!(entry.get("severity").is_none());
        }
    }
}
