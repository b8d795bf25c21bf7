//! From a verdict to what happens to the traffic: one total function.

use crate::diagnostic::{Code, Diagnostic};
use crate::gate::{CANARY, failed_at, first_causes};
use crate::strategy::OnInconclusive;
use crate::verdict::Verdict;

/// How often a watch that cannot decide is held before it counts as failed. With the first one, what
/// is pooled is four times the sample that was planned, which halves each interval: a figure that is
/// still open then is about as large as its limit.
pub const MOST_HOLDS: u32 = 3;

/// Where a rollout stands when its watch has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// The percent that follows; 100 or more is everything.
    pub next: u32,
    /// What is done when the watch could not decide.
    pub on_inconclusive: OnInconclusive,
    /// How often this percent was held already.
    pub held: u32,
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The candidate gets this percent, which is below 100.
    Shift(u32),
    /// The same percent is watched once more.
    Hold,
    /// The candidate gets everything.
    Finish,
    /// Traffic goes back.
    RollBack(Cause),
}

/// Why traffic goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Something is wrong with the candidate; each line tells what.
    Failed(Vec<String>),
    /// It could not be decided; each line tells what is missing.
    Undecided {
        /// What is missing.
        open: Vec<String>,
        /// How often it was held.
        held: u32,
    },
}

/// Decides. A failure is never outvoted: no setting lets a candidate go on that was seen to be worse.
pub fn decide(verdict: &Verdict, at: Watched) -> Decision {
    let Watched {
        next,
        on_inconclusive,
        held,
    } = at;
    let go_on = if next < 100 {
        Decision::Shift(next)
    } else {
        Decision::Finish
    };
    match (verdict, on_inconclusive) {
        (Verdict::Pass, _) | (Verdict::Inconclusive(_), OnInconclusive::Proceed) => go_on,
        (Verdict::Fail(lines), _) => Decision::RollBack(Cause::Failed(lines.clone())),
        (Verdict::Inconclusive(_), OnInconclusive::Hold) if held < MOST_HOLDS => Decision::Hold,
        (Verdict::Inconclusive(open), OnInconclusive::Hold | OnInconclusive::Fail) => {
            Decision::RollBack(Cause::Undecided {
                open: open.clone(),
                held,
            })
        }
    }
}

impl Cause {
    /// What ends the run. `what` is the candidate's name, `percent` what it had of the traffic.
    pub fn diagnostic(self, what: &str, percent: u32) -> Diagnostic {
        let (base, lines) = match self {
            Self::Failed(lines) => (failed_at(CANARY, what), lines),
            Self::Undecided { open, held } => {
                let longer = match held {
                    0 => String::new(),
                    held => format!(", after {} watches", held + 1),
                };
                let title = format!(
                    "whether `{what}` may get more than {percent} % of the traffic could not be decided{longer}"
                );
                let base = Diagnostic::error(Code::CanaryUndecided, title)
                    .help("raise `soak` or `load_rate` by what the cause says, so that there are requests enough to decide")
                    .help("or say what is to happen then: `on_inconclusive: hold` watches again, `on_inconclusive: proceed` goes on with a warning");
                (base, open)
            }
        };
        first_causes(lines)
            .into_iter()
            .fold(base, Diagnostic::cause)
    }
}

/// Told where a candidate goes on although its watch could not decide.
pub fn undecided_but_on(what: &str, percent: u32, open: &[String]) -> Diagnostic {
    let title =
        format!("`{what}` goes on from {percent} % undecided, as `on_inconclusive: proceed` says");
    let base = Diagnostic::warning(Code::CanaryUndecided, title)
        .help("raise `soak` or `load_rate` by what the cause says, so that there are requests enough to decide");
    first_causes(open.to_vec())
        .into_iter()
        .fold(base, Diagnostic::cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use OnInconclusive::{Fail, Hold, Proceed};

    #[test]
    fn every_verdict_in_every_mode_at_every_place() {
        let failed = || Verdict::Fail(vec!["slow".to_owned()]);
        let open = || Verdict::Inconclusive(vec!["few".to_owned()]);
        let back = || Decision::RollBack(Cause::Failed(vec!["slow".to_owned()]));
        let undecided = |held| {
            Decision::RollBack(Cause::Undecided {
                open: vec!["few".to_owned()],
                held,
            })
        };
        for next in [1, 25, 99, 100, 101] {
            let on = || match next {
                100.. => Decision::Finish,
                below => Decision::Shift(below),
            };
            for held in [0, 1, MOST_HOLDS - 1, MOST_HOLDS, MOST_HOLDS + 1, u32::MAX] {
                for (mode, when_open) in [
                    (Fail, undecided(held)),
                    (Proceed, on()),
                    (
                        Hold,
                        if held < MOST_HOLDS {
                            Decision::Hold
                        } else {
                            undecided(held)
                        },
                    ),
                ] {
                    let at = Watched {
                        next,
                        on_inconclusive: mode,
                        held,
                    };
                    assert_eq!(decide(&Verdict::Pass, at), on(), "{at:?}");
                    assert_eq!(decide(&failed(), at), back(), "{at:?}");
                    assert_eq!(decide(&open(), at), when_open, "{at:?}");
                }
            }
        }
    }

    #[test]
    fn what_ends_the_run_says_why_and_whose_fault_it_is() {
        let failed = Cause::Failed(vec!["canary/p95 at 25 %: slow".to_owned()]);
        let failed = failed.diagnostic("rev-1", 25);
        assert!(failed.code == Code::CanaryFailed && failed.code.is_candidates_fault());
        assert!(
            failed.title.starts_with("`rev-1` does worse"),
            "{}",
            failed.title
        );
        assert_eq!(failed.cause, ["canary/p95 at 25 %: slow"]);
        let open = |held| {
            let open = vec!["few".to_owned()];
            Cause::Undecided { open, held }.diagnostic("rev-1", 25)
        };
        assert!(!open(0).code.is_candidates_fault());
        assert!(open(0).title.ends_with("could not be decided"));
        assert!(open(3).title.ends_with("after 4 watches"));
        let on = undecided_but_on("rev-1", 5, &["few".to_owned()]);
        assert_eq!(
            (on.level, on.cause),
            (crate::diagnostic::Level::Warning, vec!["few".to_owned()])
        );
    }
}
