//! Evidence and what it means.

use serde::{Deserialize, Serialize};

/// What was measured by one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which gate, such as `api-tests`.
    pub gate: String,
    /// Where it was measured, such as the region; only where one run measures in several places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Each thing that was tried.
    pub cases: Vec<CaseResult>,
    /// The figures behind it, for the report: nothing is judged by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
    /// The same as pictures, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plots: Vec<Plot>,
}

impl Evidence {
    /// Evidence without figures.
    pub fn new(gate: impl Into<String>, cases: Vec<CaseResult>) -> Self {
        Self {
            gate: gate.into(),
            place: None,
            cases,
            measurements: Vec::new(),
            plots: Vec::new(),
        }
    }

    /// Evidence of a gate that did not run, with the reason.
    pub fn skipped(gate: impl Into<String>, reason: impl Into<String>) -> Self {
        let gate = gate.into();
        let case = CaseResult {
            name: gate.clone(),
            end: CaseEnd::Skipped(reason.into()),
            millis: 0,
        };
        Self::new(gate, vec![case])
    }

    /// The gate, with its place where there are several.
    pub fn title(&self) -> String {
        match &self.place {
            Some(place) => format!("{} in {place}", self.gate),
            None => self.gate.clone(),
        }
    }

    /// `gate/case`; with the place before it where there are several.
    pub fn name_of(&self, case: &CaseResult) -> String {
        let Self { gate, place, .. } = self;
        match place {
            Some(place) => format!("{place}/{gate}/{}", case.name),
            None => format!("{gate}/{}", case.name),
        }
    }

    /// How many cases ended as expected, and how many were tried at all.
    pub fn passed_of(&self) -> (usize, usize) {
        let of = |wanted: fn(&CaseEnd) -> bool| {
            self.cases.iter().filter(|case| wanted(&case.end)).count()
        };
        (
            of(|end| *end == CaseEnd::Passed),
            of(|end| !matches!(end, CaseEnd::Skipped(_))),
        )
    }
}

/// One figure. The gate that measured it has compared it with its limit; a case tells the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// What, such as `p95` or `label flip rate`; unique in its gate.
    pub name: String,
    /// How much. Finite: JSON has no other numbers.
    pub value: f64,
    /// In what, such as `ms`, `%` or `requests/s`; empty for a plain number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Lower end of its confidence interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of its confidence interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// What was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

impl Measurement {
    /// A figure without interval and limit. What is not finite is told as 0: JSON has no other
    /// numbers.
    pub fn new(name: impl Into<String>, value: f64, unit: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: finite(value).unwrap_or_default(),
            unit: unit.into(),
            low: None,
            high: None,
            limit: None,
        }
    }

    /// With its confidence interval; an end that is not finite is left out.
    #[must_use]
    pub fn between(mut self, low: f64, high: f64) -> Self {
        (self.low, self.high) = (finite(low), finite(high));
        self
    }

    /// With what was allowed, if anything was said.
    #[must_use]
    pub fn limit(mut self, limit: Option<f64>) -> Self {
        self.limit = limit;
        self
    }
}

fn finite(number: f64) -> Option<f64> {
    Some(number).filter(|number| number.is_finite())
}

/// A small picture in text, one row a line, for a font of equal width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// Its rows. May hold text of others, such as a label that an API answers.
    pub rows: Vec<String>,
}

/// One test case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Its name, unique in its gate.
    pub name: String,
    /// How it ended.
    pub end: CaseEnd,
    /// How long the request took, in milliseconds.
    pub millis: u64,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseEnd {
    /// As expected.
    Passed,
    /// Not as expected; each line tells one difference: where, expected, got. Lines that begin with a
    /// space tell what they came from, such as the request.
    Failed(Vec<String>),
    /// It could not be decided, with the reason.
    Undecided(String),
    /// It was not tried, with the reason: something before it failed, or there is nothing to try it
    /// on. It decides nothing.
    Skipped(String),
}

/// What the evidence means. The order is the order of severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything as expected.
    Pass,
    /// It cannot be decided; each line tells what is missing.
    Inconclusive(Vec<String>),
    /// Something is wrong; each line tells what.
    Fail(Vec<String>),
}

/// What all evidence together means: one failed case fails it, one undecided case leaves it open,
/// and so does evidence without any case, or with skipped ones only: what nobody measured has not
/// passed.
pub fn judge(evidence: &[Evidence]) -> Verdict {
    let mut failed = Vec::new();
    let mut undecided = Vec::new();
    let mut cases = 0_usize;
    for Evidence {
        gate,
        place: _,
        cases: found,
        measurements: _,
        plots: _,
    } in evidence
    {
        if found.is_empty() {
            undecided.push(format!("{gate}: no case was measured"));
        }
        for CaseResult {
            name,
            end,
            millis: _,
        } in found
        {
            cases += usize::from(!matches!(end, CaseEnd::Skipped(_)));
            match end {
                CaseEnd::Passed | CaseEnd::Skipped(_) => {}
                CaseEnd::Failed(differences) => {
                    failed.push(format!("{gate}/{name}: {}", first_of(differences)));
                }
                CaseEnd::Undecided(reason) => undecided.push(format!("{gate}/{name}: {reason}")),
            }
        }
    }
    if cases == 0 && undecided.is_empty() {
        undecided.push("nothing was measured".to_owned());
    }
    match (failed.is_empty(), undecided.is_empty()) {
        (false, _) => Verdict::Fail(failed),
        (true, false) => Verdict::Inconclusive(undecided),
        (true, true) => Verdict::Pass,
    }
}

/// One line a case: the first difference, and how many more there are. The whole list was told when
/// the case ended.
fn first_of(lines: &[String]) -> String {
    let mut differences = lines.iter().filter(|line| !line.starts_with(' '));
    match (differences.next(), differences.count()) {
        (None, _) => "failed".to_owned(),
        (Some(only), 0) => only.clone(),
        (Some(first), more) => format!("{first} (and {more} more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(ends: &[CaseEnd]) -> Evidence {
        let case = |(number, end): (usize, &CaseEnd)| CaseResult {
            name: format!("case-{number}"),
            end: end.clone(),
            millis: 5,
        };
        Evidence::new("api-tests", ends.iter().enumerate().map(case).collect())
    }

    #[test]
    fn the_worst_case_decides() {
        let fail = || CaseEnd::Failed(vec!["status: expected 200, got 500".to_owned()]);
        let open = || CaseEnd::Undecided("no answer".to_owned());
        for (ends, expected) in [
            (vec![CaseEnd::Passed], "pass"),
            (vec![CaseEnd::Passed, open()], "inconclusive"),
            (vec![open(), CaseEnd::Passed, fail()], "fail"),
            (vec![CaseEnd::Failed(Vec::new())], "fail"),
            (vec![], "inconclusive"),
            (
                vec![CaseEnd::Skipped("no serving revision".to_owned())],
                "inconclusive",
            ),
            (
                vec![CaseEnd::Passed, CaseEnd::Skipped(String::new())],
                "pass",
            ),
            (vec![fail(), CaseEnd::Skipped(String::new())], "fail"),
        ] {
            let word = match judge(&[gate(&ends)]) {
                Verdict::Pass => "pass",
                Verdict::Inconclusive(lines) => {
                    assert!(!lines.is_empty());
                    "inconclusive"
                }
                Verdict::Fail(lines) => {
                    assert!(!lines.is_empty());
                    "fail"
                }
            };
            assert_eq!(word, expected, "{ends:?}");
        }
    }

    #[test]
    fn a_gate_without_cases_is_open_even_beside_one_that_passed() {
        let verdict = judge(&[gate(&[CaseEnd::Passed]), gate(&[])]);
        assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
        assert!(matches!(judge(&[]), Verdict::Inconclusive(_)));
    }

    #[test]
    fn a_skipped_gate_leaves_the_others_to_decide() {
        let skipped = Evidence::skipped("replay", "nothing serves yet");
        assert_eq!(skipped.passed_of(), (0, 0));
        assert_eq!(
            judge(&[gate(&[CaseEnd::Passed]), skipped.clone()]),
            Verdict::Pass
        );
        assert!(matches!(judge(&[skipped]), Verdict::Inconclusive(_)));
    }

    #[test]
    fn a_figure_is_finite() {
        let endless = Measurement::new("p99", f64::NAN, "ms").between(1.0, f64::INFINITY);
        assert_eq!(
            (endless.value, endless.low, endless.high),
            (0.0, Some(1.0), None)
        );
        assert_eq!(
            Measurement::new("n", 2.0, "").limit(Some(3.0)).limit,
            Some(3.0)
        );
    }

    #[test]
    fn evidence_of_before_figures_can_still_be_read() {
        let old = r#"{"gate":"api-tests","cases":[]}"#;
        let read: Evidence = serde_json::from_str(old).unwrap();
        assert_eq!(read, Evidence::new("api-tests", Vec::new()));
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
    }

    #[test]
    fn lines_name_gate_case_and_difference() {
        let differences = ["a", "  request: GET /", "b"].map(str::to_owned).to_vec();
        let verdict = judge(&[gate(&[CaseEnd::Failed(differences)])]);
        let lines = vec!["api-tests/case-0: a (and 1 more)".to_owned()];
        assert_eq!(verdict, Verdict::Fail(lines));
    }
}
