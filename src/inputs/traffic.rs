//! How traffic moves to what has passed its tests.

use delivery::decide::MOST_HOLDS;
use delivery::statistics::proportion::needed;
use delivery::statistics::quantile;
use delivery::strategy::{OnInconclusive, Strategy, StrategyError};

use super::layers::Layers;
use super::origin::{Given, Origin};
use super::typed::{LimitInputs, TrafficInputs};
use super::value::{ValueProblem, parse_decimal, parse_duration, parse_share};

/// Reads the steps of one environment and what is watched at each.
pub(super) fn parse_traffic(layers: &mut Layers<'_>, limits: &LimitInputs) -> TrafficInputs {
    let strategy = parse_strategy(layers);
    let traffic = TrafficInputs {
        strategy,
        latency_ratio: layers
            .parsed("canary_latency_ratio", parse_decimal)
            .unwrap_or(1.0),
        error_delta: layers
            .parsed("canary_error_delta", parse_some)
            .unwrap_or(1.0),
        rate: layers.number("load_rate").unwrap_or(1),
        requests: layers.list("load_request"),
    };
    check_size(&traffic, limits, layers);
    traffic
}

/// What cannot be read moves traffic at once; it is reported, and nothing runs.
fn parse_strategy(layers: &mut Layers<'_>) -> Strategy {
    let texts = layers.list("traffic_steps");
    let given = layers
        .text("traffic_steps")
        .filter(|given| given.origin != Origin::Default)
        .unwrap_or_else(|| Given::new(texts.join(","), Origin::Default));
    let soak = layers.parsed("soak", parse_duration).unwrap_or_default();
    let on_inconclusive = match layers.choice("on_inconclusive") {
        Some("hold") => OnInconclusive::Hold,
        Some("proceed") => OnInconclusive::Proceed,
        _ => OnInconclusive::Fail,
    };
    let percents: Result<Vec<u32>, ValueProblem> =
        texts.iter().map(|text| parse_percent(text)).collect();
    let strategy = percents.and_then(|percents| {
        let strategy = Strategy::new(&percents, soak, on_inconclusive);
        strategy.map_err(|error| steps_problem(&percents, &error))
    });
    match strategy {
        Ok(strategy) => strategy,
        // A wrong `soak` is reported as such.
        Err(_) if soak.is_zero() => Strategy::AT_ONCE,
        Err(problem) => {
            layers.refuse("traffic_steps", &given, problem);
            Strategy::AT_ONCE
        }
    }
}

fn parse_percent(text: &str) -> Result<u32, ValueProblem> {
    let number = text.trim().trim_end_matches('%').trim_end();
    number.parse().map_err(|_| {
        ValueProblem::new("must be whole percents, separated by commas")
            .help("such as `5,25,50,100`")
    })
}

fn steps_problem(percents: &[u32], error: &StrategyError) -> ValueProblem {
    let mut right: Vec<u32> = percents
        .iter()
        .copied()
        .filter(|percent| (1..100).contains(percent))
        .collect();
    right.sort_unstable();
    right.dedup();
    right.push(100);
    let right: Vec<String> = right.iter().map(u32::to_string).collect();
    ValueProblem::new(format!(
        "must be ascending percents that end with 100: {error}"
    ))
    .help(format!("use `{}`", right.join(",")))
}

/// A part above 0: without any leeway no number of requests could decide.
fn parse_some(text: &str) -> Result<f64, ValueProblem> {
    match parse_share(text)? {
        share if share > 0.0 => Ok(share),
        _ => Err(
            ValueProblem::new("must be above 0: two rates are never known to be equal")
                .help("such as `1%`"),
        ),
    }
}

/// A watch that could not decide even if all went well is an error now, not after it was waited for.
/// Where undecided means to go on, that is what was asked for.
fn check_size(traffic: &TrafficInputs, limits: &LimitInputs, layers: &mut Layers<'_>) {
    let TrafficInputs {
        strategy,
        latency_ratio: _,
        error_delta,
        rate,
        requests: _,
    } = traffic;
    let windows = match strategy.on_inconclusive() {
        OnInconclusive::Fail => 1,
        OnInconclusive::Hold => MOST_HOLDS + 1,
        OnInconclusive::Proceed => return,
    };
    if strategy.is_at_once() {
        return;
    }
    let window = strategy.soak().as_secs_f64() * *rate as f64;
    let sent = (window * f64::from(windows)).round() as u64;
    let promised = limits.load.as_ref();
    let wants = [
        ("the ratio of the p99", quantile::least_size(0.99)),
        ("`canary_error_delta`", needed(0.0, *error_delta)),
        (
            "`max_error_rate`",
            promised.and_then(|load| needed(0.0, load.max_error_rate)),
        ),
    ];
    let most = wants
        .into_iter()
        .filter_map(|(name, size)| Some((name, size?)))
        .max_by_key(|(_, size)| *size);
    let Some((name, size)) = most.filter(|(_, size)| *size > sent) else {
        return;
    };
    let seconds = size.div_ceil(rate * u64::from(windows));
    let given = layers
        .text("soak")
        .unwrap_or_else(|| Given::new(String::new(), Origin::Default));
    let why = format!(
        "must be long enough for {size} requests to each revision at `load_rate`, as many as {name} needs ({sent} would be made)"
    );
    let problem = ValueProblem::new(why).help(format!("use `{seconds}s`, or raise `load_rate`"));
    layers.refuse("soak", &given, problem);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use delivery::diagnostic::Diagnostic;

    use super::*;
    use crate::inputs::RawInputs;
    use crate::inputs::config::Level;
    use crate::inputs::limits::parse_limits;

    fn parsed(flags: &[(&'static str, &str)]) -> (TrafficInputs, Vec<String>) {
        let flags = flags
            .iter()
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect();
        let raw = RawInputs::gather(&flags, &BTreeMap::new());
        let (nothing, mut problems) = (Level::new(), Vec::new());
        let mut layers = Layers::new(&raw, true, None, &nothing, &mut problems);
        let limits = parse_limits(&mut layers);
        let traffic = parse_traffic(&mut layers, &limits);
        let told = |problem: Diagnostic| format!("{}; {}", problem.title, problem.help.join(", "));
        (traffic, problems.into_iter().map(told).collect())
    }

    fn problem(flags: &[(&'static str, &str)]) -> String {
        let (_, problems) = parsed(flags);
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    }

    #[test]
    fn traffic_moves_at_once_unless_somebody_says_otherwise() {
        let (traffic, problems) = parsed(&[]);
        assert!(problems.is_empty(), "{problems:?}");
        assert!(traffic.strategy.is_at_once());
    }

    #[test]
    fn steps_are_read_with_what_is_watched() {
        let (traffic, problems) = parsed(&[
            ("traffic_steps", "5, 25%,100"),
            ("soak", "1m"),
            ("on_inconclusive", "hold"),
            ("canary_error_delta", "2%"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
        let steps: Vec<_> = traffic.strategy.partial().collect();
        assert_eq!(steps, [(5, 25), (25, 100)]);
        assert_eq!(traffic.strategy.soak(), Duration::from_secs(60));
        assert_eq!(traffic.strategy.on_inconclusive(), OnInconclusive::Hold);
        assert!((traffic.error_delta - 0.02).abs() < 1e-12);
        assert!((traffic.latency_ratio - 1.5).abs() < 1e-12);
        assert_eq!(traffic.rate, 20);
    }

    #[test]
    fn wrong_steps_say_what_would_be_right() {
        for (steps, part) in [
            ("5,25,50", "use `5,25,50,100`"),
            ("50,5,100", "use `5,50,100`"),
            ("5,5,100", "use `5,100`"),
            ("0,100", "use `100`"),
            ("5,120", "use `5,100`"),
            ("a tenth", "such as `5,25,50,100`"),
        ] {
            let told = problem(&[("traffic_steps", steps)]);
            assert!(told.contains(part) && told.contains(steps), "{told}");
        }
        let told = problem(&[("canary_error_delta", "0%")]);
        assert!(told.contains("must be above 0"), "{told}");
        let told = problem(&[("traffic_steps", "5,100"), ("soak", "10")]);
        assert!(told.contains("`soak` must be a duration"), "{told}");
    }

    #[test]
    fn a_watch_that_cannot_decide_is_an_error_before_it_is_waited_for() {
        let short = |mode| {
            [
                ("traffic_steps", "5,100"),
                ("soak", "10s"),
                ("on_inconclusive", mode),
            ]
        };
        let told = problem(&short("fail"));
        assert!(
            told.contains(
                "`soak` must be long enough for 381 requests to each revision at `load_rate`, as many as \
                 `canary_error_delta` needs"
            ),
            "{told}"
        );
        assert!(
            told.contains("(200 would be made), not `10s`") && told.contains("use `20s`"),
            "{told}"
        );
        // Four windows are pooled.
        assert!(parsed(&short("hold")).1.is_empty());
        assert!(parsed(&short("proceed")).1.is_empty());
        assert!(parsed(&[("soak", "10s")]).1.is_empty());
    }
}
