//! Evidence and what it means.

use serde::{Deserialize, Serialize};

/// What was measured by one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which gate, such as `api-tests`.
    pub gate: String,
    /// Each measurement.
    pub cases: Vec<CaseResult>,
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
    /// Not as expected; each line tells one difference: where, expected, got.
    Failed(Vec<String>),
    /// It could not be decided, with the reason.
    Undecided(String),
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
/// and so does evidence without any case: what nobody measured has not passed.
pub fn judge(evidence: &[Evidence]) -> Verdict {
    let mut failed = Vec::new();
    let mut undecided = Vec::new();
    let mut cases = 0_usize;
    for Evidence { gate, cases: found } in evidence {
        if found.is_empty() {
            undecided.push(format!("{gate}: no case was measured"));
        }
        for CaseResult {
            name,
            end,
            millis: _,
        } in found
        {
            cases += 1;
            match end {
                CaseEnd::Passed => {}
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
fn first_of(differences: &[String]) -> String {
    match differences {
        [] => "failed".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
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
        Evidence {
            gate: "api-tests".to_owned(),
            cases: ends.iter().enumerate().map(case).collect(),
        }
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
    fn lines_name_gate_case_and_difference() {
        let differences = vec!["a".to_owned(), "b".to_owned()];
        let verdict = judge(&[gate(&[CaseEnd::Failed(differences)])]);
        let lines = vec!["api-tests/case-0: a (and 1 more)".to_owned()];
        assert_eq!(verdict, Verdict::Fail(lines));
    }
}
