//! What a candidate must keep to under load, against what serves, and at its first answer.

use delivery::diagnostic::Diagnostic;
use delivery::statistics::proportion::needed;
use delivery::statistics::quantile;

use super::config::Level;
use super::layers::Layers;
use super::origin::{Given, Origin};
use super::raw::RawInputs;
use super::typed::{LimitInputs, LoadInputs, ReplayInputs};
use super::value::{ValueProblem, parse_decimal, parse_duration, parse_share};

/// Part of the requests that may fail where nobody says.
const DEFAULT_ERROR_RATE: f64 = 0.01;
/// Part of the labels that may flip where nobody says.
const DEFAULT_FLIP_RATE: f64 = 0.05;

/// Reads the limits of one environment.
pub(super) fn parse_limits(layers: &mut Layers<'_>) -> LimitInputs {
    LimitInputs {
        load: parse_load(layers),
        replay: parse_replay(layers),
        max_cold_start: layers.parsed("max_cold_start", parse_duration),
    }
}

/// Reads flags that no environment and no file stands behind; gives every problem too.
pub fn parse_alone(raw: &RawInputs) -> (LimitInputs, Vec<Diagnostic>) {
    let (nothing, mut problems) = (Level::new(), Vec::new());
    let limits = parse_limits(&mut Layers::new(raw, true, None, &nothing, &mut problems));
    (limits, problems)
}

/// `None` where no promise is made.
fn parse_load(layers: &mut Layers<'_>) -> Option<LoadInputs> {
    let p95 = layers.parsed("slo_p95", parse_duration);
    let p99 = layers.parsed("slo_p99", parse_duration);
    let errors = layers.parsed("max_error_rate", parse_share);
    let rate = layers.number("load_rate").unwrap_or(1);
    let duration = layers.parsed("load_duration", parse_duration)?;
    let requests = layers.list("load_request");
    if p95.is_none() && p99.is_none() && errors.is_none() {
        return None;
    }
    let load = LoadInputs {
        p95,
        p99,
        max_error_rate: errors.unwrap_or(DEFAULT_ERROR_RATE),
        rate,
        duration,
        requests,
    };
    check_size(&load, layers);
    Some(load)
}

/// A load that could not decide even if all went well is an error now, not after it was run.
fn check_size(load: &LoadInputs, layers: &mut Layers<'_>) {
    let sent = (load.rate as f64 * load.duration.as_secs_f64()).round() as u64;
    let for_p95 = load.p95.and_then(|_| quantile::least_size(0.95));
    let for_p99 = load.p99.and_then(|_| quantile::least_size(0.99));
    let for_errors = needed(0.0, load.max_error_rate);
    let wants = [
        ("slo_p95", for_p95),
        ("slo_p99", for_p99),
        ("max_error_rate", for_errors),
    ];
    let most = wants
        .into_iter()
        .filter_map(|(name, size)| Some((name, size?)))
        .max_by_key(|(_, size)| *size);
    let Some((name, size)) = most.filter(|(_, size)| *size > sent) else {
        return;
    };
    let seconds = size.div_ceil(load.rate.max(1));
    let given = layers
        .text("load_duration")
        .unwrap_or_else(|| Given::new(String::new(), Origin::Default));
    let why = format!(
        "must be long enough for {size} requests at `load_rate`, as many as `{name}` needs ({sent} would be made)"
    );
    layers.refuse(
        "load_duration",
        &given,
        ValueProblem::new(why).help(format!("use `{seconds}s`, or raise `load_rate`")),
    );
}

/// `None` where nothing is replayed.
fn parse_replay(layers: &mut Layers<'_>) -> Option<ReplayInputs> {
    let flip_rate = layers
        .parsed("max_flip_rate", parse_share)
        .unwrap_or(DEFAULT_FLIP_RATE);
    let limit = |layers: &mut Layers<'_>, name| layers.parsed(name, parse_decimal);
    let replay = ReplayInputs {
        flip_rate,
        delta: limit(layers, "max_prediction_delta"),
        psi: limit(layers, "max_psi"),
        latency_ratio: limit(layers, "max_latency_ratio"),
        ignore: parse_ignore(layers),
    };
    layers.switch("replay").then_some(replay)
}

fn parse_ignore(layers: &mut Layers<'_>) -> Vec<String> {
    let pointers = layers.list("replay_ignore");
    if let Some(wrong) = pointers.iter().find(|pointer| !pointer.starts_with('/')) {
        let given = Given::new(wrong.clone(), Origin::Default);
        let given = layers.text("replay_ignore").unwrap_or(given);
        let problem = ValueProblem::new("must hold JSON pointers, which begin with `/`");
        layers.refuse(
            "replay_ignore",
            &given,
            problem.help(format!("use `/{wrong}`")),
        );
    }
    pointers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn parsed(flags: &[(&'static str, &str)]) -> (LimitInputs, Vec<String>) {
        let flags = flags
            .iter()
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect();
        let (limits, problems) = parse_alone(&RawInputs::gather(&flags, &BTreeMap::new()));
        let told = |problem: Diagnostic| format!("{}; {}", problem.title, problem.help.join(", "));
        (limits, problems.into_iter().map(told).collect())
    }

    #[test]
    fn nothing_is_measured_unless_somebody_asks() {
        let (limits, problems) = parsed(&[]);
        assert_eq!((limits, problems), (LimitInputs::default(), Vec::new()));
    }

    #[test]
    fn defaults_fill_what_is_not_said() {
        let (limits, problems) = parsed(&[
            ("slo_p95", "200ms"),
            ("replay", "true"),
            ("max_cold_start", "8s"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        let load = limits.load.unwrap();
        assert_eq!(
            (load.rate, load.duration.as_secs(), load.p99),
            (20, 30, None)
        );
        assert!((load.max_error_rate - 0.01).abs() < 1e-12);
        let replay = limits.replay.unwrap();
        assert!((replay.flip_rate - 0.05).abs() < 1e-12);
        assert_eq!(
            (replay.psi, limits.max_cold_start.unwrap().as_secs()),
            (None, 8)
        );
    }

    #[test]
    fn a_load_that_cannot_decide_is_an_error_before_it_runs() {
        let (_, problems) = parsed(&[("slo_p99", "200ms"), ("load_rate", "10")]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("`load_duration` must be long enough for 381 requests at `load_rate`, as many as `max_error_rate` needs"),
            "{problems:?}"
        );
        assert!(problems[0].contains("use `39s`"), "{problems:?}");
        let (_, problems) = parsed(&[
            ("slo_p95", "200ms"),
            ("max_error_rate", "10%"),
            ("load_duration", "3s"),
        ]);
        assert!(
            problems[0].contains("72 requests at `load_rate`, as many as `slo_p95` needs"),
            "{problems:?}"
        );
    }

    #[test]
    fn wrong_values_say_what_would_be_right() {
        let (_, problems) = parsed(&[
            ("slo_p95", "200"),
            ("max_flip_rate", "5"),
            ("max_psi", "0"),
            ("replay_ignore", "model_version"),
        ]);
        for part in [
            "`200ms`, or `200s`",
            "use `5%`",
            "number above 0",
            "use `/model_version`",
        ] {
            assert!(
                problems.iter().any(|problem| problem.contains(part)),
                "{part}: {problems:?}"
            );
        }
    }
}
