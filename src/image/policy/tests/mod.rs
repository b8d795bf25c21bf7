mod dockerfile;
mod requirements;
mod secret;

use super::finding::{Finding, Place};

/// `LINE:COLUMN RULE` of each finding, in order.
fn short(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| match &finding.place {
            Place::File(spot) => format!("{}:{} {}", spot.line, spot.column, finding.rule),
            Place::Image(words) => format!("{words} {}", finding.rule),
        })
        .collect()
}
