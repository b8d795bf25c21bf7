//! One measured figure against its limit, in words; and small pictures of it.

use delivery::statistics::{Interval, Standing};
use delivery::verdict::{CaseEnd, Measurement};

/// Characters of the longest bar.
const BAR: usize = 30;

/// One figure, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    /// What, such as `p95`.
    pub(super) name: String,
    /// In what it is shown.
    pub(super) unit: &'static str,
    /// With its ends, as shown: percent and not parts.
    pub(super) interval: Interval,
    /// What is allowed, as shown; `None` where nobody said.
    pub(super) limit: Option<f64>,
    /// Against the limit.
    pub(super) standing: Standing,
    /// How many of what it comes from, such as `600 requests`.
    pub(super) sample: String,
    /// What more are needed of, and how to get them, such as ``("requests", "raise `load_duration`")``.
    pub(super) remedy: (&'static str, &'static str),
}

impl Figure {
    /// For the report.
    pub(super) fn measurement(&self) -> Measurement {
        let Interval {
            low,
            estimate,
            high,
        } = self.interval;
        Measurement::new(&self.name, estimate, self.unit)
            .between(low, high)
            .limit(self.limit)
    }

    /// How its case ends; `None` where there is no limit.
    pub(super) fn end(&self) -> Option<CaseEnd> {
        let limit = self.shown(self.limit?);
        let Interval {
            low,
            estimate,
            high,
        } = self.interval;
        Some(match self.standing {
            Standing::Within => CaseEnd::Passed,
            Standing::Beyond => CaseEnd::Failed(vec![format!(
                "at most {limit} is allowed; measured {}, and at least {} with 95 % confidence ({})",
                self.shown(estimate),
                self.shown(low),
                self.sample
            )]),
            Standing::Open { more } => CaseEnd::Undecided(format!(
                "measured {}, by {} ({}): that cannot tell whether at most {limit} holds; {}",
                self.shown(estimate),
                between(&self.shown(low), high.is_finite().then(|| self.shown(high))),
                self.sample,
                self.way_out(more)
            )),
        })
    }

    fn way_out(&self, more: Option<u64>) -> String {
        let (what, how) = self.remedy;
        match more {
            Some(more) => format!("about {more} more {what} can: {how}"),
            None => "it is so near to the limit that no sample can: move the limit, or the release away from it".to_owned(),
        }
    }

    fn shown(&self, number: f64) -> String {
        shown(number, self.unit)
    }
}

fn between(low: &str, high: Option<String>) -> String {
    match high {
        Some(high) => format!("95 % between {low} and {high}"),
        None => format!("95 % at least {low}"),
    }
}

/// `12.35 ms`, `0.081 %`, `7`: about four digits.
pub(super) fn shown(number: f64, unit: &str) -> String {
    let digits = match number.abs() {
        1000.0.. => 0,
        100.0.. => 1,
        10.0.. => 2,
        1.0.. => 3,
        _ => 4,
    };
    let fixed = format!("{number:.digits$}");
    let number = match fixed.contains('.') {
        true => fixed.trim_end_matches('0').trim_end_matches('.'),
        false => &fixed,
    };
    match unit {
        "" => number.to_owned(),
        unit => format!("{number} {unit}"),
    }
}

/// A bar as long as its part of the greatest, to an eighth of a character.
pub(super) fn bar(value: f64, greatest: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if greatest <= 0.0 || value <= 0.0 {
        return String::new();
    }
    let eighths = ((value / greatest).min(1.0) * BAR as f64 * 8.0).ceil() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(standing: Standing, high: f64) -> Figure {
        Figure {
            name: "p95".to_owned(),
            unit: "ms",
            interval: Interval {
                low: 180.25,
                estimate: 195.0,
                high,
            },
            limit: Some(200.0),
            standing,
            sample: "600 requests".to_owned(),
            remedy: ("requests", "raise `load_duration`"),
        }
    }

    #[test]
    fn each_end_tells_limit_value_and_way_out() {
        let failed = figure(Standing::Beyond, 250.0).end();
        let line = "at most 200 ms is allowed; measured 195 ms, and at least 180.3 ms with 95 % confidence (600 requests)";
        assert_eq!(
            failed,
            Some(CaseEnd::Failed(vec![line.replace("180.3", "180.2")]))
        );
        assert_eq!(figure(Standing::Within, 199.0).end(), Some(CaseEnd::Passed));
        let Some(CaseEnd::Undecided(open)) = figure(Standing::Open { more: Some(70) }, 215.0).end()
        else {
            panic!("decided")
        };
        assert!(open.contains("95 % between 180.2 ms and 215 ms"), "{open}");
        assert!(
            open.ends_with("about 70 more requests can: raise `load_duration`"),
            "{open}"
        );
        let Some(CaseEnd::Undecided(open)) =
            figure(Standing::Open { more: None }, f64::INFINITY).end()
        else {
            panic!("decided")
        };
        assert!(
            open.contains("at least 180.2 ms") && open.contains("so near"),
            "{open}"
        );
        assert_eq!(
            figure(Standing::Within, f64::INFINITY).measurement().high,
            None
        );
    }

    #[test]
    fn bars_are_in_proportion() {
        assert_eq!(bar(10.0, 10.0).chars().count(), BAR);
        assert_eq!(bar(5.0, 10.0), "█".repeat(BAR / 2));
        assert_eq!(
            (bar(0.0, 10.0), bar(1.0, 0.0)),
            (String::new(), String::new())
        );
        assert_eq!(bar(0.001, 10.0), "▏");
    }
}
