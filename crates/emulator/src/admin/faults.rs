//! What goes wrong on purpose.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What happens to a request that a rule hits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Canonical code of the answer, such as `UNAVAILABLE`; empty: the request goes on.
    pub status: String,
    /// Text of the answer.
    pub message: String,
    /// Seconds of the answer's `Retry-After`; absent: the answer has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Milliseconds to wait first, by the real clock.
    pub delay_ms: u64,
    /// The connection closes without an answer.
    pub drop: bool,
    /// The request takes effect first; only its answer is lost or replaced.
    pub after: bool,
}

/// Which requests meet a fault, and how many of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `METHOD path-glob`; the method may be `*`. In the path `*` stands for any text within one
    /// segment, `**` for any text.
    pub point: String,
    /// How many requests are hit; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What happens to them.
    pub fault: Fault,
}

/// Canonical codes (`google/rpc/code.proto`) that an answer can have.
const CODES: [&str; 16] = [
    "ABORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
    "UNKNOWN",
];

impl Rule {
    /// Says what is wrong with the rule, if anything.
    ///
    /// # Errors
    /// A text for who wrote the rule.
    pub fn check(&self) -> Result<(), String> {
        let Fault {
            status,
            delay_ms,
            drop,
            ..
        } = &self.fault;
        if !self
            .point
            .split_once(' ')
            .is_some_and(|(_, path)| path.starts_with(['/', '*']))
        {
            let point = &self.point;
            return Err(format!(
                "point must be \"METHOD path-glob\", not \"{point}\""
            ));
        }
        if self.count == Some(0) {
            return Err("count must be at least 1; leave it out to hit every request".to_owned());
        }
        if !status.is_empty() && !CODES.contains(&status.as_str()) {
            return Err(format!(
                "\"{status}\" is no canonical code, such as UNAVAILABLE"
            ));
        }
        if status.is_empty() && *delay_ms == 0 && !drop {
            return Err("the fault does nothing: give status, delay_ms or drop".to_owned());
        }
        Ok(())
    }
}

/// The rules in force. The oldest rule that matches is used up first.
#[derive(Default)]
pub struct Faults {
    rules: Mutex<Vec<Rule>>,
}

impl Faults {
    /// Puts a rule in force.
    pub fn add(&self, rule: Rule) {
        self.lock().push(rule);
    }

    /// The rules in force with what is left of their counts.
    pub fn rules(&self) -> Vec<Rule> {
        self.lock().clone()
    }

    /// Nothing goes wrong on purpose any more.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The fault that `point` (`METHOD path`) meets now, if any; counts it.
    pub fn take(&self, point: &str) -> Option<Fault> {
        let mut rules = self.lock();
        let at = rules.iter().position(|rule| matches(&rule.point, point))?;
        let rule = rules.get_mut(at)?;
        let fault = rule.fault.clone();
        if let Some(count) = &mut rule.count {
            *count = count.saturating_sub(1);
            if *count == 0 {
                rules.remove(at);
            }
        }
        Some(fault)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn matches(pattern: &str, point: &str) -> bool {
    let (Some((want_method, want_path)), Some((method, path))) =
        (pattern.split_once(' '), point.split_once(' '))
    else {
        return pattern == point;
    };
    (want_method == "*" || want_method.eq_ignore_ascii_case(method))
        && glob(want_path.as_bytes(), path.as_bytes())
}

/// Matches a path against a glob.
fn glob(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|cut| glob(rest, &path[cut..])),
        [b'*', rest @ ..] => {
            let end = path.iter().position(|byte| *byte == b'/');
            (0..=end.unwrap_or(path.len())).any(|cut| glob(rest, &path[cut..]))
        }
        [want, rest @ ..] => path
            .split_first()
            .is_some_and(|(is, path)| want == is && glob(rest, path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_method_and_path() {
        for (pattern, point, expected) in [
            ("GET /v2/a", "GET /v2/a", true),
            ("get /v2/a", "GET /v2/a", true),
            ("POST /v2/a", "GET /v2/a", false),
            ("* /v2/a", "DELETE /v2/a", true),
            ("GET /v2/*/b", "GET /v2/a/b", true),
            ("GET /v2/*/b", "GET /v2/a/c/b", false),
            ("GET /v2/**/b", "GET /v2/a/c/b", true),
            ("GET /v2/**", "GET /v2/", true),
            (
                "PATCH **/services/*",
                "PATCH /v2/projects/p/locations/l/services/s",
                true,
            ),
            ("POST **:wait", "POST /v2/x/operations/o:wait", true),
            ("GET /v2/a*", "GET /v2/b", false),
        ] {
            assert_eq!(
                matches(pattern, point),
                expected,
                "{pattern} against {point}"
            );
        }
    }

    #[test]
    fn a_rule_is_used_up() {
        let faults = Faults::default();
        faults.add(Rule {
            point: "GET /x".to_owned(),
            count: Some(2),
            fault: Fault {
                status: "UNAVAILABLE".to_owned(),
                ..Fault::default()
            },
        });
        assert!(faults.take("GET /y").is_none());
        assert!(faults.take("GET /x").is_some());
        assert!(faults.take("GET /x").is_some());
        assert!(faults.take("GET /x").is_none());
        assert!(faults.rules().is_empty());
    }
}
