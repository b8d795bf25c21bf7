//! What moved, against what may move.

use delivery::gate::REPLAY;
use delivery::statistics::bootstrap::quantile_ratio;
use delivery::statistics::ks::two_samples;
use delivery::statistics::psi::{LEAST_VALUES, psi};
use delivery::statistics::{Interval, Standing};
use delivery::verdict::{CaseEnd, Evidence, Measurement};

use super::comparison::{Comparison, Output};
use super::plot;
use crate::verify::figure::{Figure, shown};

/// Kinds of flips that are told.
const KINDS_TOLD: usize = 5;
/// What is near the own noise of what serves by this factor says nothing about the candidate.
const OWN_PART: f64 = 0.5;
const MORE_INPUTS: (&str, &str) = ("inputs", "add golden rows or test cases to `tests`");

/// What may move. What is `None` is told and judges nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Part of the labels that may flip, for each output.
    pub flip_rate: f64,
    /// Largest difference of any number, for each output.
    pub delta: Option<f64>,
    /// Population stability index, for each output.
    pub psi: Option<f64>,
    /// The candidate's p50 and p95 over those of what serves.
    pub latency_ratio: Option<f64>,
}

/// Judges a comparison: the ends of the cases by name, and the evidence without them.
pub fn judge_replay(
    limits: &Limits,
    seen: &Comparison,
    seed: u64,
) -> (Vec<(String, CaseEnd)>, Evidence) {
    let mut evidence = Evidence::new(REPLAY, Vec::new());
    let mut ends = vec![("answers".to_owned(), answers(limits, seen))];
    evidence
        .measurements
        .push(Measurement::new("inputs", seen.pairs as f64, ""));
    let mut labels = 0;
    for (path, output) in &seen.outputs {
        let name = if path.is_empty() { "the answer" } else { path };
        if output.is_label() {
            labels += 1;
            let figure = flips(name, output, limits.flip_rate);
            evidence.measurements.push(figure.measurement());
            if let Some(end) = figure.end() {
                ends.push((figure.name.clone(), with_kinds(end, output)));
            }
            evidence.plots.extend(plot::flips(name, output));
        }
        if !output.is_label() && output.lost.hits > 0 {
            ends.push((format!("{name} is told"), lost(limits, output)));
        }
        differences(name, output, limits, &mut ends, &mut evidence);
        shift(name, output, limits, &mut ends, &mut evidence);
    }
    if seen.pairs > 0 && labels == 0 {
        let why = "no output of these answers is a label; see `max_prediction_delta` and `max_psi`";
        ends.push(("flips".to_owned(), CaseEnd::Skipped(why.to_owned())));
    }
    if seen.left_out > 0 {
        let why = format!(
            "{} values of further outputs were not compared: name them in `replay_ignore`",
            seen.left_out
        );
        ends.push(("all outputs compared".to_owned(), CaseEnd::Undecided(why)));
    }
    latency(limits, seen, seed, &mut ends, &mut evidence);
    (ends, evidence)
}

/// Whether both answered at all.
fn answers(limits: &Limits, seen: &Comparison) -> CaseEnd {
    let failures = seen.candidate_failures;
    let example = |of: &Option<String>| of.clone().unwrap_or_default();
    if failures.trials == 0 {
        return CaseEnd::Undecided(match seen.serving_failures {
            0 => "there was no input: a test case with a body or a query, or a golden row, is one"
                .to_owned(),
            count => format!(
                "what serves answered none of {count} inputs as expected, such as {}",
                example(&seen.serving_failure)
            ),
        });
    }
    if failures.hits == 0 {
        return CaseEnd::Passed;
    }
    let line = format!(
        "the candidate did not answer {} of {} inputs as what serves does, such as {}",
        failures.hits,
        failures.trials,
        example(&seen.failure)
    );
    match failures.standing(limits.flip_rate) {
        Standing::Within => CaseEnd::Passed,
        Standing::Beyond => CaseEnd::Failed(vec![line]),
        Standing::Open { .. } => CaseEnd::Undecided(line),
    }
}

/// A number that the candidate does not tell any more has no difference that could be too large.
fn lost(limits: &Limits, output: &Output) -> CaseEnd {
    let line = format!(
        "{} of {} numbers of what serves are none in the candidate's answers",
        output.lost.hits, output.lost.trials
    );
    match output.lost.standing(limits.flip_rate) {
        Standing::Within => CaseEnd::Passed,
        Standing::Beyond => CaseEnd::Failed(vec![line]),
        Standing::Open { .. } => CaseEnd::Undecided(line),
    }
}

fn flips(name: &str, output: &Output, limit: f64) -> Figure {
    let Interval {
        low,
        estimate,
        high,
    } = output.flips.interval();
    Figure {
        name: format!("flips of {name}"),
        unit: "%",
        interval: Interval {
            low: low * 100.0,
            estimate: estimate * 100.0,
            high: high * 100.0,
        },
        limit: Some(limit * 100.0),
        standing: output.flips.standing(limit),
        sample: format!("{} of {}", output.flips.hits, output.flips.trials),
        remedy: MORE_INPUTS,
    }
}

/// Adds which labels went where; and takes the blame off the candidate where what serves flips by
/// itself.
fn with_kinds(end: CaseEnd, output: &Output) -> CaseEnd {
    let CaseEnd::Failed(mut lines) = end else {
        return end;
    };
    let own = output.own_flips;
    if own.hits > 0 && own.interval().estimate >= OWN_PART * output.flips.interval().estimate {
        return CaseEnd::Undecided(format!(
            "{}; but what serves answered {} of {} inputs differently when it was asked twice, so this output tells \
             no prediction: put it into `replay_ignore`, or make it deterministic",
            lines.join("; "),
            own.hits,
            own.trials
        ));
    }
    let mut kinds: Vec<_> = output.kinds.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    lines.extend(
        kinds
            .iter()
            .take(KINDS_TOLD)
            .map(|((from, to), count)| format!("{count} times `{from}` became `{to}`")),
    );
    CaseEnd::Failed(lines)
}

fn differences(
    name: &str,
    output: &Output,
    limits: &Limits,
    ends: &mut Vec<(String, CaseEnd)>,
    evidence: &mut Evidence,
) {
    let Some(mean) = output.deltas.mean() else {
        return;
    };
    let largest = output.deltas.largest();
    evidence.measurements.push(
        Measurement::new(format!("largest difference of {name}"), largest, "").limit(limits.delta),
    );
    evidence.measurements.push(
        Measurement::new(format!("mean difference of {name}"), mean.estimate, "")
            .between(mean.low.max(0.0), mean.high),
    );
    let Some(limit) = limits.delta else { return };
    let line = format!(
        "at most {} is allowed; the largest of {} differences is {}, their mean {}",
        shown(limit, ""),
        output.deltas.count(),
        shown(largest, ""),
        shown(mean.estimate, "")
    );
    let end = if largest <= limit {
        CaseEnd::Passed
    } else if output.own_deltas.largest() > limit {
        CaseEnd::Undecided(format!(
            "{line}; but what serves differs from itself by up to {} when it is asked twice",
            shown(output.own_deltas.largest(), "")
        ))
    } else {
        CaseEnd::Failed(vec![line])
    };
    ends.push((format!("difference of {name}"), end));
}

fn shift(
    name: &str,
    output: &Output,
    limits: &Limits,
    ends: &mut Vec<(String, CaseEnd)>,
    evidence: &mut Evidence,
) {
    let (mut serving, mut candidate): (Vec<f64>, Vec<f64>) =
        output.values.kept().iter().copied().unzip();
    serving.sort_unstable_by(f64::total_cmp);
    candidate.sort_unstable_by(f64::total_cmp);
    let case = format!("PSI of {name}");
    match psi(&serving, &candidate) {
        Some(found) => {
            let figure = Figure {
                name: case,
                unit: "",
                interval: found.interval,
                limit: limits.psi,
                standing: limits
                    .psi
                    .map_or(Standing::Within, |limit| found.standing(limit)),
                sample: format!(
                    "{} values in {} bins, p {}",
                    serving.len(),
                    found.bins,
                    shown(found.p_value, "")
                ),
                remedy: MORE_INPUTS,
            };
            evidence.measurements.push(figure.measurement());
            ends.extend(figure.end().map(|end| (figure.name.clone(), end)));
        }
        None if limits.psi.is_some() => {
            let why = format!(
                "{} values are too few: at least {LEAST_VALUES} are needed, and some hundred to decide",
                serving.len()
            );
            ends.push((case, CaseEnd::Undecided(why)));
        }
        None => {}
    }
    if output.is_label() {
        return;
    }
    if let Some(ks) = two_samples(&serving, &candidate) {
        evidence.measurements.push(Measurement::new(
            format!("KS distance of {name}"),
            ks.distance,
            "",
        ));
        evidence.measurements.push(Measurement::new(
            format!("KS p-value of {name}"),
            ks.p_value,
            "",
        ));
    }
    evidence
        .plots
        .extend(plot::distributions(name, &serving, &candidate));
}

fn latency(
    limits: &Limits,
    seen: &Comparison,
    seed: u64,
    ends: &mut Vec<(String, CaseEnd)>,
    evidence: &mut Evidence,
) {
    let (serving, candidate) = (seen.latencies.0.sorted(), seen.latencies.1.sorted());
    for (name, part) in [("p50", 0.5), ("p95", 0.95)] {
        let case = format!("{name} ratio");
        let Some(ratio) = quantile_ratio(&candidate, &serving, part, seed) else {
            if limits.latency_ratio.is_some() {
                ends.push((
                    case,
                    CaseEnd::Undecided("no latency was measured".to_owned()),
                ));
            }
            continue;
        };
        let figure = Figure {
            name: case,
            unit: "",
            interval: ratio.interval,
            limit: limits.latency_ratio,
            standing: limits
                .latency_ratio
                .map_or(Standing::Within, |limit| ratio.standing(limit)),
            sample: format!("{} requests each", ratio.size),
            remedy: MORE_INPUTS,
        };
        evidence.measurements.push(figure.measurement());
        ends.extend(figure.end().map(|end| (figure.name.clone(), end)));
    }
}
