//! The last lines that a service or a revision wrote.
//!
//! Source: <https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list>.

use delivery::name::RevisionName;
use delivery::target::Target;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::api::Api;
use super::error::GcpError;

/// How far back is looked, in hours: the API is slow without a limit.
const HOURS_BACK: i64 = 24;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListRequest {
    resource_names: Vec<String>,
    filter: String,
    order_by: &'static str,
    page_size: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ListAnswer {
    entries: Vec<Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    timestamp: String,
    severity: String,
    text_payload: Option<String>,
    json_payload: Option<Map<String, Value>>,
    http_request: Option<Map<String, Value>>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// RFC 3339.
    pub timestamp: String,
    /// `INFO`, `ERROR` and so on; `DEFAULT` when the container said none.
    pub severity: String,
    /// The text. Of others.
    pub text: String,
}

/// The last `count` lines of the service, or of one revision of it, oldest first.
///
/// # Errors
/// [`GcpError`], as without roles/logging.viewer.
pub async fn last_lines(
    api: &Api,
    target: &Target,
    revision: Option<&RevisionName>,
    count: u32,
) -> Result<Vec<LogLine>, GcpError> {
    let Target {
        environment: _,
        project,
        region,
        service,
    } = target;
    let since = chrono::Utc::now() - chrono::Duration::hours(HOURS_BACK);
    let mut filter = vec![
        "resource.type = \"cloud_run_revision\"".to_owned(),
        format!("resource.labels.service_name = \"{service}\""),
        format!("resource.labels.location = \"{region}\""),
        format!(
            "timestamp >= \"{}\"",
            since.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        ),
    ];
    if let Some(revision) = revision {
        filter.push(format!("resource.labels.revision_name = \"{revision}\""));
    }
    let request = ListRequest {
        resource_names: vec![format!("projects/{project}")],
        filter: filter.join(" AND "),
        order_by: "timestamp desc",
        page_size: count,
    };
    let url = format!("{}/v2/entries:list", api.endpoints().logging());
    let answer: Result<ListAnswer, GcpError> = api.ask(url, &request).await;
    let ListAnswer { entries } = answer.map_err(|error| error.of_project(project.to_string()))?;
    let mut lines: Vec<LogLine> = entries.into_iter().filter_map(line).collect();
    lines.reverse();
    Ok(lines)
}

fn line(entry: Entry) -> Option<LogLine> {
    let Entry {
        timestamp,
        severity,
        text_payload,
        json_payload,
        http_request,
    } = entry;
    let text = match (text_payload, json_payload, http_request) {
        (Some(text), _, _) => text,
        (None, Some(json), _) => match json.get("message").and_then(Value::as_str) {
            Some(message) => message.to_owned(),
            None => Value::Object(json).to_string(),
        },
        (None, None, Some(request)) => {
            let part = |key: &str| match request.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            format!(
                "{} {} {}",
                part("requestMethod"),
                part("requestUrl"),
                part("status")
            )
        }
        (None, None, None) => return None,
    };
    Some(LogLine {
        timestamp,
        severity: if severity.is_empty() {
            "DEFAULT".to_owned()
        } else {
            severity
        },
        text: text.trim_end().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_message_and_request_become_lines() {
        let read = |value: Value| line(serde_json::from_value(value).unwrap()).map(|one| one.text);
        assert_eq!(read(json!({"textPayload": "a\n"})).as_deref(), Some("a"));
        assert_eq!(
            read(json!({"jsonPayload": {"message": "b", "x": 1}})).as_deref(),
            Some("b")
        );
        assert_eq!(
            read(json!({"jsonPayload": {"x": 1}})).as_deref(),
            Some("{\"x\":1}")
        );
        assert_eq!(
            read(json!({"httpRequest": {"requestMethod": "GET", "requestUrl": "http://a/", "status": 200}}))
                .as_deref(),
            Some("GET http://a/ 200")
        );
        assert_eq!(read(json!({"protoPayload": {}})), None);
    }
}
