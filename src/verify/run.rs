//! Runs a suite against an address and measures.

use std::time::Duration;

use delivery::event::{Event, EventSink};
use delivery::gate::API_TESTS;
use delivery::verdict::{CaseEnd, CaseResult, Evidence};
use futures_util::stream::{self, StreamExt};
use reqwest::header::HeaderName;
use serde_json::Value;

use super::caller::{Answer, Caller, NoAnswer};
use super::compare::{clip, compare_json};
use super::suite::{Case, Suite};

/// Requests at the same time: enough to be quick, few enough for one small instance, so that
/// latency measures the API and not a queue.
const REQUESTS_AT_ONCE: usize = 8;

/// How much longer than its limit an answer is waited for, to tell by how much it was too slow.
const LATENCY_MARGIN: Duration = Duration::from_secs(2);

/// Headers whose values are never shown.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];

/// Sends every case and compares the answers. The evidence keeps the order of the suite; events
/// come as cases end.
///
/// A case fails when the API answers otherwise, too late, too much, not at all, or refuses the
/// connection: a candidate that is ready takes connections. It is undecided when something before
/// the API fails: name resolution, the route to the host, TLS.
pub async fn run_suite(suite: &Suite, caller: &Caller, sink: &dyn EventSink) -> Evidence {
    let total = suite.cases.len() as u64;
    // Collected first: a closure inside of the stream would not be `Send` for every lifetime.
    let runs: Vec<_> = suite
        .cases
        .iter()
        .enumerate()
        .map(|(index, case)| async move { (index, run_case(suite, case, caller).await) })
        .collect();
    let mut running = stream::iter(runs).buffer_unordered(REQUESTS_AT_ONCE);
    let mut results = Vec::with_capacity(suite.cases.len());
    while let Some((index, result)) = running.next().await {
        sink.emit(Event::CaseFinished(result.clone()));
        results.push((index, result));
        sink.emit(Event::Progress {
            what: "API tests".to_owned(),
            done: results.len() as u64,
            total: Some(total),
            unit: delivery::event::Unit::Items,
        });
    }
    results.sort_by_key(|(index, _)| *index);
    let cases = results.into_iter().map(|(_, result)| result).collect();
    Evidence::new(API_TESTS, cases)
}

async fn run_case(suite: &Suite, case: &Case, caller: &Caller) -> CaseResult {
    let allowed = Duration::from_millis(suite.max_latency_of(case));
    let (end, took) = match caller.send(&case.request, allowed + LATENCY_MARGIN).await {
        Ok(answer) => {
            let mut differences = differences(suite, case, &answer, caller.bearer.is_some());
            if answer.took > allowed {
                let (took, allowed) = (answer.took.as_millis(), allowed.as_millis());
                differences.push(format!(
                    "latency: expected at most {allowed} ms, got {took} ms"
                ));
            }
            let end = if differences.is_empty() {
                CaseEnd::Passed
            } else {
                CaseEnd::Failed(differences)
            };
            (end, answer.took)
        }
        Err(NoAnswer::TimedOut(limit)) => {
            let line = format!(
                "latency: expected at most {} ms, got no complete answer within {} ms",
                allowed.as_millis(),
                limit.as_millis()
            );
            (CaseEnd::Failed(vec![line]), limit)
        }
        Err(error) if error.blames_the_api() => {
            (CaseEnd::Failed(vec![error.to_string()]), Duration::ZERO)
        }
        Err(error) => (CaseEnd::Undecided(error.to_string()), Duration::ZERO),
    };
    CaseResult {
        name: case.name.clone(),
        end,
        millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn differences(suite: &Suite, case: &Case, answer: &Answer, with_token: bool) -> Vec<String> {
    let expect = &case.expect;
    let status = answer.status.as_u16();
    let mut lines = Vec::new();
    if status != expect.status || answer.moved_to.is_some() {
        lines.push(status_line(expect.status, answer, with_token));
        // The body of another status is another kind of answer: its differences would only hide
        // the cause, its text shows it.
        let text = clip(&String::from_utf8_lossy(&answer.body));
        if !text.trim().is_empty() {
            lines.push(format!("the answer was: {text}"));
        }
        return lines;
    }
    for (name, wanted) in &expect.headers {
        lines.extend(header_line(name, wanted, answer));
    }
    if let Some(expected) = &expect.json {
        match read_json(answer) {
            Ok(got) => lines.extend(compare_json(expected, &got, suite.tolerance_of(case))),
            Err(line) => lines.push(line),
        }
    }
    lines
}

fn status_line(expected: u16, answer: &Answer, with_token: bool) -> String {
    let status = answer.status.as_u16();
    let line = format!("status: expected {expected}, got {status}");
    if let Some(target) = answer.redirect() {
        return format!("{line}, a redirect to {}", clip(without_query(&target)));
    }
    match (status, with_token) {
        (401 | 403, false) => format!("{line}; no ID token was sent: is the service private?"),
        (401 | 403, true) => {
            format!(
                "{line}; the ID token was not accepted: has its account the role roles/run.invoker?"
            )
        }
        _ => line,
    }
}

/// A query may hold a token.
fn without_query(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or(target)
}

fn header_line(name: &str, wanted: &str, answer: &Answer) -> Option<String> {
    let header = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let got: Vec<String> = answer
        .headers
        .get_all(&header)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    if got.iter().any(|value| value == wanted) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let secret = SECRET_HEADERS.contains(&lower.as_str())
        || ["token", "secret", "api-key", "password"]
            .iter()
            .any(|word| lower.contains(word));
    Some(match (got.is_empty(), secret) {
        (true, true) => format!("header {name}: expected a value that is not shown, got nothing"),
        (true, false) => format!("header {name}: expected `{}`, got nothing", clip(wanted)),
        (false, true) => format!("header {name}: the value differs; it is not shown"),
        (false, false) => {
            format!(
                "header {name}: expected `{}`, got `{}`",
                clip(wanted),
                clip(&got.join(", "))
            )
        }
    })
}

/// Reads JSON, or tells in one line why it is none.
pub(crate) fn read_json(answer: &Answer) -> Result<Value, String> {
    let kind = answer.content_type();
    let is_json = kind
        .as_deref()
        .is_some_and(|kind| kind.ends_with("/json") || kind.ends_with("+json"));
    if !is_json {
        let kind = kind.unwrap_or_else(|| "none".to_owned());
        let text = clip(&String::from_utf8_lossy(&answer.body));
        return Err(format!(
            "content-type: expected JSON, got {}; the answer was: {text}",
            clip(&kind)
        ));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        let text = String::from_utf8_lossy(&answer.body);
        match bare_word(&text) {
            Some(word) => {
                format!("the answer holds {word}, which JSON does not have: the API gave no number")
            }
            None if error.is_eof() => {
                format!("the answer ends in the middle of its JSON: {}", clip(&text))
            }
            None => format!("the answer is not JSON ({error}): {}", clip(&text)),
        }
    })
}

/// `NaN` or `Infinity` outside strings, as Python's `json` writes them.
fn bare_word(text: &str) -> Option<&'static str> {
    let mut in_string = false;
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            'N' | 'I' if !in_string => {
                let rest = &text[index..];
                let word = ["NaN", "Infinity"]
                    .into_iter()
                    .find(|word| rest.starts_with(word));
                if word.is_some() {
                    return word;
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_does_not_have_are_named() {
        for (text, word) in [
            (r#"{"p": NaN}"#, Some("NaN")),
            (r#"{"p": -Infinity}"#, Some("Infinity")),
            (r#"{"p": "NaN"}"#, None),
            (r#"{"p": "\"NaN"}"#, None),
            (r#"{"p": nan}"#, None),
        ] {
            assert_eq!(bare_word(text), word, "{text}");
        }
    }
}
