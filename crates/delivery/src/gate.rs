//! The gates, and what each failure is called.

use crate::diagnostic::{Code, Diagnostic};
use crate::verdict::{Evidence, Verdict, judge};

/// How the failure of one gate is told. A gate adds one entry to [`GATES`].
#[derive(Debug, Clone, Copy)]
pub struct GateWords {
    /// Its name in evidence.
    pub gate: &'static str,
    /// The code of its failure.
    pub code: Code,
    /// Ends the sentence "`revision` …".
    pub failed: &'static str,
    /// Ways out.
    pub help: &'static [&'static str],
}

/// Whether anything answers.
pub const ANSWERS: &str = "answers";
/// Whether what answers is the release.
pub const IDENTITY: &str = "identity";
/// The cases of the suite files.
pub const API_TESTS: &str = "api-tests";
/// Latency and errors under load.
pub const SLO: &str = "slo";
/// The same inputs to the candidate and to what serves.
pub const REPLAY: &str = "replay";
/// The first right answer of a revision that had no instance.
pub const COLD_START: &str = "cold-start";
/// The recorded predictions of the golden files.
pub const GOLDEN: &str = "golden";

/// A candidate with a share of the traffic, against its limits and what serves beside it.
pub const CANARY: &str = "canary";

/// Whether the API changed more than the version says.
pub const SEMVER: &str = "semver";
/// Whether the API keeps to its own document.
pub const CONFORMANCE: &str = "conformance";

/// What a finding of a gate means for the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It stops the release.
    Require,
    /// It is told, and the release goes on.
    Warn,
    /// The gate does not run.
    Off,
}

/// Every gate that has words of its own.
pub const GATES: &[GateWords] = &[
    GateWords {
        gate: ANSWERS,
        code: Code::NotConfirmed,
        failed: "does not answer",
        help: &[
            "let the health and the version path answer 200 as soon as the API can predict, or name other paths: `health_path`, `version_path`",
        ],
    },
    GateWords {
        gate: IDENTITY,
        code: Code::WrongModel,
        failed: "answers, but not as the release: a healthy API with the wrong model",
        help: &[
            "let the version path tell `commit` and `version` from ML_DEPLOY_COMMIT and ML_DEPLOY_VERSION, which are set on each revision, and `model_version` from the model file that was loaded",
            "if the API tells none of them, set `version_path` to `none`",
        ],
    },
    GateWords {
        gate: API_TESTS,
        code: Code::TestsFailed,
        failed: "failed the API tests",
        help: &[
            "mend the release, or the expectation in the test file, and push again",
            "predictions that changed without a change of the model often come from a dependency: compare requirements.txt with the last release, rebuild the image",
        ],
    },
    GateWords {
        gate: COLD_START,
        code: Code::ColdStartTooSlow,
        failed: "took too long to its first right answer",
        help: &[
            "load the model once at start-up, from a file in the image, and import nothing that is not used",
            "set `min_instances: 1` so that users meet no cold start, or raise `max_cold_start`",
        ],
    },
    GateWords {
        gate: REPLAY,
        code: Code::PredictionsMoved,
        failed: "predicts other things than what serves, for the same inputs",
        help: &[
            "if the change is meant, raise the limit that stopped it for this release: `max_flip_rate`, `max_prediction_delta`, `max_psi` or `max_latency_ratio`",
            "if it is not, compare the model file and the versions in requirements.txt with the last release",
            "an output that tells the revision and not the prediction, such as `model_version`, belongs into `replay_ignore`",
        ],
    },
    GateWords {
        gate: SLO,
        code: Code::SloMissed,
        failed: "is slower under load, or fails more often, than promised",
        help: &[
            "find what takes the time in a prediction; give it more `cpu`, or a lower `concurrency`, or more `max_instances`",
            "if the promise is wrong, change `slo_p95`, `slo_p99` or `max_error_rate`",
        ],
    },
    GateWords {
        gate: CANARY,
        code: Code::CanaryFailed,
        failed: "does worse with a share of the traffic than its limits or what serves beside it allow",
        help: &[
            "compare what was measured of it with what was measured beside it, under the same load and in the same minutes; where requests failed, look for them in its log",
            "if the promise is wrong, change `slo_p95`, `slo_p99` or `max_error_rate`, or against what serves `canary_latency_ratio` or `canary_error_delta`",
        ],
    },
    GateWords {
        gate: GOLDEN,
        code: Code::PredictionsDiffer,
        failed: "predicts something else than was recorded",
        help: &[
            "if the model changed on purpose, record anew: `ml-deploy verify --url URL --record FILE --inputs FILE`, and review the difference",
            "predictions that changed without a change of the model often come from a dependency: compare requirements.txt with the last release, rebuild the image",
        ],
    },
    GateWords {
        gate: SEMVER,
        code: Code::ApiBroken,
        failed: "changes the API more than its version says",
        help: &[
            "tag the commit with the version that the cause names, or take the change back",
            "if no caller depends on it, set `semver_gate` to `warn` for this release",
        ],
    },
    GateWords {
        gate: CONFORMANCE,
        code: Code::NotConforming,
        failed: "does not keep to the OpenAPI document that it publishes",
        help: &[
            "mend the API, or what it says about itself: each cause names the request, and the place in the document",
            "where the document cannot say it, set `conformance` to `warn`",
        ],
    },
];

/// Causes that a diagnostic names; the log has told them all.
const NAMED_CAUSES: usize = 5;

/// Judges the evidence of all gates: what goes wrong is one diagnostic, in the words of the gate
/// that failed first. `what` is what was tested, such as the revision's name.
///
/// # Errors
/// The diagnostic of a release that must not serve, without place and state.
pub fn judge_gates(what: &str, evidence: &[Evidence]) -> Result<(), Box<Diagnostic>> {
    let (base, lines) = match judge(evidence) {
        Verdict::Pass => return Ok(()),
        Verdict::Fail(lines) => (failure(what, evidence), lines),
        Verdict::Inconclusive(lines) => {
            let title = format!("whether `{what}` may serve could not be decided");
            let base = Diagnostic::error(Code::TestsInconclusive, title).help(
                "run again; if it stays, check that the service can be reached from here and that the caller has roles/run.invoker",
            );
            (base, lines)
        }
    };
    let causes = first_causes(lines);
    Err(Box::new(causes.into_iter().fold(base, Diagnostic::cause)))
}

fn failure(what: &str, evidence: &[Evidence]) -> Diagnostic {
    let failed = evidence
        .iter()
        .find(|one| matches!(judge(std::slice::from_ref(one)), Verdict::Fail(_)));
    failed_at(failed.map_or(API_TESTS, |one| one.gate.as_str()), what)
}

/// What the failure of a gate is called, without its causes.
pub(crate) fn failed_at(gate: &str, what: &str) -> Diagnostic {
    match GATES.iter().find(|words| words.gate == gate) {
        Some(words) => words.help.iter().fold(
            Diagnostic::error(words.code, format!("`{what}` {}", words.failed)),
            |diagnostic, help| diagnostic.help(*help),
        ),
        None => Diagnostic::error(
            Code::TestsFailed,
            format!("`{what}` failed the gate `{gate}`"),
        ),
    }
}

/// The first causes, and how many more there are.
pub(crate) fn first_causes(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(NAMED_CAUSES);
    if more > 0 {
        lines.truncate(NAMED_CAUSES);
        lines.push(format!("and {more} more cases, told in the log above"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{CaseEnd, CaseResult};

    fn evidence(gate: &str, end: CaseEnd) -> Evidence {
        let case = CaseResult {
            name: "case".to_owned(),
            end,
            millis: 1,
        };
        Evidence::new(gate, vec![case])
    }

    #[test]
    fn a_failure_has_the_words_of_its_gate() {
        let fail = || CaseEnd::Failed(vec!["commit: expected a, got b".to_owned()]);
        for (gate, code) in [
            (IDENTITY, Code::WrongModel),
            (API_TESTS, Code::TestsFailed),
            ("anything", Code::TestsFailed),
        ] {
            let all = [
                evidence("before", CaseEnd::Passed),
                evidence(gate, fail()),
                Evidence::skipped("later", "stopped before"),
            ];
            let problem = judge_gates("rev-1", &all).unwrap_err();
            assert_eq!(problem.code, code, "{gate}");
            assert!(problem.title.starts_with("`rev-1` "), "{}", problem.title);
            assert_eq!(
                problem.cause,
                [format!("{gate}/case: commit: expected a, got b")]
            );
        }
        let open = evidence(API_TESTS, CaseEnd::Undecided("no route".to_owned()));
        let problem = judge_gates("rev-1", &[open]).unwrap_err();
        assert_eq!(problem.code, Code::TestsInconclusive);
        assert!(judge_gates("rev-1", &[evidence(API_TESTS, CaseEnd::Passed)]).is_ok());
    }

    #[test]
    fn the_ways_out_of_a_canary_name_what_there_is_to_look_at() {
        let help = failed_at(CANARY, "rev-1").help;
        assert_eq!(
            help[0],
            "compare what was measured of it with what was measured beside it, under the same load and in the same \
             minutes; where requests failed, look for them in its log"
        );
        let help = failed_at(SLO, "rev-1").help;
        assert_eq!(
            help[0],
            "find what takes the time in a prediction; give it more `cpu`, or a lower `concurrency`, or more `max_instances`"
        );
    }

    #[test]
    fn few_causes_are_named_and_the_rest_is_counted() {
        let fail = || CaseEnd::Failed(vec!["no".to_owned()]);
        let all: Vec<Evidence> = (0..8).map(|_| evidence(API_TESTS, fail())).collect();
        let problem = judge_gates("rev-1", &all).unwrap_err();
        assert_eq!(problem.cause.len(), 6);
        assert_eq!(problem.cause[5], "and 3 more cases, told in the log above");
    }
}
