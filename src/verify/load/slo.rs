//! Whether latency and errors under load are within what was promised.

use std::time::Duration;

use async_trait::async_trait;
use delivery::gate::SLO;
use delivery::statistics::{Interval, Standing, quantile};
use delivery::verdict::{CaseEnd, CaseResult, Evidence, Measurement, Plot};

use super::generator::{Load, NoLoad, Pace, generate};
use super::record::Measured;
use super::request::{Prepared, Target};
use crate::verify::caller::Caller;
use crate::verify::figure::{Figure, bar, shown};
use crate::verify::gate::{Gate, GateContext, case};
use crate::verify::sample::{Sample, Samples};

/// Load before anything is measured: connections are made, caches filled, the first instances
/// started.
pub(crate) const WARM_UP: Duration = Duration::from_secs(3);
/// Longest time for one answer. Beyond it a user has left.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most requests under way at once. Each needs a connection; a server that lets so many wait is
/// overloaded, and what waits here counts as latency all the same.
const MOST_AT_ONCE: usize = 512;
/// Different requests that are kept ready to be sent; more tell nothing more about latency.
pub(crate) const MOST_SAMPLES: usize = 1000;
/// When the generator is itself late by more than this part of a limit, a figure beyond the limit
/// says nothing about the API.
const LATE_PART: f64 = 0.1;
/// What more are needed of to decide, and how to get them.
type Remedy = (&'static str, &'static str);
const MORE_REQUESTS: Remedy = ("requests", "raise `load_duration` or `load_rate`");
/// Rows of the plot.
const ROWS: usize = 10;

/// What was promised. At least one is said.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Slo {
    /// 95 of 100 answers come within this time.
    pub p95: Option<Duration>,
    /// 99 of 100 answers come within this time.
    pub p99: Option<Duration>,
    /// At most this part of the requests has no right answer.
    pub max_error_rate: f64,
}

/// Puts the candidate under load, and judges.
pub struct SloGate {
    /// What was promised.
    pub slo: Slo,
    /// Requests a second.
    pub rate: f64,
    /// While it is measured.
    pub duration: Duration,
    /// What is sent, in turn: the first `MOST_SAMPLES` of them.
    pub samples: Box<dyn Samples>,
}

#[async_trait]
impl Gate for SloGate {
    fn name(&self) -> &'static str {
        SLO
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        let millis = u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX);
        let load = match self.load(at.candidate) {
            Ok(load) => load,
            Err(why) => {
                return vec![Evidence::new(
                    SLO,
                    vec![case(at.sink, "load", CaseEnd::Undecided(why), 0)],
                )];
            }
        };
        match generate(load, at.cancelled.clone()).await {
            Ok(measured) => {
                let (ends, mut evidence) = judge_slo(&self.slo, &measured);
                let told = ends
                    .into_iter()
                    .map(|(name, end)| case(at.sink, &name, end, millis));
                evidence.cases = told.collect::<Vec<CaseResult>>();
                vec![evidence]
            }
            Err(NoLoad::Stopped) => vec![Evidence::skipped(SLO, "the run was stopped")],
            Err(error @ NoLoad::CannotBegin(_)) => {
                let end = CaseEnd::Undecided(error.to_string());
                vec![Evidence::new(SLO, vec![case(at.sink, "load", end, 0)])]
            }
        }
    }
}

impl SloGate {
    fn load(&self, candidate: &Caller) -> Result<Load, String> {
        open_load(candidate, self.samples.as_ref(), self.rate, self.duration)
    }
}

/// A load of the open model: so many requests a second for so long, after the usual warm-up.
///
/// # Errors
/// Why there is nothing to send, in one line.
pub(in crate::verify) fn open_load(
    caller: &Caller,
    samples: &dyn Samples,
    rate: f64,
    duration: Duration,
) -> Result<Load, String> {
    let target = Target::parse(&caller.base_url)
        .ok_or_else(|| format!("the address `{}` is not valid", caller.base_url))?;
    let prepare = |sample: &Sample| {
        Prepared::new(sample, caller, &target)
            .ok_or_else(|| format!("`{}` cannot be sent: its path is none", sample.name))
    };
    let samples = samples.read().take(MOST_SAMPLES);
    let requests: Vec<Prepared> = samples
        .map(|sample| prepare(&sample?))
        .collect::<Result<_, _>>()?;
    if requests.is_empty() {
        return Err("there is no request to send: name a test case in `load_request`".to_owned());
    }
    Ok(Load {
        target,
        requests,
        pace: Pace::Rate {
            per_second: rate,
            most_at_once: MOST_AT_ONCE,
        },
        warm_up: WARM_UP,
        duration,
        timeout: TIMEOUT,
    })
}

/// Judges a load: the ends of the cases by name, and the evidence without them.
pub fn judge_slo(slo: &Slo, measured: &Measured) -> (Vec<(String, CaseEnd)>, Evidence) {
    let mut ends = Vec::new();
    let mut evidence = Evidence::new(SLO, Vec::new());
    for (name, part, limit) in [
        ("p50", 0.5, None),
        ("p95", 0.95, slo.p95),
        ("p99", 0.99, slo.p99),
    ] {
        let Some(figure) = latency(name, part, limit, measured, MORE_REQUESTS) else {
            continue;
        };
        evidence.measurements.push(figure.measurement());
        if let Some(end) = figure.end() {
            ends.push((name.to_owned(), doubt(end, limit, measured)));
        }
    }
    let errors = errors(slo.max_error_rate, measured, MORE_REQUESTS);
    evidence.measurements.push(errors.measurement());
    if let Some(end) = errors.end() {
        ends.push((errors.name.clone(), with_kinds(end, measured)));
    }
    evidence.measurements.extend(facts(measured));
    evidence.plots.extend(plot(measured));
    (ends, evidence)
}

/// A quantile of the latency against a limit, if one is said. `remedy` is how to get more requests.
pub(in crate::verify) fn latency(
    name: &str,
    part: f64,
    limit: Option<Duration>,
    measured: &Measured,
    remedy: Remedy,
) -> Option<Figure> {
    let latency = &measured.latency;
    let ranks = quantile::ranks(latency.total(), part)?;
    let millis = |rank: u64| latency.at_rank(rank).map(|micros| micros as f64 / 1000.0);
    let interval = Interval {
        low: ranks.low.and_then(millis).unwrap_or(0.0),
        estimate: millis(ranks.estimate)?,
        high: ranks.high.and_then(millis).unwrap_or(f64::INFINITY),
    };
    let standing = match limit {
        Some(limit) => {
            let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
            quantile::standing(latency.total(), latency.above(micros), part)
        }
        None => Standing::Within,
    };
    Some(Figure {
        name: name.to_owned(),
        unit: "ms",
        interval,
        limit: limit.map(|limit| limit.as_secs_f64() * 1000.0),
        standing,
        sample: format!("{} requests", latency.total()),
        remedy,
    })
}

/// A figure that is too great may be this machine's fault.
pub(in crate::verify) fn doubt(
    end: CaseEnd,
    limit: Option<Duration>,
    measured: &Measured,
) -> CaseEnd {
    let late = measured.lateness.quantile(0.95).unwrap_or(0) as f64 / 1e6;
    let allowed = limit.map_or(f64::INFINITY, |limit| limit.as_secs_f64() * LATE_PART);
    match end {
        CaseEnd::Failed(lines) if late > allowed && measured.peak < MOST_AT_ONCE => {
            CaseEnd::Undecided(format!(
                "{}; but requests left up to {} later than they were due, so this machine was too busy to measure",
                lines.join("; "),
                shown(late * 1000.0, "ms")
            ))
        }
        end => end,
    }
}

/// The error rate against a limit.
pub(in crate::verify) fn errors(limit: f64, measured: &Measured, remedy: Remedy) -> Figure {
    let rate = measured.error_rate();
    let Interval {
        low,
        estimate,
        high,
    } = rate.interval();
    Figure {
        name: "error rate".to_owned(),
        unit: "%",
        interval: Interval {
            low: low * 100.0,
            estimate: estimate * 100.0,
            high: high * 100.0,
        },
        limit: Some(limit * 100.0),
        standing: rate.standing(limit),
        sample: format!("{} of {} requests", rate.hits, rate.trials),
        remedy,
    }
}

/// Adds what went wrong, the most frequent first.
pub(in crate::verify) fn with_kinds(end: CaseEnd, measured: &Measured) -> CaseEnd {
    let kinds = measured.failures.by_kind();
    let told = kinds
        .iter()
        .map(|(kind, count, example)| format!("{kind}: {count}, such as {example}"));
    match end {
        CaseEnd::Failed(mut lines) => {
            lines.extend(told);
            CaseEnd::Failed(lines)
        }
        CaseEnd::Undecided(why) if !kinds.is_empty() => {
            CaseEnd::Undecided(format!("{why}. {}", told.collect::<Vec<_>>().join("; ")))
        }
        end => end,
    }
}

/// What is told beside.
fn facts(measured: &Measured) -> Vec<Measurement> {
    let fact = |name: &str, value: f64, unit: &str| Measurement::new(name, value, unit);
    let millis = |micros: Option<u64>| micros.unwrap_or(0) as f64 / 1000.0;
    vec![
        fact("slowest", measured.latency.greatest() as f64 / 1000.0, "ms"),
        fact("requests", measured.latency.total() as f64, ""),
        fact("answered a second", measured.rate(), "requests/s"),
        fact("most under way at once", measured.peak as f64, ""),
        fact("connections made", measured.connect.total() as f64, ""),
        fact(
            "time to connect, p95",
            millis(measured.connect.quantile(0.95)),
            "ms",
        ),
        fact(
            "sent late by, p95",
            millis(measured.lateness.quantile(0.95)),
            "ms",
        ),
        fact("requests of the warm-up", measured.warm_up as f64, ""),
        fact(
            "errors of the warm-up",
            measured.warm_up_failures.total() as f64,
            "",
        ),
    ]
}

/// Up to the p99, with all that is slower in the last row.
fn plot(measured: &Measured) -> Option<Plot> {
    let top = measured.latency.quantile(0.99)?;
    let bars = measured.latency.bars(top, ROWS);
    let most = bars.iter().map(|bar| bar.1).max()? as f64;
    let last = bars.len() - 1;
    let row = |(i, (end, count)): (usize, &(u64, u64))| {
        let end = *end as f64 / 1000.0;
        let label = if i == last {
            "and above".to_owned()
        } else {
            format!("to {}", shown(end, "ms"))
        };
        format!("{label:>14} {} {count}", bar(*count as f64, most))
    };
    Some(Plot {
        title: "latency, requests by time".to_owned(),
        rows: bars.iter().enumerate().map(row).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::record::Failure;
    use super::*;
    use delivery::statistics::random::Random;

    /// A load without sockets: so many latencies, so many failures.
    fn measured(count: u64, failures: u64, mut millis: impl FnMut(u64) -> f64) -> Measured {
        let mut measured = Measured {
            elapsed: Duration::from_secs(10),
            ..Measured::default()
        };
        for number in 0..count {
            measured.latency.add((millis(number) * 1000.0) as u64);
        }
        for _ in 0..failures {
            measured.failures.add(
                "predict",
                &Failure::Status {
                    got: 503,
                    expected: "200".to_owned(),
                },
            );
        }
        measured
    }

    fn slo(p95: u64, p99: u64) -> Slo {
        Slo {
            p95: Some(Duration::from_millis(p95)),
            p99: Some(Duration::from_millis(p99)),
            max_error_rate: 0.01,
        }
    }

    fn ends(slo: &Slo, measured: &Measured) -> Vec<(String, &'static str)> {
        let word = |end: &CaseEnd| match end {
            CaseEnd::Passed => "passed",
            CaseEnd::Failed(_) => "failed",
            CaseEnd::Undecided(_) => "open",
            CaseEnd::Skipped(_) => "skipped",
        };
        let (ends, _) = judge_slo(slo, measured);
        ends.iter()
            .map(|(name, end)| (name.clone(), word(end)))
            .collect()
    }

    fn words(
        p95: &'static str,
        p99: &'static str,
        errors: &'static str,
    ) -> Vec<(String, &'static str)> {
        vec![
            ("p95".to_owned(), p95),
            ("p99".to_owned(), p99),
            ("error rate".to_owned(), errors),
        ]
    }

    #[test]
    fn three_states_for_each_figure() {
        let quick = |_| 50.0;
        assert_eq!(
            ends(&slo(200, 400), &measured(600, 0, quick)),
            words("passed", "passed", "passed")
        );
        assert_eq!(
            ends(&slo(40, 60), &measured(600, 0, quick)),
            words("failed", "passed", "passed")
        );
        assert_eq!(
            ends(&slo(200, 400), &measured(100, 0, quick)),
            words("passed", "open", "open")
        );
        assert_eq!(
            ends(&slo(200, 400), &measured(600, 60, quick)),
            words("passed", "passed", "failed")
        );
        let none = Measured::default();
        assert_eq!(
            ends(&slo(200, 400), &none),
            vec![("error rate".to_owned(), "open")]
        );
    }

    #[test]
    fn what_is_open_says_how_many_more_and_what_failed_says_why() {
        let (found, evidence) = judge_slo(&slo(200, 400), &measured(100, 30, |_| 50.0));
        let CaseEnd::Undecided(open) = &found[1].1 else {
            panic!("{found:?}")
        };
        assert!(
            open.contains("about 268 more requests can: raise `load_duration`"),
            "{open}"
        );
        let CaseEnd::Failed(lines) = &found[2].1 else {
            panic!("{found:?}")
        };
        assert!(
            lines[0].starts_with("at most 1 % is allowed; measured 30 %"),
            "{lines:?}"
        );
        assert_eq!(
            lines[1],
            "status 503: 30, such as `predict`: status 503 where 200 was expected"
        );
        assert_eq!(evidence.plots[0].rows.len(), ROWS);
        assert!(
            evidence
                .measurements
                .iter()
                .any(|one| one.name == "p95" && one.limit == Some(200.0))
        );
    }

    /// 200 ms more than the promise is stopped; what keeps its promise passes, in 100 seeded runs.
    #[test]
    fn a_slow_one_is_stopped_and_a_good_one_passes() {
        let (mut stopped, mut passed) = (0, 0);
        for seed in 0..100 {
            let mut random = Random::new(seed);
            let mut draw = |base: f64| measured(600, 0, |_| base + 15.0 * random.exponential());
            let slow = draw(220.0);
            stopped += u32::from(ends(&slo(200, 400), &slow)[0].1 == "failed");
            let good = draw(20.0);
            passed += u32::from(ends(&slo(200, 400), &good) == words("passed", "passed", "passed"));
        }
        assert_eq!((stopped, passed), (100, 100));
    }

    /// At the promise itself nothing can be said; just within it, rarely stopped.
    #[test]
    fn noise_does_not_stop_what_keeps_its_promise() {
        let mut stopped = 0;
        for seed in 0..200 {
            let mut random = Random::new(seed);
            // Its true p95 is 20 + 60 · ln 20 = 199.7 ms.
            let edge = measured(600, 0, |_| 20.0 + 60.0 * random.exponential());
            stopped += u32::from(ends(&slo(200, 10_000), &edge)[0].1 == "failed");
        }
        assert!(stopped <= 12, "{stopped} of 200");
    }

    #[test]
    fn a_machine_that_is_too_busy_blames_no_api() {
        let mut busy = measured(600, 0, |_| 500.0);
        for _ in 0..600 {
            busy.lateness.add(90_000);
        }
        assert_eq!(
            ends(&slo(200, 1000), &busy),
            words("open", "passed", "passed")
        );
        // At the bound the server holds what is under way: that is not this machine's fault.
        busy.peak = MOST_AT_ONCE;
        assert_eq!(ends(&slo(200, 1000), &busy)[0].1, "failed");
    }
}
