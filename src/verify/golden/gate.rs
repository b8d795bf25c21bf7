//! The golden files of the suites, as a gate.

use std::time::Instant;

use async_trait::async_trait;
use delivery::gate::GOLDEN;
use delivery::verdict::{CaseEnd, Evidence, Measurement};

use super::run::{Run, run_file};
use super::spec::GoldenSpec;
use super::tally::Tally;
use crate::verify::gate::{Gate, GateContext, case};
use crate::verify::suite::LoadedSuite;

/// Sends the rows of every golden file.
pub struct GoldenGate {
    /// The suites that name the files.
    pub suites: Vec<LoadedSuite>,
}

impl GoldenGate {
    /// Whether there is anything to send.
    pub fn is_wanted(suites: &[LoadedSuite]) -> bool {
        suites.iter().any(|one| !one.suite.golden.is_empty())
    }
}

#[async_trait]
impl Gate for GoldenGate {
    fn name(&self) -> &'static str {
        GOLDEN
    }

    async fn run(&self, at: &GateContext<'_>) -> Vec<Evidence> {
        let files: usize = self.suites.iter().map(|one| one.suite.golden.len()).sum();
        let mut evidence = Evidence::new(GOLDEN, Vec::new());
        let candidate = at.candidate.clone().keeping(&self.suites);
        for loaded in &self.suites {
            for spec in &loaded.suite.golden {
                let name = spec.name.as_deref().unwrap_or(&spec.file);
                let name = match &loaded.label {
                    Some(label) => format!("{label}: {name}"),
                    None => name.to_owned(),
                };
                let started = Instant::now();
                let run = Run {
                    loaded,
                    spec,
                    name: &name,
                };
                let (end, tally) = match run_file(&run, &candidate, at.sink).await {
                    Ok(tally) => (judge(spec, &tally), tally),
                    Err(line) => (CaseEnd::Undecided(line), Tally::new(0)),
                };
                let took = started.elapsed();
                let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                evidence.cases.push(case(at.sink, &name, end, millis));
                let prefix = match files {
                    1 => String::new(),
                    _ => format!("{name}: "),
                };
                if tally.rows > 0 {
                    let rate = spec.max_mismatch_rate;
                    evidence
                        .measurements
                        .extend(tally.measurements(&prefix, rate));
                    evidence.measurements.push(Measurement::new(
                        format!("{prefix}rows compared"),
                        tally.rows as f64 / took.as_secs_f64().max(1e-9),
                        "rows/s",
                    ));
                }
            }
        }
        vec![evidence]
    }
}

/// What the rows of one file mean.
fn judge(spec: &GoldenSpec, tally: &Tally) -> CaseEnd {
    let (rows, mismatched) = (tally.rows, tally.mismatched);
    if tally.mismatch_rate() > spec.max_mismatch_rate {
        let allowed = match spec.max_mismatch_rate {
            0.0 => "none may".to_owned(),
            rate => format!("{} may", percent(rate)),
        };
        let mut lines = vec![format!(
            "{mismatched} of {rows} rows differ ({}), {allowed}; the worst follow",
            percent(tally.mismatch_rate())
        )];
        for row in tally.worst() {
            lines.push(format!("  line {}: {}", row.line, row.lines.join("; ")));
            lines.push(format!("    input: {}", row.input));
        }
        return CaseEnd::Failed(lines);
    }
    match &tally.undecided_because {
        Some(why) => CaseEnd::Undecided(format!(
            "{} of {rows} rows could not be compared, the first: {why}",
            tally.undecided
        )),
        None => CaseEnd::Passed,
    }
}

fn percent(rate: f64) -> String {
    let text = format!("{:.2}", rate * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}
