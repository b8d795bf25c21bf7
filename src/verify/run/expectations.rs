//! An answer against what was expected; each difference is one line.

use reqwest::header::HeaderName;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::answer::{header_values, is_secret_header, read_json};
use crate::verify::caller::Answer;
use crate::verify::compare::compare_json;
use crate::verify::mask::Mask;
use crate::verify::suite::template::Scope;
use crate::verify::suite::{Expect, HeaderChecks, HeaderSpec, LoadedSuite, PathCheck, StatusSpec};

/// Most lines of one JSON Schema.
const MOST_SCHEMA_LINES: usize = 10;
/// Most values of one JSONPath that are told.
const MOST_VALUES: usize = 5;

/// All differences. `with_token` says whether an ID token was sent.
pub(crate) fn differences(
    loaded: &LoadedSuite,
    expect: &Expect,
    scope: &Scope,
    answer: &Answer,
    with_token: bool,
) -> Vec<String> {
    if !expect.status.allows(answer.status.as_u16()) || answer.moved_to.is_some() {
        // The body of another status is another kind of answer: its differences would only hide the
        // cause.
        return vec![status_line(&expect.status, answer, with_token)];
    }
    let mask = &answer.mask;
    let mut lines = Vec::new();
    for (name, wanted) in &expect.headers {
        lines.extend(header_line(name, wanted, scope, answer));
    }
    if !expect.contains.is_empty() {
        let text = String::from_utf8_lossy(&answer.body);
        for part in &expect.contains {
            let part = scope.text(part);
            if !text.contains(&part) {
                lines.push(format!("body: expected to hold `{}`", mask.clip(&part)));
            }
        }
    }
    let wants_json = expect.json.is_some()
        || !expect.jsonpath.is_empty()
        || expect.schema.is_some()
        || expect.schema_file.is_some();
    if wants_json {
        match read_json(answer) {
            Ok(got) => lines.extend(json_lines(loaded, expect, scope, &got, mask)),
            Err(line) => lines.push(line),
        }
    }
    lines
}

fn json_lines(
    loaded: &LoadedSuite,
    expect: &Expect,
    scope: &Scope,
    got: &Value,
    mask: &Mask,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(expected) = &expect.json {
        let tolerance = loaded.suite.tolerance(expect.tolerance);
        lines.extend(compare_json(&scope.json(expected), got, tolerance, mask));
    }
    for check in &expect.jsonpath {
        lines.extend(path_lines(loaded, expect, check, scope, got, mask));
    }
    let from_file = expect
        .schema_file
        .as_ref()
        .and_then(|file| loaded.schemas.get(file));
    if let Some(schema) = expect.schema.as_ref().or(from_file) {
        lines.extend(schema_lines(schema, got, mask));
    }
    lines
}

fn schema_lines(schema: &Value, got: &Value, mask: &Mask) -> Vec<String> {
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![format!("schema: it cannot be used: {error}")],
    };
    let mut lines: Vec<String> = validator
        .iter_errors(got)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() {
                "(whole answer)".to_owned()
            } else {
                place
            };
            format!("schema: {place}: {}", mask.clip(&error.to_string()))
        })
        .collect();
    if lines.len() > MOST_SCHEMA_LINES {
        let more = lines.len() - MOST_SCHEMA_LINES;
        lines.truncate(MOST_SCHEMA_LINES);
        lines.push(format!("schema: and {more} more"));
    }
    lines
}

fn path_lines(
    loaded: &LoadedSuite,
    expect: &Expect,
    check: &PathCheck,
    scope: &Scope,
    got: &Value,
    mask: &Mask,
) -> Vec<String> {
    let PathCheck {
        path,
        exists,
        count,
        equals,
        one_of,
        between,
        matches,
        kind,
        tolerance,
    } = check;
    let found = match JsonPath::parse(path) {
        Ok(query) => query.query(got).all(),
        Err(error) => return vec![format!("{path}: {error}")],
    };
    if let Some(wanted) = count
        && *wanted != found.len() as u64
    {
        return vec![format!(
            "{path}: expected {wanted} value(s), got {}",
            found.len()
        )];
    }
    match (exists, found.first()) {
        (Some(false), None) => return Vec::new(),
        (Some(false), Some(value)) => {
            return vec![format!(
                "{path}: expected nothing, got {}",
                shown(value, mask)
            )];
        }
        (_, None) if *count == Some(0) => return Vec::new(),
        (_, None) => return vec![format!("{path}: expected a value, got nothing")],
        (_, Some(_)) => {}
    }
    let tolerance = loaded.suite.tolerance(tolerance.or(expect.tolerance));
    let equals = equals.as_ref().map(|value| scope.json(value));
    let pattern = matches.as_ref().map(|text| (text, regex::Regex::new(text)));
    let mut lines = Vec::new();
    for value in found {
        let is = shown(value, mask);
        if let Some(wanted) = &equals {
            let found = compare_json(wanted, value, tolerance, mask);
            let line = |line: String| match line.strip_prefix("(whole answer)") {
                Some(line) => format!("{path}{line}"),
                None => format!("{path}: {line}"),
            };
            lines.extend(found.into_iter().map(line));
        }
        if let Some(set) = one_of
            && !set
                .iter()
                .any(|one| compare_json(&scope.json(one), value, tolerance, mask).is_empty())
        {
            let words: Vec<String> = set.iter().map(|one| shown(one, mask)).collect();
            lines.push(format!(
                "{path}: expected one of {}, got {is}",
                mask.clip(&words.join(", "))
            ));
        }
        if let Some([least, most]) = between.as_deref() {
            let inside = value
                .as_f64()
                .is_some_and(|number| (*least..=*most).contains(&number));
            if !inside {
                lines.push(format!(
                    "{path}: expected a number from {least} to {most}, got {is}"
                ));
            }
        }
        if let Some((text, pattern)) = &pattern {
            let fits = pattern
                .as_ref()
                .is_ok_and(|pattern| value.as_str().is_some_and(|value| pattern.is_match(value)));
            if !fits {
                lines.push(format!("{path}: expected text like `{text}`, got {is}"));
            }
        }
        if let Some(kind) = kind.filter(|kind| !kind.holds(value)) {
            lines.push(format!("{path}: expected {}, got {is}", kind.word()));
        }
    }
    if lines.len() > MOST_VALUES {
        let more = lines.len() - MOST_VALUES;
        lines.truncate(MOST_VALUES);
        lines.push(format!("{path}: and {more} more"));
    }
    lines
}

fn shown(value: &Value, mask: &Mask) -> String {
    mask.clip(&value.to_string())
}

fn status_line(expected: &StatusSpec, answer: &Answer, with_token: bool) -> String {
    let status = answer.status.as_u16();
    let line = format!("status: expected {expected}, got {status}");
    if let Some(target) = answer.redirect() {
        return format!(
            "{line}, a redirect to {}",
            answer.mask.clip(without_query(&target))
        );
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

fn header_line(name: &str, wanted: &HeaderSpec, scope: &Scope, answer: &Answer) -> Option<String> {
    let mask = &answer.mask;
    let header = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let got = header_values(&answer.headers, header.as_str());
    let any = |fits: &dyn Fn(&str) -> bool| got.iter().any(|value| fits(value));
    let missing = match wanted {
        HeaderSpec::Is(value) => {
            let value = scope.text(value);
            (!any(&|got| got == value)).then(|| format!("`{}`", mask.clip(&value)))
        }
        HeaderSpec::Checks(HeaderChecks {
            contains,
            matches,
            absent,
        }) => {
            let part = contains.as_ref().map(|part| scope.text(part));
            let part = part.filter(|part| !any(&|got| got.contains(part)));
            let pattern = matches.as_ref().filter(|text| {
                !regex::Regex::new(text).is_ok_and(|pattern| any(&|got| pattern.is_match(got)))
            });
            match (absent, part, pattern) {
                (true, ..) => (!got.is_empty()).then(|| "nothing".to_owned()),
                (_, Some(part), _) => Some(format!("a value with `{}`", mask.clip(&part))),
                (_, None, Some(pattern)) => Some(format!("a value like `{}`", mask.clip(pattern))),
                (false, None, None) => None,
            }
        }
    };
    let missing = missing?;
    Some(match (got.is_empty(), is_secret_header(name)) {
        (true, true) => format!("header {name}: expected a value that is not shown, got nothing"),
        (true, false) => format!("header {name}: expected {missing}, got nothing"),
        (false, true) => format!("header {name}: the value differs; it is not shown"),
        (false, false) => format!(
            "header {name}: expected {missing}, got `{}`",
            mask.clip(&got.join(", "))
        ),
    })
}
