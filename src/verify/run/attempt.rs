//! One step: send, compare, try again where that is declared.

use std::time::Duration;

use delivery::verdict::CaseEnd;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::answer::{header_values, is_secret_header, read_json};
use super::expectations::differences;
use super::prepare::prepare;
use crate::verify::caller::{Answer, Call, Caller, NoAnswer};
use crate::verify::mask::Mask;
use crate::verify::suite::template::Scope;
use crate::verify::suite::{Capture, LoadedSuite, Step};

/// How much longer than its limit an answer is waited for, to tell by how much it was too slow.
const LATENCY_MARGIN: Duration = Duration::from_secs(2);
/// How the line that shows the answer begins.
const ANSWER: &str = "  answer: ";
/// Most characters of a body that a failure shows.
const SHOWN_BODY: usize = 300;

/// How a step ended.
pub(super) struct StepEnd {
    pub(super) end: CaseEnd,
    /// Of the last try.
    pub(super) took: Duration,
    /// What was captured.
    pub(super) captured: Vec<(String, Value)>,
}

/// Runs a step, with its retries.
pub(super) async fn run_step(
    loaded: &LoadedSuite,
    step: &Step,
    scope: &Scope,
    caller: &Caller,
) -> StepEnd {
    let call = match prepare(&step.request, loaded, scope, &caller.base_url) {
        Ok(call) => call,
        Err(line) => {
            return StepEnd {
                end: CaseEnd::Failed(vec![line]),
                took: Duration::ZERO,
                captured: Vec::new(),
            };
        }
    };
    let caller = &Caller {
        mask: caller.mask.and_of_call(&call),
        ..caller.clone()
    };
    let mask = &caller.mask;
    let retries = step.retry.map_or(0, |retry| retry.times);
    let mut tried = 0;
    loop {
        let mut ended = attempt(loaded, step, scope, caller, &call).await;
        if matches!(ended.end, CaseEnd::Passed) || tried >= retries {
            if let CaseEnd::Failed(lines) = &mut ended.end {
                let answer = lines.iter().position(|line| line.starts_with(ANSWER));
                lines.insert(answer.unwrap_or(lines.len()), request_line(&call, mask));
                if tried > 0 {
                    lines.push(format!("  tried {} times", tried + 1));
                }
            }
            ended.end = mask.end(ended.end);
            return ended;
        }
        tried += 1;
        let pause = step.retry.map_or(0, |retry| retry.pause_ms);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

async fn attempt(
    loaded: &LoadedSuite,
    step: &Step,
    scope: &Scope,
    caller: &Caller,
    call: &Call,
) -> StepEnd {
    let allowed = Duration::from_millis(loaded.suite.max_latency(step.expect.max_latency_ms));
    let answer = match caller.call(call, allowed + LATENCY_MARGIN).await {
        Ok(answer) => answer,
        Err(error) => return no_answer(&error, allowed),
    };
    let with_token = caller.bearer.is_some();
    let mut lines = differences(loaded, &step.expect, scope, &answer, with_token);
    if answer.took > allowed {
        let (took, allowed) = (answer.took.as_millis(), allowed.as_millis());
        lines.push(format!(
            "latency: expected at most {allowed} ms, got {took} ms"
        ));
    }
    let mut captured = Vec::new();
    if lines.is_empty() {
        for (name, from) in &step.capture {
            match capture(from, &answer) {
                Ok(value) => captured.push((name.clone(), value)),
                Err(line) => lines.push(format!("capture `{name}`: {line}")),
            }
        }
    }
    let end = if lines.is_empty() {
        CaseEnd::Passed
    } else {
        lines.push(answer_line(&answer));
        CaseEnd::Failed(lines)
    };
    StepEnd {
        end,
        took: answer.took,
        captured,
    }
}

fn no_answer(error: &NoAnswer, allowed: Duration) -> StepEnd {
    let (end, took) = match error {
        NoAnswer::TimedOut(limit) => {
            let line = format!(
                "latency: expected at most {} ms, got no complete answer within {} ms",
                allowed.as_millis(),
                limit.as_millis()
            );
            (CaseEnd::Failed(vec![line]), *limit)
        }
        error if error.blames_the_api() => {
            (CaseEnd::Failed(vec![error.to_string()]), Duration::ZERO)
        }
        error => (CaseEnd::Undecided(error.to_string()), Duration::ZERO),
    };
    StepEnd {
        end,
        took,
        captured: Vec::new(),
    }
}

fn capture(from: &Capture, answer: &Answer) -> Result<Value, String> {
    match from {
        Capture::Header(from) => header_values(&answer.headers, &from.header.to_ascii_lowercase())
            .pop()
            .map(Value::String)
            .ok_or_else(|| format!("the answer has no header `{}`", from.header)),
        Capture::Path(path) => {
            let json = read_json(answer)?;
            let query = JsonPath::parse(path).map_err(|error| error.to_string())?;
            let found = query.query(&json).all();
            match found[..] {
                [one] => Ok(one.clone()),
                [] => Err(format!("{path} selects nothing")),
                _ => Err(format!("{path} selects {} values, not one", found.len())),
            }
        }
    }
}

/// Lines that begin with a space go with the differences before them.
fn request_line(call: &Call, mask: &Mask) -> String {
    let headers: Vec<String> = call
        .headers
        .iter()
        .map(|(name, value)| match value.to_str() {
            Ok(value) if !is_secret_header(name.as_str()) => {
                format!("{name}: {}", mask.clip(value))
            }
            _ => format!("{name}: ***"),
        })
        .collect();
    let headers = match headers.is_empty() {
        true => String::new(),
        false => format!(" [{}]", headers.join(", ")),
    };
    format!(
        "  request: {} {}{headers} {}",
        call.method,
        mask.clip(&call.path),
        body_text(&call.body, mask)
    )
    .trim_end()
    .to_owned()
}

fn answer_line(answer: &Answer) -> String {
    let kind = answer.content_type().unwrap_or_default();
    let status = answer.status.as_u16();
    let text = body_text(&answer.body, &answer.mask);
    format!("{ANSWER}{status} {kind} {text}")
        .trim_end()
        .to_owned()
}

fn body_text(body: &[u8], mask: &Mask) -> String {
    match std::str::from_utf8(body) {
        Ok(text) => mask.clip_to(text.trim(), SHOWN_BODY),
        Err(_) => format!("({} bytes that are no text)", body.len()),
    }
}
