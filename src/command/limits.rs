//! The gates that measure, from the inputs: cold start, replay, load.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::diagnostic::{Code, Diagnostic};
use delivery::plan::render::duration;

use crate::inputs::{LimitInputs, LoadInputs, RawInputs, ReplayInputs, TrafficInputs, limits};
use crate::verify::canary::{Canary, CanaryLimits};
use crate::verify::load::{Slo, SloGate};
use crate::verify::replay::{Ignore, Limits, ReplayGate};
use crate::verify::{ColdStartGate, Gate, LoadedSuite, SuiteSamples};

/// Reads the flags of `ml-deploy verify`.
///
/// # Errors
/// Every flag that cannot be used.
pub(super) fn from_flags(
    flags: &BTreeMap<&'static str, String>,
    suites: &[LoadedSuite],
) -> Result<LimitInputs, Vec<Diagnostic>> {
    let raw = RawInputs::gather(flags, &BTreeMap::new());
    let (limits, mut problems) = limits::parse_alone(&raw);
    problems.extend(check(&limits, suites));
    if problems.is_empty() {
        Ok(limits)
    } else {
        Err(problems)
    }
}

/// Names of test cases that no test file has.
pub(super) fn check(limits: &LimitInputs, suites: &[LoadedSuite]) -> Vec<Diagnostic> {
    let Some(load) = &limits.load else {
        return Vec::new();
    };
    unknown_requests(&load.requests, suites)
}

/// What cannot be watched: names of test cases that no test file has, or no time for it.
pub(super) fn check_traffic(
    traffic: &TrafficInputs,
    deadline: Duration,
    suites: &[LoadedSuite],
) -> Vec<Diagnostic> {
    let strategy = &traffic.strategy;
    if strategy.is_at_once() {
        return Vec::new();
    }
    let mut problems = unknown_requests(&traffic.requests, suites);
    let shares = u32::try_from(strategy.partial().count()).unwrap_or(u32::MAX);
    let all = strategy.soak().saturating_mul(shares);
    if all >= deadline {
        let title = format!(
            "watching {shares} shares of the traffic for {} each takes {}, and the run may take {}",
            duration(strategy.soak()),
            duration(all),
            duration(deadline)
        );
        problems.push(
            Diagnostic::error(Code::InputInvalid, title)
                .at("input `soak`")
                .help("raise `deadline`, in minutes, or shorten `soak` or `traffic_steps`"),
        );
    }
    problems
}

fn unknown_requests(names: &[String], suites: &[LoadedSuite]) -> Vec<Diagnostic> {
    let samples = samples(suites, names);
    let unknown = samples.unknown().into_iter().map(|name| {
        Diagnostic::error(
            Code::InputInvalid,
            format!("`load_request` names `{name}`, which no test case of one request is called"),
        )
        .at("input `load_request`")
        .help("name a case of the files in `tests`")
    });
    unknown.collect()
}

/// What must run before anything else is asked of the candidate.
pub(super) fn cold_start(limits: &LimitInputs, suites: &[LoadedSuite]) -> Vec<Box<dyn Gate>> {
    let requests = limits.load.as_ref().map(|load| load.requests.clone());
    let samples = samples(suites, &requests.unwrap_or_default());
    let gate = limits.max_cold_start.map(|limit| ColdStartGate {
        limit,
        samples: Box::new(samples),
    });
    gate.into_iter()
        .map(|gate| Box::new(gate) as Box<dyn Gate>)
        .collect()
}

/// What runs last: it takes longest.
pub(super) fn under_load(limits: &LimitInputs, suites: &[LoadedSuite]) -> Vec<Box<dyn Gate>> {
    let mut gates: Vec<Box<dyn Gate>> = Vec::new();
    if let Some(ReplayInputs {
        flip_rate,
        delta,
        psi,
        latency_ratio,
        ignore,
    }) = &limits.replay
    {
        gates.push(Box::new(ReplayGate {
            limits: Limits {
                flip_rate: *flip_rate,
                delta: *delta,
                psi: *psi,
                latency_ratio: *latency_ratio,
            },
            ignore: Ignore::new(ignore),
            samples: Box::new(samples(suites, &[])),
        }));
    }
    if let Some(load) = &limits.load {
        gates.push(Box::new(SloGate {
            slo: slo(load),
            rate: load.rate as f64,
            duration: load.duration,
            samples: Box::new(samples(suites, &load.requests)),
        }));
    }
    gates
}

/// What watches a candidate with a share of the traffic.
pub(super) fn canary(
    traffic: &TrafficInputs,
    limits: &LimitInputs,
    suites: &[LoadedSuite],
) -> Canary {
    let TrafficInputs {
        strategy: _,
        latency_ratio,
        error_delta,
        rate,
        requests,
    } = traffic;
    let limits = CanaryLimits {
        slo: limits.load.as_ref().map(slo),
        latency_ratio: *latency_ratio,
        error_delta: *error_delta,
    };
    Canary::new(limits, *rate as f64, Box::new(samples(suites, requests)))
}

fn slo(load: &LoadInputs) -> Slo {
    let LoadInputs {
        p95,
        p99,
        max_error_rate,
        rate: _,
        duration: _,
        requests: _,
    } = load;
    Slo {
        p95: *p95,
        p99: *p99,
        max_error_rate: *max_error_rate,
    }
}

fn samples(suites: &[LoadedSuite], only: &[String]) -> SuiteSamples {
    SuiteSamples {
        suites: suites.to_vec(),
        only: only.to_vec(),
    }
}
