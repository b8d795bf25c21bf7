//! What was measured of both, against what is allowed.

use std::time::Duration;

use delivery::gate::CANARY;
use delivery::statistics::bootstrap::histogram_ratio;
use delivery::statistics::difference::Difference;
use delivery::statistics::{Interval, Standing};
use delivery::verdict::{CaseEnd, Evidence, Measurement};

use crate::verify::figure::{Figure, shown};
use crate::verify::load::{Measured, Slo, doubt, errors, latency, with_kinds};

/// Times below this count as this when they are compared: nobody tells 3 ms from 6 ms.
const FLOOR: Duration = Duration::from_millis(10);
/// When what serves fails more often than this, its times are those of failures, and there is nothing
/// to compare with. A mend of an outage must not be stopped for being slower than the outage.
const MOST_FAILING: f64 = 0.1;
/// Where the resampling comes from. A constant: the same measurements give the same verdict.
const SEED: u64 = 0x6361_6e61_7279;
const MORE: (&str, &str) = ("requests", "raise `soak` or `load_rate`");
const MORE_OF_EACH: (&str, &str) = ("requests to each", "raise `soak` or `load_rate`");
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// What a candidate may be like while it has a share of the traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanaryLimits {
    /// What was promised to callers; `None` where nothing was.
    pub slo: Option<Slo>,
    /// Its p50, p95 and p99 over those of what serves.
    pub latency_ratio: f64,
    /// Its error rate less that of what serves.
    pub error_delta: f64,
}

/// Judges both: the ends of the cases by name, and the evidence without them.
pub fn judge_canary(
    limits: &CanaryLimits,
    percent: u32,
    candidate: &Measured,
    serving: &Measured,
) -> (Vec<(String, CaseEnd)>, Evidence) {
    let mut found = Found {
        percent,
        ends: Vec::new(),
        evidence: Evidence::new(CANARY, Vec::new()),
    };
    found.promised(limits.slo.as_ref(), candidate);
    found.told_of_serving(serving);
    found.compared(limits, candidate, serving);
    for (whom, measured) in [("the candidate", candidate), ("what serves", serving)] {
        found.requests(whom, measured);
    }
    (found.ends, found.evidence)
}

struct Found {
    percent: u32,
    ends: Vec<(String, CaseEnd)>,
    evidence: Evidence,
}

impl Found {
    fn named(&self, name: &str) -> String {
        format!("{name} at {} %", self.percent)
    }

    fn add(&mut self, figure: &Figure, weigh: impl FnOnce(CaseEnd) -> CaseEnd) {
        self.evidence.measurements.push(figure.measurement());
        if let Some(end) = figure.end() {
            self.ends.push((figure.name.clone(), weigh(end)));
        }
    }

    fn requests(&mut self, whom: &str, measured: &Measured) {
        self.evidence.measurements.push(Measurement {
            name: self.named(&format!("requests to {whom}")),
            value: measured.latency.total() as f64,
            unit: String::new(),
            low: None,
            high: None,
            limit: None,
        });
    }

    /// The candidate against what was promised.
    fn promised(&mut self, slo: Option<&Slo>, candidate: &Measured) {
        let limits = [
            None,
            slo.and_then(|slo| slo.p95),
            slo.and_then(|slo| slo.p99),
        ];
        for ((name, part), limit) in QUANTILES.into_iter().zip(limits) {
            if let Some(figure) = latency(&self.named(name), part, limit, candidate, MORE) {
                self.add(&figure, |end| doubt(end, limit, candidate));
            }
        }
        let limit = slo.map(|slo| slo.max_error_rate);
        let mut rate = errors(limit.unwrap_or(1.0), candidate, MORE);
        rate.name = self.named("error rate");
        rate.limit = rate.limit.filter(|_| limit.is_some());
        self.add(&rate, |end| with_kinds(end, candidate));
    }

    /// What serves beside it: told, and judged by nothing.
    fn told_of_serving(&mut self, serving: &Measured) {
        for (name, part) in QUANTILES {
            let name = self.named(&format!("{name} of what serves"));
            if let Some(figure) = latency(&name, part, None, serving, MORE) {
                self.add(&figure, |end| end);
            }
        }
        let mut rate = errors(1.0, serving, MORE);
        rate.name = self.named("error rate of what serves");
        rate.limit = None;
        self.add(&rate, |end| end);
    }

    fn compared(&mut self, limits: &CanaryLimits, candidate: &Measured, serving: &Measured) {
        let failing = serving.error_rate().interval().estimate;
        for (name, part) in QUANTILES {
            let name = self.named(&format!("{name} ratio"));
            if failing > MOST_FAILING {
                let failing = shown(failing * 100.0, "%");
                let why = format!(
                    "what serves fails {failing} of its requests: there is nothing to compare with"
                );
                self.ends.push((name, CaseEnd::Skipped(why)));
                continue;
            }
            match ratio(name.clone(), part, limits.latency_ratio, candidate, serving) {
                Some(figure) => {
                    let lateness = Some(slowest_allowed(part, limits.latency_ratio, serving));
                    self.add(&figure, |end| doubt(end, lateness, candidate));
                }
                None => {
                    let why = "no latency was measured".to_owned();
                    self.ends.push((name, CaseEnd::Undecided(why)));
                }
            }
        }
        let excess = excess(
            self.named("errors beyond what serves"),
            limits.error_delta,
            candidate,
            serving,
        );
        self.add(&excess, |end| with_kinds(end, candidate));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn ratio(
    name: String,
    part: f64,
    limit: f64,
    candidate: &Measured,
    serving: &Measured,
) -> Option<Figure> {
    let found = histogram_ratio(
        &candidate.latency,
        &serving.latency,
        part,
        micros(FLOOR),
        SEED,
    )?;
    Some(Figure {
        name,
        unit: "",
        interval: found.interval,
        limit: Some(limit),
        standing: found.standing(limit),
        sample: format!("{} requests each", found.size),
        remedy: MORE_OF_EACH,
    })
}

/// The longest time that the ratio allows, to tell whether this machine was quick enough to measure.
fn slowest_allowed(part: f64, ratio: f64, serving: &Measured) -> Duration {
    let serving = serving
        .latency
        .quantile(part)
        .unwrap_or(0)
        .max(micros(FLOOR));
    Duration::from_micros((serving as f64 * ratio) as u64)
}

fn excess(name: String, limit: f64, candidate: &Measured, serving: &Measured) -> Figure {
    let both = Difference {
        candidate: candidate.error_rate(),
        serving: serving.error_rate(),
    };
    let Interval {
        low,
        estimate,
        high,
    } = both.interval();
    let trials = both.candidate.trials.min(both.serving.trials);
    Figure {
        name,
        unit: "%",
        interval: Interval {
            low: low * 100.0,
            estimate: estimate * 100.0,
            high: high * 100.0,
        },
        limit: Some(limit * 100.0),
        standing: if trials == 0 {
            Standing::Open { more: None }
        } else {
            both.standing(limit)
        },
        sample: format!(
            "{} of {} requests, and {} of {} beside it",
            both.candidate.hits, both.candidate.trials, both.serving.hits, both.serving.trials
        ),
        remedy: MORE_OF_EACH,
    }
}

/// True when the candidate fails so much more often than what serves that callers need not meet it
/// until the window ends. Looked at again and again, it is wrong in no case that matters: by half of
/// all requests no sample is off by chance.
pub(super) fn is_hopeless(candidate: &Measured, serving: &Measured) -> bool {
    const HOPELESS: f64 = 0.5;
    let both = Difference {
        candidate: candidate.error_rate(),
        serving: serving.error_rate(),
    };
    both.interval().low > HOPELESS
}
