//! One text → one typed value. An error says why, and gives the nearest valid value.

use std::time::Duration;

use delivery::spec::{ProbeAction, StartupProbe};

use super::suggest;

/// Why a text is no value of its kind, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueProblem {
    /// The rule that it breaks.
    pub why: String,
    /// The nearest valid value, as a sentence.
    pub help: Option<String>,
}

impl ValueProblem {
    /// A rule without a nearest value.
    pub fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            help: None,
        }
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Longest time in seconds that the API takes in a startup probe.
const LONGEST_PROBE_SECONDS: u32 = 240;
/// Least and most memory of an instance in MiB (Cloud Run's documented limits).
const MEMORY_LIMITS_MIB: (u64, u64) = (128, 32 * 1024);

/// `true` or `false`.
///
/// # Errors
/// When it is neither.
pub fn parse_switch(text: &str) -> Result<bool, ValueProblem> {
    match text.trim().to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        "yes" | "on" | "1" | "y" | "t" => {
            Err(ValueProblem::new("must be `true` or `false`").help("use `true`"))
        }
        "no" | "off" | "0" | "n" | "f" => {
            Err(ValueProblem::new("must be `true` or `false`").help("use `false`"))
        }
        other => Err(ValueProblem::new("must be `true` or `false`")
            .help(suggest::help_for(other, &["true", "false"]))),
    }
}

/// One of the choices.
///
/// # Errors
/// When it is none of them.
pub fn parse_choice(text: &str, choices: &[&'static str]) -> Result<&'static str, ValueProblem> {
    let wanted = text.trim();
    choices
        .iter()
        .find(|choice| **choice == wanted)
        .copied()
        .ok_or_else(|| {
            let all = choices
                .iter()
                .map(|choice| format!("`{choice}`"))
                .collect::<Vec<_>>()
                .join(", ");
            ValueProblem::new(format!("must be one of {all}"))
                .help(suggest::help_for(wanted, choices))
        })
}

/// A whole number within limits, both included.
///
/// # Errors
/// When it is no whole number, or outside.
pub fn parse_number(text: &str, least: u64, most: u64, unit: &str) -> Result<u64, ValueProblem> {
    let text = text.trim();
    let rule = format!("must be a whole number from {least} to {most} {unit}");
    match text.parse::<i128>() {
        Ok(number) if number < i128::from(least) => {
            Err(ValueProblem::new(rule).help(format!("use `{least}`, the least")))
        }
        Ok(number) if number > i128::from(most) => {
            Err(ValueProblem::new(rule).help(format!("use `{most}`, the most")))
        }
        Ok(number) => u64::try_from(number).map_err(|_| ValueProblem::new(rule)),
        Err(_) => {
            let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
            let problem = ValueProblem::new(rule);
            match digits.parse::<u64>() {
                Ok(number) if (least..=most).contains(&number) => {
                    Err(problem.help(format!("write the number alone: `{number}`")))
                }
                _ => Err(problem),
            }
        }
    }
}

/// Longest duration that an input may say.
const LONGEST_DURATION_SECONDS: f64 = 3600.0;

/// A duration with its unit: `200ms`, `1.5s`, `2m`.
///
/// # Errors
/// When it has no unit, is 0, or above an hour.
pub fn parse_duration(text: &str) -> Result<Duration, ValueProblem> {
    let text = text.trim();
    let rule = "must be a duration from 1ms to 60m, with its unit `ms`, `s` or `m`";
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (text[..digits].parse::<f64>().ok(), text[digits..].trim());
    let seconds = match (number, unit) {
        (Some(number), "ms") => number / 1000.0,
        (Some(number), "s") => number,
        (Some(number), "m") => number * 60.0,
        (Some(_), "") => {
            return Err(ValueProblem::new(rule).help(format!("use `{text}ms`, or `{text}s`")));
        }
        _ => return Err(ValueProblem::new(rule).help("such as `200ms`")),
    };
    if (0.001..=LONGEST_DURATION_SECONDS).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(ValueProblem::new(rule))
    }
}

/// A part of a whole: `5%`, `0.05`.
///
/// # Errors
/// When it is no number from 0 to 1, or from 0 % to 100 %.
pub fn parse_share(text: &str) -> Result<f64, ValueProblem> {
    let text = text.trim();
    let rule = "must be a part from 0 to 1, or from 0% to 100%";
    let share = match text.strip_suffix('%') {
        Some(percent) => percent
            .trim()
            .parse::<f64>()
            .ok()
            .map(|percent| percent / 100.0),
        None => text.parse::<f64>().ok(),
    };
    match share {
        Some(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Some(share) if share > 1.0 && share <= 100.0 => {
            Err(ValueProblem::new(rule).help(format!("use `{text}%`")))
        }
        _ => Err(ValueProblem::new(rule).help("such as `5%`")),
    }
}

/// A number above 0.
///
/// # Errors
/// When it is none.
pub fn parse_decimal(text: &str) -> Result<f64, ValueProblem> {
    match text.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err(ValueProblem::new("must be a number above 0").help("such as `0.25`")),
    }
}

/// CPUs in thousandths: 1, 2, 4, 6, 8, or 0.08 to 0.99 in steps of 0.01; also `500m`.
///
/// # Errors
/// When Cloud Run does not offer it.
pub fn parse_cpu(text: &str) -> Result<u32, ValueProblem> {
    const WHOLE: [u32; 5] = [1000, 2000, 4000, 6000, 8000];
    let text = text.trim();
    let problem =
        ValueProblem::new("must be 1, 2, 4, 6 or 8 CPUs, or 0.08 to 0.99 in steps of 0.01");
    let milli = match text.strip_suffix('m') {
        Some(digits) => digits.parse::<u32>().ok(),
        None => parse_decimal_milli(text),
    };
    let Some(milli) = milli else {
        return Err(problem.help("use `1`"));
    };
    if WHOLE.contains(&milli) || ((80..1000).contains(&milli) && milli % 10 == 0) {
        return Ok(milli);
    }
    let nearest = if milli < 1000 {
        milli.max(80).div_ceil(10) * 10
    } else {
        WHOLE
            .into_iter()
            .find(|whole| *whole >= milli)
            .unwrap_or(8000)
    };
    Err(problem.help(format!("use `{}`", format_cpu(nearest))))
}

/// At most three decimals, without going through floating point.
fn parse_decimal_milli(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits_only = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    if fraction.len() > 3
        || !digits_only(whole)
        || !digits_only(fraction)
        || text.is_empty()
        || text == "."
    {
        return None;
    }
    let whole: u32 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: u32 = format!("{fraction:0<3}").parse().ok()?;
    whole.checked_mul(1000)?.checked_add(fraction)
}

/// `1`, `0.5`.
pub fn format_cpu(milli: u32) -> String {
    if milli.is_multiple_of(1000) {
        (milli / 1000).to_string()
    } else {
        format!("{}.{:03}", milli / 1000, milli % 1000)
            .trim_end_matches('0')
            .to_owned()
    }
}

/// Memory in MiB and as the API takes it: `512Mi`, `2Gi`, also `M` and `G`.
///
/// # Errors
/// When the unit is not known, or the amount outside 128Mi to 32Gi.
pub fn parse_memory(text: &str) -> Result<(u64, String), ValueProblem> {
    let text = text.trim();
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let unit = &text[digits.len()..];
    let rule = ValueProblem::new("must be an amount from 128Mi to 32Gi, such as `512Mi` or `2Gi`");
    let Ok(amount) = digits.parse::<u64>() else {
        return Err(rule.help("use `512Mi`"));
    };
    let bytes_per_unit: u64 = match unit {
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        other => {
            let near = if other.to_lowercase().starts_with('g') {
                "Gi"
            } else {
                "Mi"
            };
            // A guess outside the limits is answered by the limit.
            let guess = format!("{amount}{near}");
            parse_memory(&guess)?;
            return Err(rule.help(format!("use `{guess}`")));
        }
    };
    let mib = amount.saturating_mul(bytes_per_unit) >> 20;
    let (least, most) = MEMORY_LIMITS_MIB;
    if mib < least {
        Err(rule.help("use `128Mi`, the least"))
    } else if mib > most {
        Err(rule.help("use `32Gi`, the most"))
    } else {
        Ok((mib, format!("{amount}{unit}")))
    }
}

/// `tcp` or `http:/path`, then `name=number` settings, separated by spaces or commas.
///
/// # Errors
/// One problem for each wrong part.
pub fn parse_probe(text: &str) -> Result<StartupProbe, Vec<ValueProblem>> {
    const SETTINGS: [&str; 4] = ["initial_delay", "period", "timeout", "failure_threshold"];
    let mut words = text
        .split([' ', ',', '\n', '\t'])
        .filter(|word| !word.is_empty());
    let mut problems = Vec::new();
    let action = match words.next() {
        Some("tcp") => ProbeAction::Tcp,
        Some(word) if word.starts_with("http:/") => {
            ProbeAction::Http(word["http:".len()..].to_owned())
        }
        other => {
            problems.push(
                ValueProblem::new("must begin with `tcp` or `http:/path`").help(format!(
                    "use `http:/{}`",
                    other.unwrap_or("health").trim_start_matches('/')
                )),
            );
            ProbeAction::Tcp
        }
    };
    // Cloud Run's own defaults for a probe that is written out; one long try when nothing is said.
    let mut probe = StartupProbe {
        action,
        initial_delay: 0,
        period: 10,
        timeout: 1,
        failure_threshold: 3,
    };
    for word in words {
        let (name, number) = word.split_once('=').unwrap_or((word, ""));
        let most = if name == "failure_threshold" {
            1000
        } else {
            LONGEST_PROBE_SECONDS
        };
        let least = u64::from(name != "initial_delay");
        let field = match name {
            "initial_delay" => &mut probe.initial_delay,
            "period" => &mut probe.period,
            "timeout" => &mut probe.timeout,
            "failure_threshold" => &mut probe.failure_threshold,
            other => {
                problems.push(
                    ValueProblem::new(format!("`{other}` is no setting of a probe"))
                        .help(suggest::help_for(other, &SETTINGS)),
                );
                continue;
            }
        };
        let unit = if name == "failure_threshold" {
            "tries"
        } else {
            "seconds"
        };
        match parse_number(number, least, u64::from(most), unit) {
            Ok(value) => *field = u32::try_from(value).unwrap_or(most),
            Err(problem) => problems.push(ValueProblem {
                why: format!("`{name}` {}", problem.why),
                ..problem
            }),
        }
    }
    if probe.timeout > probe.period {
        problems.push(
            ValueProblem::new(format!(
                "`timeout` ({}) must not be longer than `period` ({})",
                probe.timeout, probe.period
            ))
            .help(format!("use `period={}`", probe.timeout)),
        );
    }
    if problems.is_empty() {
        Ok(probe)
    } else {
        Err(problems)
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
